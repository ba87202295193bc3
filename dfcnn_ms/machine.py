"""What this process may use of the machine."""

from __future__ import annotations

import os

THREADS = "OMP_NUM_THREADS"


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows it
        return os.cpu_count() or 1


def threads() -> int:
    """How many threads compute: as many as OMP_NUM_THREADS asks for, as of MindSpore, or one for each core."""
    asked = os.environ.get(THREADS, "").split(",")[0]  # further numbers are for threads within threads
    return min(int(asked), cores()) if asked.isdecimal() and int(asked) else cores()
