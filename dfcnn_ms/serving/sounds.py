"""From the bytes of a request to what a network hears."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import duration, read_wave
from dfcnn_ms.errors import DataError
from dfcnn_ms.serving.errors import Refused
from dfcnn_ms.text.quoting import shortened

UNNAMED = "the sound"


@dataclass(frozen=True)
class Stored:
    """A recording that came.

    Attributes:
        name: as the client calls it.
        path: where it lies, for a while.
        seconds: how long it is.
    """

    name: str
    path: Path
    seconds: float

    @contextmanager
    def named(self) -> Iterator[None]:
        """Lets an error say the client's name, and not where the recording lies.

        Raises:
            DataError: the command line's sentence about such a file.
        """
        try:
            yield
        except DataError as error:
            sentence = str(error).replace(str(self.path), self.name)
            raise DataError(sentence if self.name in sentence else f"{self.name}: {sentence}") from None

    def features(self, frontend: Frontend) -> np.ndarray:
        """What the network receives (T, F).

        Raises:
            DataError: it cannot be heard.
        """
        with self.named():
            return frontend(read_wave(self.path))


def stored(file: BinaryIO, name: str | None, folder: Path, most_seconds: float) -> Stored:
    """Writes what a client sent into a folder.

    Raises:
        DataError: it is no sound, or its header says that it is damaged.
        Refused: it is too long.
    """
    shown, path = shown_name(name), folder / "sound"
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    with Stored(shown, path, 0.0).named():
        seconds = duration(path)
    if seconds > most_seconds:
        message = f"{shown}: {seconds / 60:.1f} minutes are too long, at most {most_seconds / 60:g} are heard"
        raise Refused(413, f"{message}; send it in parts", code="too_long", param="file")
    return Stored(shown, path, seconds)


def shown_name(name: str | None) -> str:
    """The name of a client's file for messages and answers: no folders, one short line."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    return str(DataError(shortened(last))) or UNNAMED
