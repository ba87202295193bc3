"""Files: text is read, or refused in one sentence; what is written is there whole, or not at all.

A reader, or a crash, meets either the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.errors import DataError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """A temporary name beside ``path``, with the same suffix; what was written there takes the name ``path``.

    The new file is on the disk before it takes the name; with ``durable=False`` only this machine's own crash can lose
    it, and thousands of small files are written faster. If the block fails, what stood at ``path`` is untouched.

    Raises:
        DataError: the file cannot be written, for example because the disk is full.

    Example:
        >>> with replacing("notes.txt") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}; what was there is untouched") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def read_text(path: str | os.PathLike[str], name: str = "") -> str:
    """A text file in UTF-8; a byte order mark in front of it, as editors on Windows put there, is no part of the text.

    Args:
        path: the file.
        name: what a message calls it, such as `--text @notes.txt`; otherwise its path.

    Raises:
        DataError: it is missing, a directory, not to be read, or not in UTF-8.
    """
    name = name or str(path)
    if os.path.isdir(path):
        raise DataError(f"{name}: is a directory, wanted a text file")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name}: not a text file in UTF-8; save it as such") from None
    except (OSError, ValueError) as error:  # a ValueError is about the name, such as a zero byte in it
        raise DataError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
