"""The thread pool: each share is done once, barriers hold, and forks, threads, signals and exits go well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from backlit.base.errors import ArgumentError
from backlit.runtime import native, pool
from backlit.runtime.host import Host
from backlit.runtime.memory import data_pointer
from backlit.runtime.threads import barrier_ir, has_futex

KERNELS = """
; counts[tid] += nth
define void @mark(ptr %counts, i64 %tid, i64 %nth, ptr %bar) {
  %p = getelementptr i64, ptr %counts, i64 %tid
  %v = load i64, ptr %p
  %w = add i64 %v, %nth
  store i64 %w, ptr %p
  ret void
}

; a[0] rounds, then nth cells: in each round every thread adds 1 + its neighbour's cell of the round before to its own.
; The two halves of the cells take turns, with a barrier in between: a thread that runs ahead spoils the sums.
define void @ring(ptr %a, i64 %tid, i64 %nth, ptr %bar) {
entry:
  %rounds = load i64, ptr %a
  %cells = getelementptr i64, ptr %a, i64 1
  %one = add i64 %tid, 1
  %right = urem i64 %one, %nth
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %side = and i64 %i, 1
  %from.base = mul i64 %side, %nth
  %other = xor i64 %side, 1
  %to.base = mul i64 %other, %nth
  %from.right = add i64 %from.base, %right
  %from.own = add i64 %from.base, %tid
  %to = add i64 %to.base, %tid
  %r.p = getelementptr i64, ptr %cells, i64 %from.right
  %o.p = getelementptr i64, ptr %cells, i64 %from.own
  %t.p = getelementptr i64, ptr %cells, i64 %to
  %r = load i64, ptr %r.p
  %o = load i64, ptr %o.p
  %sum = add i64 %r, %o
  %more = add i64 %sum, 1
  store i64 %more, ptr %t.p
  call void @barrier(ptr %bar, i64 %nth)
  %next = add i64 %i, 1
  %on = icmp slt i64 %next, %rounds
  br i1 %on, label %loop, label %out
out:
  ret void
}

; a[0] rounds of a chain of additions, for the time it takes
define void @busy(ptr %a, i64 %tid, i64 %nth, ptr %bar) {
entry:
  %rounds = load i64, ptr %a
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %x = phi double [ 1.0, %entry ], [ %y, %loop ]
  %y = fadd double %x, 0.5
  %next = add i64 %i, 1
  %on = icmp slt i64 %next, %rounds
  br i1 %on, label %loop, label %out
out:
  %at = add i64 %tid, 1
  %p = getelementptr double, ptr %a, i64 %at
  store double %y, ptr %p
  ret void
}
"""


@pytest.fixture(scope="module")
def kernels() -> Callable[[str], int]:
    """The addresses of the kernels by name."""
    from backlit.runtime.host import host

    machine = host()
    if machine is None or os.name != "posix":
        pytest.skip("no threads of our own here")
    ir = barrier_ir(machine.triple) + KERNELS
    loaded = native.load(native.compile_object(ir, machine), ["mark", "ring", "busy"])
    return loaded.address


def ring(rounds: int, threads: int, run: Callable[[int, int, int], None], entry: int) -> np.ndarray:
    """The cells after the rounds, as computed on `threads` threads."""
    cells = np.zeros(1 + 2 * threads, np.int64)
    cells[0] = rounds
    run(entry, data_pointer(cells), threads)
    return cells[1:].reshape(2, threads)[rounds % 2]


def expected(rounds: int) -> int:
    """Each cell doubles and gains one in each round, modulo 2**64."""
    return (2**rounds - 1) & (2**64 - 1)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 16])
def test_every_share_is_done_once(kernels: Callable[[str], int], threads: int) -> None:
    counts = np.zeros(20, np.int64)
    for _ in range(200):
        pool.run(kernels("mark"), data_pointer(counts), threads)
    assert counts.tolist() == [200 * threads] * threads + [0] * (20 - threads)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
def test_barriers_hold_with_more_threads_than_cores(kernels: Callable[[str], int], threads: int) -> None:
    for rounds in (1, 2, 60, 2001):
        got = ring(rounds, threads, pool.run, kernels("ring"))
        assert [int(v) & (2**64 - 1) for v in got] == [expected(rounds)] * threads


@pytest.mark.parametrize("futex", [False, True])
def test_both_ways_of_sleeping(kernels: Callable[[str], int], machine: Host, futex: bool) -> None:
    if futex and not has_futex(machine.triple):
        pytest.skip("no futex here")
    workers = pool.Pool(futex)
    for k in range(60):  # asleep, about to sleep, and awake
        time.sleep((k % 6) * 4e-5)
        got = ring(60, 4, workers.run, kernels("ring"))
        assert got.tolist() == [expected(60)] * 4
    KEPT.append(workers)


#: Pools of their own: their workers live as long as the process, so the pools must too.
KEPT: list[pool.Pool] = []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_core_is_enough(kernels: Callable[[str], int]) -> None:
    """Two threads that wait for each other on one core: each must give way to the other."""
    code = """
