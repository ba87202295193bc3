"""Files: text is read, or refused in one sentence; what is written is there whole, or not at all.

A reader, or a crash, meets either the old file or the new one, never half of one. Nothing is written over what is read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from dfcnn_ms.errors import ConfigError, DataError

PathLike = str | os.PathLike[str]

#: names that stand for what a process has open already
_OPEN_ALREADY = ("/dev/fd/", "/dev/std", "/proc/")


@contextlib.contextmanager
def replacing(path: PathLike, *, durable: bool = True) -> Iterator[Path]:
    """A temporary name beside ``path``, with the same suffix; what was written there takes the name ``path``.

    The new file is on the disk before it takes the name; with ``durable=False`` only this machine's own crash can lose
    it, and thousands of small files are written faster. If the block fails, what stood at ``path`` is untouched. A
    symbolic link stays one: the file that it leads to is replaced. A device or a pipe is written into.

    Raises:
        DataError: the file cannot be written, for example because the disk is full.

    Example:
        >>> with replacing("notes.txt") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    with _into(path) if is_device(path) else _instead_of(path, durable) as temporary:
        yield temporary


@contextlib.contextmanager
def _instead_of(path: Path, durable: bool) -> Iterator[Path]:
    temporary = None
    try:
        place = Path(_end_of_links(path))
        temporary = place.with_name(f".{place.stem}.{os.getpid()}.part{place.suffix}")
        place.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}; what was there is untouched") from None
    finally:
        with contextlib.suppress(OSError):
            if temporary is not None:
                temporary.unlink()


@contextlib.contextmanager
def _into(device: Path) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, device.name)
            yield temporary
            with temporary.open("rb") as source, device.open("wb") as target:
                shutil.copyfileobj(source, target)
    except OSError as error:
        raise DataError(f"{device}: cannot be written: {error.strerror or error}; give another place") from None


def _end_of_links(path: Path) -> str:
    end = os.path.realpath(path) if path.is_symlink() else str(path)
    if os.path.islink(end):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return end


def is_device(path: PathLike) -> bool:
    """Whether a name stands for a device, a pipe or an open file, which are written into and never replaced."""
    if os.path.abspath(path).startswith(_OPEN_ALREADY):
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_outputs(outputs: Iterable[tuple[str, PathLike]], inputs: Iterable[PathLike]) -> None:
    """Refuses an output that is one of the inputs, or another output, whatever names and links lead to it.

    Args:
        outputs: flag and file of each.
        inputs: all files that are read.

    Raises:
        ConfigError: see above.
    """
    written: dict[object, tuple[str, PathLike]] = {}
    for flag, path in outputs:
        other = written.setdefault(_identity(path), (flag, path))
        if other != (flag, path) and not is_device(path):
            raise ConfigError(f"{flag} {path}: {other[0]} {other[1]} is the same file; give each a file of its own")
    there = {place: one for place, one in written.items() if os.path.exists(one[1]) and not is_device(one[1])}
    for source in inputs if there else ():
        if output := there.get(_identity(source)):
            raise ConfigError(f"{output[0]} {output[1]}: would be written over {source}, which is read; give another")


def is_same(first: PathLike, second: PathLike) -> bool:
    """Whether two names are of one file, there already or not."""
    return _identity(first) == _identity(second)


def _identity(path: PathLike) -> object:
    """Equal for two names of one file: its place on the disk, or what it would be called."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def read_text(path: PathLike, name: str = "") -> str:
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


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file, UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # a name may be no text at all
