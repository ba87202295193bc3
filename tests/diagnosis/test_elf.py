"""Libraries read from their files: against the dynamic linker, and against files made by hand."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import pytest

from dfcnn_ms import cuda
from dfcnn_ms.diagnosis import elf, kernels
from dfcnn_ms.diagnosis.elf import CardCode

PLUGINS = kernels.mindspore_folder()
LIBC = "libc.so.6"


def library(path: Path, **sections: bytes) -> Path:
    """A file with the head of a library, sections of these names (a dot before each) and nothing else."""
    names = b"\0" + b"".join(f".{name}\0".encode() for name in sections) + b".names\0"
    body, headers, place = b"", [], 64
    for name, content in [*sections.items(), ("names", names)]:
        at = names.index(f".{name}\0".encode())
        headers.append(struct.pack("<IIQQQQ24x", at, 1, 0, 0, place + len(body), len(content)))
        body += content
    head = b"\x7fELF\x02\x01".ljust(40, b"\0") + struct.pack(
        "<Q10xHHH", 64 + len(body), 64, len(headers), len(headers) - 1
    )
    path.write_bytes(head + body + b"".join(headers))
    return path


def container(*entries: tuple[int, int], code: bytes = b"12345678") -> bytes:
    """NVIDIA's container of pieces of code: kind (1 PTX, 2 machine code) and architecture of each."""
    pieces = b"".join(
        struct.pack("<HHIQ12xI32x", kind, 1, 64, len(code), architecture) + code for kind, architecture in entries
    )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(pieces)) + pieces


def test_sections_of_a_file_made_by_hand(tmp_path: Path) -> None:
    path = library(tmp_path / "x.so", text=b"abc", rodata=b"de")
    content = path.read_bytes()
    sections = elf.read_sections(content)
    found = {name: content[one.offset : one.offset + one.size] for name, one in sections.items()}
    assert (found[".text"], found[".rodata"]) == (b"abc", b"de")


def test_code_for_cards_is_what_was_put_in(tmp_path: Path) -> None:
    fat = container((2, 60), (2, 75)) + bytes(16) + container((1, 86), (2, 80), (2, 60), (2, 120), code=bytes(24))
    path = library(tmp_path / "x.so", text=b"abc", nv_fatbin=fat)
    assert elf.card_code(path) == CardCode(machine=((6, 0), (7, 5), (8, 0), (12, 0)), ptx=((8, 6),))


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF\x01\x01" + bytes(60)])
def test_what_is_no_library_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.so").write_bytes(content)
    assert elf.symbols(tmp_path / "x.so") == elf.Symbols()
    assert elf.card_code(tmp_path / "x.so") == CardCode()


def test_a_library_without_shared_names_or_code(tmp_path: Path) -> None:
    path = library(tmp_path / "x.so", text=b"abc")
    assert elf.symbols(path) == elf.Symbols()
    assert elf.card_code(path) == CardCode()


def test_which_cards_run_what() -> None:
    """Machine code: the same series, no older card. PTX: any card that is no older."""
    code = CardCode(machine=((6, 0), (8, 0)), ptx=((8, 6),))
    assert [card for card in ((5, 2), (6, 0), (6, 1), (7, 0), (8, 0), (8, 9), (9, 0)) if code.runs_on(card)] == [
        (6, 0), (6, 1), (8, 0), (8, 9),
    ]  # fmt: skip
    assert [card for card in ((8, 0), (8, 6), (9, 0), (12, 0)) if code.is_translated_for(card)] == [
        (8, 6), (9, 0), (12, 0),
    ]  # fmt: skip


# The plugin of the installed MindSpore.


@pytest.fixture(scope="module")
def plugin() -> elf.Symbols:
    return elf.symbols(PLUGINS / cuda.PLUGIN)


def test_names_wanted_of_the_c_library_are_there(plugin: elf.Symbols) -> None:
    """The linker itself is asked: every name that is said to be wanted of libc is one of libc's."""
    libc = ctypes.CDLL(LIBC)
    assert len(plugin.wanted[LIBC]) > 10
    assert all(hasattr(libc, name) for name in plugin.wanted[LIBC])


def test_it_wants_names_of_every_library_but_the_one_behind_cublas(plugin: elf.Symbols) -> None:
    files = {library.file for library in cuda.LIBRARIES} - {"libcublasLt.so.11"}
    assert {file for file, names in plugin.wanted.items() if file.startswith(("libcu", "libnv")) and names} == files


def test_names_offered_are_there() -> None:
    path = PLUGINS / "lib" / "libmindspore_glog.so.0"
    opened = ctypes.CDLL(str(path))
    offered = elf.symbols(path).offered
    assert len(offered) > 10
    assert all(hasattr(opened, name) for name in offered)


def test_its_code_is_for_the_cards_that_mindspore_names() -> None:
    """MindSpore builds for 6.0 to 8.0, and PTX for later cards."""
    code = elf.card_code(PLUGINS / cuda.KERNELS)
    assert not code.runs_on((5, 2)) and not code.is_translated_for((5, 2))
    assert all(code.runs_on(card) for card in ((6, 0), (6, 1), (7, 0), (7, 5), (8, 0), (8, 9)))
    assert not code.runs_on((9, 0)) and code.is_translated_for((9, 0))
