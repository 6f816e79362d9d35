"""Datasets by name: always the same, found on this machine or asked for by address and checksum."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import backlit.data as data
from backlit.base.errors import ArgumentError, DataError
from backlit.data import image_sets, text
from backlit.data.sources import REMOTES

#: Those that need no file.
HERE = [name for name in data.names() if name not in REMOTES]


@pytest.mark.parametrize("name", HERE)
def test_each_is_divided_once_and_for_all(name):
    pytest.importorskip("sklearn")
    first, again = data.load(name), data.load(name)
    assert first.checksum == again.checksum
    assert first.name == name
    parts = (first.train, first.validation, first.test)
    whole = sum(map(len, parts))
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(part) - share * whole) <= 5
        assert np.all(np.isfinite(part.x))
        if first.task == "classification":
            assert part.y.dtype == np.int64
            counts = np.bincount(part.y, minlength=len(first.classes))
            assert np.all(abs(counts - share * whole * np.bincount(first.train.y) / len(first.train)) < 2)
        else:
            assert (first.task, first.classes, part.y.dtype) == ("regression", (), np.float32)
            assert part.y.shape == (len(part), 1)


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes", "digits"])
def test_nothing_is_lost_of_scikit_learns(name):
    sets = pytest.importorskip("sklearn.datasets")
    wanted = getattr(sets, "load_" + name.replace("-", "_"))()
    found = data.load(name)
    x = np.concatenate([part.x for part in (found.train, found.validation, found.test)]).reshape(len(wanted.data), -1)
    y = np.concatenate([part.y for part in (found.train, found.validation, found.test)])
    both = lambda x, y: np.array(sorted(np.column_stack([x, y]).tolist()))
    np.testing.assert_allclose(both(x, y), both(wanted.data.astype(np.float32), wanted.target), rtol=1e-6)
    assert found.classes == tuple(map(str, wanted.get("target_names", ())))


@pytest.mark.parametrize("name", ["moons", "circles", "blobs", "spirals"])
def test_points_follow_their_options(name):
    pytest.importorskip("sklearn")
    small, other = data.load(name, samples=60), data.load(name, samples=60, seed=1)
    assert len(small.train) + len(small.validation) + len(small.test) == 60
    assert small.checksum != other.checksum
    with pytest.raises(ArgumentError, match=f"{name} takes no option 'colour'; it takes samples"):
        data.load(name, colour=1)
    with pytest.raises(ArgumentError, match=name):
        data.load(name, samples=-5)


def test_spirals_wind_as_often_as_they_are_told():
    found = data.load("spirals", samples=2000, classes=3, turns=2, noise=0).train
    radius, angle = np.hypot(*found.x.T), np.arctan2(*found.x.T[::-1])
    wanted = 2 * np.pi * (2 * radius + found.y / 3)
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * wanted), atol=1e-5)
    assert 0.1 <= radius.min() < radius.max() <= 1


def test_unknown_dataset_suggests_the_nearest():
    with pytest.raises(ArgumentError, match="Did you mean 'mnist'"):
        data.load("mnits")
    with pytest.raises(ArgumentError, match="iris takes no option 'seed'; it takes none"):
        data.load("iris", seed=1)
    with pytest.raises(ArgumentError, match="'iris' is not downloaded; mnist"):
        data.find("iris")


# --- those that are downloaded -----------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKLIT_DATA", raising=False)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("name", REMOTES)
def test_without_network_it_says_what_to_do(name, nowhere, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def unreachable(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    with pytest.raises(DataError, match=r"no route to host\n(?s:.*)set BACKLIT_DATA \(now not set\)"):
        data.load(name)
    with pytest.raises(DataError, match="could not be downloaded: download=False was given"):
        data.load(name, download=False)
    assert data.find(name) is None


@pytest.mark.parametrize("name", REMOTES)
def test_downloads_carry_checksums_into_the_cache(name, nowhere, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = {}
    monkeypatch.setattr(pooch, "retrieve", lambda url, digest, fname, path: asked.update({fname: (url, digest, path)}))
    with pytest.raises((DataError, FileNotFoundError)):
        data.load(name)
    assert set(asked) == set(REMOTES[name].files)
    for file, (url, digest, path) in asked.items():
        assert url.startswith("https://")
        assert (url, digest.removeprefix("sha256:")) == REMOTES[name].files[file]
        assert len(digest) == len("sha256:") + 64
        assert path == nowhere / "cache" / name


def place(remote, folder, contents, monkeypatch):
    """Stand-ins for the files of a dataset, whose checksums are expected from now on."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(remote.files, file, (remote.files[file][0], digest))


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_files(rng):
    found = {}
    for prefix, count in (("train", 6000), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        found[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(idx(images), 0)
        found[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels), 0)
    return found


@pytest.mark.parametrize("remote", [image_sets.MNIST, image_sets.FASHION], ids=lambda r: r.name)
def test_idx_files_are_found_and_checked(remote, nowhere, monkeypatch):
    files = idx_files(np.random.default_rng(0))
    folder = nowhere / "mine" / remote.name
    place(remote, folder, files, monkeypatch)
    monkeypatch.setenv("BACKLIT_DATA", str(folder.parent))
    assert data.find(remote.name) == folder
    found = data.load(remote.name)
    assert [len(p) for p in (found.train, found.validation, found.test)] == [1000, 5000, 20]
    assert (found.train.x.dtype, found.train.x.shape[1:]) == (np.uint8, (28, 28))
    monkeypatch.setenv("BACKLIT_DATA", str(folder))
    assert data.find(remote.name) == (folder if remote is image_sets.MNIST else None)
    monkeypatch.setenv("BACKLIT_DATA", str(folder.parent))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(files["train-labels-idx1-ubyte.gz"])
    with pytest.raises(DataError, match=r"t10k-labels.*: not the file.*SHA-256 \w{64}, found \w{64}"):
        data.load(remote.name)


def test_cifar10_is_read_from_its_archive(nowhere, monkeypatch):
    rng = np.random.default_rng(1)
    records = rng.integers(0, 10, (6 * 1100, 3073), np.uint8)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=0) as archive:
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        for name, content in zip(names, np.split(records, 6), strict=True):
            member = tarfile.TarInfo("cifar-10-batches-bin/" + name)
            member.size = content.nbytes
            archive.addfile(member, io.BytesIO(content.tobytes()))
    place(image_sets.CIFAR, nowhere / "cache" / "cifar10", {"cifar-10-binary.tar.gz": packed.getvalue()}, monkeypatch)
    found = data.load("cifar10")
    assert [len(p) for p in (found.train, found.validation, found.test)] == [500, 5000, 1100]
    np.testing.assert_array_equal(found.train.x[7, 1, 2, 5], records[7, 1 + 1024 + 2 * 32 + 5])  # green
    np.testing.assert_array_equal(found.test.y, records[5500:, 0])
    assert found.classes[6] == "frog"


