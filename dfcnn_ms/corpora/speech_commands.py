"""Google Speech Commands, versions 1 and 2: one English word a second, by 1,881 and 2,618 people. CC BY 4.0.

A folder for each word, in it `0a7c2a8d_nohash_0.wav`: who (a hash), and which time. `validation_list.txt` and
`testing_list.txt` name the files of dev and test; they were made by a hash of the name, by which the split is made when
a list is missing. Ten words are commands. In the task of 12 classes the others are `_unknown_`, and `_silence_` is cut
from the minutes of `_background_noise_`; as in the published task, each of the two is a tenth as large as the ten
commands together. The labels are words: set `data.labels: as_written`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dfcnn_ms.audio.wave import duration
from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import SPLITS, Item, gather
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.corpora.options import Option, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public
from dfcnn_ms.errors import ConfigError, DataError

LAYOUT = """\
speech_commands_v0.02/                    unpacked from speech_commands_v0.02.tar.gz (2.4 GB; v0.01: 1.5 GB)
  validation_list.txt testing_list.txt    down/0a7c2a8d_nohash_0.wav ...
  down/0a7c2a8d_nohash_0.wav ...          a folder for each of 35 words (v0.01: 30)
  _background_noise_/running_tap.wav ...  six files of a minute or so"""

_SITE = "https://storage.googleapis.com/download.tensorflow.org/data"
RESOURCES = {
    1: Resource(
        f"{_SITE}/speech_commands_v0.01.tar.gz",
        "speech_commands_v0.01",
        sha256="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    ),
    2: Resource(
        f"{_SITE}/speech_commands_v0.02.tar.gz",
        "speech_commands_v0.02",
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    ),
}
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
NEW_WORDS = ("backward", "follow", "forward", "learn", "visual")
UNKNOWN = "_unknown_"
SILENCE = "_silence_"
NOISE = "_background_noise_"
#: version -> how many words it has
WORDS = {1: 30, 2: 35}
#: (version, classes) -> official counts; those of 12 classes follow from the ten commands and a tenth twice
OFFICIAL = {
    (1, 30): {"train": Count(51_088), "dev": Count(6_798), "test": Count(6_835)},
    (2, 35): {"train": Count(84_843), "dev": Count(9_981), "test": Count(11_005)},
    (1, 12): {"train": Count(22_246), "dev": Count(3_093), "test": Count(3_081)},
    (2, 12): {"train": Count(36_923), "dev": Count(4_445), "test": Count(4_890)},
}
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
SHARE = 0.1
OPTIONS = COMMON | {
    "version": Option(int, "1 or 2 (default: 2)"),
    "classes": Option(int, "12: ten commands, unknown, silence; or 35 (version 1: 30), every word (default: 12)"),
    "unknown": Option(float, f"size of the class {UNKNOWN}, as a share of the ten commands (default: {SHARE})"),
    "silence": Option(float, f"size of the class {SILENCE}, as a share of the ten commands (default: {SHARE})"),
    "seed": Option(int, "another seed chooses other unknown words and other silence (default: 0)"),
}

#: shares of the hash that make dev and test, in percent, and the number that it is taken modulo
_DEV_PERCENT, _TEST_PERCENT, _HASHES = 10.0, 10.0, 2**27


@with_options(Public)
def prepare(
    public: Public,
    *,
    version: int = 2,
    classes: int = 12,
    unknown: float = SHARE,
    silence: float = SHARE,
    seed: int = 0,
) -> dict[str, Path]:
    """Writes the manifests of Speech Commands, in its official splits.

    Args:
        public: where it is: the folder `speech_commands_v0.02`, or the one around it.
        version: 1 or 2.
        classes: 12, or every word: 30 in version 1, 35 in version 2.
        unknown, silence: sizes of these two classes beside the ten commands.
        seed: chooses the unknown words and the pieces of silence.
    """
    _check(version, classes, unknown, silence)
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")
    usual = (unknown, silence) == (SHARE, SHARE) or classes != 12
    official = OFFICIAL[version, classes] if usual else {}
    plan = public.plan(official, words=True)
    home = public.obtain(RESOURCES[version], is_there)
    _check_words(home, version)
    items = list(_items(home))
    if classes == 12:
        # Each split draws for itself, so that a missing recording in one changes nothing in another.
        draws = {split: np.random.default_rng([seed, number]) for number, split in enumerate(SPLITS)}
        items = [one for split in SPLITS for one in _twelve(home, items, split, (unknown, silence), draws[split])]
    return gather(items, plan)


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    return any((folder / word).is_dir() for word in COMMANDS)


def split_of(name: str) -> str:
    """The split of a file by the hash of its speaker, as the publisher made the lists.

    >>> split_of("0a7c2a8d_nohash_0.wav") == split_of("0a7c2a8d_nohash_3.wav")
    True
    """
    speaker = Path(name).name.split("_nohash_")[0]
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % _HASHES
    percent = number * (100.0 / (_HASHES - 1))
    if percent < _DEV_PERCENT:
        return "dev"
    return "test" if percent < _DEV_PERCENT + _TEST_PERCENT else "train"


def _check(version: int, classes: int, unknown: float, silence: float) -> None:
    if version not in WORDS:
        raise ConfigError(f"version must be 1 or 2; got {version}")
    if classes not in (12, WORDS[version]):
        raise ConfigError(f"classes must be 12 or {WORDS[version]} in version {version}; got {classes}")
    for name, share in (("unknown", unknown), ("silence", silence)):
        if not 0 <= share < math.inf:
            raise ConfigError(f"{name} is a share of the ten commands, 0 or more; got {share}")


def _check_words(home: Path, version: int) -> None:
    """Makes sure that a folder holds the version asked for: the second has words that the first has not."""
    there = 2 if any((home / word).is_dir() for word in NEW_WORDS) else 1
    if there != version:
        raise DataError(f"{home}: has the words of version {there}; give --version {there}, or another --root")


def _items(home: Path) -> Iterator[Item]:
    """Every word, in the order of the names."""
    listed = _listed(home)
    for folder in sorted(path for path in home.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))):
        for audio in sorted(folder.glob("*.wav")):
            name, word = f"{folder.name}/{audio.name}", folder.name
            split = listed.get(name, "train") if listed else split_of(audio.name)
            speaker = audio.name.split("_nohash_")[0]
            yield Item(f"{word}-{audio.stem}", audio, split, (word,), word, speaker)


def _listed(home: Path) -> dict[str, str]:
    """File -> split, by the two lists; empty unless both are there."""
    lists = {split: home / name for split, name in LISTS.items()}
    if not all(path.is_file() for path in lists.values()):
        return {}
    return {line: split for split, path in lists.items() for line in path.read_text(encoding="utf-8").split()}


def _twelve(
    home: Path, items: Sequence[Item], split: str, shares: tuple[float, float], rng: np.random.Generator
) -> list[Item]:
    """The commands of a split, some other words as one class, and pieces of noise as another."""
    here = [one for one in items if one.split == split]
    commands = [one for one in here if one.text in COMMANDS]
    others = [one for one in here if one.text not in COMMANDS]
    unknown, silence = (math.ceil(len(commands) * share) for share in shares)
    chosen = rng.permutation(len(others))[:unknown]
    words = [replace(others[index], pinyin=(UNKNOWN,)) for index in sorted(chosen)]
    return commands + words + _silence(home / NOISE, split, silence, rng)


def _silence(folder: Path, split: str, count: int, rng: np.random.Generator) -> list[Item]:
    """Seconds out of the noise, each split from a part of its own of every file: 80, 10 and 10 %."""
    if not count:
        return []
    files = sorted(folder.glob("*.wav"))
    if not files:
        raise DataError(f"{folder}: no noise to cut the class {SILENCE} from; unpack it again, or give --silence 0")
    first, last = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}[split]
    lengths = [duration(file) for file in files]
    pieces = []
    for number in range(count):
        index = int(rng.integers(len(files)))
        start = rng.uniform(first * lengths[index], max(first * lengths[index], last * lengths[index] - 1.0))
        name = f"{SILENCE}-{split}-{number:05d}"
        seconds = min(1.0, lengths[index] - start)
        pieces.append(Item(name, files[index], split, (SILENCE,), start=round(float(start), 3), seconds=seconds))
    return pieces
