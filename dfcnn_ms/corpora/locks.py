"""One process at a time: two that make the same file, or the same folder, would spoil it for each other."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from dfcnn_ms.errors import DataError

#: how systems and disks say that they know no locks
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)

log = logging.getLogger(__name__)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process is making ``path``, and keeps others waiting meanwhile.

    The system releases the lock whatever happens to the process. Where the disk knows no locks, nobody waits. The
    folder of ``path`` is made if need be.

    Raises:
        DataError: nothing can be written there.
    """
    file = path.with_name(f".{path.name}.lock")
    # The library's own substitute for locks, a file that is there or not, would outlive a process that was killed.
    lock = FileLock(file, fallback_to_soft=False)
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        _hold(lock, path)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from None
    try:
        yield
    finally:
        # Only who holds the lock deletes its file; whoever has opened it before sees that it is gone, and tries again.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()


def _hold(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is making %s; waiting for it", path)
        lock.acquire()