import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import sys
import numpy as np
from backlit.runtime import native, pool
from backlit.runtime.host import host
from backlit.runtime.memory import data_pointer
from backlit.runtime.threads import barrier_ir
machine = host()
assert machine.cores == 1
loaded = native.load(native.compile_object(barrier_ir(machine.triple) + sys.stdin.read(), machine), ["ring"])
cells = np.zeros(9, np.int64); cells[0] = 1000
pool.run(loaded.address("ring"), data_pointer(cells), 4)
print(set(cells[1:5].tolist()))
"""
    done = subprocess.run([sys.executable, "-c", code], input=KERNELS, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "{-1}", done.stderr


def test_parked_workers_take_no_time(kernels: Callable[[str], int]) -> None:
    counts = np.zeros(8, np.int64)
    pool.run(kernels("mark"), data_pointer(counts), 8)
    time.sleep(0.02)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.03


def test_workers_are_made_when_needed(kernels: Callable[[str], int]) -> None:
    workers = pool.Pool()
    counts = np.zeros(4, np.int64)
    for threads, started in ((2, 2), (4, 4), (3, 4)):
        workers.run(kernels("mark"), data_pointer(counts), threads)
        assert workers._started == started
    assert counts.tolist() == [9, 9, 7, 4]
    KEPT.append(workers)


def test_eight_python_threads_at_once(kernels: Callable[[str], int]) -> None:
    wrong: list[object] = []

    def work(k: int) -> None:
        for i in range(100):
            threads = 1 + (k + i) % 4
            got = ring(61, threads, pool.run, kernels("ring"))
            if got.tolist() != [expected(61)] * threads:
                wrong.append((k, i, got))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not wrong


def test_the_gil_is_free_meanwhile(kernels: Callable[[str], int]) -> None:
    cells = np.zeros(3)
    cells[:1].view(np.int64)[0] = 30_000_000
    ran = threading.Event()
    thread = threading.Thread(target=lambda: (pool.run(kernels("busy"), data_pointer(cells), 2), ran.set()))
    thread.start()
    turns = 0
    while not ran.is_set():
        turns += 1
        time.sleep(0)
    thread.join()
    assert turns > 100
    assert cells[1] == cells[2] == 1 + 30_000_000 / 2


def test_direct(kernels: Callable[[str], int]) -> None:
    counts = np.zeros(2, np.int64)
    call = pool.direct(kernels("mark"))
    for _ in range(3):
        call(data_pointer(counts))
    assert counts.tolist() == [3, 0]


def test_direct_by_ctypes(kernels: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.zeros(2, np.int64)
    pool.direct.cache_clear()
    monkeypatch.setattr("os.name", "nt")
    pool.direct(kernels("mark"))(data_pointer(counts))
    pool.direct.cache_clear()
    assert counts.tolist() == [1, 0]


def test_direct_takes_an_address(kernels: Callable[[str], int]) -> None:
    call = pool.direct(kernels("mark"))
    for wrong in ("text", None, 1.5):
        with pytest.raises(TypeError):
            call(wrong)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        call(1 << 70)
    nothing = np.zeros(1, np.int64)
    before = sys.getrefcount(None)
    for _ in range(1000):
        call(data_pointer(nothing))
    assert abs(sys.getrefcount(None) - before) < 100


@pytest.mark.parametrize("threads", [0, -1, pool.MOST + 1])
def test_numbers_of_threads_that_cannot_be(kernels: Callable[[str], int], threads: int) -> None:
    with pytest.raises(ArgumentError, match=f"threads={threads}: a plan runs on 1 to {pool.MOST} threads"):
        pool.run(kernels("mark"), 0, threads)


def test_default_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= pool.default_threads() <= (os.cpu_count() or 1)
    monkeypatch.setenv("BACKLIT_THREADS", "3")
    assert pool.default_threads() == 3
    for wrong in ("0", "many", "1000", "-2"):
        monkeypatch.setenv("BACKLIT_THREADS", wrong)
        with pytest.raises(ArgumentError, match=f"BACKLIT_THREADS={wrong}"):
            pool.default_threads()


# --- processes -------------------------------------------------------------------------------------

START = """
import os, signal, sys, threading, time
import numpy as np
from backlit.runtime import native, pool
from backlit.runtime.host import host
from backlit.runtime.memory import data_pointer
from backlit.runtime.threads import barrier_ir
machine = host()
loaded = native.load(native.cached_object(barrier_ir(machine.triple) + sys.stdin.read(), machine), ["ring", "busy"])

