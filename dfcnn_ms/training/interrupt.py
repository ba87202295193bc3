"""Ctrl-C during training: the first time it asks for an orderly end, the second time it is one at once."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import signal
import threading
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_handler_of = ctypes.pythonapi.PyOS_getsig
_handler_of.argtypes, _handler_of.restype = [ctypes.c_int], ctypes.c_void_p
_set_handler = ctypes.pythonapi.PyOS_setsig
_set_handler.argtypes, _set_handler.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p


#: those that are open; forked helpers look here
_open: list[Interrupt] = []


@functools.cache
def _register_fork_hook() -> None:
    """Lets every process that is forked from now on give up our handlers; Python keeps such a hook for good."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_restore_signals_in_child)


def _restore_signals_in_child() -> None:
    """A forked helper, such as the writer of summaries, ends when it is told to and does not hear Ctrl-C."""
    if _open:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class Interrupt:
    """Takes SIGINT (Ctrl-C) and SIGTERM (a cluster that wants its machine back) while it is open.

    MindSpore's loader puts a handler of its own over ours whenever it starts an epoch; that one ends the process.
    :meth:`insist` puts ours back. It may be called from any thread, which ``signal.signal`` may not.

    In a thread other than the main one, where Python allows no handlers, it does nothing.

    Attributes:
        requested: whether somebody has asked for an end.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interrupt:
        mine = SIGNALS if threading.current_thread() is threading.main_thread() else ()
        self._before = {number: signal.signal(number, self._ask) for number in mine}
        self._ours = {number: _handler_of(number) for number in mine}
        if mine:
            _open.append(self)
            _register_fork_hook()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self in _open:
            _open.remove(self)

    def insist(self) -> None:
        """Makes sure that the signals come to us and to nobody else."""
        for number, handler in self._ours.items():
            _set_handler(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        log.info("finishing this step and saving; once more stops at once")
