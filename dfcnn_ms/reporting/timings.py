r"""Syllables with their times, written in the formats that other programs read.

| Format | For |
|---|---|
| `json` | programs; everything that is known |
| `textgrid` | Praat and other tools of phonetics; a tier of intervals that covers the whole recording |
| `srt`, `vtt` | subtitles; one cue for each entry, so join syllables to phrases first (:func:`phrases`) |
| `ctm` | scoring tools; `name channel start duration word score` |

>>> one = Timed("ni3", 0.5, 0.75, 0.98)
>>> ctm(Recording("a", 1.25, (one,)))
'a 1 0.500 0.250 ni3 0.980\n'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from dfcnn_ms.reporting.line_breaks import LAYOUT, Layout, Piece, lines


@dataclass(frozen=True)
class Timed:
    """One syllable, or several as one entry, and when it is said.

    Attributes:
        text: what is said.
        start_seconds, end_seconds: from the beginning of the recording.
        score: confidence, 0 to 1.
        goodness: of pronunciation, natural logarithm; None where nobody asked.
        heard: what the network would rather write here; None where it agrees or nobody asked, "" for nothing at all.
        characters: the same as Chinese text; "" where it is not known.
        continues: whether it is in one word with the entry before it.
    """

    text: str
    start_seconds: float
    end_seconds: float
    score: float
    goodness: float | None = None
    heard: str | None = None
    characters: str = ""
    continues: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds <= self.end_seconds:
            raise ValueError(f"{self.text!r} must end after it starts, at 0 or later; got {self}")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True)
class Recording:
    """What is said in one recording.

    Attributes:
        name: of the recording, such as its file's.
        seconds: how long it is.
        syllables: in their order; none begins before the one before it ends.
        confidence: of the whole sentence, 0 to 1; None where nobody asked.
    """

    name: str
    seconds: float
    syllables: tuple[Timed, ...]
    confidence: float | None = None

    def __post_init__(self) -> None:
        for before, after in pairwise(self.syllables):
            if after.start_seconds < before.end_seconds:
                raise ValueError(f"{self.name}: {after.text!r} begins before {before.text!r} ends")
        if self.syllables and self.syllables[-1].end_seconds > self.seconds:
            raise ValueError(f"{self.name}: {self.syllables[-1].text!r} ends after the recording of {self.seconds} s")


def phrases(syllables: Sequence[Timed], layout: Layout = LAYOUT) -> list[Timed]:
    """Joins syllables to lines that can be read; see :mod:`dfcnn_ms.reporting.line_breaks`."""
    pieces = [Piece(one.text, one.characters, one.start_seconds, one.end_seconds, one.continues) for one in syllables]
    return [_joined([syllables[place] for place in places]) for places in lines(pieces, layout)]


def _joined(group: Sequence[Timed]) -> Timed:
    characters = "".join(one.characters for one in group) if all(one.characters for one in group) else ""
    return Timed(
        text=" ".join(one.text for one in group),
        start_seconds=group[0].start_seconds,
        end_seconds=group[-1].end_seconds,
        score=float(np.mean([one.score for one in group])),
        characters=characters,
    )


def as_json(recording: Recording) -> str:
    """One object with one entry a syllable; scores are probabilities, goodness is a natural logarithm."""
    return json.dumps(to_dict(recording), ensure_ascii=False, indent=2) + "\n"


def to_dict(recording: Recording) -> dict[str, Any]:
    """What :func:`as_json` writes, for a line of JSON or for a program."""
    page: dict[str, Any] = {"name": recording.name, "seconds": round(recording.seconds, 3)}
    page["text"] = " ".join(one.text for one in recording.syllables)
    if recording.confidence is not None:
        page["confidence"] = round(recording.confidence, 4)
    page["syllables"] = [entry(one) for one in recording.syllables]
    return page


def entry(one: Timed) -> dict[str, Any]:
    """What JSON says about one entry."""
    said: dict[str, Any] = {"text": one.text} | ({"characters": one.characters} if one.characters else {})
    said |= {"start": round(one.start_seconds, 3), "end": round(one.end_seconds, 3), "score": round(one.score, 4)}
    if one.goodness is not None:
        said["goodness"] = round(one.goodness, 3) + 0.0  # no -0.0
    if one.heard is not None:
        said["heard"] = one.heard
    return said


def ctm(recording: Recording) -> str:
    """One line a syllable: name, channel, start, duration, syllable, score."""
    name = _one_word(recording.name)
    return "".join(
        f"{name} 1 {one.start_seconds:.3f} {round(one.end_seconds, 3) - round(one.start_seconds, 3):.3f} "
        f"{_one_word(one.text)} {one.score:.3f}\n"
        for one in recording.syllables
    )


def _one_word(text: str) -> str:
    """A column of a table whose columns blanks divide."""
    return "_".join(text.split()) or "-"


def srt(recording: Recording) -> str:
    """Subtitles: numbered cues with commas in their times; in characters, where they are known."""
    cues = [
        f"{number}\n{_clock(one.start_seconds, ',')} --> {_clock(one.end_seconds, ',')}\n{_shown(one)}\n"
        for number, one in enumerate(recording.syllables, start=1)
    ]
    return "\n".join(cues)


def vtt(recording: Recording) -> str:
    """Subtitles for the web; in characters, where they are known."""
    cues = [
        f"\n{_clock(one.start_seconds, '.')} --> {_clock(one.end_seconds, '.')}\n{_escaped(_shown(one))}\n"
        for one in recording.syllables
    ]
    return "".join(["WEBVTT\n", *cues])


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _shown(one: Timed) -> str:
    """What a cue shows, on one line: an empty line would end it."""
    return " ".join((one.characters or one.text).split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def textgrid(recording: Recording) -> str:
    """Praat's long format: a tier of syllables and, where they are known, one of characters.

    The intervals of a tier cover the recording; those without a syllable are empty.
    """
    tiers = [_tier("syllables", recording, [one.text for one in recording.syllables])]
    if any(one.characters for one in recording.syllables):
        tiers.append(_tier("characters", recording, [one.characters for one in recording.syllables]))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {recording.seconds:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, start=1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in tier)]
    return "\n".join(lines) + "\n"


def _tier(name: str, recording: Recording, texts: Sequence[str]) -> list[str]:
    intervals = _intervals(recording, texts)
    lines = ['class = "IntervalTier"', f'name = "{name}"', "xmin = 0", f"xmax = {recording.seconds:.6f}"]
    lines += [f"intervals: size = {len(intervals)}"]
    for number, (start, end, text) in enumerate(intervals, start=1):
        quoted = text.replace('"', '""')
        lines += [f"intervals [{number}]:", f"    xmin = {start}", f"    xmax = {end}", f'    text = "{quoted}"']
    return lines


def _intervals(recording: Recording, texts: Sequence[str]) -> list[tuple[str, str, str]]:
    """Start, end and text of all intervals, without a gap and without those that last no microsecond."""
    edges = [("0.000000", "0.000000", "")]
    for one, text in zip(recording.syllables, texts, strict=True):
        start, end = f"{one.start_seconds:.6f}", f"{one.end_seconds:.6f}"
        edges += [(edges[-1][1], start, ""), (start, end, text)]
    edges.append((edges[-1][1], f"{recording.seconds:.6f}", ""))
    return [edge for edge in edges if edge[0] != edge[1]]


FORMATS: dict[str, Callable[[Recording], str]] = {
    "json": as_json,
    "textgrid": textgrid,
    "srt": srt,
    "vtt": vtt,
    "ctm": ctm,
}
#: the suffix of a file in each format
SUFFIXES = {"json": ".json", "textgrid": ".TextGrid", "srt": ".srt", "vtt": ".vtt", "ctm": ".ctm"}


def in_phrases(recording: Recording, layout: Layout = LAYOUT) -> Recording:
    """The same recording with whole lines instead of syllables, as subtitles want them.

    A short line stays until it can be read, or the next one comes.
    """
    found = phrases(recording.syllables, layout)
    nexts = [*(one.start_seconds for one in found[1:]), recording.seconds]
    shown = [
        replace(one, end_seconds=max(one.end_seconds, min(one.start_seconds + layout.shown, following)))
        for one, following in zip(found, nexts, strict=False)
    ]
    return replace(recording, syllables=tuple(shown))
