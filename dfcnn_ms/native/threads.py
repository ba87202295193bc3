"""The threads that oneDNN computes with.

The oneDNN of MindSpore has none of its own: it is given a "threadpool" by an interface of C++, a table of functions,
which is laid out here by hand. Its work is to call a ``std::function`` for each of the numbers below n, from any
threads.
"""

from __future__ import annotations

import _thread
import ctypes
import functools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

_INT, _ADDRESS, _WORD = ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64
#: what a ``std::function`` of libstdc++ calls, and where it keeps that: after its 16 bytes of data, and its manager
_INVOKER = ctypes.CFUNCTYPE(None, _ADDRESS, ctypes.POINTER(_INT), ctypes.POINTER(_INT))
_INVOKER_AT = 24
#: the virtual functions of ``threadpool_iface``, in their order; the last two destroy it
_VIRTUAL = {
    "get_num_threads": ctypes.CFUNCTYPE(_INT, _ADDRESS),
    "get_in_parallel": ctypes.CFUNCTYPE(ctypes.c_bool, _ADDRESS),
    "parallel_for": ctypes.CFUNCTYPE(None, _ADDRESS, _INT, _ADDRESS),
    "get_flags": ctypes.CFUNCTYPE(ctypes.c_uint64, _ADDRESS),
    "destroy": ctypes.CFUNCTYPE(None, _ADDRESS),
    "destroy_and_free": ctypes.CFUNCTYPE(None, _ADDRESS),
}


class Team:
    """So many threads, the one that asks among them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._inside = threading.local()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(1, count):
            threading.Thread(target=self._wait_for_work, name=f"native-{number}", daemon=True).start()
        functions = {name: kind(getattr(self, f"_{name}")) for name, kind in _VIRTUAL.items()}
        before = (None, None)  # how far it is to the whole object, and what type that is
        self._table = (_ADDRESS * (2 + len(functions)))(
            *before, *(ctypes.cast(one, _ADDRESS).value for one in functions.values())
        )
        self._object = (_ADDRESS * 1)(ctypes.addressof(self._table) + 2 * ctypes.sizeof(_ADDRESS))
        self._kept = functions

    @property
    def address(self) -> int:
        """Of the ``threadpool_iface``."""
        return ctypes.addressof(self._object)

    def share_out(self, count: int, work: Callable[[int], Any]) -> None:
        """Calls ``work(number)`` once for each number below ``count``, and returns when all have returned."""
        numbers, helpers = iter(range(count)), min(count, self.count) - 1
        left: queue.SimpleQueue[None] = queue.SimpleQueue()
        finished: list[None] = []

        def help_out() -> None:
            try:
                self._take(numbers, work)
            finally:
                finished.append(None)
                left.put(None)

        interrupted = False
        for _ in range(helpers):
            self._work.put(help_out)
        while True:  # Ctrl-C may come anywhere here, and must not leave others at work on memory that is freed then
            try:
                self._take(numbers, work)
                while len(finished) < helpers:
                    left.get()
                break
            except KeyboardInterrupt:
                interrupted = True
        if interrupted:
            _thread.interrupt_main()

    def _take(self, numbers: Iterator[int], work: Callable[[int], Any]) -> None:
        self._inside.at_work = True
        for number in numbers:
            work(number)
        self._inside.at_work = False

    def _wait_for_work(self) -> None:
        while True:
            self._work.get()()

    def _get_num_threads(self, _: int) -> int:
        return self.count

    def _get_in_parallel(self, _: int) -> bool:
        return getattr(self._inside, "at_work", False)

    def _parallel_for(self, _: int, count: int, function: int) -> None:
        invoke, total = _INVOKER(_WORD.from_address(function + _INVOKER_AT).value), _INT(count)
        self.share_out(count, lambda number: invoke(function, _INT(number), total))

    def _get_flags(self, _: int) -> int:
        return 0  # parallel_for comes back when all is done

    def _destroy(self, _: int) -> None:
        """Python does."""

    _destroy_and_free = _destroy


@functools.cache
def team(count: int) -> Team:
    """The one of this process with so many threads."""
    return Team(count)