def test_tiny_shakespeare_is_cut_by_position(nowhere, monkeypatch):
    play = "All the world's a stage,\nAnd all the men and women merely players.\n" * 60
    place(text.SHAKESPEARE, nowhere, {"tinyshakespeare.txt": play.encode()}, monkeypatch)
    monkeypatch.setenv("BACKLIT_DATA", str(nowhere))
    found = data.load("tiny-shakespeare", window=16)
    assert (found.task, found.name, found.classes) == ("text", "tiny-shakespeare", tuple(sorted(set(play))))
    read = lambda rows: "".join(found.classes[i] for i in np.ravel(rows))
    cut = round(0.9 * len(play))
    assert read(found.train.x) == play[: found.train.x.size]
    assert read(found.train.y) == play[1 : found.train.x.size + 1]
    assert cut - 17 <= found.train.x.size < cut
    assert read(found.validation.x) == play[cut:][: found.validation.x.size]


# --- text --------------------------------------------------------------------------------------------


def test_overlapping_windows_share_memory_and_are_not_resident():
    found = data.text_dataset("abcdefghij" * 30, window=8, stride=1)
    assert found.train.x.shape == (270 - 8, 8)
    assert np.shares_memory(found.train.x[0], found.train.x[1])
    np.testing.assert_array_equal(found.train.x[1:], found.train.y[:-1])
    assert data.Loader(found.train, 4).resident is None
    assert data.Loader(data.text_dataset("abcdefghij" * 30, window=8).train, 4).resident is not None
    assert found.checksum != data.text_dataset("abcdefghij" * 30, window=8, stride=2).checksum


def test_many_characters_need_a_wider_dtype():
    found = data.text_dataset("".join(map(chr, range(300, 700))) * 2, window=4)
    assert (found.train.x.dtype, len(found.classes)) == (np.uint16, 400)


def test_what_text_refuses(tmp_path):
    with pytest.raises(ArgumentError, match="100 characters are too few for windows of 64"):
        data.text_dataset("x" * 100)
    with pytest.raises(ArgumentError, match="1 or more, got 0 and 0"):
        data.text_dataset("x" * 100, window=0)
    with pytest.raises(DataError, match="cannot be read"):
        data.read_text(tmp_path / "nowhere.txt")
    (tmp_path / "latin.txt").write_bytes("na\u00efve".encode("latin-1"))
    with pytest.raises(DataError, match="offset 2 found byte 0xef"):
        data.read_text(tmp_path / "latin.txt")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder, and the address at which a server on this machine offers its files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "offered"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(nowhere, server, monkeypatch):
    pytest.importorskip("pooch")
    folder, url = server
    play = ("To be, or not to be, that is the question: " * 100).encode()
    (folder / "input.txt").write_bytes(play)
    right = hashlib.sha256(play).hexdigest()
    monkeypatch.setitem(text.SHAKESPEARE.files, "tinyshakespeare.txt", (url + "input.txt", "0" * 64))
    with pytest.raises(DataError, match=f"does not match the known hash(?s:.*){right}"):
        data.load("tiny-shakespeare", window=8)
    assert data.find("tiny-shakespeare") is None
    monkeypatch.setitem(text.SHAKESPEARE.files, "tinyshakespeare.txt", (url + "input.txt", right))
    first = data.load("tiny-shakespeare", window=8)
    assert data.find("tiny-shakespeare") == nowhere / "cache" / "tiny-shakespeare"
    (folder / "input.txt").unlink()
    assert data.load("tiny-shakespeare", window=8).checksum == first.checksum
