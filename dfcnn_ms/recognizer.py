"""From sound to syllables, the whole chain on one screen.

>>> from dfcnn_ms import Recognizer
>>> recognizer = Recognizer.load("dfcnn.ckpt")  # doctest: +SKIP
>>> recognizer.transcribe("a.wav").text  # doctest: +SKIP
'san1 ling2 ba1 ba1'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.decoding.greedy import Hypothesis, decode_greedy_batch
from dfcnn_ms.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dfcnn_ms.training.checkpoint import Meta

#: features (B, 1, T, F) and lengths (B,) -> log-probabilities (B, U, V) and steps (B,)
Acoustics = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: frames are padded to a multiple of this, so that few shapes occur
PAD_FRAMES = 32
#: shortest input in frames: even the deepest pooling leaves one step
MIN_FRAMES = 32


@dataclass(frozen=True)
class Transcript:
    """What was heard in one recording.

    Attributes:
        syllables: toned pinyin.
        seconds: when each syllable was first heard.
        confidences: probability of each syllable at its most certain step, 0 to 1.
        log_prob: of the path that was decoded.
    """

    syllables: tuple[str, ...]
    seconds: tuple[float, ...]
    confidences: tuple[float, ...]
    log_prob: float

    @property
    def text(self) -> str:
        """The syllables joined by blanks."""
        return " ".join(self.syllables)


class Recognizer:
    """A trained network with everything it needs to listen.

    Args:
        acoustics: the network.
        frontend: samples -> features.
        vocabulary: the units of the outputs.
        meta: of the checkpoint it came from, or None.
    """

    def __init__(
        self, acoustics: Acoustics, frontend: Frontend, vocabulary: Vocabulary, meta: Meta | None = None
    ) -> None:
        self.acoustics = acoustics
        self.frontend = frontend
        self.vocabulary = vocabulary
        self.meta = meta

    @classmethod
    def load(cls, path: str | Path, device_target: str = "auto") -> Recognizer:
        """Opens a checkpoint of ``dfcnn_ms.train``; nothing else is needed, wherever the file lies."""
        from dfcnn_ms.models import build
        from dfcnn_ms.models.acoustic import Acoustic
        from dfcnn_ms.training import checkpoint, runtime

        stored = checkpoint.load(path)
        meta = stored.meta
        runtime.use_device(device_target)
        runtime.use_mode("pynative")  # every file has its own length: compiling for each would cost seconds
        network = build(meta.config.model, num_bins=meta.config.features.num_bins, num_units=len(meta.vocabulary))
        stored.load_into(network)
        frontend = Frontend(meta.config.features, meta.config.cmvn, meta.cmvn)
        return cls(Acoustic(network), frontend, meta.vocabulary, meta)

    def transcribe(self, path: str | Path) -> Transcript:
        """Listens to one file."""
        return self.hear([read_wave(path)])[0]

    def hear(self, waves: Sequence[np.ndarray]) -> list[Transcript]:
        """Listens to samples (N,) at 16 kHz, all in one batch; each is heard as if it were alone."""
        return self.read([self.frontend(wave) for wave in waves])

    def read(self, features: Sequence[np.ndarray]) -> list[Transcript]:
        """Reads features (T, F), all in one batch."""
        batch, lengths = stack(features)
        log_probs, steps = self.acoustics(batch, lengths)
        seconds_per_step = self._seconds_per_step(batch.shape[2], log_probs.shape[1])
        return [self._transcript(hypothesis, seconds_per_step) for hypothesis in decode_greedy_batch(log_probs, steps)]

    def _seconds_per_step(self, frames: int, steps: int) -> float:
        """One output step in seconds: the nearest whole number of frames."""
        return max(1, round(frames / max(1, steps))) * self.frontend.features.hop_ms / 1000

    def _transcript(self, hypothesis: Hypothesis, seconds_per_step: float) -> Transcript:
        return Transcript(
            syllables=tuple(self.vocabulary.decode(hypothesis.ids)),
            seconds=tuple(round(step * seconds_per_step, 3) for step in hypothesis.steps),
            confidences=hypothesis.confidences,
            log_prob=hypothesis.log_prob,
        )


def stack(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, F) of different lengths -> one batch (B, 1, T', F), zero after each end, and lengths (B,)."""
    lengths = np.array([len(one) for one in features], np.int32)
    frames = math.ceil(max(MIN_FRAMES, lengths.max()) / PAD_FRAMES) * PAD_FRAMES
    batch = np.zeros((len(features), 1, frames, features[0].shape[1]), np.float32)
    for row, one in enumerate(features):
        batch[row, 0, : len(one)] = one
    return batch, lengths


def by_length(lengths: Sequence[float], batch_size: int) -> Iterator[list[int]]:
    """Positions in batches of like length, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
