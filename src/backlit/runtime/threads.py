"""The LLVM IR text of the thread pool and of the barrier between kernels.

Each worker has a mailbox of its own (`SLOT` bytes). To start a plan the caller bumps the generation in the mailbox of
each worker it needs, runs thread 0's share itself, and waits until each has written the generation back. So a plan on
two threads never wakes a third, and a worker's start and end cost one cache line each. A worker without work spins,
then parks. That nobody is left asleep is Dekker's argument: the worker says "parked" and then looks at the generation
again, the caller writes the generation and then looks at "parked", all four sequentially consistent, so at least one
of them sees the other. Parking is a futex on Linux and a condition variable elsewhere.
"""

from __future__ import annotations

#: The state: the job at 0, the barrier's two cache lines at 128 and 192, then how long to spin, how many threads may
#: (those beyond the number of cores park at once) and whether the caller had to give way, then the mailboxes.
#: Cache lines are kept in pairs, because processors fetch the neighbour of a line too.
BARRIER, SPIN, SLOTS = 128, 256, 384
#: A mailbox: generation (and "parked" 4 bytes on) at 0, the answer at 128, who it is at 256, a mutex and a condition.
SLOT, ANSWER, TID, STATE, MUTEX, CONDITION = 640, 128, 256, 264, 384, 512
#: Rounds of the spinning loop before a waiting thread offers its core to others: with a core for each thread about
#: 25 us, else next to none. The number for the plan that runs stands beside the barrier's generation. When patience
#: has run out once, the thread waited for may be in want of this very core (another program has the others): then
#: nobody is patient until the plan ends, and workers that have done their share park at once. And a worker that was
#: asleep may have been given the core of the caller who woke it: before it spins it offers the core.
PATIENT, HURRIED = 1000, 10

_FUTEX = {"x86_64": 202, "aarch64": 98}  # the number of the system call
_WAIT, _WAKE = 128, 129  # FUTEX_WAIT and FUTEX_WAKE, private to the process


def has_futex(triple: str) -> bool:
    """Whether threads are parked with a futex on this kind of machine."""
    return "linux" in triple and triple.partition("-")[0] in _FUTEX


def _pause(triple: str) -> tuple[str, str]:
    """The instruction that tells the core it is spinning, if it has one: its declaration and its call."""
    if triple.startswith("x86_64"):
        return "declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"
    if triple.startswith(("aarch64", "arm64")):  # "yield" does nothing on most cores; a barrier (sy: 15) waits a little
        return "declare void @llvm.aarch64.isb(i32)", "call void @llvm.aarch64.isb(i32 15)"
    return "", ""


def _give_way(triple: str) -> str:
    return "SwitchToThread" if "windows" in triple else "sched_yield"


def barrier_ir(triple: str) -> str:
    """`define internal void @barrier(ptr %bar, i64 %nth)`, with the declaration it needs, to stand in a plan's module.

    `bar` is the two cache lines that a plan's entry is given: arrivals in the first, the generation in the second. The
    last to arrive opens the next generation; the others spin, and after a while give way, so that more threads
    than cores make progress too. With one thread `bar` is not touched.
    """
    declaration, pause = _pause(triple)
    return f"""
{declaration}
declare i32 @{_give_way(triple)}() nounwind
define internal void @barrier(ptr %bar, i64 %nth) noinline nounwind {{
entry:
  %alone = icmp eq i64 %nth, 1
  br i1 %alone, label %out, label %arrive
arrive:
  %place = getelementptr i8, ptr %bar, i64 64
  %now = load atomic i64, ptr %place monotonic, align 8
  %before = atomicrmw add ptr %bar, i64 1 acq_rel
  %count = add i64 %before, 1
  %patience.p = getelementptr i8, ptr %place, i64 8
  %last = icmp eq i64 %count, %nth
  br i1 %last, label %open, label %spin
open:
  %next = add i64 %now, 1
  store atomic i64 0, ptr %bar monotonic, align 8
  store atomic i64 %next, ptr %place release, align 8
  ret void
spin:
  %n = phi i64 [ 0, %arrive ], [ %more, %pause ], [ 0, %yield ]
  %seen = load atomic i64, ptr %place acquire, align 8
  %go = icmp ne i64 %seen, %now
  br i1 %go, label %out, label %wait
wait:
  %more = add i64 %n, 1
  %patience = load atomic i64, ptr %patience.p monotonic, align 8
  %long = icmp ugt i64 %more, %patience
  br i1 %long, label %yield, label %pause
pause:
  {pause}
  br label %spin
yield:
  store atomic i64 {HURRIED}, ptr %patience.p monotonic, align 8
  %ignored = call i32 @{_give_way(triple)}()
  br label %spin
out:
  ret void
}}
"""


