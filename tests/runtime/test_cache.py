"""The disk cache: what it keeps, what it refuses to believe, many writers, sudden death, and its size."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backlit.base.errors import ArgumentError
from backlit.runtime import cache
from backlit.runtime.cache import cached, digest, status

KEY = digest("a plan", b"for a machine")


def never() -> bytes:
    pytest.fail("it is in the cache")


def test_kept(place: Path) -> None:
    assert cached(KEY, lambda: b"code") == b"code"
    assert cached(KEY, never) == b"code"
    assert [p.name for p in place.iterdir()] == [KEY + ".code"]


def test_empty_code_is_code() -> None:
    assert cached(KEY, lambda: b"") == b""
    assert cached(KEY, never) == b""


def test_keys_differ() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("ab", "c", "")}) == 4
    assert digest("é") == digest("é".encode())


def test_errors_of_the_maker_pass_through(place: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        cached(KEY, lambda: bytes(1 // 0))
    assert status().entries == 0


def test_turned_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "0")
    assert cached(KEY, lambda: b"1") == b"1"
    assert cached(KEY, lambda: b"2") == b"2"
    assert not place.exists()
    assert "turned off" in (status().problem or "")


def test_folders_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKLIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    monkeypatch.setenv("LOCALAPPDATA", "local")
    home = os.path.expanduser("~")
    for system, base in (("linux", "xdg"), ("darwin", os.path.join(home, "Library", "Caches")), ("win32", "local")):
        monkeypatch.setattr("sys.platform", system)
        assert cache.folder() == os.path.join(base, "backlit", "plans")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == os.path.join(home, ".cache", "backlit", "plans")


# --- corruption ------------------------------------------------------------------------------------

CODE = bytes(range(256)) * 8


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        *[lambda c, n=n: c[:n] for n in (0, 1, 7, 8, 47, 48, 49, 1000)],
        lambda c: c[:-1],
        lambda c: c + b"x",
        *[lambda c, n=n: flip(c, n) for n in (0, 7, 8, 15, 16, 47, 48, 1000, -1)],
        lambda c: b"\0" * len(c),
        lambda c: c[:48] + b"\0" * (len(c) - 48),
    ],
)
def test_damage_is_found_and_mended(damage, place: Path) -> None:
    cached(KEY, lambda: CODE)
    file = place / (KEY + ".code")
    good = file.read_bytes()
    file.write_bytes(damage(good) if damage(good) != good else good[:-2])
    made = []
    assert cached(KEY, lambda: made.append(1) or CODE) == CODE
    assert made, "a damaged file was believed"
    assert file.read_bytes() == good
    assert cached(KEY, never) == CODE


def test_a_file_under_the_name_of_another_is_not_believed(place: Path) -> None:
    cached(KEY, lambda: b"one")
    other = digest("other")
    (place / (KEY + ".code")).rename(place / (other + ".code"))
    assert cached(other, lambda: b"two") == b"two"


def test_a_folder_in_the_place_of_a_file(place: Path) -> None:
    (place / (KEY + ".code") / "deep").mkdir(parents=True)
    assert cached(KEY, lambda: b"code") == b"code"
    assert [*place.glob("*.unfinished")] == []


def test_a_file_in_the_place_of_the_folder(place: Path) -> None:
    place.write_bytes(b"")
    assert cached(KEY, lambda: b"code") == b"code"
    assert status().problem


def test_a_folder_that_refuses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the refusal is played: of opening, and of a full disk."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr("builtins.open", refuse)
        assert cached(KEY, lambda: b"code") == b"code"
        assert "Permission denied" in (status().problem or "")
    with monkeypatch.context() as m:
        m.setattr("os.fsync", full)
        assert cached(KEY, lambda: b"code") == b"code"
        assert "No space left" in (status().problem or "")
    assert [*place.iterdir()] == [], "nothing half written stays"
    assert status().problem is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_path_that_cannot_be_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "/dev/full")
    assert cached(KEY, lambda: b"code") == b"code"
    assert status().problem


# --- size ------------------------------------------------------------------------------------------


def test_what_was_not_used_longest_goes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE_SIZE", "1")
    keys = [digest(str(k)) for k in range(5)]
    for age, key in enumerate(keys[:4]):
        cached(key, lambda: bytes(300_000))
        os.utime(place / (key + ".code"), (time.time() - 1000 + age,) * 2)
    kept = {p.stem for p in place.iterdir()}
    assert kept == set(keys[1:4])
    cached(keys[1], never)  # used, so the next in line is another
    cached(keys[4], lambda: bytes(300_000))
    assert {p.stem for p in place.iterdir()} == {keys[1], keys[3], keys[4]}
    assert status().entries == 3
    assert status().bytes <= status().limit == 1 << 20


def test_a_size_of_nothing_still_computes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE_SIZE", "0")
    assert cached(KEY, lambda: b"code") == b"code"
    assert [*place.iterdir()] == []


def test_a_size_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_CACHE_SIZE", "lots")
    with pytest.raises(ArgumentError, match="BACKLIT_CACHE_SIZE=lots"):
        cached(KEY, lambda: b"code")


def test_leavings_of_the_dead_are_cleared(place: Path) -> None:
    place.mkdir(parents=True)
    old, new = place / "a-1-1.unfinished", place / "b-2-2.unfinished"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cached(KEY, lambda: b"code")
    assert not old.exists()
    assert new.exists()


# --- others at the same time -----------------------------------------------------------------------

WRITER = """
import random, sys
from pathlib import Path
from backlit.runtime.cache import cached, digest, folder
seed, rounds = int(sys.argv[1]), int(sys.argv[2])
draw = random.Random(seed)
print("ready", flush=True)
for _ in range(rounds):
    k = draw.randrange(6)
    code = bytes([k]) * (50_000 + k)
    assert cached(digest(str(k)), lambda: code) == code
    if draw.random() < 0.3:
        Path(folder(), digest(str(k)) + ".code").unlink(missing_ok=True)
print("done", flush=True)
"""


def writer(seed: int, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(seed), str(rounds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def believed(place: Path) -> int:
    """How many files there are; each must be whole."""
    for k in range(6):
        code = bytes([k]) * (50_000 + k)
        if (place / (digest(str(k)) + ".code")).exists():
            assert cached(digest(str(k)), never) == code
    return len([*place.glob("*.code")])


def test_many_writers(place: Path) -> None:
    writers = [writer(seed, 150) for seed in range(4)]
    for process in writers:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.split() == ["ready", "done"]
    assert believed(place) > 0
    assert [*place.glob("*.unfinished")] == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_while_writing(place: Path) -> None:
    draw = random.Random(7)
    for seed in range(4):
        processes = [writer(seed * 6 + k, 10**9) for k in range(6)]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                time.sleep(draw.random() * 0.01)
                process.send_signal(signal.SIGKILL)
                for k in range(6):  # the living write and remove files meanwhile
                    code = bytes([k]) * (50_000 + k)
                    assert cached(digest(str(k)), lambda code=code: code) == code
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        believed(place)
    # The dead leave no more than unfinished files, which the next writers do not mind.
    assert {p.suffix for p in place.iterdir()} <= {".code", ".unfinished"}
