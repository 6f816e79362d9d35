"""The loader: its order is a function of key and epoch, its batches those of the order, its thread no trace behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import ArgumentError, ShapeError
from backlit.data import Compose, Flatten, Loader, Part, Shift, Standardize, Transform
from backlit.data.arrays import blocks, gather, on_disk

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 3


class Marked(Transform):
    """Puts a random word of each sample's key beside its inputs."""

    def __call__(self, x, keys=None):
        assert keys.shape == (len(x), 2)
        assert keys.dtype == np.uint32
        return np.column_stack([x, keys[:, 0]])


def test_the_plain_shuffle_is_the_permutation_of_the_epochs_key():
    loader = Loader(Part(X, Y), 8, key=5)
    key = bl.random.key(5)
    for epoch in (0, 1, 7):
        wanted = bl.random.permutation(bl.random.fold_in(key, epoch), 20).numpy()
        np.testing.assert_array_equal(loader.rows(epoch), wanted)
        np.testing.assert_array_equal(Loader((X,), 3, key=key).rows(epoch), wanted)
        np.testing.assert_array_equal(Loader(X, 3, key=key.numpy()).rows(epoch), wanted)
        assert loader.rows(epoch).dtype == np.int64
    assert (loader.size, loader.batch_size, loader.steps, len(loader)) == (20, 8, 3, 3)
    assert "20 samples, 3 batches" in repr(loader)


@pytest.mark.parametrize("prefetch", [0, 1, 2, 50])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_follow_the_order_from_any_start(prefetch, drop_last):
    loader = Loader(Part(X, Y), 6, prefetch=prefetch, drop_last=drop_last)
    rows = loader.rows(3)
    assert loader.steps == (3 if drop_last else 4)
    for start in range(loader.steps + 1):
        found = list(loader.batches(3, start))
        assert len(found) == loader.steps - start
        for i, (x, y) in enumerate(found, start):
            np.testing.assert_array_equal(x, X[rows[6 * i : 6 * i + 6]])
            np.testing.assert_array_equal(y, Y[rows[6 * i : 6 * i + 6]])


def test_each_iteration_is_the_next_epoch():
    loader = Loader(Part(X, Y), 20)
    for epoch in range(3):
        ((x, _),) = loader
        np.testing.assert_array_equal(x, X[loader.rows(epoch)])


def test_what_is_resident():
    loader = Loader(Part(X, Y), 4)
    assert loader.resident is not None
    assert all(a is b for a, b in zip(loader.resident, (X, Y), strict=True))
    assert Loader(Part(X, Y), 4, balanced=True).resident is not None
    assert Loader((X, bl.tensor(Y)), 4, shuffle=False).resident is not None
    assert Loader(Part(X, Y), 4, transform=Standardize.fit(X)).resident is None


def test_balanced_classes_are_drawn_equally_often():
    y = np.repeat([3, 5, 9], [900, 90, 10])
    loader = Loader((np.zeros(1000), y), 10, balanced=True, key=1)
    drawn = np.bincount(y[np.concatenate([loader.rows(epoch) for epoch in range(30)])])
    share = drawn[[3, 5, 9]] / 30_000
    assert np.all(abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / 30_000))  # five standard deviations of a binomial
    np.testing.assert_array_equal(loader.rows(4), Loader((np.zeros(1000), y), 3, balanced=True, key=1).rows(4))


def test_weights_are_probabilities_and_zero_is_never():
    weights = np.array([0.0, 1, 2, 0, 5, 0])
    loader = Loader(np.arange(6), 2, weights=weights, key=2)
    drawn = np.bincount(np.concatenate([loader.rows(epoch) for epoch in range(1000)]), minlength=6) / 6_000
    assert np.all(drawn[weights == 0] == 0)
    np.testing.assert_allclose(drawn, weights / 8, atol=5 * np.sqrt(0.25 / 6_000))


def test_keys_of_samples_depend_on_key_epoch_and_row_alone():
    loader = Loader(Part(X, Y), 6, transform=Marked(), key=3)
    words = {}
    for epoch in (0, 1):
        found = np.concatenate([x for x, _ in loader.batches(epoch)])
        words[epoch] = found[np.argsort(loader.rows(epoch)), 2]
        other = Loader(Part(X, Y), 3, transform=Marked(), key=3, shuffle=False)
        alone = [other.read(np.array([row]), epoch)[0][0, 2] for row in range(20)]
        np.testing.assert_array_equal(words[epoch], alone)
    assert len({*words[0], *words[1]}) == 40


def test_evaluation_leaves_chance_out():
    images = np.arange(180.0).reshape(20, 3, 3)
    transform = Compose((Shift(1), Flatten()))
    ((training, _),) = Loader((images, Y), 20, shuffle=False, transform=transform)
    ((test, _),) = Loader((images, Y), 20, shuffle=False, transform=transform, augment=False)
    np.testing.assert_array_equal(test, images.reshape(20, 9))
    assert np.any(training != test)


def test_any_function_is_a_transform_of_the_inputs():
    ((x, y),) = Loader(Part(X, Y), 20, shuffle=False, transform=lambda x: x + 1)
    np.testing.assert_array_equal(x, X + 1)
    np.testing.assert_array_equal(y, Y)


