"""From recordings to lines of JSON: what every worker does, wherever it runs."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dfcnn_ms import plugins
from dfcnn_ms.audio.sound_files import SoundFile, unreadable
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.bulk.items import Item
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import DataError
from dfcnn_ms.recognizer import Recognizer, Transcript, by_length
from dfcnn_ms.reporting.line_breaks import LAYOUT, Layout
from dfcnn_ms.reporting.transcripts import page
from dfcnn_ms.runtime.loaded import check_there
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.recordings import is_long, of_blocks

#: characters of a fingerprint
DIGITS = 12
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Heard:
    """What came of a recording.

    Attributes:
        line: of the output, with its line break.
        seconds: of sound; 0 where it could not be heard.
        failed: whether it could not.
    """

    line: bytes
    seconds: float
    failed: bool


@dataclass(frozen=True)
class Setup:
    """All that a worker must know before it can listen.

    Attributes:
        ckpt: the stored network.
        device_target: where it runs.
        choice: the decoder.
        endpointing: how long recordings are cut.
        layout: of lines to read.
        words: of the command line, for the plugins in it.
        folder: that relative names are in.
    """

    ckpt: Path
    device_target: str
    choice: Choice
    endpointing: Endpointing = field(default_factory=Endpointing)
    layout: Layout = LAYOUT
    words: tuple[str, ...] = ()
    folder: str = "."

    @cached_property
    def made_with(self) -> dict[str, str]:
        """What stands in every line about how it was made.

        Raises:
            CheckpointError: there is no such network.
        """
        check_there(self.ckpt)
        flags = [*_said(self.choice), *_said(self.endpointing), *_said(self.layout, "line_")]
        return {"ckpt": fingerprint(self.ckpt), "decoding": " ".join(flags) or "default"}

    def recognizer(self) -> Recognizer:
        """The network with all that it was told, on one thread as far as that is ours to say."""
        recognizer = Recognizer.load(self.ckpt, self.device_target)
        recognizer.use(self.choice)
        recognizer.decoder = on_one_thread(recognizer.decoder)
        return recognizer

    def listener(self) -> Listener:
        """Who listens, in a process of its own."""
        os.chdir(self.folder)
        sys.argv[1:] = self.words  # some devices are prepared by what was asked for
        plugins.load(self.words)
        return Listener(self.recognizer(), self)


def failed(item: Item, made_with: Mapping[str, str], error: DataError | OSError) -> Heard:
    """The line of a recording that could not be heard."""
    if isinstance(error, OSError):
        error = unreadable(item.file, error)
    return Heard(_line(item, made_with, {"error": str(error), "file": item.file}), 0.0, failed=True)


@dataclass(frozen=True)
class Listener:
    """Makes lines of recordings.

    Attributes:
        recognizer: the network with its decoder.
        setup: how it was made.
    """

    recognizer: Recognizer
    setup: Setup

    def __call__(self, items: Sequence[Item]) -> list[Heard]:
        """What came of each recording, in their order; those of like length are heard together."""
        found: dict[int, Heard] = {}
        sounds: dict[int, SoundFile] = {}
        for index, item in enumerate(items):
            try:
                sounds[index] = item.sound()
            except (DataError, OSError) as error:
                found[index] = failed(item, self.setup.made_with, error)
        places = list(sounds)
        for batch in by_length([sounds[index].seconds for index in places]):
            together = {places[one]: items[places[one]] for one in batch}
            found |= self._hear_batch(together, sounds)
        return [found[index] for index in range(len(items))]

    def _hear_batch(self, items: Mapping[int, Item], sounds: Mapping[int, SoundFile]) -> dict[int, Heard]:
        waves: dict[int, Array] = {}
        found: dict[int, Heard] = {}
        for index, item in items.items():
            try:
                if is_long(self.recognizer, sounds[index].seconds):
                    found[index] = self._written(item, sounds[index], self._from_pause_to_pause(item))
                else:
                    waves[index] = item.read()
            except (DataError, OSError) as error:  # damaged where its header did not tell, or gone since
                found[index] = failed(item, self.setup.made_with, error)
        for index, heard in zip(waves, self.recognizer.hear_each(list(waves.values())), strict=True):
            if isinstance(heard, DataError):
                named = DataError(f"{items[index].file}: {heard}")
                found[index] = failed(items[index], self.setup.made_with, named)
            else:
                found[index] = self._written(items[index], sounds[index], heard)
        return found

    def _from_pause_to_pause(self, item: Item) -> Transcript:
        rate = self.recognizer.frontend.features.sample_rate
        return of_blocks(self.recognizer, item.pieces(rate), self.setup.endpointing)

    def _written(self, item: Item, sound: SoundFile, transcript: Transcript) -> Heard:
        known = page(sound, transcript, self.setup.layout)
        start = {"start": item.utterance.start} if item.utterance and item.utterance.start else {}
        return Heard(_line(item, self.setup.made_with, start | known), sound.seconds, failed=False)


def _line(item: Item, made_with: Mapping[str, str], known: Mapping[str, Any]) -> bytes:
    """A line of the output; a name that is no text is written as JSON escapes it, so that it reads back the same."""
    entry = {"id": item.id, "made_with": dict(made_with), **known}
    try:
        return (json.dumps(entry, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(entry) + "\n").encode()


def fingerprint(path: Path) -> str:
    """Of what is in a file, wherever it lies."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:DIGITS]


def _said(value: Any, prefix: str = "") -> Iterator[str]:
    """What was asked for that is not the usual, in the order of the fields; files by what is in them."""
    for one in fields(value):
        said = getattr(value, one.name)
        if said != one.default:
            said = fingerprint(said) if isinstance(said, Path) else said
            yield prefix + one.name + ("" if said is True else f"={said}")


def on_one_thread(decoder: Any) -> Any:
    """The same decoder with one thread, where it has a say in that: workers are as many as the cores already."""
    has_threads = is_dataclass(decoder) and any(one.name == "threads" for one in fields(decoder))
    return replace(decoder, threads=1) if has_threads else decoder
