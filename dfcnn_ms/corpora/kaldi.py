"""Your own data as a Kaldi directory: `wav.scp`, `text`, and if there are `utt2spk` and `segments`.

`wav.scp` names the recordings, `text` says what is said in each utterance, `segments` where the utterances lie in the
recordings (`utt recording start end`), and `utt2spk` who speaks. Commands in `wav.scp` are not run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dfcnn_ms.corpora.gather import Item, LeftOut
from dfcnn_ms.corpora.options import with_options
from dfcnn_ms.corpora.own_data import OPTIONS, Own, read_lines, split_in
from dfcnn_ms.errors import DataError

LAYOUT = """\
data/[train/]wav.scp     utterance-or-recording  path
data/[train/]text        utterance  characters, words or pinyin
data/[train/]utt2spk     utterance  speaker              (optional)
data/[train/]segments    utterance  recording start end  (optional)"""

__all__ = ["LAYOUT", "OPTIONS", "prepare"]


@with_options(Own)
def prepare(own: Own) -> dict[str, Path]:
    """Writes the manifests of a Kaldi directory, or of those in a folder, one for each split."""
    root = own.root
    if (root / "wav.scp").is_file():
        folders = [(root, "")]
    else:
        found = sorted(path.parent for path in root.glob("*/wav.scp"))
        folders = [(folder, split_in(folder.name)) for folder in found if split_in(folder.name)]
    if not folders:
        raise DataError(f"{root}: no Kaldi directory; wanted wav.scp and text in it, or in folders train, dev, test")
    return own.gather(one for folder, split in folders for one in _items(folder, split, own))


def _items(folder: Path, split: str, own: Own) -> Iterator[Item | LeftOut]:
    sounds = _table(folder / "wav.scp")
    texts, speakers = _table(folder / "text"), _table(folder / "utt2spk", optional=True)
    segments = _table(folder / "segments", optional=True) or {name: (0, name) for name in sounds}
    for name, (_, place) in segments.items():
        number, text = texts.pop(name, (0, ""))
        if not number:
            yield LeftOut(name, "no transcript", f"{folder / 'text'}: has no {name!r}")
            continue
        where = f"{folder / 'text'}:{number}"
        item = Item(name, Path(), split, text=text, speaker=speakers.get(name, (0, ""))[1], where=where)
        yield _located(item, place, sounds, folder, own)
    yield from (LeftOut(name, "no recording", f"{folder / 'text'}:{line}") for name, (line, _) in texts.items())


def _located(item: Item, place: str, sounds: dict[str, tuple[int, str]], folder: Path, own: Own) -> Item | LeftOut:
    """The utterance with its sound: a whole recording, or `recording start end`."""
    recording, *span = place.split() or [""]
    number, command = sounds.get(recording, (0, ""))
    if not number:
        return LeftOut(item.id, "no recording", f"{folder / 'wav.scp'}: has no {recording!r}")
    if command.endswith("|"):
        cure = "write its output into a file and name that"
        return LeftOut(item.id, "a command, not a file", f"{folder / 'wav.scp'}:{number}: {command}; {cure}")
    try:
        start, end = map(float, span[:2]) if span else (0.0, -1.0)
    except ValueError:
        return LeftOut(item.id, "not a number", f"{folder / 'segments'}: wanted 'recording start end'; got {place!r}")
    seconds = end - start if end >= 0 else None  # -1 is the end of the file
    audio = (own.audio or folder) / command
    if not own.audio and not os.path.exists(audio):
        audio = Path(command)  # Kaldi's own names begin where its scripts run
    return own.item(replace(item, audio=audio, start=start, seconds=seconds), "")


def _table(path: Path, *, optional: bool = False) -> dict[str, tuple[int, str]]:
    """First word of each line -> its number and the rest of it."""
    if optional and not path.is_file():
        return {}
    rows = {}
    for number, line in read_lines(path):
        name, *rest = line.split(maxsplit=1)
        rows[name] = (number, rest[0].strip() if rest else "")
    return rows
