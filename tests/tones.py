"""A language of pure tones and a recognizer that understands it: known sound, known syllables, no MindSpore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.decoding.hanzi import Sentence
from dfcnn_ms.models import Network
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.tasks import Classify
from dfcnn_ms.text.vocabulary import Vocabulary

RATE = 16_000
HERTZ = {"yi1": 400.0, "er4": 800.0, "san1": 1600.0, "si4": 3200.0}
VOCABULARY = Vocabulary(tuple(HERTZ))
#: seconds of a syllable and of the silence before each and after the last
TONE, PAUSE = 0.2, 0.1


def wave(said: str) -> np.ndarray:
    """Samples (N,) of some syllables."""
    time = np.arange(round(TONE * RATE)) / RATE
    silence = np.zeros(round(PAUSE * RATE))
    pieces = [part for unit in said.split() for part in (silence, 0.3 * np.sin(2 * np.pi * HERTZ[unit] * time))]
    noise = 1e-4 * np.random.default_rng(0).standard_normal(10 * RATE)
    clean = np.concatenate([*pieces, silence])
    return (clean + noise[: len(clean)]).astype(np.float32)


def speak(path: Path, said: str) -> Path:
    """A sound file in which something is said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wave(path, wave(said))
    return path


@dataclass(frozen=True)
class Strided(Network):
    """A network without MindSpore, as a value: a step for so many whole frames."""

    frames_per_step: int | None = 2

    def output_lengths(self, frames: Any) -> Any:
        return frames // self.frames_per_step

    def build(self, *, num_bins: int, num_units: int) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Tones(Strided):
    """`Ear` as a value: a step for every second frame, the first of them included."""

    def output_lengths(self, frames: Any) -> Any:
        return (frames + 1) // 2


@dataclass(frozen=True)
class Whole(Strided):
    """`Loudest` as a value: a single step for the whole clip."""

    frames_per_step: int | None = None

    def output_lengths(self, frames: Any) -> Any:
        return np.minimum(frames, 1)


class Ear:
    """The network in use: at every second frame, whose tone is the loudest, and the blank where nothing is loud.

    `calls` counts how often it was asked.
    """

    def __init__(self, frontend: Frontend) -> None:
        self.calls = 0
        tones = [frontend(wave(unit)) for unit in HERTZ]
        self.bins = [int(features.mean(axis=0).argmax()) for features in tones]
        self.loud = min(features.max() for features in tones) - 3.0

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        heard = features[:, 0, ::2][..., self.bins]  # (B, U, units)
        blank, unknown = np.full_like(heard[..., :1], self.loud), np.full_like(heard[..., :1], -40.0)
        scores = np.concatenate([blank, unknown, heard], axis=-1)
        return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True), (lengths + 1) // 2


class Loudest:
    """The network of whole clips: which tone is heard the most."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heard = np.logaddexp.reduce(self.ear(features, lengths)[0], axis=1, keepdims=True)  # (B, U, V) -> (B, 1, V)
        return heard - np.logaddexp.reduce(heard, axis=-1, keepdims=True), Whole().output_lengths(lengths)


@dataclass(frozen=True)
class Speller:
    """The writing of the language: one character for each syllable, which is one of e of them."""

    characters: str = "一二三四"

    def decode(self, nbest: Sequence[tuple[Sequence[str], float]], n: int = 1) -> list[Sentence]:
        """One sentence, whatever `n`."""
        syllables, log_prob = max(nbest, key=lambda one: one[1])
        units = tuple(dict(zip(HERTZ, self.characters, strict=True)).get(unit, unit) for unit in syllables)
        return [Sentence("".join(units), units, units, log_prob - len(units))]


def listener() -> Recognizer:
    """A recognizer of the language."""
    frontend = Frontend(LogMel(n_mels=20), cmvn="none")
    return Recognizer(Ear(frontend), frontend, VOCABULARY, Tones())


def classifier() -> Recognizer:
    """A recognizer of the one syllable that is said in a clip."""
    frontend = Frontend(LogMel(n_mels=20), cmvn="none")
    return Recognizer(Loudest(Ear(frontend)), frontend, VOCABULARY, Whole(), task=Classify())


def begins(said: Sequence[str]) -> list[float]:
    """When each syllable begins."""
    return [PAUSE + index * (TONE + PAUSE) for index in range(len(said))]
