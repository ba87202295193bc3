"""Archives, unpacked so that nothing lands outside their folder and no folder is ever half full.

An archive from the web may be wrong or wicked: names that climb out (``../../.bashrc``), links that lead out, devices,
a few kilobytes that unpack to terabytes. Each of these is refused with the name of the member, and nothing is left.
The content is unpacked under a temporary name beside its folder; last a marker, ``.extracted.json``, is written, and
the whole takes its name at once. Owners, modes and times of the archive are not taken over.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import logging
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from tqdm import tqdm

from dfcnn_ms.corpora.download import CHUNK, digest, free_bytes, in_words
from dfcnn_ms.corpora.locks import alone
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.text.quoting import quoted

MARKER = ".extracted.json"

#: a header that asks for more memory than this is no header
_LARGEST_READ = 8 << 20
_LONGEST_LINK = 4096
_BLOCK = 512

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to; whatever is free on the disk is a limit in any case.

    Attributes:
        total: bytes in all, if something is known about the archive.
        ratio: bytes unpacked per byte of the archive; sound reaches 3, text 20, a bomb 1000.
        lenient: bytes that are harmless whatever the ratio.
        members: files, folders and links.
    """

    total: int | None = None
    ratio: float = 100.0
    lenient: int = 256 << 20
    members: int = 3_000_000


def extract(archive: Path, folder: Path, *, limits: Limits = Limits()) -> Path:
    """Unpacks a tar (plain, gz, bz2, xz) or zip archive; what was unpacked before returns at once.

    An archive whose only entry at the top is a folder called like ``folder`` becomes that folder itself.

    Args:
        archive: the file; its format is told by its content.
        folder: becomes what is in the archive. It must not exist, or be empty, or stem from this archive.
        limits: against archives that never end.

    Returns:
        ``folder``.

    Raises:
        DataError: the archive is damaged, wicked or too large; ``folder`` holds something else; the disk is full.
    """
    if not is_extracted(archive, folder):
        _check_places(archive, folder)
        with alone(folder):
            if not is_extracted(archive, folder):  # another process may have done it meanwhile
                _check_places(archive, folder)
                _extract(archive, folder, limits)
    return folder


def _extract(archive: Path, folder: Path, limits: Limits) -> None:
    temporary = folder.with_name(f".{folder.name}.extracting")
    try:
        _remove(temporary)  # what an interrupted extraction has left
        temporary.mkdir()
        target = _Target(temporary, _most_bytes(archive, temporary, limits), limits.members)
        with _damage_in_words(archive):
            _unpack(archive, target)
            content = _single(temporary, folder.name)
            target.check_links(content)
        write_text(content / MARKER, json.dumps(_identity(archive)) + "\n")
        if folder.exists():
            folder.rmdir()  # empty, as was checked
        os.replace(content, folder)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{folder}: cannot be written: {reason}; nothing of {archive.name} was kept") from None
    finally:
        _remove(temporary)