def pool_ir(triple: str, futex: bool) -> str:
    """The module of the pool, with parking by futex or by condition variable. It defines

    - `i64 backlit_start(ptr state, i64 first, i64 end)`: make workers; the number of the first that was refused, or end
    - `void backlit_run(ptr state, ptr entry, ptr args, i64 nth)`: `entry(args, tid, nth, barrier)` on nth threads
    - `void backlit_spin(i64 n)`: n rounds of the spinning loop, to be timed
    """
    parking = _futex_parking(triple) if futex else _CONDITION_PARKING
    declaration, pause = _pause(triple)
    give_way = _give_way(triple)
    return f"""
{declaration}
declare i32 @pthread_create(ptr, ptr, ptr, ptr) nounwind
declare i32 @pthread_detach(ptr) nounwind
declare i32 @{give_way}() nounwind
{parking}
define internal ptr @worker(ptr %slot) nounwind {{
entry:
  %tid.p = getelementptr i8, ptr %slot, i64 {TID}
  %tid = load i64, ptr %tid.p
  %state.p = getelementptr i8, ptr %slot, i64 {STATE}
  %state = load ptr, ptr %state.p
  %args.p = getelementptr i8, ptr %state, i64 8
  %nth.p = getelementptr i8, ptr %state, i64 16
  %barrier = getelementptr i8, ptr %state, i64 {BARRIER}
  %spin.p = getelementptr i8, ptr %state, i64 {SPIN}
  %spin = load i64, ptr %spin.p
  %cores.p = getelementptr i8, ptr %spin.p, i64 8
  %cores = load i64, ptr %cores.p
  %hurried.p = getelementptr i8, ptr %spin.p, i64 16
  %fits = icmp slt i64 %tid, %cores
  %limit = select i1 %fits, i64 %spin, i64 0
  %answer = getelementptr i8, ptr %slot, i64 {ANSWER}
  br label %idle
idle:
  %seen = phi i32 [ 0, %entry ], [ %now, %work ], [ %now, %polite ]
  br label %look
look:
  %n = phi i64 [ 0, %idle ], [ %more, %rest ], [ %limit, %park ]
  %woken = phi i1 [ false, %idle ], [ %woken, %rest ], [ true, %park ]
  %now = load atomic i32, ptr %slot acquire, align 4
  %go = icmp ne i32 %now, %seen
  br i1 %go, label %work, label %wait
wait:
  %more = add i64 %n, 1
  %long = icmp uge i64 %n, %limit
  %hurried = load atomic i64, ptr %hurried.p monotonic, align 8
  %wanted = icmp ne i64 %hurried, 0
  %stop = or i1 %long, %wanted
  br i1 %stop, label %park, label %rest
rest:
  {pause}
  br label %look
park:
  call void @park(ptr %slot, i32 %seen)
  br label %look
work:
  %run = load ptr, ptr %state
  %args = load ptr, ptr %args.p
  %nth = load i64, ptr %nth.p
  call void %run(ptr %args, i64 %tid, i64 %nth, ptr %barrier)
  store atomic i32 %now, ptr %answer release, align 4
  br i1 %woken, label %polite, label %idle
polite:
  %ignored = call i32 @{give_way}()
  br label %idle
}}

define i64 @backlit_start(ptr %state, i64 %first, i64 %end) nounwind {{
entry:
  %thread = alloca ptr
  br label %head
head:
  %i = phi i64 [ %first, %entry ], [ %next, %made ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %make, label %out
make:
  %k = sub i64 %i, 1
  %offset = mul i64 %k, {SLOT}
  %from = add i64 %offset, {SLOTS}
  %slot = getelementptr i8, ptr %state, i64 %from
  %tid.p = getelementptr i8, ptr %slot, i64 {TID}
  store i64 %i, ptr %tid.p
  %state.p = getelementptr i8, ptr %slot, i64 {STATE}
  store ptr %state, ptr %state.p
  call void @prepare(ptr %slot)
  %refused = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %slot)
  %bad = icmp ne i32 %refused, 0
  br i1 %bad, label %out, label %made
made:
  %id = load ptr, ptr %thread
  %ignored = call i32 @pthread_detach(ptr %id)
  %next = add i64 %i, 1
  br label %head
out:
  ret i64 %i
}}

define void @backlit_run(ptr %state, ptr %plan, ptr %args, i64 %nth) nounwind {{
entry:
  %args.p = getelementptr i8, ptr %state, i64 8
  %nth.p = getelementptr i8, ptr %state, i64 16
  %barrier = getelementptr i8, ptr %state, i64 {BARRIER}
  store ptr %plan, ptr %state
  store ptr %args, ptr %args.p
  store i64 %nth, ptr %nth.p
  %cores.p = getelementptr i8, ptr %state, i64 {SPIN + 8}
  %cores = load i64, ptr %cores.p
  %fits = icmp sle i64 %nth, %cores
  %patience = select i1 %fits, i64 {PATIENT}, i64 {HURRIED}
  %patience.p = getelementptr i8, ptr %barrier, i64 72
  store atomic i64 %patience, ptr %patience.p monotonic, align 8
  %hurried.p = getelementptr i8, ptr %state, i64 {SPIN + 16}
  %hurried = load atomic i64, ptr %hurried.p monotonic, align 8
  %calm = icmp eq i64 %hurried, 0
  br i1 %calm, label %start, label %relax
relax:
  store atomic i64 0, ptr %hurried.p monotonic, align 8
  br label %start
start:
  %slots = getelementptr i8, ptr %state, i64 {SLOTS}
  br label %head
head:
  %i = phi i64 [ 1, %start ], [ %next, %called ]
  %slot = phi ptr [ %slots, %start ], [ %slot.next, %called ]
  %more = icmp slt i64 %i, %nth
  br i1 %more, label %call, label %own
call:
  %generation = load i32, ptr %slot
  %new = add i32 %generation, 1
  store atomic i32 %new, ptr %slot seq_cst, align 4
  %parked.p = getelementptr i8, ptr %slot, i64 4
  %parked = load atomic i32, ptr %parked.p seq_cst, align 4
  %asleep = icmp ne i32 %parked, 0
  br i1 %asleep, label %wake, label %called
wake:
  call void @wake(ptr %slot)
  br label %called
called:
  %next = add i64 %i, 1
  %slot.next = getelementptr i8, ptr %slot, i64 {SLOT}
  br label %head
own:
  call void %plan(ptr %args, i64 0, i64 %nth, ptr %barrier)
  br label %join
join:
  %j = phi i64 [ 1, %own ], [ %j.next, %joined ]
  %from = phi ptr [ %slots, %own ], [ %from.next, %joined ]
  %left = icmp slt i64 %j, %nth
  br i1 %left, label %ask, label %out
ask:
  %asked = load i32, ptr %from
  %answer.p = getelementptr i8, ptr %from, i64 {ANSWER}
  br label %look
look:
  %n = phi i64 [ 0, %ask ], [ %n.more, %pause ], [ 0, %yield ]
  %answer = load atomic i32, ptr %answer.p acquire, align 4
  %done = icmp eq i32 %answer, %asked
  br i1 %done, label %joined, label %wait
wait:
  %n.more = add i64 %n, 1
  %long = icmp ugt i64 %n.more, %patience
  br i1 %long, label %yield, label %pause
pause:
  {pause}
  br label %look
yield:
  store atomic i64 1, ptr %hurried.p monotonic, align 8
  %ignored = call i32 @{give_way}()
  br label %look
joined:
  %j.next = add i64 %j, 1
  %from.next = getelementptr i8, ptr %from, i64 {SLOT}
  br label %join
out:
  ret void
}}

define void @backlit_spin(i64 %rounds) nounwind {{
entry:
  br label %look
look:
  %n = phi i64 [ 0, %entry ], [ %more, %look ]
  {pause}
  %more = add i64 %n, 1
  %on = icmp slt i64 %more, %rounds
  br i1 %on, label %look, label %out
out:
  ret void
}}
"""


