"""A language model in a sixth of the room, for a model that travels: probabilities in 255 steps, the rest compressed.

What single words have is kept bit for bit; of longer n-grams, each length has 255 steps for its probabilities and as
many for its back-off weights; where there are no more values than that, they stay as they are.
Which n-grams there are is kept. Links are not stored: they follow from the n-grams.

The file is a head (`sealed.py`), a table in JSON (bytes of the words, number of n-grams of each length), and the
compressed rest: the words as UTF-8 between line breaks, and for each length how many n-grams go on from each shorter
one, their last words, and their numbers; little-endian.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.ngram import sealed
from dfcnn_ms.decoding.ngram.assembly import assemble, take_apart
from dfcnn_ms.decoding.ngram.checks import fault
from dfcnn_ms.decoding.ngram.trie import Level, Trie

MAGIC = b"DFCNN-LZ"
VERSION = 1
#: of the numbers of one length; one more code stands for 0 alone, which says that there is nothing to back off from
STEPS = 255
#: of the span of all values, to find the least width of steps: one value as far away as can be leaves the others fine
HALVINGS = 130


def write(path: Path, words: Sequence[str], trie: Trie) -> None:
    """Writes a model."""
    levels = take_apart(trie)
    text = "\n".join(words).encode()
    table = json.dumps({"words": len(text), "counts": [len(level.word) for level in levels]}).encode()
    parts = [text, *(part.tobytes() for part in _parts_of(levels))]
    rest = table + zlib.compress(b"".join(parts), 9)
    checksum = zlib.crc32(sealed.head(MAGIC, VERSION, 0, len(table))[sealed.CHECKED :] + rest)
    path.write_bytes(sealed.head(MAGIC, VERSION, checksum, len(table)) + rest)


def read(path: Path) -> tuple[tuple[str, ...], Trie]:
    """Words and trie of a file.

    Raises:
        DataError: it is truncated, corrupt or of another version.
    """
    data = path.read_bytes()
    begin = sealed.LENGTH + sealed.table_bytes(data, VERSION, path)
    table, packed = data[sealed.LENGTH : begin], data[begin:]
    try:
        words, trie = _unpacked(table, packed)
    except (ValueError, RecursionError, zlib.error):
        raise sealed.damaged(path, "its table does not say what is in it") from None
    if wrong := fault(words, trie):
        raise sealed.damaged(path, wrong)
    return words, trie


def _parts_of(levels: Sequence[Level]) -> Iterator[np.ndarray]:
    """The arrays of a file, in their order; `_levels` takes the same."""
    number = _number_type(len(levels[0].word))
    for shorter, level in zip([None, *levels], levels, strict=False):
        exact = shorter is None
        if shorter is not None:
            yield np.bincount(level.parent, minlength=len(shorter.word)).astype(number)
            yield level.word.astype(number)
        yield from _numbers(level.log10_prob, exact)
        if level is not levels[-1]:
            yield from _numbers(level.log10_backoff, exact)


def _numbers(values: np.ndarray, exact: bool) -> Iterator[np.ndarray]:
    if exact:
        yield values.astype("<f4")
    else:
        steps, codes = in_steps(values)
        yield steps.astype("<f4")
        yield codes


def in_steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values (N,) as codes (N,) of 256 steps, of which the first is 0; equal values have equal codes.

    A step is the mean of its values, and those lie no further apart than must be: the few probable n-grams are asked
    for as often as the many rare ones.
    """
    known, which, numbers = np.unique(values, return_inverse=True, return_counts=True)
    numbers[known == 0.0] = 0
    step_of = np.searchsorted(_first_of_steps(known.astype(np.float64)), np.arange(len(known)), "right") - 1
    weights = np.bincount(step_of, numbers, STEPS)
    sums = np.bincount(step_of, numbers * known.astype(np.float64), STEPS)
    steps = np.append(0.0, sums / np.maximum(weights, 1)).astype(np.float32)
    codes = np.where(known == 0.0, 0, 1 + step_of).astype(np.uint8)
    return steps, codes[which]


