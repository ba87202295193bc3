"""Your own data as a table: TSV or CSV with a header, JSON, or JSON lines such as those of NeMo.

One row is one utterance. Columns may be in any order and under any of their usual names (`COLUMNS`); only the sound
file and something said are needed. Several utterances of one file say where they begin and how long they are.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dfcnn_ms.corpora.gather import Item, LeftOut, split_named
from dfcnn_ms.corpora.manifest import parse_json
from dfcnn_ms.corpora.options import with_options
from dfcnn_ms.corpora.own_data import OPTIONS, Own, read_lines, sources
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.quoting import shortened

LAYOUT = """\
mine.{0}    or a folder with one such file, or with one for each split (train.{0}, dev.{0} ...)
            columns: audio, then text or pinyin; if you have them id, speaker, split, start, seconds
            (or path, audio_filepath, wav; sentence, transcript, word; duration, offset; utt_id; client_id ...)"""

COLUMNS = {
    "id": ("id", "utt_id", "utt", "utterance_id", "uttid", "key", "name"),
    "audio": ("audio", "path", "audio_filepath", "audio_path", "wav", "wav_path", "file", "filename", "feat"),
    "pinyin": ("pinyin", "syllables"),
    "text": (
        *("text", "hanzi", "characters", "sentence", "transcript", "transcription", "txt", "word", "words", "wrd"),
        "label",
    ),
    "speaker": ("speaker", "spk", "speaker_id", "spk_id", "client_id", "user_id", "utt2spk"),
    "split": ("split", "subset", "set", "partition"),
    "start": ("start", "offset", "begin"),
    "seconds": ("seconds", "duration", "dur"),
}

Row = Mapping[str, Any]

_SIGNS = {"\t": "tabs: use `prepare tsv`", ";": "semicolons: save it with commas", ",": "commas: use `prepare csv`"}


def recipe(kind: str) -> Callable[..., dict[str, Path]]:
    """The recipe for one kind of table: `tsv`, `csv`, `json` or `jsonl`."""

    @with_options(Own)
    def prepare(own: Own) -> dict[str, Path]:
        """Writes the manifests of a table; the root is the table or its folder."""
        files = sources(own.root, (f".{kind}",), f"a table such as mine.{kind}")
        own.check_output(path for path, _ in files)
        taken: dict[str, tuple[str, str]] = {}
        return own.gather(one for path, split in files for one in _Table(path, split, kind, own, taken).items())

    return prepare


@dataclass(frozen=True)
class _Table:
    """One file: the split that it is named after, its kind, and the ids that were given to rows without one."""

    path: Path
    split: str
    kind: str
    own: Own
    taken: dict[str, tuple[str, str]]

    def items(self) -> Iterator[Item | LeftOut]:
        """Its utterances.

        Raises:
            DataError: it has none.
        """
        empty = True
        for number, row in READERS[self.kind](self.path):
            empty = False
            yield self._item(row, f"{self.path}:{number}")
        if empty:
            needs = "a header and one utterance a line" if self.kind in ("tsv", "csv") else "an object an utterance"
            raise DataError(f"{self.path}: no utterance in it; it needs {needs}")

    def _item(self, row: Row, where: str) -> Item | LeftOut:
        cells = {name: _cell(row, names) for name, names in COLUMNS.items()}
        name = cells["id"] or self._name(cells["audio"], cells["start"])
        if not cells["audio"]:
            return LeftOut(
                name or where, "no sound file named", f"{where}: nothing in 'audio' or 'path'; {_got(row)} in the row"
            )
        if not (cells["text"] or cells["pinyin"]):
            return LeftOut(name, "no text", f"{where}: nothing in 'text' or 'pinyin'; {_got(row)} in the row")
        try:
            start, seconds = (_number(cells[key], key) for key in ("start", "seconds"))
        except ValueError as error:
            return LeftOut(name, "not a number", f"{where}: {error}")
        item = Item(
            id=name,
            audio=(self.own.audio or self.path.parent) / cells["audio"],
            split=split_named(cells["split"]) or self.split,
            text=cells["text"],
            speaker=cells["speaker"],
            start=start or 0.0,
            # Without a beginning the utterance is the whole file, and the file knows its length better.
            seconds=seconds if start is not None else None,
            where=where,
        )
        return self.own.item(item, cells["pinyin"])

    def _name(self, audio: str, start: str) -> str:
        """An id for a row without one: the file's name; if another file has it or another part, with more of it."""
        path = Path(audio)
        others = (f"{path.stem}-{number}" for number in itertools.count(2))
        names = itertools.chain([path.stem, "-".join([*path.parent.parts[-1:], path.stem])], others)
        return next(name for name in names if self.taken.setdefault(name, (audio, start)) == (audio, start))


