"""How a command is stopped by Ctrl-C or SIGTERM: with one word and exit code 130, whatever MindSpore thinks of it.

MindSpore puts a handler of its own over Ctrl-C, which sends the process a SIGTERM; it aborts when an exception comes
while it loads, and often when Python ends in its usual way after one; and it makes errors of its own of a
KeyboardInterrupt. So both signals are taken, and who was stopped leaves without Python's usual way out.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: those that have asked for an end
_asked: list[int] = []


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, the first time; in a thread other than the main one they are left."""
    _asked.clear()
    try:
        before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    except ValueError:  # Python allows no handlers there
        yield
        return
    _register_fork_hook()
    hook, sys.unraisablehook = sys.unraisablehook, _stop_all_the_same
    try:
        yield
    finally:
        if is_the_command():  # all is done and said; Python would give Ctrl-C back to the system on its way out
            before = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: _leave}
        else:
            sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def is_asked() -> bool:
    """Whether a signal has asked for an end."""
    return bool(_asked)


def stop_at_once() -> None:
    """Lets Ctrl-C end the process without an exception, until another handler takes its place."""
    signal.signal(signal.SIGINT, _leave)


def leave() -> NoReturn:
    """Ends a process that was stopped, and its helpers."""
    for child in multiprocessing.active_children():
        child.terminate()
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, b"stopped\n")  # not by print, in which the signal may have come
    os._exit(INTERRUPTED)


def is_the_command() -> bool:
    """Whether this process is a command, and not a program, or a helper of ours, that imports one."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return main is not None and main.name.startswith("dfcnn_ms.") and multiprocessing.parent_process() is None


def _stop(number: int, _: FrameType | None) -> None:
    """The first signal unwinds, so that nothing half-written stays."""
    if _asked or _is_loading("mindspore"):
        leave()
    _asked.append(number)
    raise KeyboardInterrupt


def _leave(number: int, _: FrameType | None) -> NoReturn:
    leave()


def _stop_all_the_same(unraisable: Any) -> None:
    """Python throws away an exception that meets it in a callback."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(unraisable)


def _is_loading(package: str) -> bool:
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == package]
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules)


@functools.cache
def _register_fork_hook() -> None:
    """Lets forked helpers end when they are told to; Python keeps such a hook for good."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_restore_signals_in_child)


def _restore_signals_in_child() -> None:
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is _stop:
            signal.signal(number, usual)