# --- the thread ------------------------------------------------------------------------------------


def readers():
    return [t for t in threading.enumerate() if t.name == "backlit reads ahead"]


def test_the_thread_dies_with_its_iterator():
    for end in ("used up", "closed", "forgotten"):
        batches = Loader(Part(X, Y), 2).batches()
        next(batches)
        assert len(readers()) == 1
        if end == "used up":
            list(batches)
        elif end == "closed":
            batches.close()
        else:
            del batches
        assert not readers(), end
    Loader(Part(X, Y), 2).batches()  # never started
    assert not readers()


def test_no_more_than_prefetch_batches_are_read_ahead():
    read = []
    batches = Loader(np.arange(20), 1, shuffle=False, prefetch=3, transform=lambda x: read.append(0) or x).batches()
    next(batches)
    deadline = time.monotonic() + 5
    while len(read) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(read) == 4
    batches.close()


def test_an_error_comes_with_the_batch_that_it_happened_in():
    def fails(x):
        if x[0] == 3:
            raise RuntimeError("no such picture")
        return x

    batches = Loader(np.arange(6), 1, shuffle=False, transform=fails).batches()
    assert [next(batches)[0].item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="no such picture"):
        next(batches)
    assert not readers()


# --- data on disk ------------------------------------------------------------------------------------


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_mapped_arrays_are_recognised_through_views(mapped):
    assert all(map(on_disk, (mapped, mapped[3:], np.asarray(mapped), np.asarray(mapped).T, mapped.reshape(-1))))
    assert not any(map(on_disk, (X, X[2:], np.array(mapped), np.frombuffer(b"12", np.uint8))))
    loader = Loader((mapped, Y), 6)
    assert loader.resident is None
    assert on_disk(loader.arrays[0])


def test_mapped_arrays_give_what_arrays_give(mapped):
    rows = np.array([7, 2, 19, 2, 0])
    found = gather(mapped, rows)
    np.testing.assert_array_equal(found, X[rows])
    assert not on_disk(found)
    for one, other in zip(Loader((mapped, Y), 6), Loader((X, Y), 6), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_blocks_join_to_the_whole():
    for array in (X, X[:0], X.T, np.zeros((3, 0)), np.zeros((3, 5 << 20), np.uint8)):
        pieces = list(blocks(array))
        np.testing.assert_array_equal(np.concatenate(pieces) if pieces else array, array)
        assert all(piece.flags.c_contiguous for piece in pieces)


LARGER_THAN_MEMORY = """
import resource, sys
import numpy as np
from backlit.data import Dataset, Loader, Normalize, Part, Standardize

rows, width = 1 << 14, 1 << 14                       # 256 MB
x = np.memmap(sys.argv[1], np.uint8, "w+", shape=(rows, width))
x[:, 0] = np.arange(rows) % 251
x = np.memmap(sys.argv[1], np.uint8, "r", shape=(rows, width))
y = np.arange(rows) % 251
held = next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (96 << 20),) * 2)
try:
    np.array(x)
except MemoryError:
    print("does not fit")
seen = 0
for a, b in Loader(Part(x, y), 128):
    assert (a[:, 0] == b).all()
    seen += len(a)
part = Part(x, y)
assert abs(Standardize.fit(x).mean[0] - np.mean(y)) < 1e-3 and Normalize.fit(x).high[0] == 250
print(seen, len(Dataset("large", part, Part(x[:1], y[:1]), Part(x[:1], y[:1]), (), "here").checksum))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory work differently elsewhere")
def test_data_larger_than_memory_passes_through(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", LARGER_THAN_MEMORY, str(tmp_path / "large")], capture_output=True, text=True, check=False
    )
    assert run.stdout.splitlines() == ["does not fit", "16384 64"], run.stderr


# --- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Part(X, Y), 0), ArgumentError, "batch_size must be at least 1, got 0"),
        ((Part(X, Y[:3]), 4), ShapeError, r"shapes \(20, 2\), \(3,\)"),
        (((), 4), ShapeError, "none at all"),
        ((np.array(3.0), 4), ShapeError, r"\(\)"),
        ((X[:0], 4), ArgumentError, "0 sample.s. make no batch of 4"),
    ],
)
def test_what_a_loader_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        Loader(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefetch": -1}, "prefetch must be 0 or more"),
        ({"batch_size": 30, "drop_last": True}, "smaller batch_size or drop_last=False"),
        ({"balanced": True, "shuffle": False}, "shuffle=False rules out"),
        ({"balanced": True, "weights": np.ones(20)}, "not both"),
        ({"weights": np.ones(19)}, r"20 finite numbers.*shape \(19,\)"),
        ({"weights": np.zeros(20)}, "not all 0"),
        ({"weights": -np.ones(20)}, "0 or more"),
        ({"weights": np.full(20, np.nan)}, "finite"),
    ],
)
def test_options_that_a_loader_refuses(options, message):
    with pytest.raises(ArgumentError, match=message):
        Loader(Part(X, Y), **{"batch_size": 4, **options})


def test_balance_needs_classes():
    with pytest.raises(ShapeError, match="last of 1 array"):
        Loader(Y, 4, balanced=True)
    with pytest.raises(ShapeError, match=r"shape \(20, 2\)"):
        Loader((Y, X), 4, balanced=True)
