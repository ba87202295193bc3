"""Free Spoken Digit Dataset: 3,000 English digits by six speakers at 8 kHz. CC BY-SA 4.0, on GitHub.

`recordings/7_jackson_32.wav` is the digit 7, said by jackson, number 32. Officially the recordings 0 to 4 of each digit
and speaker are the test set and 5 to 49 the training set. The labels are English words: set `data.labels: as_written`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.audio.wave import SOUND_SUFFIXES
from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import Item, LeftOut, gather
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.corpora.options import Option, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public
from dfcnn_ms.errors import ConfigError

LAYOUT = """\
free-spoken-digit-dataset-1.0.10/   unpacked from v1.0.10.tar.gz
  recordings/7_jackson_32.wav ...   digit, speaker, number; 0 to 4 are the test set; copies in .flac will do"""

VERSION = "1.0.10"
RESOURCE = Resource(
    f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v{VERSION}.tar.gz",
    f"free-spoken-digit-dataset-{VERSION}",
)
OFFICIAL = {"train": Count(2_700, None, 6), "test": Count(300, None, 6)}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LAST_OF_TEST, LAST = 4, 49
DEV = 5
OPTIONS = COMMON | {"dev": Option(int, f"recordings of each digit and speaker for dev (default: {DEV})")}

_NAME = re.compile(r"(\d)_([^_]+)_(\d+)")


@with_options(Public)
def prepare(public: Public, *, dev: int = DEV) -> dict[str, Path]:
    """Writes the manifests of the Free Spoken Digit Dataset, with its official test set.

    Args:
        public: where it is: the folder with `recordings` (or `audio`) in it, that folder itself, or the one around it.
        dev: how many recordings of each digit and speaker, from number 5 on, are taken from training for dev.
    """
    if not 0 <= dev < LAST - LAST_OF_TEST:
        most = LAST - LAST_OF_TEST - 1
        raise ConfigError(f"dev must be 0 to {most} recordings of each digit and speaker; got {dev}")
    plan = public.plan(OFFICIAL, words=True)
    home = public.obtain(RESOURCE, is_there)
    return gather(_items(home, dev), plan)


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    return _recordings(folder) is not None


def _recordings(folder: Path) -> Path | None:
    """Where the recordings lie: in a folder of that name as published, in `audio`, or in the folder itself."""
    places = (folder / "recordings", folder / "audio", folder)
    return next((place for place in places if any(_NAME.fullmatch(path.stem) for path in _sounds(place))), None)


def _sounds(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.suffix.lower() in SOUND_SUFFIXES)


def _items(home: Path, dev: int) -> Iterator[Item | LeftOut]:
    for audio in sorted(_sounds(_recordings(home) or home)):
        name = _NAME.fullmatch(audio.stem)
        if not name:
            yield LeftOut(audio.stem, "not a name of this corpus", f"{audio}: wanted such as 7_jackson_32.wav")
            continue
        word = WORDS[int(name[1])]
        yield Item(audio.stem, audio, _split(int(name[3]), dev), (word,), word, name[2])


def _split(number: int, dev: int) -> str:
    if number <= LAST_OF_TEST:
        return "test"
    return "dev" if number <= LAST_OF_TEST + dev else "train"
