"""What a 64-bit Linux library says of itself, read from its file: sections, names wanted and offered, code for cards.

Nothing is loaded, so that a library can be asked on a machine where it would not load.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"\x7fELF\x02\x01"
_SYMBOL = struct.Struct("<IBBHQQ")  # name, kind, visibility, section, address, size
_VERSION_FILE = struct.Struct("<HHIII")  # revision, versions, file, first version, next file
_VERSION = struct.Struct("<IHHII")  # hash, flags, number, name, next version
#: the bits of a version that are its number; the last one hides a symbol
_VERSION_NUMBER = 0x7FFF
#: NVIDIA's container of code for several cards, and an entry in it
_CONTAINER = struct.Struct("<IHHQ")  # magic, revision, size of this header, size of what follows
_ENTRY = struct.Struct("<HHIQ")  # kind, revision, size of this header, size of what follows
_CONTAINER_MAGIC = 0xBA55ED50
_CONTAINER_ALIGNMENT = 8
_ARCHITECTURE_OFFSET = 28
_PTX, _MACHINE_CODE = 1, 2

Capability = tuple[int, int]


@dataclass(frozen=True)
class Section:
    """A part of a library: where it lies in memory and in the file, and its bytes."""

    address: int
    offset: int
    size: int

    def holds(self, addresses: np.ndarray) -> np.ndarray:
        """Which addresses lie inside."""
        return (addresses >= self.address) & (addresses < self.address + self.size)


def read_sections(content: bytes | mmap.mmap) -> dict[str, Section]:
    """The sections of a 64-bit little-endian ELF file; none of anything else."""
    if content[:6] != _MAGIC:
        return {}
    (start,) = struct.unpack_from("<Q", content, 40)
    size, count, names = struct.unpack_from("<HHH", content, 58)
    headers = [struct.unpack_from("<IIQQQQ", content, start + index * size) for index in range(count)]
    table = headers[names][4]
    return {
        _text(content, table + name): Section(address, offset, length)
        for name, _, _, address, offset, length in headers
    }


def _content(library: Path) -> bytes | mmap.mmap:
    """The bytes of a file, read when they are looked at: some libraries are large."""
    with library.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if library.stat().st_size else b""


def _text(content: bytes | mmap.mmap, place: int) -> str:
    return content[place : content.find(b"\0", place)].decode("ascii", "replace")


@dataclass(frozen=True)
class Symbols:
    """The names that a library shares with others.

    Attributes:
        wanted: from a file of a certain name -> names; the empty file name: wherever they are.
        offered: names that others can have.
    """

    wanted: dict[str, frozenset[str]] = field(default_factory=dict)
    offered: frozenset[str] = frozenset()


def symbols(library: Path) -> Symbols:
    """The shared names of a library; none of a file of another sort."""
    content = _content(library)
    sections = read_sections(content)
    if not {".dynsym", ".dynstr"} <= sections.keys():
        return Symbols()
    files = dict(_files_of_versions(content, sections))
    versions = _versions_of_symbols(content, sections)
    table, strings = sections[".dynsym"], sections[".dynstr"].offset
    wanted: dict[str, set[str]] = {}
    offered = set()
    entries = _SYMBOL.iter_unpack(content[table.offset : table.offset + table.size])
    for index, (name, _, _, section, _, _) in enumerate(entries):
        if section:
            offered.add(_text(content, strings + name))
        elif name:
            number = versions[index] & _VERSION_NUMBER if versions else 0
            wanted.setdefault(files.get(number, ""), set()).add(_text(content, strings + name))
    return Symbols({name: frozenset(names) for name, names in wanted.items()}, frozenset(offered))


def _versions_of_symbols(content: bytes | mmap.mmap, sections: dict[str, Section]) -> tuple[int, ...]:
    """The number of the version that each symbol has."""
    if ".gnu.version" not in sections:
        return ()
    table = sections[".gnu.version"]
    return struct.unpack_from(f"<{table.size // 2}H", content, table.offset)


def _files_of_versions(content: bytes | mmap.mmap, sections: dict[str, Section]) -> Iterator[tuple[int, str]]:
    """The number of each version that is wanted from elsewhere, and the library that has to have it."""
    if ".gnu.version_r" not in sections:
        return
    strings, place, more = sections[".dynstr"].offset, sections[".gnu.version_r"].offset, True
    while more:
        _, count, file, first, following = _VERSION_FILE.unpack_from(content, place)
        version = place + first
        for _ in range(count):
            _, _, number, _, step = _VERSION.unpack_from(content, version)
            yield number & _VERSION_NUMBER, _text(content, strings + file)
            version += step
        place, more = place + following, bool(following)


@dataclass(frozen=True)
class CardCode:
    """For which compute capabilities a library has code.

    Attributes:
        machine: capabilities that it has machine code for.
        ptx: capabilities from which on the driver can translate, which takes its time at the first use.
    """

    machine: tuple[Capability, ...] = ()
    ptx: tuple[Capability, ...] = ()

    def runs_on(self, card: Capability) -> bool:
        """Whether a card can run it as it is: machine code runs on the cards of its own series that are no older."""
        return any(code[0] == card[0] and code[1] <= card[1] for code in self.machine)

    def is_translated_for(self, card: Capability) -> bool:
        """Whether the driver of a card can translate it."""
        return any(code <= card for code in self.ptx)


def card_code(library: Path) -> CardCode:
    """For which cards of NVIDIA's a library has code; for none if it is of another sort."""
    content = _content(library)
    section = read_sections(content).get(".nv_fatbin")
    found = set(_entries(content, section)) if section else set()
    chosen = {
        kind: tuple(sorted(divmod(number, 10) for which, number in found if which == kind))
        for kind in (_MACHINE_CODE, _PTX)
    }
    return CardCode(chosen[_MACHINE_CODE], chosen[_PTX])


def _entries(content: bytes | mmap.mmap, section: Section) -> Iterator[tuple[int, int]]:
    """Kind and architecture (86 for 8.6) of each piece of code in NVIDIA's containers."""
    place, end = section.offset, section.offset + section.size
    while place + _CONTAINER.size <= end:
        magic, _, header, size = _CONTAINER.unpack_from(content, place)
        if magic != _CONTAINER_MAGIC:
            place += _CONTAINER_ALIGNMENT
            continue
        entry, place = place + header, place + header + size
        while entry < place:
            kind, _, own, rest = _ENTRY.unpack_from(content, entry)
            yield kind, struct.unpack_from("<I", content, entry + _ARCHITECTURE_OFFSET)[0]
            entry += own + rest