def _got(columns: Iterable[Any]) -> str:
    names = ", ".join(str(one) for one in columns if one)
    return f"got {shortened(' '.join(names.split())) or 'nothing'}"


def _cell(row: Row, names: tuple[str, ...]) -> str:
    value = next((row[name] for name in names if row.get(name) not in (None, "")), "")
    return " ".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _number(cell: str, name: str) -> float | None:
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{name!r} must be seconds; got {cell!r}") from None


def _separated(path: Path, dialect: Mapping[str, Any]) -> Iterator[tuple[int, Row]]:
    """Rows of a table with a header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, **dialect)
            header = [name.strip().lower() for name in reader.fieldnames or []]
            _check_header(path, header)
            reader.fieldnames = header
            for row in reader:
                yield reader.line_num, row
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}: not a table ({error})") from None


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise DataError(f"{path}: is empty; it needs a header and one utterance a line")
    for sign, cure in _SIGNS.items():
        if len(header) == 1 and sign in header[0]:
            raise DataError(f"{path}:1: its columns are set apart by {cure}")
    if not set(header) & set(COLUMNS["audio"]):
        raise DataError(f"{path}:1: the header needs a column 'audio' (or 'path'); {_got(header)}")
    if not set(header) & {*COLUMNS["text"], *COLUMNS["pinyin"]}:
        raise DataError(f"{path}:1: the header needs a column 'text' or 'pinyin'; {_got(header)}")


def read_objects(path: Path) -> Iterator[tuple[int, Row]]:
    """Objects, one a line."""
    for number, line in read_lines(path):
        try:
            row = parse_json(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg}); give one object per line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: wanted an object; got {type(row).__name__}")
        yield number, row


def _document(path: Path) -> Iterator[tuple[int, Row]]:
    """A list of objects, or an object of them by id; or one a line, which many call JSON too."""
    text = "\n".join(line for _, line in read_lines(path))
    if not text:
        return
    try:
        page = parse_json(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from read_objects(path)
            return
        raise DataError(f"{path}:{error.lineno}: not JSON ({error.msg}); give a list of objects") from None
    rows = [{"id": name} | row for name, row in page.items()] if _is_by_id(page) else page
    if isinstance(rows, dict):
        # The list may be wrapped: {"data": [...]}. Anything else is one utterance.
        rows = next((value for value in rows.values() if _is_list_of_objects(value)), [rows])
    if not _is_list_of_objects(rows) and rows != []:
        raise DataError(f"{path}: wanted a list of objects, such as [{{'audio': ..., 'text': ...}}]")
    yield from enumerate(rows, start=1)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _is_by_id(page: Any) -> bool:
    return isinstance(page, dict) and bool(page) and all(isinstance(row, dict) for row in page.values())


READERS: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
    "tsv": partial(_separated, dialect={"delimiter": "\t", "quoting": csv.QUOTE_NONE}),
    "csv": partial(_separated, dialect={"delimiter": ","}),
    "json": _document,
    "jsonl": read_objects,
}

__all__ = ["COLUMNS", "LAYOUT", "OPTIONS", "READERS", "read_objects", "recipe"]
