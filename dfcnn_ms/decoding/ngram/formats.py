"""Language models on the disk, told by their content: ARPA, a binary that is mapped into memory, and a compact one.

The compact one has a module of its own. The binary is a head (`sealed.py`), a table in JSON (order, number of words,
length of each array), and the arrays of the trie as they lie in memory, each at a multiple of 64 bytes; little-endian.
The words stand as UTF-8 between line breaks before them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.ngram import arpa, compact, sealed
from dfcnn_ms.decoding.ngram.assembly import assemble, take_apart
from dfcnn_ms.decoding.ngram.checks import fault
from dfcnn_ms.decoding.ngram.trie import Trie
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import replacing

MAGIC = b"DFCNN-LM"
VERSION = 1
ALIGNMENT = 64
_TYPES = {"first_child": "<i4", "word": "<i4", "log10_prob": "<f4", "log10_backoff": "<f4", "link": "<i4"}
_KENLM = b"mmap lm http://kheafield.com/code"


def load(path: Path) -> tuple[tuple[str, ...], Trie]:
    """Words and trie of a file; the arrays of a binary stay on the disk until they are looked at.

    Raises:
        DataError: the file is missing, truncated, corrupt or something else.
    """
    start = _first_bytes(path, len(_KENLM))
    if start.startswith(MAGIC):
        return _map(path)
    if start.startswith(compact.MAGIC):
        return compact.read(path)
    if start == _KENLM:
        raise DataError(f"{path}: a binary of KenLM, which only KenLM reads; give the ARPA file it was made of")
    words, levels = arpa.read(path)
    return words, assemble(levels)


def save(path: Path, words: Sequence[str], trie: Trie) -> None:
    """Writes a model in the format that the name ends with, the binary if with none, whole or not at all."""
    with replacing(path) as temporary:
        WRITERS.get(path.suffix, _write)(temporary, words, trie)


def _first_bytes(path: Path, number: int) -> bytes:
    if path.is_dir():
        raise DataError(f"{path}: is a directory, wanted a language model (.arpa, .bin or .lmz)")
    try:
        with path.open("rb") as file:
            start = file.read(number)
    except FileNotFoundError:
        raise DataError(f"{path}: no such language model; `python -m dfcnn_ms.ngram train` makes one") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if not start:
        raise DataError(f"{path}: empty file, wanted a language model (.arpa, .bin or .lmz)")
    return start


def _write_arpa(path: Path, words: Sequence[str], trie: Trie) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        arpa.write(file, words, take_apart(trie))


def _write(path: Path, words: Sequence[str], trie: Trie) -> None:
    text = "\n".join(words).encode()
    table = {"words": len(text), **{name: len(column) for name, column in trie._asdict().items()}}
    columns = (column.astype(_TYPES[name]).tobytes() for name, column in trie._asdict().items())
    coded = json.dumps(table).encode()
    head = sealed.head(MAGIC, VERSION, 0, len(coded))
    checksum, position = zlib.crc32(head[sealed.CHECKED :]), len(head)
    with path.open("wb") as file:
        file.write(head)
        for data in (coded, text, *columns):
            for part in (data, bytes(-(position + len(data)) % ALIGNMENT)):
                file.write(part)
                checksum = zlib.crc32(part, checksum)
                position += len(part)
        file.seek(0)
        file.write(sealed.head(MAGIC, VERSION, checksum, len(coded)))


#: by the end of the file's name
WRITERS: dict[str, Callable[[Path, Sequence[str], Trie], None]] = {
    ".arpa": _write_arpa,
    ".bin": _write,
    ".lmz": compact.write,
}


def _map(path: Path) -> tuple[tuple[str, ...], Trie]:
    """Opens a binary; it is read once for its checksum, and lies in the page cache from then on."""
    data = np.asarray(np.memmap(path, np.uint8, mode="r"))
    words, trie = _parts(data, sealed.table_bytes(data.data, VERSION, path), path)
    if wrong := fault(words, trie):
        raise sealed.damaged(path, wrong)
    return words, trie


def _parts(data: np.ndarray, table_bytes: int, path: Path) -> tuple[tuple[str, ...], Trie]:
    """Words and arrays of a binary, where its table says they lie."""
    sizes = _sizes(data[sealed.LENGTH :][:table_bytes].tobytes())
    position = _aligned(sealed.LENGTH + table_bytes)
    if sizes is None or position + sum(map(_aligned, sizes.values())) != len(data):
        raise sealed.damaged(path, "its table does not say what is in it")
    parts = {}
    for name, size in sizes.items():
        parts[name] = data[position : position + size]
        position += _aligned(size)
    try:
        words = parts.pop("words").tobytes().decode().split("\n")
    except UnicodeDecodeError:
        raise sealed.damaged(path, "its words are no UTF-8") from None
    return tuple(words), Trie(**{name: part.view(_TYPES[name]) for name, part in parts.items()})


def _sizes(coded: bytes) -> dict[str, int] | None:
    """How many bytes each part takes by the table of a binary; None for what is no table."""
    try:
        table = json.loads(coded)
    except (ValueError, RecursionError):
        return None
    counts = [table.get(name) for name in ("words", *_TYPES)] if isinstance(table, dict) else [None]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    return {"words": table["words"], **{name: 4 * table[name] for name in _TYPES}}


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT
