"""espeak-ng's voices: 82 of its variants, each heard in one split only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.corpora.espeak import Espeak
from dfcnn_ms.corpora.voices.spoken import Array, Prosody, at_16_khz
from dfcnn_ms.errors import DataError


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


# Chosen by what `python benchmarks/voices.py` measures. Of the 104 variants of espeak-ng those are out that
# whisper or croak (less than 3/4 of the sound has a pitch), are garbled (less than 70 % of the syllables
# are most like the same syllable of the other voices), monotonous (tones 2 and 4 differ by less than two
# semitones), never the same twice (Reed and caleb draw from the C library's random numbers), or so deep and
# wide that espeak-ng crashes (rob). Many of the others are near copies of each other: no voice of dev or
# test is closer than 1.2 (root mean square difference of log mel spectra, in nepers of power) to a voice
# of another split.
VOICES = {
    "train": _names(
        "Andrea, anika, anikaRobot, f2, f4, f5, steph, steph2, steph3, Denis, Diogo, Gene, Gene2, Henrique, "
        "Hugo, Jacky, Marco, Mario, Michael, Mike, Mr serious, RicishayMax, RicishayMax2, RicishayMax3, "
        "adam, antonio, benjamin, david, edward, edward2, fast, gustave, ian, iven, iven2, iven3, iven4, "
        "klatt3, klatt4, klatt5, klatt6, m1, m3, m5, m6, m8, max, michel, miguel, mike2, pablo, paul, "
        "pedro, quincy, robert, robosoft, robosoft2, robosoft3, robosoft4, robosoft5, robosoft7, "
        "victor"
    ),
    "dev": _names("belinda, f1, Storm, john, m4, marcelo, norbert, sandro"),
    "test": _names("Annie, f3, grandma, linda, Andy, Nguyen, Tweaky, boris, ed, m2, m7, travis"),
}

# These speak at half the rate about as fast as the others at the whole.
FAST_VOICES = _names(
    "Andrea, RicishayMax2, RicishayMax3, anika, anikaRobot, antonio, pedro, robosoft, robosoft2, robosoft3, "
    "robosoft4, robosoft5, robosoft7"
)
FAST_PACE = 2.0


class EspeakVoice:
    """espeak-ng as a voice; what it says is a function of text, speaker and prosody."""

    def check(self) -> None:
        Espeak()

    def speakers(self, split: str) -> Sequence[str]:
        return VOICES[split]

    def say(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> Array:
        samples, _ = _said(pinyin, speaker, prosody)
        return at_16_khz(samples / 32768.0, espeak().sample_rate)

    def edges(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> list[float]:
        samples, starts = _said(pinyin, speaker, prosody)
        return [place / espeak().sample_rate for place in (*starts, len(samples))]


@lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The synthesiser of this process."""
    return Espeak()


def _said(pinyin: Sequence[str], speaker: str, prosody: Prosody) -> tuple[NDArray[np.int16], list[int]]:
    """What espeak-ng says, (N,) at its own sample rate, and the sample at which each syllable begins."""
    pace = FAST_PACE if speaker in FAST_VOICES else 1.0
    samples, starts = espeak().say_words(
        " ".join(pinyin),
        speaker,
        rate=max(80, round(prosody.rate / pace)),
        pitch=prosody.pitch,
        pitch_range=prosody.pitch_range,
    )
    if not samples.any():
        raise DataError(f"espeak-ng said nothing for {' '.join(pinyin)!r} in the voice {speaker!r}")
    return samples, starts