def _first_of_steps(known: np.ndarray) -> list[int]:
    """Where each step begins among sorted values, all steps of the least width with which there are enough of them."""
    if len(known) <= STEPS:
        return list(range(len(known)))
    least, most = 0.0, known[-1] - known[0]
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        least, most = (least, middle) if _spans(known, middle) else (middle, most)
    return _spans(known, most)


def _spans(known: np.ndarray, width: float) -> list[int]:
    """Where spans of a width begin that cover sorted values, or nothing if there are too many for the steps."""
    begins = [0]
    while (after := int(np.searchsorted(known, known[begins[-1]] + width, "right"))) < len(known):
        if len(begins) == STEPS:
            return []
        begins.append(after)
    return begins


def _unpacked(table: bytes, packed: bytes) -> tuple[tuple[str, ...], Trie]:
    """Words and trie; compiled code is given nothing that it could not follow.

    Raises:
        ValueError: the parts do not fit each other.
    """
    text_bytes, counts = _sizes(json.loads(table))
    layout = _layout(counts)
    wanted = text_bytes + sum(np.dtype(kind).itemsize * count for kind, count in layout)
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(packed, wanted + 1)
    if len(content) != wanted or not unpacker.eof or unpacker.unused_data:
        raise ValueError
    words = tuple(content[:text_bytes].decode().split("\n"))
    if len(words) != counts[0]:
        raise ValueError
    arrays, position = [], text_bytes
    for kind, count in layout:
        arrays.append(np.frombuffer(content, kind, count, position))
        position += arrays[-1].nbytes
    return words, assemble(_levels(iter(arrays), counts))


def _sizes(table: object) -> tuple[int, list[int]]:
    """Bytes of the words, and how many n-grams of each length there are."""
    text_bytes, counts = (table.get("words"), table.get("counts")) if isinstance(table, dict) else (0, [])
    sizes = [text_bytes, *counts] if isinstance(counts, list) else []
    if len(sizes) < 2 or not all(type(size) is int and 0 < size < np.iinfo(np.int32).max for size in sizes):
        raise ValueError
    return sizes[0], sizes[1:]


def _layout(counts: Sequence[int]) -> list[tuple[str, int]]:
    """Type and length of each array of a file."""
    layout: list[tuple[str, int]] = []
    number = _number_type(counts[0])
    for order, count in enumerate(counts):
        numbers = [("<f4", count)] if order == 0 else [("<f4", 1 + STEPS), ("u1", count)]
        layout += [(number, counts[order - 1]), (number, count)] if order else []
        layout += numbers * (1 if order == len(counts) - 1 else 2)
    return layout


def _levels(arrays: Iterator[np.ndarray], counts: Sequence[int]) -> list[Level]:
    levels = []
    for order, count in enumerate(counts):
        if order == 0:
            parent, word = np.zeros(count, np.int32), np.arange(count, dtype=np.int32)
        else:
            children, word = next(arrays), next(arrays).astype(np.int32)
            if children.sum(dtype=np.int64) != count or not 0 <= word.min() <= word.max() < counts[0]:
                raise ValueError
            parent = np.repeat(np.arange(len(children), dtype=np.int32), children)
        log10_prob = _values(arrays, order)
        last = order == len(counts) - 1
        levels.append(Level(parent, word, log10_prob, np.zeros_like(log10_prob) if last else _values(arrays, order)))
    return levels


def _values(arrays: Iterator[np.ndarray], order: int) -> np.ndarray:
    first = next(arrays).astype(np.float32)
    return first if order == 0 else first[next(arrays)]


def _number_type(words: int) -> str:
    """What holds a word, and how many of them go on from one n-gram."""
    return "<u2" if words < 1 << 16 else "<u4"
