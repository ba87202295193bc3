"""What this process may use of the machine."""

from __future__ import annotations

import os


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows it
        return os.cpu_count() or 1
