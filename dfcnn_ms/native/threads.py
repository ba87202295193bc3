"""Rows of a batch, shared out among the threads of this process."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dfcnn_ms import machine
from dfcnn_ms.native.onednn import Bench

THREADS = "OMP_NUM_THREADS"

# One operation at a time, by all threads: they have room for one.
_turn = threading.Lock()


def count() -> int:
    """How many threads compute: what MindSpore is told too, or one for each core."""
    wish = os.environ.get(THREADS, "").split(",")[0]
    return min(int(wish), machine.cores()) if wish.isdecimal() and int(wish) else machine.cores()


def parts(rows: int, threads: int) -> list[slice]:
    """The rows of each of so many threads; of fewer if there are not as many rows."""
    threads = max(1, min(threads, rows))
    ends = [rows * part // threads for part in range(threads + 1)]
    return [slice(*both) for both in itertools.pairwise(ends)]


def together(count: int, work: Callable[[int, Bench], None]) -> None:
    """Calls ``work(part, bench)`` for each of so many parts in a thread of its own, and waits."""
    with _turn:
        waiting = [_others().submit(work, part, _bench(part)) for part in range(1, count)]
        try:
            work(0, _bench(0))
        finally:
            errors = [one.exception() for one in waiting]
    for error in errors:
        if error:
            raise error


@functools.cache
def _others() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(machine.cores(), thread_name_prefix="native")


@functools.cache
def _bench(part: int) -> Bench:
    return Bench()
