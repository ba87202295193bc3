"""Your own data as a table: TSV or CSV with a header, JSON, or JSON lines such as those of NeMo.

One row is one utterance. Columns may be in any order and under any of their usual names (`COLUMNS`); only the sound
file and something said are needed. Several utterances of one file say where they begin and how long they are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dfcnn_ms.corpora.gather import Item, LeftOut, split_named
from dfcnn_ms.corpora.own import OPTIONS, Own, read_lines, sources
from dfcnn_ms.errors import DataError

LAYOUT = """\
mine.{0}    or a folder with one such file, or with one for each split (train.{0}, dev.{0} ...)
            columns: audio, then text or pinyin; if you have them id, speaker, split, start, seconds
            (or path, audio_filepath, wav; sentence, transcript, word; duration, offset; utt_id; client_id ...)"""

COLUMNS = {
    "id": ("id", "utt_id", "utt", "utterance_id", "uttid", "key", "name"),
    "audio": ("audio", "path", "audio_filepath", "audio_path", "wav", "wav_path", "file", "filename", "feat"),
    "pinyin": ("pinyin", "syllables"),
    "text": ("text", "hanzi", "characters", "sentence", "transcript", "transcription", "txt", "word", "label"),
    "speaker": ("speaker", "spk", "speaker_id", "client_id", "user_id", "utt2spk"),
    "split": ("split", "subset", "set", "partition"),
    "start": ("start", "offset", "begin"),
    "seconds": ("seconds", "duration", "dur"),
}

Row = Mapping[str, Any]


def prepare(root: Path, own: Own, *, kind: str) -> dict[str, Path]:
    """Writes the manifests of a table: `tsv`, `csv`, `json` or `jsonl`; `root` is the table or its folder."""
    files = sources(root, (f".{kind}",), f"a table such as mine.{kind}")
    own.check_output(path for path, _ in files)
    return own.gather(one for path, split in files for one in _items(path, split, kind, own))


def _items(path: Path, split: str, kind: str, own: Own) -> Iterator[Item | LeftOut]:
    folder = own.audio or path.parent
    empty = True
    for number, row in READERS[kind](path):
        empty = False
        yield _item(row, f"{path}:{number}", split, folder, own)
    if empty:
        raise DataError(f"{path}: no rows; it needs a header and one utterance a line, or a list of objects")


def _item(row: Row, where: str, split: str, folder: Path, own: Own) -> Item | LeftOut:
    cells = {name: _cell(row, names) for name, names in COLUMNS.items()}
    name = cells["id"] or Path(cells["audio"]).stem
    if not cells["audio"]:
        return LeftOut(name or where, "no sound file named", f"{where}: the column 'audio' is empty")
    try:
        start, seconds = (_number(cells[key], key) for key in ("start", "seconds"))
    except ValueError as error:
        return LeftOut(name, "not a number", f"{where}: {error}")
    item = Item(
        id=name,
        audio=folder / cells["audio"],
        split=split_named(cells["split"]) or split,
        text=cells["text"],
        speaker=cells["speaker"],
        start=start or 0.0,
        # Without a beginning the utterance is the whole file, and the file knows its length better.
        seconds=seconds if start is not None else None,
        where=where,
    )
    return own.item(item, cells["pinyin"])


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
    if not set(header) & set(COLUMNS["audio"]):
        got = ", ".join(filter(None, header)) or "nothing"
        raise DataError(f"{path}:1: the header needs a column 'audio' (or 'path'); got {got}")
    if not set(header) & {*COLUMNS["text"], *COLUMNS["pinyin"]}:
        raise DataError(f"{path}:1: the header needs a column 'text' or 'pinyin'; got {', '.join(header)}")


def read_objects(path: Path) -> Iterator[tuple[int, Row]]:
    """Objects, one a line."""
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg}); give one object per line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: wanted an object; got {type(row).__name__}")
        yield number, row


def _document(path: Path) -> Iterator[tuple[int, Row]]:
    """A list of objects, or an object of them by id; or one a line, which many call JSON too."""
    text = "\n".join(line for _, line in read_lines(path))
    try:
        page = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from read_objects(path)
            return
        raise DataError(f"{path}:{error.lineno}: not JSON ({error.msg})") from None
    rows = [{"id": name} | row for name, row in page.items()] if _is_by_id(page) else page
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: wanted a list of objects, such as [{{'audio': ..., 'text': ...}}]")
    yield from enumerate(rows, start=1)


def _is_by_id(page: Any) -> bool:
    return isinstance(page, dict) and bool(page) and all(isinstance(row, dict) for row in page.values())


READERS: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
    "tsv": partial(_separated, dialect={"delimiter": "\t", "quoting": csv.QUOTE_NONE}),
    "csv": partial(_separated, dialect={"delimiter": ","}),
    "json": _document,
    "jsonl": read_objects,
}

__all__ = ["COLUMNS", "LAYOUT", "OPTIONS", "READERS", "prepare", "read_objects"]
