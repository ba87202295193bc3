"""Processes that answer questions for a command: a fresh Python each, with one thread, gone when the command is.

They are asked over their standard input and answer over their standard output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO

Process = subprocess.Popen[bytes]

#: a process is one core: its libraries need no threads of their own
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}


def started(module: str, pipe_bytes: int = -1) -> Process:
    """A process that lives by the function ``serve`` of a module, which begins with :func:`channel`.

    Args:
        module: its full name.
        pipe_bytes: what a pipe holds; -1: what is usual.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    # A session of its own: Ctrl-C in the terminal is for the command, which then ends its processes in order.
    return subprocess.Popen(
        [sys.executable, "-c", f"from {module} import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": paths},
        start_new_session=True,
        pipesize=pipe_bytes,
    )


def channel() -> tuple[IO[bytes], IO[bytes]]:
    """Questions and answers of this process, which from now on does not hear Ctrl-C and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    return questions, answers


def how_it_ended(code: int | None) -> str:
    """The end of a process in words, by its exit code; None: it has not ended."""
    if code is None:
        return "answered nonsense"
    if code < 0:
        name = signal.Signals(-code).name
        return f"was killed ({name}{', perhaps for want of memory' if name == 'SIGKILL' else ''})"
    return f"ended by itself (exit code {code})"


def _leave_with(parent: int) -> None:
    """Ends this process when its parent is gone: somebody else may still hold the other end of the pipe."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
