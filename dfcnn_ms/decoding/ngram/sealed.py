"""The head of a language model in a file of ours: which format and version, and a checksum of all that follows.

32 bytes: magic (8), version and checksum (4 each), length of the table that comes next (8), nothing (8); little-endian.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from dfcnn_ms.errors import DataError

_HEAD = struct.Struct("<8sIIQ8x")
LENGTH = _HEAD.size
#: where that begins which the checksum is of
CHECKED = 16


def head(magic: bytes, version: int, checksum: int, table_bytes: int) -> bytes:
    """The head of a file."""
    return _HEAD.pack(magic, version, checksum, table_bytes)


def table_bytes(data: bytes | memoryview, version: int, path: Path) -> int:
    """How long the table of a file is that can be believed.

    Raises:
        DataError: it is truncated, corrupt, or of another version.
    """
    if len(data) < LENGTH:
        raise DataError(f"{path}: truncated: it ends within its head; copy or make it again")
    _, got, checksum, length = _HEAD.unpack_from(data)
    if got != version:
        raise DataError(f"{path}: version {got} of the format, wanted {version}; make it again from its text")
    if zlib.crc32(data[CHECKED:]) != checksum:
        raise DataError(f"{path}: truncated or corrupt: its checksum is wrong; copy or make it again")
    return int(length)


def damaged(path: Path, what: str) -> DataError:
    """Says what is wrong in spite of a right checksum."""
    return DataError(f"{path}: damaged: {what}; copy or make it again")
