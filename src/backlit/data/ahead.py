"""Reading ahead: a thread makes the next few items while the last one is being used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from queue import SimpleQueue
from threading import Semaphore, Thread, current_thread
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(make: Callable[[Any], T], items: Iterable[Any], count: int) -> Iterator[T]:
    """`make(item)` for each item in order, up to `count` of them made ahead of their use by a thread.

    The thread ends with the iterator, used up or not. An error in `make` is raised where its result is asked for.

    >>> list(ahead(lambda x: x * x, range(4), count=2))
    [0, 1, 4, 9]
    """
    if count == 0:
        yield from map(make, items)
        return
    made: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    room, stopped = Semaphore(count), []

    def work() -> None:
        try:
            for item in items:
                room.acquire()
                if stopped:
                    return
                made.put(("made", make(item)))
            made.put(("end", None))
        except BaseException as error:
            made.put(("error", error))

    thread = Thread(target=copy_context().run, args=(work,), name="backlit reads ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            room.release()
            yield value
    finally:
        stopped.append(True)
        room.release()
        if thread is not current_thread():  # a forgotten iterator is collected on whichever thread notices
            thread.join()
