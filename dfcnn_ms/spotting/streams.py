"""Streams in which it is known which word is said when: a manifest, and beside it a table of times.

`streams.jsonl` is a manifest whose recordings may be hours long; `streams.ctm` has a line for each word: the id of the
recording, a channel, start and duration in seconds, the word, and whatever else such tables hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms.corpora.manifest import check_audio, read_manifest
from dfcnn_ms.errors import DataError
from dfcnn_ms.files import read_text
from dfcnn_ms.reporting.timings import Timed
from dfcnn_ms.text.quoting import quoted

#: columns of a line that are read
COLUMNS = 5


@dataclass(frozen=True)
class Stream:
    """A stream.

    Attributes:
        id: its name.
        path: where its sound is.
        seconds: how long it is.
        words: with their times.
    """

    id: str
    path: Path
    seconds: float
    words: tuple[Timed, ...]


def read_streams(manifest: Path) -> list[Stream]:
    """The streams of a manifest with the times of their words.

    Raises:
        DataError: one of the two files is missing or wrong, or a line is of no stream.
    """
    utterances = read_manifest(manifest)
    check_audio(utterances)
    words: dict[str, list[Timed]] = {one.id: [] for one in utterances}
    times = manifest.with_suffix(".ctm")
    if not times.exists():
        raise DataError(f"{times}: not there; it says which word is said when in the streams of {manifest}")
    for where, name, word in _timed(times):
        if name not in words:
            raise DataError(f"{where}: no stream of {manifest} is called {quoted(name)}")
        words[name].append(word)
    return [Stream(one.id, one.path, one.seconds, tuple(words[one.id])) for one in utterances]


def _timed(path: Path) -> Iterator[tuple[str, str, Timed]]:
    """Of each word: its line, its stream, and when it is said."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where, columns = f"{path}:{number}", line.split()
        if not columns or columns[0].startswith(";;"):  # a comment
            continue
        if len(columns) < COLUMNS:
            raise DataError(f"{where}: wanted name, channel, start, seconds and word; got {quoted(line)}")
        name, _, start, seconds, word = columns[:COLUMNS]
        try:
            yield where, name, Timed(word, float(start), float(start) + float(seconds), 1.0)
        except ValueError:
            raise DataError(f"{where}: start and seconds must be numbers from 0; got {start} and {seconds}") from None
