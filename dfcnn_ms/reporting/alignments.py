"""Alignments on the screen or in files, in the format that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import DataError
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.timings import Recording

FORMATS = ("txt", *timings.FORMATS)
#: what a name after --out may end in, and the format that it means
SUFFIXES = {suffix.lower(): name for name, suffix in timings.SUFFIXES.items()} | {".txt": "txt", ".jsonl": "json"}
#: formats that hold a whole manifest in one file
TOGETHER = ("json", "ctm")
SUBTITLES = ("srt", "vtt")
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|]')


def file_names(utterances: Sequence[Utterance], form: str) -> list[str]:
    """A name for the file of each utterance, from its id."""
    suffix = timings.SUFFIXES.get(form, ".txt")
    names = [_NOT_IN_FILE_NAMES.sub("_", utterance.id) + suffix for utterance in utterances]
    taken: dict[str, Utterance] = {}
    for name, utterance in zip(names, utterances, strict=True):
        if name.lower() in taken and form not in TOGETHER:
            other = taken[name.lower()].id
            raise DataError(f"{utterance.where}: {other!r} and {utterance.id!r} would be the same file, {name}")
        taken[name.lower()] = utterance
    return names


def written(recording: Recording, form: str, *, phrases: bool) -> str:
    """One recording in a format."""
    if form == "txt":
        return table(recording)
    return timings.FORMATS[form](timings.in_phrases(recording) if phrases else recording)


def line(recording: Recording) -> str:
    """One recording as a line of JSON."""
    return json.dumps(timings.to_dict(recording), ensure_ascii=False) + "\n"


def table(recording: Recording) -> str:
    """The times for people; what was heard instead of a syllable stands behind it."""
    lines = ["   start      end  score  goodness  syllable"]
    for one in recording.syllables:
        rest = "" if one.heard is None else f"  (heard: {one.heard or 'nothing'})"
        times = f"{one.start_seconds:8.3f} {one.end_seconds:8.3f}"
        said = f"{one.text} {one.characters}".rstrip()
        lines.append(f"{times} {one.score:6.3f} {round(one.goodness or 0.0, 2) + 0.0:9.2f}  {said}{rest}")
    lines.append(f"confidence of the whole sentence: {recording.confidence:.3f}")
    return "\n".join(lines) + "\n"
