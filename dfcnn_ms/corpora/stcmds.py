"""ST-CMDS, the Free ST Chinese Mandarin Corpus: 110 hours of phone commands. CC BY-NC-ND 4.0, OpenSLR 38.

One folder with three files for each utterance: `20170001P00001A0001.wav`, `.txt` (the characters, one line without an
end, some with commas) and `.metadata` (who and where; UTF-8 or GBK, not needed here). In the name, `P00001` and the
letter after it (`A` or `I`, the kind of phone) are the speaker, the last four digits the utterance. No official splits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.corpora.counts import ALL, Count
from dfcnn_ms.corpora.gather import Item, LeftOut
from dfcnn_ms.corpora.held_out import OPTIONS, recipe
from dfcnn_ms.corpora.obtain import Resource

__all__ = ["LAYOUT", "OFFICIAL", "OPTIONS", "RESOURCE", "is_there", "prepare"]

LAYOUT = """\
ST-CMDS-20170001_1-OS/              unpacked from ST-CMDS-20170001_1-OS.tar.gz (8.2 GB)
  20170001P00001A0001.wav           speaker P00001A, utterance 0001
  20170001P00001A0001.txt           its characters
  20170001P00001A0001.metadata      not needed ..."""

FOLDER = "ST-CMDS-20170001_1-OS"
RESOURCE = Resource(f"38/{FOLDER}.tar.gz", FOLDER, 8_231_662_593)
OFFICIAL = {ALL: Count(102_600, 109.7, 855)}

_NAME = re.compile(r"\d{8}(P\d{5})([A-Z])\d{4}")


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    return next(folder.glob("20170001P*.wav"), None) is not None


def _person(item: Item) -> str:
    """P00001 of P00001A: should one person have used two phones, both go into one split."""
    return item.speaker[:-1]


def _items(home: Path) -> Iterator[Item | LeftOut]:
    for audio in sorted(home.glob("*.wav")):
        name, transcript = _NAME.fullmatch(audio.stem), audio.with_suffix(".txt")
        if not name:
            yield LeftOut(audio.stem, "not a name of this corpus", f"{audio}: wanted such as 20170001P00001A0001.wav")
            continue
        text = _text(transcript)
        if text is None:
            yield LeftOut(audio.stem, "no transcript", f"{transcript}: missing, or neither UTF-8 nor GBK")
        else:
            yield Item(audio.stem, audio, text=text, speaker="".join(name.groups()), where=str(transcript))


def _text(transcript: Path) -> str | None:
    """The characters of a transcript, without blanks; None if there are none to be had."""
    try:
        content = transcript.read_bytes()
    except OSError:
        return None
    for encoding in ("utf-8-sig", "gbk"):
        try:
            return "".join(content.decode(encoding).split())
        except UnicodeDecodeError:
            continue
    return None


prepare = recipe(RESOURCE, is_there, OFFICIAL, _items, _person)
