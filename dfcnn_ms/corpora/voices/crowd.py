"""The voices of the package ttskit: a Tacotron 2 that learned from two dozen speakers makes spectrograms of symbols.

ttskit is a wheel with two networks in files of PyTorch, which is not needed: they are read and computed here, the
spectrogram in NumPy and its sound, by a MelGAN, with ONNX Runtime. The speakers are quick and each has a manner of
their own; `people` makes others of them. Where the network loses its place in a sentence, it is asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.corpora.voices import people, praat
from dfcnn_ms.corpora.voices.spoken import Array, Frames, Prosody, Rhythm, at_16_khz, sound_of, stretched
from dfcnn_ms.corpora.voices.tacotron import Spoken, Tacotron
from dfcnn_ms.corpora.voices.torch_file import read_weights
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.text.pinyin import split as parts_of

RATE = 22_050
FRAME = 256
FRAMES_PER_SECOND = RATE / FRAME
#: who speaks in which split, with the median of their pitch in Hz; the names are what the network knows them by
SPEAKERS: dict[str, dict[str, float]] = {
    "train": {
        **{"Aibao": 291.0, "Aicheng": 127.0, "Aijia": 250.0, "Aijing": 219.0, "Aimei": 279.0, "Aina": 257.0},
        **{"Aiqi": 282.0, "Aiwei": 326.0, "Aixia": 241.0, "Aiya": 228.0, "Aiyu": 233.0, "Xiaomeng": 294.0},
        **{"Xiaoyun": 142.0, "biaobei": 277.0},
    },
    "dev": {"Aiyue": 214.0, "Xiaobei": 326.0},
    "test": {"Aida": 137.0, "Aitong": 376.0, "Xiaoxue": 222.0},
}
#: share of the sentences whose speaker lies between two of the split, and how far from either at least
BETWEEN_TWO, APART = 0.5, 0.25
#: who says what is left as it is, before the name of the split
THEMSELVES = "ttskit"
#: one of so many utterances is said by themselves
THEIR_SHARE = 3
#: readings of a sentence that are tried before it is given up, and how many of them by one speaker
TRIES, EACH_TRIES = 18, 3
#: least and most frames of a syllable; what has others was passed over, or stuttered
FRAMES = (3, 60)

_IN_ORDER = (
    "_ ~ - aa b c ch d ee f g h ii j k l m n oo p q r s sh t uu vv x z zh "
    "a ai an ang ao e ei en eng er i ia ian iang iao ie in ing iong iu ix iy iz o ong ou u ua uai uan uang ueng ui un "
    "uo v van ve vn ng uong 1 2 3 4 5"
)
#: the symbols of the network in the order of their numbers
SYMBOLS = tuple(_IN_ORDER.split())
#: the number of the full stop
STOP = 130
END, AFTER, BETWEEN = "~", "_", "-"
#: symbols of a syllable: initial, final, tone, and what is between syllables
EACH = 4
#: finals that have another name there
FINALS = {"iou": "iu", "uei": "ui", "uen": "un", "io": "o"}
#: initials after which an i is a buzz -> that buzz
BUZZES = {"z": "iy", "c": "iy", "s": "iy", "zh": "ix", "ch": "ix", "sh": "ix", "r": "iz"}


class Reader(Protocol):
    """What reads symbols aloud; tests have a simpler one."""

    def read(self, symbols: NDArray[np.int64], speaker: Array, rng: np.random.Generator) -> Spoken:
        """Symbols (N,) as a spectrogram."""

    def sound(self, spectrogram: Frames) -> Array:
        """A spectrogram (T, 80) as samples (256 T,) at 22,050 Hz."""


@dataclass(frozen=True)
class CrowdVoice:
    """The speakers of ttskit and the people made of them.

    Attributes:
        reader, changer: give what speaks, and what makes other people of it, when they are needed; ttskit and Praat if
            not given.
        rhythm: how the length of syllables is varied.
    """

    reader: Callable[[], Reader] | None = None
    changer: Callable[[], people.Changer] | None = None
    rhythm: Rhythm = Rhythm(spread=0.1)  # noqa: RUF009 (a frozen value)

    def check(self) -> None:
        folder()
        praat.check()

    def speakers(self, split: str) -> Sequence[str]:
        return speakers(split)

    def say(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> Array:
        spectrogram, _, who = self._spoken(pinyin, speaker, prosody, rng)
        wave = sound_of(self.reader or ttskit, spectrogram)
        if not speaker.startswith(THEMSELVES):
            person = people.by_name()[speaker]
            source = people.Source.of(who).bearing(person)
            changer = (self.changer or praat.of_this_process)()
            wave = people.changed(wave, RATE, person, prosody, changer, rng, source)
        return at_16_khz(wave, RATE)

    def edges(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> list[float]:
        _, starts, _ = self._spoken(pinyin, speaker, prosody, rng)
        return [float(start / FRAMES_PER_SECOND) for start in starts]

    def _spoken(
        self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator
    ) -> tuple[Frames, NDArray[np.int64], float]:
        """A spectrogram (T, 80) in another rhythm, the frames of its syllables (L+1,), and the pitch of who speaks."""
        factors = self.rhythm.draw(len(pinyin), rng) * 180 / prosody.rate
        seed = int(rng.integers(2**32))
        spectrogram, starts, who = _reading(self.reader or ttskit, tuple(pinyin), _splits()[speaker], seed)
        return *stretched(spectrogram, starts, factors), who.median_hz


@dataclass(frozen=True)
class Speaker:
    """Somebody whom the network can imitate.

    Attributes:
        names: one that it knows, or two.
        share: of the first.
    """

    names: tuple[str, ...]
    share: float = 1.0

    @property
    def vector(self) -> Array:
        """What the network is told, (32,)."""
        first, last = vector(self.names[0]), vector(self.names[-1])
        return self.share * first + (1 - self.share) * last

    @property
    def median_hz(self) -> float:
        """The usual median of the pitch."""
        known = {name: hz for group in SPEAKERS.values() for name, hz in group.items()}
        first, last = known[self.names[0]], known[self.names[-1]]
        return float(first**self.share * last ** (1 - self.share))


def somebody(split: str, rng: np.random.Generator) -> Speaker:
    """One of the speakers of a split, or somebody between two of them."""
    one, other = (str(name) for name in rng.choice([*SPEAKERS[split]], 2, replace=False))
    share, alone = float(rng.uniform(APART, 1 - APART)), rng.random() >= BETWEEN_TWO
    return Speaker((one,)) if alone else Speaker((one, other), share)


def vector(name: str) -> Array:
    """What stands for a name: the digits of a sum of it, as the network was taught."""
    digits = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return (np.array([int(digit, 16) for digit in digits]) - 7) / 10


@lru_cache(maxsize=len(people.COUNTS))
def speakers(split: str) -> tuple[str, ...]:
    """The people of a split, and the speakers themselves after every so many of them; in each split by another name."""
    return people.taking_turns(split, f"{THEMSELVES}-{split}", THEIR_SHARE)


@lru_cache(maxsize=1)
def _splits() -> dict[str, str]:
    return {name: split for split in people.COUNTS for name in speakers(split)}


def symbols(pinyin: Sequence[str]) -> NDArray[np.int64]:
    """The numbers of the symbols of syllables, four for each, then a full stop and the end."""
    numbers = {symbol: number for number, symbol in enumerate(SYMBOLS)}
    said = [numbers[symbol] for syllable in pinyin for symbol in (*_parts(syllable), BETWEEN)]
    return np.array([*said, STOP, numbers[BETWEEN], numbers[END], numbers[AFTER]], np.int64)


def _parts(syllable: str) -> tuple[str, str, str]:
    """Initial, final and tone. A syllable that begins with a vowel has that twice for an initial.

    >>> _parts("you3"), _parts("zhi1")
    (('ii', 'iu', '3'), ('zh', 'ix', '1'))
    """
    initial, final, tone = parts_of(syllable)
    final = "en" if final in ("m", "n", "ng") else final
    ours = BUZZES[initial] if final == "i" and initial in BUZZES else FINALS.get(final, final)
    return initial or 2 * final[0], ours, str(tone)


def starts_of(spoken: Spoken, syllables: int) -> NDArray[np.int64] | None:
    """The frames at which syllables begin, and where the last ends (L+1,); nothing if one was lost or stuttered."""
    began = int(np.argmax(spoken.looked_at < EACH))  # before that it may look at the silence of the end
    furthest = np.maximum.accumulate(np.where(np.arange(len(spoken.looked_at)) < began, 0, spoken.looked_at))
    if not spoken.ended or furthest[-1] < EACH * syllables:
        return None
    starts = np.searchsorted(furthest, EACH * np.arange(syllables + 1))
    lengths = np.diff(starts)
    return starts if FRAMES[0] <= lengths.min() and lengths.max() <= FRAMES[1] else None


@lru_cache(maxsize=1)
def _reading(
    reader: Callable[[], Reader], pinyin: tuple[str, ...], split: str, seed: int
) -> tuple[Frames, NDArray[np.int64], Speaker]:
    """A sentence as a spectrogram, the frames of its syllables, and who of a split says it.

    The last is kept, for who is made of the same.

    Raises:
        DataError: the network lost its place in every reading.
    """
    rng, said = np.random.default_rng(seed), symbols(pinyin)
    who = somebody(split, rng)
    for number in range(TRIES):
        if number and number % EACH_TRIES == 0:
            who = somebody(split, rng)
        spoken = reader().read(said, who.vector, rng)
        starts = starts_of(spoken, len(pinyin))
        if starts is not None:
            return spoken.spectrogram, starts, who
    raise DataError(f"the voices of ttskit cannot say {' '.join(pinyin)!r}; leave it out, or use another seed")


class Ttskit:
    """The two networks of ttskit.

    Raises:
        DeviceError: the package is missing.
    """

    def __init__(self) -> None:
        from dfcnn_ms.corpora.voices.melgan import MelGan  # with it comes onnxruntime

        assets = folder()
        self._read = Tacotron(read_weights(assets / "mellotron.kuangdd-mspk.pt"))
        self._sound = MelGan(read_weights(assets / "melgan.kuangdd.pt"))

    def read(self, symbols: NDArray[np.int64], speaker: Array, rng: np.random.Generator) -> Spoken:
        return self._read(symbols, speaker.astype(np.float32), rng)

    def sound(self, spectrogram: Frames) -> Array:
        return self._sound(spectrogram).astype(np.float64)


@lru_cache(maxsize=1)
def ttskit() -> Reader:
    """The networks of this process."""
    return Ttskit()


def folder() -> Path:
    """Where the networks are.

    Raises:
        DeviceError: the package is missing.
    """
    package = find_spec("ttskit")  # ttskit itself wants PyTorch
    if package is None or package.origin is None:
        raise DeviceError(
            "the voices of ttskit are not installed; run: pip install --no-deps ttskit==0.3.8 (without --no-deps it"
            " brings a web server and more, which are not used)"
        )
    return Path(package.origin).parent / "resource" / "model"
