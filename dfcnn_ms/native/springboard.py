"""Functions of Python under names that C code finds in a shared library.

MindSpore calls a custom operator "ahead of time" by the file and the name of a function, and passes addresses: nothing
is copied. (Its operators of type ``pyfunc`` copy every input and every output, and keep a copy for each of them.) A
library for it would need a compiler wherever it is installed, or a wheel for every system. But all that it has to
contain is jumps: ``name_k`` goes on where ``targets[k]`` says, and that table is filled from here with functions of
Python. So the file is put together here: a header, a table of symbols, six bytes of code for each name.

For Linux on x86-64 alone.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: what MindSpore calls: how many tensors, their addresses, their ranks, shapes, types, and two more that nobody uses
SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.POINTER(ctypes.c_int64)),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)
PLACES = 64
_PAGE = 4096
_PREFIX = "name_"
_TABLE = "targets"

Listener = Callable[[int, Any, Any, Any, Any, Any, Any], int]


def with_jumps(places: int) -> bytes:
    """A shared library with ``name_0`` to ``name_{places - 1}``, each a jump to an address in ``targets``."""
    names = [*(f"{_PREFIX}{place}" for place in range(places)), _TABLE]
    strings, starts = b"\0", []
    for name in names:
        starts.append(len(strings))
        strings += name.encode() + b"\0"
    headers = 64 + 4 * 56
    hashes_at = headers
    hashes = struct.pack("<III", 1, len(names) + 1, 1)  # one bucket, in which each symbol leads to the next
    hashes += struct.pack(f"<{len(names) + 1}I", 0, *range(2, len(names) + 1), 0)
    symbols_at = _rounded(hashes_at + len(hashes), 8)
    strings_at = symbols_at + 24 * (len(names) + 1)
    code_at = _rounded(strings_at + len(strings), 16)
    code_ends = code_at + 16 * places
    data_at = _rounded(code_ends, _PAGE)
    dynamic = struct.pack(
        "<12Q", 4, hashes_at, 5, strings_at, 6, symbols_at, 10, len(strings), 11, 24, 0, 0
    )  # fmt: skip
    table_at = data_at + len(dynamic)
    ends = table_at + 8 * places

    # entry, offset, ... of an ELF file for x86-64 that has no sections
    image = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    image += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0)
    readable, writable, executable = 4, 2, 1
    for kind, rights, begin, end, alignment in (
        (1, readable | executable, 0, code_ends, _PAGE),
        (1, readable | writable, data_at, ends, _PAGE),
        (2, readable | writable, data_at, table_at, 8),
        (0x6474E551, readable | writable, 0, 0, 16),  # no code on the stack
    ):
        size = end - begin
        image += struct.pack("<IIQQQQQQ", kind, rights, begin, begin, begin, size, size, alignment)
    image += hashes
    image += bytes(symbols_at - len(image)) + bytes(24)
    function, thing = 0x12, 0x11  # global
    for place, start in enumerate(starts[:-1]):
        image += struct.pack("<IBBHQQ", start, function, 0, 1, code_at + 16 * place, 6)
    image += struct.pack("<IBBHQQ", starts[-1], thing, 0, 1, table_at, 8 * places)
    image += strings
    image += bytes(code_at - len(image))
    for place in range(places):
        target = table_at + 8 * place - (code_at + 16 * place + 6)
        image += b"\xff\x25" + struct.pack("<i", target) + bytes(10)
    return image + bytes(data_at - len(image)) + dynamic + bytes(8 * places)


def _rounded(size: int, step: int) -> int:
    return -(-size // step) * step


class Springboard:
    """A library of jumps in a folder of its own, and what they lead to."""

    def __init__(self, places: int = PLACES) -> None:
        folder = tempfile.mkdtemp(prefix="dfcnn_ms-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.path = Path(folder, "jumps.so")
        self.path.write_bytes(with_jumps(places))
        self.table = (ctypes.c_void_p * places).in_dll(ctypes.CDLL(str(self.path)), _TABLE)
        self.kept: list[Any] = []

    @property
    def is_full(self) -> bool:
        """Whether all names are given away."""
        return len(self.kept) == len(self.table)

    def name(self, listener: Listener) -> str:
        """The ``file:function`` under which a function of Python can be called from now on."""
        place = len(self.kept)
        self.kept.append(SIGNATURE(listener))
        self.table[place] = ctypes.cast(self.kept[-1], ctypes.c_void_p).value
        return f"{self.path}:{_PREFIX}{place}"


def obstacle() -> str:
    """Why such a library can't be loaded here, as where temporary files must not be code; empty if it can."""
    try:
        _boards()
    except OSError as error:
        return f"a library among the temporary files can't be loaded: {error}"
    return ""


@functools.cache
def _boards() -> list[Springboard]:
    return [Springboard()]


def name_of(listener: Listener) -> str:
    """The ``file:function`` under which C code finds a function of Python, for as long as this process lives."""
    if _boards()[-1].is_full:
        _boards().append(Springboard())
    return _boards()[-1].name(listener)
