"""One process at a time: two that make the same file, or the same folder, would spoil it for each other."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dfcnn_ms.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process is making ``path``, and keeps others waiting meanwhile.

    The lock is a file beside ``path`` that is held open, so that the system releases it whatever happens to the
    process. Where the system or the disk knows no locks, nobody waits. The folder of ``path`` is made if need be.

    Raises:
        DataError: nothing can be written there.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        file = _held(lock, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        file.close()


def _held(lock: Path, path: Path) -> IO[bytes]:
    """The lock file, opened and held."""
    while True:
        file = lock.open("ab")
        if fcntl is None or _wait(file, path) is False or _is_still(lock, file):
            return file
        file.close()  # who held it has deleted it: it keeps nobody else out


def _wait(file: IO[bytes], path: Path) -> bool:
    """Waits for the lock; False where there are none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another process is making %s; waiting for it", path)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _is_still(lock: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(file.fileno()))
    except OSError:
        return False
