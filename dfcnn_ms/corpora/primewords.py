"""Primewords Chinese Corpus Set 1: 99 hours by 296 speakers with phones. CC BY-NC-ND 4.0, OpenSLR 47.

`set1_transcript.json` is one list of `{"id", "user_id", "length", "file", "text"}`, where all values are text. The file
lies in folders named by its first one and two hexadecimal digits: `audio_files/0/00/00a1....wav`. Several hundred
entries name a file that an earlier entry names too. No official splits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfcnn_ms.corpora.counts import ALL, Count
from dfcnn_ms.corpora.gather import Item, LeftOut
from dfcnn_ms.corpora.held_out import OPTIONS, recipe
from dfcnn_ms.corpora.manifest import parse_json
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.errors import DataError

__all__ = ["LAYOUT", "OFFICIAL", "OPTIONS", "RESOURCE", "is_there", "prepare"]

LAYOUT = """\
primewords_md_2018_set1/            unpacked from primewords_md_2018_set1.tar.gz (9.1 GB)
  set1_transcript.json              [{"id": ..., "user_id": ..., "length": ..., "file": "00a1....wav", "text": ...}
  audio_files/0/00/00a1....wav ..."""

FOLDER = "primewords_md_2018_set1"
RESOURCE = Resource(f"47/{FOLDER}.tar.gz", FOLDER, 9_057_625_192)
TRANSCRIPT = "set1_transcript.json"
OFFICIAL = {ALL: Count(50_384, 98.95, 296)}


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    return (folder / TRANSCRIPT).is_file()


def _items(home: Path) -> Iterator[Item | LeftOut]:
    places = {path.name: path for path in (home / "audio_files").rglob("*.wav")}
    texts: dict[str, str] = {}
    for number, entry in enumerate(_entries(home / TRANSCRIPT), start=1):
        where = f"{home / TRANSCRIPT}: entry {number}"
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("file", "text")):
            yield LeftOut(f"entry {number}", "not an entry", f"{where}: wanted an object with 'file' and 'text'")
            continue
        name, text = Path(entry["file"]).stem, "".join(entry["text"].split())
        if name in texts:
            same = "the same text" if texts[name] == text else "another text"
            yield LeftOut(name, "file named again", f"{where}: {same}")
        elif entry["file"] not in places:
            yield LeftOut(name, "no recording", f"{where}: {entry['file']} is not in audio_files")
        else:
            speaker = str(entry.get("user_id", ""))
            yield Item(name, places[entry["file"]], text=text, speaker=speaker, where=where)
        texts.setdefault(name, text)
    spoken = (path for path in places.values() if path.stem not in texts)
    yield from (LeftOut(path.stem, "no transcript", str(path)) for path in sorted(spoken))


def _entries(path: Path) -> list[Any]:
    try:
        entries = parse_json(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not JSON ({error}); unpack it again") from None
    if not isinstance(entries, list):
        raise DataError(f"{path}: wanted a list of entries; got {type(entries).__name__}")
    return entries


prepare = recipe(RESOURCE, is_there, OFFICIAL, _items, lambda item: item.speaker)
