"""What is to be heard: the lines of a manifest, or sound files and folders; one by one, never all at once."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.audio.wave import SOUND_SUFFIXES, Array, duration, read_blocks, read_wave
from dfcnn_ms.bulk.output import Names
from dfcnn_ms.corpora.manifest import Utterance, iter_manifest, numbered_lines, parse_line
from dfcnn_ms.errors import DataError
from dfcnn_ms.evaluation.evaluate import SLACK_SECONDS, read_sound
from dfcnn_ms.text.quoting import quoted

#: most recordings, and most seconds of them, that a worker is given at a time
CHUNK, CHUNK_SECONDS = 64, 600.0
#: of sound whose header nobody has read yet: 16 bit, 16 kHz
BYTES_PER_SECOND = 32_000
#: of a file that is counted, read in one go
_BLOCK = 1 << 22
#: how most lines of a manifest begin
_ID = re.compile(r'\s*\{\s*"id"\s*:\s*"([^"\\]*)"')

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A recording.

    Attributes:
        id: its name in the output: that of the manifest, or the file as it was named.
        file: where its sound is.
        utterance: what a manifest says about it.
    """

    id: str
    file: str
    utterance: Utterance | None = None

    @property
    def rough_seconds(self) -> float:
        """About how long it is, without opening it; 0 where nothing can be said."""
        if self.utterance is not None:
            return self.utterance.seconds
        try:
            return os.stat(self.file).st_size / BYTES_PER_SECOND
        except (OSError, ValueError):
            return 0.0

    def sound(self) -> SoundFile:
        """How long it is, from its header or its manifest.

        Raises:
            DataError: it cannot be heard.
        """
        seconds = duration(self.file) if self.utterance is None else self.utterance.seconds
        return SoundFile(self.file, Path(Path(self.file).name), seconds)

    def read(self) -> Array:
        """Its samples (N,), 16 kHz.

        Raises:
            DataError: it cannot be heard.
        """
        return read_wave(self.file) if self.utterance is None else read_sound(self.utterance)

    def pieces(self, sample_rate: int) -> Iterator[Array]:
        """Its samples (n,), some seconds at a time where it is a whole file: those of a part are read at once.

        Raises:
            DataError: it cannot be heard.
        """
        one = self.utterance
        if one is None or (not one.start and duration(self.file) - one.seconds < SLACK_SECONDS):
            yield from read_blocks(self.file, sample_rate=sample_rate)
        else:
            yield self.read()


class Source(Protocol):
    """Where recordings come from."""

    def rest(self, is_done: Callable[[str], bool]) -> Iterator[Item]:
        """Those whose ids are not done, in their order; from the first, every time."""
        ...

    def count(self) -> int:
        """How many there are, found out quickly."""
        ...


@dataclass(frozen=True)
class Manifest:
    """The utterances of a manifest, which may have millions."""

    path: Path

    def rest(self, is_done: Callable[[str], bool]) -> Iterator[Item]:
        """The utterances that are not done; of the others no more than the id is read."""
        seen, folder = Names(), self.path.absolute().parent
        for number, line in numbered_lines(self.path):
            begin = _ID.match(line)
            if begin and is_done(begin[1]):
                continue
            one = parse_line(line, folder, f"{self.path}:{number}")
            if is_done(one.id):
                continue
            if not seen.add(one.id):
                raise DataError(f"{one.where}: id {quoted(one.id)} was used above already; ids must differ")
            yield Item(one.id, str(one.path), one)

    def count(self) -> int:
        """Its lines."""
        next(iter_manifest(self.path))  # what is wrong from the start is said now
        with self.path.open("rb") as file:
            lines, last = 0, b"\n"
            while block := file.read(_BLOCK):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n")


@dataclass(frozen=True)
class Files:
    """Sound files, and those in folders, in the order of their names.

    Attributes:
        names: as they were given.
        closed: folders that may not be looked into; known when all is read.
    """

    names: Sequence[str]
    closed: set[str] = field(default_factory=set)

    def rest(self, is_done: Callable[[str], bool]) -> Iterator[Item]:
        return (Item(file, file) for file in self._files() if not is_done(file))

    def count(self) -> int:
        """The files.

        Raises:
            DataError: there are none.
        """
        found = sum(1 for _ in self._files())
        if not found and not self.closed:
            raise DataError(f"{self.names[0]}: is a directory without a sound file ({', '.join(SOUND_SUFFIXES)}) in it")
        return found

    def _files(self) -> Iterator[str]:
        for name in _each_once(self.names):
            yield from self._in_folder(name) if os.path.isdir(name) else [name]

    def _in_folder(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if folder not in self.closed:
                log.warning("left out: %s: cannot be read: %s; check its permissions", folder, error.strerror)
            self.closed.add(folder)
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._in_folder(entry.path)
            elif entry.name.lower().endswith(SOUND_SUFFIXES) and entry.is_file():
                yield entry.path


def _each_once(names: Sequence[str]) -> list[str]:
    """The names without those that lie in folders which are named too."""
    places = {name: Path(name).absolute() for name in names}
    folders = {place for name, place in places.items() if os.path.isdir(name)}
    found = {place: name for name, place in reversed(places.items()) if not folders.intersection(place.parents)}
    return list(reversed(found.values()))


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The recordings in their order, so many at a time as a worker is given."""
    chunk: list[Item] = []
    seconds = 0.0
    for item in items:
        length = item.rough_seconds
        if len(chunk) == CHUNK or (chunk and seconds + length > CHUNK_SECONDS):
            yield chunk
            chunk, seconds = [], 0.0
        chunk.append(item)
        seconds += length
    if chunk:
        yield chunk
