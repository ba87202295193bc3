r"""The ARPA text format: for each order a section of lines `log10-probability <tab> words <tab> log10-back-off`.

    \data\
    ngram 1=4
    ...
    \1-grams:
    -1.1    <unk>   0
    ...
    \end\

Fields are taken apart at ASCII blanks, as KenLM and SRILM do; a back-off weight that is not written is 0. What is
written here is read back to the last bit.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from tqdm import tqdm

from dfcnn_ms.decoding.ngram.assembly import MAX_NODES
from dfcnn_ms.decoding.ngram.checks import numbers_fault
from dfcnn_ms.decoding.ngram.text import BOS, EOS, SPECIALS, UNK
from dfcnn_ms.decoding.ngram.trie import Level
from dfcnn_ms.errors import DataError

#: log10-probability of `<unk>` in a model that does not name it
NEVER = -100.0
#: lines that are read or written in one go
LINES_AT_ONCE = 50_000
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)")
_GZIP = b"\x1f\x8b"
#: how other tools write a special
_SAME = {b"<UNK>": UNK.encode()}


class _Section(NamedTuple):
    """The n-grams of one order as they were read, M of them."""

    grams: np.ndarray  # word ids (M, order)
    log10_prob: np.ndarray
    log10_backoff: np.ndarray


def write(file: IO[str], words: Sequence[str], levels: Sequence[Level]) -> None:
    """Writes a model as ARPA."""
    file.write("\\data\\\n")
    file.writelines(f"ngram {order}={len(level.word)}\n" for order, level in enumerate(levels, start=1))
    for order in range(1, len(levels) + 1):
        file.write(f"\n\\{order}-grams:\n")
        for lines in _lines(words, levels[:order], last=order == len(levels)):
            file.write(lines)
    file.write("\n\\end\\\n")


def _lines(words: Sequence[str], levels: Sequence[Level], *, last: bool) -> Iterator[str]:
    """The lines of the longest of these levels, many at once."""
    level = levels[-1]
    for start in _blocks(len(level.word), f"writing {len(levels)}-grams"):
        here = slice(start, start + LINES_AT_ONCE)
        columns = [[words[id] for id in column] for column in _words_of(levels, here)]
        grams = map(" ".join, zip(*columns, strict=True))
        fields = [_numbers(level.log10_prob[here]), grams]
        if not last:
            fields.append(_numbers(level.log10_backoff[here]))
        yield "".join(line + "\n" for line in map("\t".join, zip(*fields, strict=True)))


def _blocks(lines: int, doing: str) -> Iterable[int]:
    """Where each block of lines begins."""
    starts = range(0, lines, LINES_AT_ONCE)
    return tqdm(starts, desc=doing, unit_scale=LINES_AT_ONCE, unit=" lines", disable=None, leave=False, delay=2)


def _words_of(levels: Sequence[Level], here: slice) -> list[list[int]]:
    """Word ids of some n-grams, one list for each place in them."""
    columns = []
    at = np.arange(*here.indices(len(levels[-1].word)))
    for level in reversed(levels):
        columns.append(level.word[at].tolist())
        at = level.parent[at]
    return columns[::-1]


def _numbers(values: np.ndarray) -> list[str]:
    """The shortest decimals that are read back as the same float32."""
    return [text.removesuffix(".0") for text in values.astype(str).tolist()]


def read(path: Path) -> tuple[tuple[str, ...], list[Level]]:
    """Reads an ARPA file, plain or gzipped: the words, with the specials first, and the n-grams by length.

    Raises:
        DataError: the file is no ARPA, ends too early, or contradicts itself; the message names the section.
    """
    try:
        with _open(path) as file:
            counts = _header(file, path)
            words, sections = _sections(file, counts, path)
    except (EOFError, OSError, zlib.error) as error:  # a damaged gzip raises any of them
        raise DataError(f"{path}: cannot be read as a language model: {error}; copy or make it again") from None
    return words, _levels(sections, len(words), path)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    return gzip.open(path) if zipped else path.open("rb")  # type: ignore[return-value]


def _header(file: IO[bytes], path: Path) -> list[int]:
    """How many n-grams of each order the file promises."""
    for line in islice(file, 1000):
        if line.strip() == b"\\data\\":
            break
    else:
        raise DataError(f"{path}: not a language model: neither ARPA (no line \\data\\) nor a binary of this package")
    counts: list[int] = []
    for line in file:
        if line.strip().startswith(b"\\"):
            _expect(line, b"\\1-grams:", path)
            break
        if found := _COUNT.match(line.strip()):
            order, count = found[1].decode(), found[2].decode()
            if order != str(len(counts) + 1):
                raise DataError(f"{path}: 'ngram {order[:10]}=' stands where 'ngram {len(counts) + 1}=' belongs")
            if len(count) > len(str(MAX_NODES)):
                raise DataError(
                    f"{path}: 'ngram {order}={count[:10]}...' is more than a model can hold; is it damaged?"
                )
            counts.append(int(count))
    if not counts:
        raise DataError(f"{path}: its \\data\\ says no number of n-grams; is the file truncated?")
    return counts


def _expect(line: bytes, wanted: bytes, path: Path) -> None:
    if line.strip() != wanted:
        got = line.strip().decode(errors="replace")[:60]
        raise DataError(f"{path}: wanted a line {wanted.decode()!r}, got {got!r}; is the file truncated?")


def _sections(file: IO[bytes], counts: Sequence[int], path: Path) -> tuple[tuple[str, ...], list[_Section]]:
    ids: dict[bytes, int] = {}
    sections = []
    for order, wanted in enumerate(counts, start=1):
        where = f"{path}, {order}-grams"
        fields: Iterable[_Block] = _fields(file, order, wanted, where)
        if order == 1:
            fields = list(fields)
            ids = _word_ids((word for block in fields for word in block[1]), where)
        known = {**ids, **{name: ids[word] for name, word in _SAME.items()}}
        sections.append(_section(fields, order, known, where))
        following = f"\\{order + 1}-grams:" if order < len(counts) else "\\end\\"
        _expect(next((line for line in file if line.strip()), b""), following.encode(), path)
    try:
        words = tuple(word.decode() for word in ids)
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; convert the file first") from None
    return words, _with_unknown(sections, len(words))


_Block = list[list[bytes]]  # columns: probability, words, back-off


def _fields(file: IO[bytes], order: int, wanted: int, where: str) -> Iterator[_Block]:
    """The columns of a section, in blocks of many lines."""
    for start in _blocks(wanted, f"reading {order}-grams"):
        number = min(wanted - start, LINES_AT_ONCE)
        lines = list(islice(file, number))
        if len(lines) < number or lines[-1].isspace():
            raise DataError(f"{where}: fewer lines than the {wanted} that its \\data\\ promises; is it truncated?")
        yield _columns(lines, order, where)


def _columns(lines: Sequence[bytes], order: int, where: str) -> _Block:
    """The columns of some lines; all at once where all of them have the usual form."""
    flat = b" ".join(lines).split()
    for tabs, width in ((2, order + 2), (1, order + 1)):
        usual = all(line.count(b"\t") == tabs and line.count(b" ") == order - 1 for line in lines)
        if usual and len(flat) == width * len(lines):
            columns = [flat[place::width] for place in range(width)]
            return columns if tabs == 2 else [*columns, [b"0"] * len(lines)]
    rows = [line.split() for line in lines]
    for row in rows:
        if len(row) == order + 1:
            row.append(b"0")
        if len(row) != order + 2:
            text = b" ".join(row).decode(errors="replace")[:80]
            raise DataError(f"{where}: wanted a probability, {order} words and a back-off weight, got {text!r}")
    return [list(column) for column in zip(*rows, strict=True)]


def _word_ids(words: Iterable[bytes], where: str) -> dict[bytes, int]:
    """Word -> id; the specials come first."""
    found = [_SAME.get(word, word) for word in words]
    for marker in (BOS, EOS):
        if marker.encode() not in found:
            raise DataError(f"{where}: no {marker!r} among them; train the model with sentence boundaries")
    if len(set(found)) != len(found):
        raise DataError(f"{where}: a word stands there twice")
    special = [word.encode() for word in SPECIALS]
    return {word: id for id, word in enumerate(dict.fromkeys([*special, *found]))}


def _section(blocks: Iterable[_Block], order: int, ids: dict[bytes, int], where: str) -> _Section:
    grams, probs, backoffs = [np.zeros((0, order), np.int32)], [np.zeros(0)], [np.zeros(0)]
    for prob, *words, backoff in blocks:
        try:
            columns = [[ids[word] for word in column] for column in words]
            probs.append(np.array(prob, float))
            backoffs.append(np.array(backoff, float))
        except KeyError as error:
            raise DataError(f"{where}: the word {error.args[0].decode(errors='replace')[:40]!r} is no 1-gram") from None
        except ValueError as error:
            raise DataError(f"{where}: {str(error)[:80]}") from None
        grams.append(np.array(columns, np.int32).T)
    section = _Section(np.concatenate(grams), np.concatenate(probs), np.concatenate(backoffs))
    if wrong := numbers_fault(section.log10_prob, section.log10_backoff):
        raise DataError(f"{where}: {wrong}; make the file again")
    return section


def _with_unknown(sections: list[_Section], num_words: int) -> list[_Section]:
    """Gives `<unk>` a probability where the file does not name it, and sorts the words by id."""
    grams, probs, backoffs = sections[0]
    log10_prob, log10_backoff = np.full(num_words, NEVER), np.zeros(num_words)
    log10_prob[grams[:, 0]], log10_backoff[grams[:, 0]] = probs, backoffs
    return [_Section(np.arange(num_words, dtype=np.int32)[:, None], log10_prob, log10_backoff), *sections[1:]]


def _levels(sections: Sequence[_Section], num_words: int, path: Path) -> list[Level]:
    levels: list[Level] = []
    keys: list[np.ndarray] = []  # of the n-grams of each order: number of the context, then the word
    for order, section in enumerate(sections, start=1):
        context = _find(section.grams[:, :-1], keys, num_words, f"{path}, {order}-grams")
        key = context * np.int64(num_words) + section.grams[:, -1]
        rank = np.argsort(key, kind="stable")
        keys.append(key[rank])
        if (np.diff(keys[-1]) == 0).any():
            raise DataError(f"{path}, {order}-grams: one stands there twice")
        columns = (context, section.grams[:, -1], section.log10_prob, section.log10_backoff)
        types = (np.int32, np.int32, np.float32, np.float32)
        levels.append(Level(*(column[rank].astype(type) for column, type in zip(columns, types, strict=True))))
    return levels


def _find(contexts: np.ndarray, keys: Sequence[np.ndarray], num_words: int, where: str) -> np.ndarray:
    """Numbers of n-grams (M, order) among those of their order."""
    number = np.zeros(len(contexts), np.int64)
    for word, known in zip(contexts.T, keys, strict=True):
        key = number * num_words + word
        number = np.minimum(np.searchsorted(known, key), max(len(known) - 1, 0))
        if len(key) and (not len(known) or (known[number] != key).any()):
            raise DataError(f"{where}: the first words of one are no n-gram themselves; was the file cut?")
    return number
