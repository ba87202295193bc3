"""The sound files that somebody names, and those in the folders that somebody names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms.audio.wave import SOUND_SUFFIXES, duration
from dfcnn_ms.errors import DataError


@dataclass(frozen=True)
class SoundFile:
    """A sound file.

    Attributes:
        file: as it was named.
        inside: its path inside the folder that was named, or its own name.
        seconds: how long it is.
    """

    file: str
    inside: Path
    seconds: float


def find(names: Sequence[str]) -> list[SoundFile]:
    """The sound files that were named, and those in the folders that were named; a wrong file is found here already.

    Raises:
        DataError: a file is not there, damaged or no sound, or a folder holds none.
    """
    found = []
    for name in names:
        if os.path.isdir(name):
            found += [SoundFile(str(file), file.relative_to(name), duration(file)) for file in in_folder(Path(name))]
        else:
            found.append(SoundFile(name, Path(Path(name).name), duration(name)))
    return found


def in_folder(folder: Path) -> list[Path]:
    """Every sound file below a folder, in the order of their names."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"{folder}: is a directory without a sound file ({', '.join(SOUND_SUFFIXES)}) in it")
    return files


def unreadable(name: str, error: OSError) -> DataError:
    """What the system says about a file or folder, as our own error."""
    return DataError(f"{name}: cannot be read: {error.strerror}; check its permissions and those above it")