def ring(threads, rounds=61):
    cells = np.zeros(1 + 2 * threads, np.int64)
    cells[0] = rounds
    pool.run(loaded.address("ring"), data_pointer(cells), threads)
    return set(cells[1:].reshape(2, threads)[rounds % 2].tolist()) == {2**rounds - 1}

def busy(seconds, threads):
    cells = np.zeros(1 + threads)
    cells[:1].view(np.int64)[0] = 20_000_000
    start = time.perf_counter()
    pool.run(loaded.address("busy"), data_pointer(cells), threads)
    cells[:1].view(np.int64)[0] = int(20_000_000 * seconds / (time.perf_counter() - start))
    print("start", flush=True)
    pool.run(loaded.address("busy"), data_pointer(cells), threads)
"""


def started(code: str) -> subprocess.Popen[str]:
    """A Python process with the kernels loaded that runs `code`."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", START + code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(KERNELS)
    process.stdin.close()
    process.stdin = None
    return process


def finished(process: subprocess.Popen[str], seconds: float = 30) -> tuple[str, str]:
    """What it printed. It must end by itself in time."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it hangs: {process.communicate()}")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_children_have_workers_of_their_own(kernels: Callable[[str], int]) -> None:
    out, err = finished(started("""
assert ring(3)
turn = threading.Thread(target=lambda: [ring(2, 50_000) for _ in range(10)])
turn.start()  # a plan of another thread is running while the process forks
for k in range(5):
    child = os.fork()
    if child == 0:
        assert pool._POOL._started == 1
        ok = ring(4) and ring(2)
        if k == 0:
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0 if ring(3) else 1)
            ok = ok and os.waitpid(grandchild, 0)[1] == 0 and ring(3)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ring(4)
turn.join()
print("fine")
"""))  # fmt: skip
    assert out == "fine\n", err


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "os._exit(0)", "raise SystemExit(0)"])
def test_exit_does_not_hang(kernels: Callable[[str], int], ending: str) -> None:
    process = started(f"assert ring(4)\nprint('fine', flush=True)\n{ending}\n")
    out, err = finished(process, 10)
    assert (out, err, process.returncode) == ("fine\n", "", 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_plans_that_end_while_the_interpreter_does(kernels: Callable[[str], int], threads: int) -> None:
    """CPython ends such a thread where it stands, with our frames on its stack."""
    process = started(f"""
import types
class Slow:
    def __del__(self, sleep=time.sleep, write=os.write):
        sleep(0.5)
        write(1, b"last")
module = types.ModuleType("slow")
module.slow = Slow()
sys.modules["slow"] = module
del module
threading.Thread(target=busy, args=(0.4, {threads}), daemon=True).start()
time.sleep(0.3)
""")
    out, err = finished(process, 10)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("last")


def test_exit_while_another_thread_runs(kernels: Callable[[str], int]) -> None:
    process = started("""
threading.Thread(target=busy, args=(30, 2), daemon=True).start()
time.sleep(0.5)
print("end", flush=True)
""")
    out, err = finished(process, 10)
    assert (process.returncode, err) == (0, ""), "the plan of 30 seconds is not waited for"
    assert out.endswith("end\n")


@pytest.mark.skipif(os.name != "posix", reason="no SIGINT of this kind here")
@pytest.mark.parametrize("threads", [1, 2])
def test_interrupt_arrives_when_the_plan_returns(kernels: Callable[[str], int], threads: int) -> None:
    process = started(f"""
start = time.perf_counter()
try:
    busy(1.0, {threads})
    print("finished before it came")
except KeyboardInterrupt:
    print("interrupted", pool._POOL._lock.locked(), ring(2), ring({threads}), flush=True)
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "start\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = finished(process)
    assert out == "interrupted False True True\n", err


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_workers_leave_signals_to_python(kernels: Callable[[str], int]) -> None:
    """A sleep in the main thread ends at once when a signal comes: no worker takes the signal away."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    out, err = finished(started("""
assert ring(8)
def handler(*_):
    raise InterruptedError
signal.signal(signal.SIGALRM, handler)
for _ in range(10):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    start = time.perf_counter()
    try:
        time.sleep(5)
    except InterruptedError:
        assert time.perf_counter() - start < 1
print("fine")
"""))  # fmt: skip
    assert out == "fine\n", err
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
