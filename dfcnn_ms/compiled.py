"""Machine code from Python functions, made by numba at their first call and kept for the next process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from numba import njit
from numba.core import event

log = logging.getLogger(__name__)


def compiled(function: Callable[..., Any]) -> Any:
    """`function` in machine code that lets other threads run and is kept on disk.

    numba keeps it beside the module or, where that folder cannot be written, in the user's cache folder. Where neither
    can be, it is compiled anew in each process.

    What is kept is renewed when the file of `function` changes, but not when a function of another file that it calls
    does: see :func:`dfcnn_ms.decoding.beam_kernel.searcher`.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError as error:
        log.debug("compiled code is not kept: %s", error)
        return njit(nogil=True)(function)


class _Announcement(event.Listener):
    def __init__(self, what: str) -> None:
        self._what = what

    def on_start(self, event: Any) -> None:
        """Says it once, though functions that call each other are compiled one after the other."""
        if self._what:
            log.info("compiling %s, once; this may take half a minute", self._what)
        self._what = ""

    def on_end(self, event: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def announced(what: str) -> Iterator[None]:
    """Says so in the log when a function is compiled within; finding it on disk is silent."""
    with event.install_listener("numba:compile", _Announcement(what)):
        yield
