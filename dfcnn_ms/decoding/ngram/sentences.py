"""Texts on the disk as sentences of tokens: lines, tables and manifests; syllables, characters or anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from dfcnn_ms.corpora.manifest import iter_manifest
from dfcnn_ms.decoding.ngram.text import SPECIALS
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.characters import has_hanzi
from dfcnn_ms.text.pinyin import from_hanzi, parse
from dfcnn_ms.wording import SKIPPING

#: what the text is written in, and the columns of a table that may hold it
COLUMNS = {"pinyin": ("pinyin",), "hanzi": ("hanzi", "text"), "as_written": ("text",)}


class _Line(NamedTuple):
    """A sentence as it is written."""

    text: str
    where: str


def read_sentences(
    paths: Iterable[Path], written: str = "pinyin", skip: Callable[[DataError], None] | None = None
) -> Iterator[list[str]]:
    """The sentences of files, each a list of tokens; lines with nothing on them are passed over.

    A `.jsonl` is a manifest, a `.tsv` a table with a header, everything else one sentence a line.

    Args:
        paths: the files.
        written: `pinyin` is made canonical; `hanzi` is read aloud, as syllables; `as_written` is taken apart at blanks.
        skip: is told of a line that cannot be read so, which is then left out; without it, that is an error.

    Raises:
        ConfigError: no such way of writing.
        DataError: a file is missing, holds no sentence, or something that cannot be read so.
    """
    if written not in COLUMNS:
        raise ConfigError(f"a text is written in {', '.join(COLUMNS)}; got {written!r}")
    tokens = _reader(written)
    for path in paths:
        empty = True
        for line in _lines(path, written):
            try:
                sentence = tokens(line)
            except DataError as error:
                if skip is None:
                    raise DataError(f"{error}; {SKIPPING}") from None
                skip(error)
                continue
            if sentence:
                empty = False
                yield sentence
        if empty:
            raise DataError(f"{path}: holds no sentence; wanted one on each line")


def _reader(written: str) -> Callable[[_Line], list[str]]:
    if written == "hanzi":
        return lambda line: from_hanzi(line.text, where=line.where)
    return _Tokens(_syllables if written == "pinyin" else _as_written).of


class _Tokens(dict[str, list[str]]):
    """What each piece of text between blanks stands for; looked at once, however often it occurs."""

    def __init__(self, convert: Callable[..., list[str]]) -> None:
        super().__init__()
        self._convert = convert
        self._where = ""

    def __missing__(self, piece: str) -> list[str]:
        self[piece] = self._convert(piece, where=self._where)
        return self[piece]

    def of(self, line: _Line) -> list[str]:
        """The tokens of a line."""
        self._where = line.where
        return list(chain.from_iterable(map(self.__getitem__, line.text.split())))


def _syllables(piece: str, *, where: str) -> list[str]:
    if has_hanzi(piece):
        raise DataError(f"{where}: {piece!r} is in Chinese characters, wanted pinyin; --hanzi reads characters")
    return parse(piece, where=where)


def _as_written(piece: str, *, where: str) -> list[str]:
    if piece in SPECIALS:
        raise DataError(f"{where}: {piece!r} belongs to every language model; leave it out of the text")
    return [piece]


def _lines(path: Path, written: str) -> Iterator[_Line]:
    if path.suffix == ".jsonl":
        return _of_manifest(path, written)
    if path.suffix == ".tsv":
        return _of_table(path, written)
    return _of_text(path)


def _of_text(path: Path) -> Iterator[_Line]:
    if path.is_dir():
        raise DataError(f"{path}: is a directory, wanted a text file")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _Line(line.decode("utf-8-sig").rstrip("\r\n"), f"{path}:{number}")
    except UnicodeDecodeError:
        raise DataError(f"{path}:{number}: not UTF-8 text; save the file as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _of_table(path: Path, written: str) -> Iterator[_Line]:
    lines = _of_text(path)
    header = next(lines, _Line("", "")).text.split("\t")
    column = next((header.index(name) for name in COLUMNS[written] if name in header), None)
    if column is None:
        names = " or ".join(COLUMNS[written])
        raise DataError(f"{path}:1: wanted a header with a column {names}; got {', '.join(header)[:80] or 'nothing'}")
    for text, where in lines:
        fields = text.split("\t")
        if len(fields) != len(header):
            raise DataError(f"{where}: {len(fields)} columns, the header has {len(header)}")
        yield _Line(fields[column], where)


def _of_manifest(path: Path, written: str) -> Iterator[_Line]:
    for utterance in iter_manifest(path):
        yield _Line(utterance.text if written == "hanzi" else " ".join(utterance.pinyin), utterance.where)