def is_extracted(archive: Path, folder: Path) -> bool:
    """Whether a folder holds what was unpacked from this archive, which may have been deleted since."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(marker, dict) or marker.get("archive") != archive.name:
        return False
    if not archive.exists():
        return True
    state = archive.stat()
    if state.st_size != marker.get("size"):
        return False
    # A copy of the archive has another time; then its content decides.
    return state.st_mtime_ns == marker.get("modified_ns") or digest(archive) == marker.get("sha256")


def _identity(archive: Path) -> dict[str, Any]:
    state = archive.stat()
    return {
        "archive": archive.name,
        "size": state.st_size,
        "modified_ns": state.st_mtime_ns,
        "sha256": digest(archive),
    }


def _check_places(archive: Path, folder: Path) -> None:
    """Refuses an archive that is not there, and a folder in which something else would be lost."""
    if not archive.is_file():
        what = "is a directory" if archive.is_dir() else "no such file"
        raise DataError(f"{archive}: {what}; wanted an archive to unpack")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        holds = "was unpacked from another archive" if (folder / MARKER).is_file() else "exists already"
        raise DataError(f"{folder}: {holds}; delete it, or move it away, to unpack {archive.name} there")


def _most_bytes(archive: Path, folder: Path, limits: Limits) -> tuple[int, str]:
    """How much may be unpacked, and what to say when it is more."""
    by_ratio = max(limits.lenient, int(limits.ratio * archive.stat().st_size))
    choices = [
        (free_bytes(folder), "are free on that disk; make room or choose another one"),
        (by_ratio, f"are {limits.ratio:g} times its own size: it looks like an archive bomb"),
    ]
    if limits.total is not None:
        choices.append((limits.total, "are what it was said to hold"))
    return min(choices)


def _single(temporary: Path, name: str) -> Path:
    """The only folder at the top, if it has the wanted name already; else everything."""
    inside = temporary / name
    return inside if [path.name for path in temporary.iterdir()] == [name] and _is_folder(inside) else temporary


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def _damage_in_words(archive: Path) -> Iterator[None]:
    """What the decoders raise on bytes that make no sense to them, as one sentence."""
    try:
        yield
    except (NotImplementedError, ValueError) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}); unpack it by hand") from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk; the decoders' own have no number
            raise
        raise DataError(f"{archive}: damaged, cut short or no archive at all ({error}); download it again") from None
    except DataError as error:
        raise DataError(f"{archive}: {error}") from None


@dataclass
class _Target:
    """The folder that is being filled, and how much more may come.

    Files and folders are made as they come. Links are made when everything else is there, so that nothing is ever
    written through one, and then each of them must lead to somewhere inside.

    What ``tarfile`` checks by itself (``filter="data"``) is less, and nothing for zip: names with a drive, programs
    with setuid and a link that only a later link turns outward pass.
    """

    root: Path
    most: tuple[int, str]
    members: int
    announced: int = 0
    seen: int = 0
    links: dict[str, str] = field(default_factory=dict)

    def announce(self, name: str, size: int) -> None:
        """Counts a member before anything of it is written."""
        if not name:
            raise DataError("a member has no name; unpack it by hand")
        self.seen += 1
        self.announced += size
        if self.seen > self.members:
            raise DataError(
                f"member {quoted(name)} is one of more than {self.members:,}; it looks like an archive bomb"
            )
        if size < 0 or self.announced > self.most[0]:
            raise DataError(
                f"with member {quoted(name)} it unpacks to more than {in_words(self.most[0])}, which {self.most[1]}"
            )

    def place(self, name: str) -> Path:
        """Where a member belongs.

        Raises:
            DataError: its name leads out of the folder, here or on another system.
        """
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            if path.is_absolute() or path.drive or path.root or ".." in path.parts or "\0" in name:
                raise DataError(f"member {quoted(name)} would be written outside of its folder; nothing was unpacked")
        return self.root.joinpath(*PurePosixPath(name).parts)

    def folder(self, name: str) -> None:
        self.place(name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, source: IO[bytes], size: int) -> None:
        """Writes a file of ``size`` bytes."""
        path = self.place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            missing = size
            while missing and (block := source.read(min(CHUNK, missing))):
                file.write(block)
                missing -= len(block)
        if missing:
            raise EOFError(f"{quoted(name)} has {size - missing:,} of {size:,} bytes")

    def link(self, name: str, to: str) -> None:
        """Notes a symbolic link, to be made at the end."""
        if len(to) > _LONGEST_LINK or PurePosixPath(to).is_absolute() or PureWindowsPath(to).drive:
            raise _outside(name, to)
        self.place(name).parent.mkdir(parents=True, exist_ok=True)
        self.links[name] = to

    def copy(self, name: str, of: str) -> None:
        """A hard link becomes a second name of a file that is here already."""
        first, second = self.place(of), self.place(name)
        if not first.is_file():
            raise _outside(name, of)
        second.parent.mkdir(parents=True, exist_ok=True)
        second.unlink(missing_ok=True)
        try:
            os.link(first, second)
        except OSError:  # not every file system has hard links
            self.announce(name, first.stat().st_size)
            shutil.copyfile(first, second)

    def finish(self) -> None:
        """Makes the links.

        Raises:
            DataError: one of them leads out, perhaps by way of others.
        """
        for name, to in self.links.items():
            path = self.place(name)
            end = self._inside(name, to, path.parent / to, self.root)
            try:
                os.symlink(to, path)
            except OSError:  # on Windows links need a privilege
                shutil.copyfile(end, path)

    def check_links(self, content: Path) -> None:
        """Looks where all links end, when all are made: a later one may have changed where an earlier one leads.

        Args:
            content: what will take the place of the folder, and so all that there will be.

        Raises:
            DataError: one leads out of it.
        """
        for name, to in self.links.items():
            self._inside(name, to, self.place(name), content)

    def _inside(self, name: str, to: str, path: Path, folder: Path) -> str:
        """Where a path really ends, which has to be in a folder."""
        root, end = os.path.realpath(folder), os.path.realpath(path)
        if os.path.commonpath([root, end]) != root:
            raise _outside(name, to)
        return end


def _outside(name: str, to: str) -> DataError:
    return DataError(f"member {quoted(name)} is a link to {quoted(to)}, outside of its folder; nothing was unpacked")


def _unpack(archive: Path, target: _Target) -> None:
    with archive.open("rb") as file:
        head = file.read(6)
    unpack = next(unpack for magic, unpack in _FORMATS.items() if head.startswith(magic))
    unpack(archive, target)
    target.finish()


def _unpack_zip(archive: Path, target: _Target) -> None:
    with zipfile.ZipFile(archive) as members, _bar(archive, archive.stat().st_size) as bar:
        for member in members.infolist():
            target.announce(member.filename, member.file_size)
            _zip_member(members, member, target)
            bar.update(member.compress_size)


def _zip_member(members: zipfile.ZipFile, member: zipfile.ZipInfo, target: _Target) -> None:
    name, mode = member.filename, member.external_attr >> 16
    if member.flag_bits & 1:
        raise DataError(f"member {quoted(name)} is encrypted; unpack the archive by hand with its password")
    if member.is_dir():
        target.folder(name)
        return
    _check_mode(name, mode)
    with members.open(member) as source:
        if stat.S_ISLNK(mode):
            target.link(name, source.read(_LONGEST_LINK + 1).decode())
        else:
            target.file(name, source, member.file_size)


def _check_mode(name: str, mode: int) -> None:
    """Refuses what is neither file nor link, and programs that would run as somebody else.

    Folders with these bits are common (a group's shared folder) and harmless: no mode is taken over.
    """
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise _no_file(name)
    if mode & (stat.S_ISUID | stat.S_ISGID) and kind != stat.S_IFLNK:
        raise DataError(f"member {quoted(name)} is a program that runs as another user (setuid); nothing was unpacked")


def _no_file(name: str) -> DataError:
    return DataError(f"member {quoted(name)} is a device, a pipe or the like, not a file; nothing was unpacked")


def _tar(opened: Callable[[Any], Any]) -> Callable[[Path, _Target], None]:
    """Unpacks a tar archive inside the compression that ``opened`` takes off."""

    def unpack(archive: Path, target: _Target) -> None:
        with archive.open("rb") as file, _bar(archive, archive.stat().st_size) as bar:
            stream = _Stream(opened(file), target.most)
            with tarfile.open(fileobj=stream, mode="r:") as members:  # type: ignore[call-overload]
                while member := members.next():
                    target.announce(member.name, member.size)
                    _tar_member(members, member, target)
                    bar.update(file.tell() - bar.n)
                    members.members.clear()  # it would remember every member
            stream.check_end()

    return unpack


def _tar_member(members: tarfile.TarFile, member: tarfile.TarInfo, target: _Target) -> None:
    name = member.name
    if member.isdir():
        target.folder(name)
    elif member.issym():
        target.link(name, member.linkname)
    elif member.islnk():
        target.copy(name, member.linkname)
    elif source := members.extractfile(member) if member.isreg() else None:
        _check_mode(name, member.mode & 0o7777)
        with source:
            target.file(name, source, member.size)
    else:
        raise _no_file(name)


class _Stream:
    """An unpacked tar archive, read once from front to back, that ends in time.

    ``tarfile`` reads headers of any size into memory, goes back where a header says so, and takes a damaged header for
    the end of the archive. Here none of the three can happen.
    """

    def __init__(self, source: Any, most: tuple[int, str]) -> None:
        self._source = source
        self._most = most
        self._position = 0
        self._last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        """Goes forward."""
        if position < self._position:
            raise tarfile.ReadError("a header points backwards")
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """Bytes from here on."""
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        block = self._source.read(size)
        self._position += len(block)
        # Headers and padding come on top of the files.
        if self._position > 2 * self._most[0] + _LARGEST_READ:
            raise DataError(f"it unpacks to more than {in_words(self._most[0])}, which {self._most[1]}")
        self._last = block
        return block

    def check_end(self) -> None:
        """Makes sure that the archive ended because it says so, and reads the checksum that may follow."""
        if self._last != bytes(_BLOCK):
            raise tarfile.ReadError("it has no end mark")
        while self.read(CHUNK):
            pass


def _bar(archive: Path, size: int) -> tqdm[Any]:
    return tqdm(
        desc=f"unpacking {archive.name}",
        total=size,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        disable=None,
        leave=False,
    )


#: the first bytes of a file: how to unpack it; the last one takes whatever is left
_FORMATS: dict[bytes, Callable[[Path, _Target], None]] = {
    b"PK": _unpack_zip,
    b"\x1f\x8b": _tar(gzip.open),
    b"BZh": _tar(bz2.open),
    b"\xfd7zXZ\0": _tar(lzma.open),
    b"": _tar(lambda file: file),
}