def _futex_parking(triple: str) -> str:
    call = f"call i64 (i64, ...) @syscall(i64 {_FUTEX[triple.partition('-')[0]]}"
    return f"""
declare i64 @syscall(i64, ...) nounwind
define internal void @prepare(ptr %slot) nounwind {{
  ret void
}}
define internal void @park(ptr %slot, i32 %seen) nounwind {{
  %parked = getelementptr i8, ptr %slot, i64 4
  store atomic i32 1, ptr %parked seq_cst, align 4
  %now = load atomic i32, ptr %slot seq_cst, align 4
  %still = icmp eq i32 %now, %seen
  br i1 %still, label %sleep, label %out
sleep:
  %ignored = {call}, ptr %slot, i32 {_WAIT}, i32 %seen, ptr null, ptr null, i32 0)
  br label %out
out:
  store atomic i32 0, ptr %parked seq_cst, align 4
  ret void
}}
define internal void @wake(ptr %slot) nounwind {{
  %ignored = {call}, ptr %slot, i32 {_WAKE}, i32 1, ptr null, ptr null, i32 0)
  ret void
}}
"""


_CONDITION_PARKING = f"""
declare i32 @pthread_mutex_init(ptr, ptr) nounwind
declare i32 @pthread_mutex_lock(ptr) nounwind
declare i32 @pthread_mutex_unlock(ptr) nounwind
declare i32 @pthread_cond_init(ptr, ptr) nounwind
declare i32 @pthread_cond_wait(ptr, ptr) nounwind
declare i32 @pthread_cond_signal(ptr) nounwind
define internal void @prepare(ptr %slot) nounwind {{
  %mutex = getelementptr i8, ptr %slot, i64 {MUTEX}
  %condition = getelementptr i8, ptr %slot, i64 {CONDITION}
  %ignored = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %ignored.2 = call i32 @pthread_cond_init(ptr %condition, ptr null)
  ret void
}}
define internal void @park(ptr %slot, i32 %seen) nounwind {{
  %mutex = getelementptr i8, ptr %slot, i64 {MUTEX}
  %condition = getelementptr i8, ptr %slot, i64 {CONDITION}
  %parked = getelementptr i8, ptr %slot, i64 4
  %ignored = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i32 1, ptr %parked seq_cst, align 4
  br label %look
look:
  %now = load atomic i32, ptr %slot seq_cst, align 4
  %still = icmp eq i32 %now, %seen
  br i1 %still, label %sleep, label %out
sleep:
  %ignored.2 = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %look
out:
  store atomic i32 0, ptr %parked seq_cst, align 4
  %ignored.3 = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}}
define internal void @wake(ptr %slot) nounwind {{
  %mutex = getelementptr i8, ptr %slot, i64 {MUTEX}
  %condition = getelementptr i8, ptr %slot, i64 {CONDITION}
  %ignored = call i32 @pthread_mutex_lock(ptr %mutex)
  %ignored.2 = call i32 @pthread_cond_signal(ptr %condition)
  %ignored.3 = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}}
"""
