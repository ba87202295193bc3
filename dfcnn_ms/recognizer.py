"""From sound to syllables, the whole chain on one screen.

>>> from dfcnn_ms import Recognizer
>>> recognizer = Recognizer.load("dfcnn.ckpt")  # doctest: +SKIP
>>> recognizer.transcribe("a.wav").text  # doctest: +SKIP
'san1 ling2 ba1 ba1'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.decoding import Decoder, Greedy, Hypothesis
from dfcnn_ms.decoding.align import align_ctc
from dfcnn_ms.decoding.boundaries import Sound, boundaries
from dfcnn_ms.decoding.confidence import sentence_confidence, syllable_confidences
from dfcnn_ms.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dfcnn_ms.decoding.hanzi import HanziModel, Sentence
    from dfcnn_ms.training.checkpoint import Meta

#: features (B, 1, T, F) and lengths (B,) -> log-probabilities (B, U, V) and steps (B,)
Acoustics = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: frames are padded to a multiple of this, so that few shapes occur
PAD_FRAMES = 32
#: shortest input in frames: even the deepest pooling leaves one step
MIN_FRAMES = 32
#: most recordings heard at once, and most seconds of them, padding included: memory grows with both
BATCH_SIZE, BATCH_SECONDS = 16, 240.0
#: how much of the decoder's language model counts when characters are chosen, by a language model of their own
LANGUAGE_SHARE = 0.5


@dataclass(frozen=True)
class Transcript:
    """What was heard in one recording.

    Attributes:
        syllables: toned pinyin.
        seconds, ends: when each syllable begins and ends.
        confidences: probability of each syllable at its most certain step, 0 to 1, calibrated where the checkpoint
            says how.
        confidence: probability of the whole.
        log_prob: acoustic, natural logarithm.
        score: what the decoder ranked by: `log_prob`, and what a language model and hotwords add.
        sentence: the Chinese text, chosen over all alternatives; None where the recognizer has no model for it.
        alternatives: what else it may have been, best first, as far as the decoder was asked for more.
    """

    syllables: tuple[str, ...]
    seconds: tuple[float, ...]
    ends: tuple[float, ...]
    confidences: tuple[float, ...]
    confidence: float
    log_prob: float
    score: float
    sentence: Sentence | None = None
    alternatives: tuple[Transcript, ...] = ()

    @property
    def text(self) -> str:
        """The syllables joined by blanks."""
        return " ".join(self.syllables)

    @property
    def characters(self) -> str | None:
        """The Chinese text, where there is one."""
        return self.sentence.text if self.sentence else None


@dataclass(frozen=True)
class Outputs:
    """What the network says about a batch, before anything is decoded.

    Attributes:
        features: what it received (T, F), one for each utterance.
        log_probs: of every unit at every step (B, U, V).
        steps: how many are each utterance's own (B,).
        seconds_per_step: from step to step.
    """

    features: Sequence[np.ndarray]
    log_probs: np.ndarray
    steps: np.ndarray
    seconds_per_step: float


class Recognizer:
    """A trained network with everything it needs to listen.

    Args:
        acoustics: the network.
        frontend: samples -> features.
        vocabulary: the units of the outputs.
        meta: of the checkpoint it came from, or None.
        decoder: log-probabilities -> hypotheses; any entry of :data:`dfcnn_ms.decoding.DECODERS`.
        hanzi: syllables -> Chinese text, where that is wanted.
    """

    def __init__(
        self,
        acoustics: Acoustics,
        frontend: Frontend,
        vocabulary: Vocabulary,
        meta: Meta | None = None,
        decoder: Decoder | None = None,
        hanzi: HanziModel | None = None,
    ) -> None:
        self.acoustics = acoustics
        self.frontend = frontend
        self.vocabulary = vocabulary
        self.meta = meta
        self.decoder = decoder or Greedy()
        self.hanzi = hanzi
        self.device = "CPU"

    @property
    def temperature(self) -> float:
        """By which confidences are calibrated: the checkpoint's, or 1, which leaves them as the network says."""
        return self.meta.decoding.get("temperature", 1.0) if self.meta else 1.0

    @property
    def labels(self) -> str:
        """How a manifest must be read for this network, a value of ``data.labels``."""
        return self.meta.config.data.labels if self.meta else "pinyin"

    @classmethod
    def load(cls, path: str | Path, device_target: str = "auto") -> Recognizer:
        """Opens a checkpoint of ``dfcnn_ms.train``; nothing else is needed, wherever the file lies."""
        from dfcnn_ms.models import build
        from dfcnn_ms.models.acoustic import Acoustic
        from dfcnn_ms.training import checkpoint, runtime

        stored = checkpoint.load(path)
        meta = stored.meta
        device = runtime.use_device(device_target)
        runtime.use_mode("pynative")  # every file has its own length: compiling for each would cost seconds
        network = build(meta.config.model, num_bins=meta.config.features.num_bins, num_units=len(meta.vocabulary))
        stored.load_into(network)
        frontend = Frontend(meta.config.features, meta.config.cmvn, meta.cmvn)
        recognizer = cls(Acoustic(network), frontend, meta.vocabulary, meta)
        recognizer.device = device
        return recognizer

    def transcribe(self, path: str | Path) -> Transcript:
        """Listens to one file."""
        return self.hear([read_wave(path)])[0]

    def hear(self, waves: Sequence[np.ndarray]) -> list[Transcript]:
        """Listens to samples (N,) at 16 kHz, all in one batch; each is heard as if it were alone."""
        return self.read([self.frontend(wave) for wave in waves])

    def read(self, features: Sequence[np.ndarray]) -> list[Transcript]:
        """Reads features (T, F), all in one batch."""
        outputs = self.outputs(features)
        found = self.decoder(outputs.log_probs, outputs.steps)
        return [self._transcript(outputs, row, nbest) for row, nbest in enumerate(found)]

    def outputs(self, features: Sequence[np.ndarray]) -> Outputs:
        """What the network says about features (T, F), all in one batch."""
        batch, lengths = stack(features)
        log_probs, steps = self.acoustics(batch, lengths)
        # One output step is the nearest whole number of frames.
        frames = max(1, round(batch.shape[2] / max(1, log_probs.shape[1])))
        return Outputs(features, log_probs, steps, frames * self.frontend.features.hop_ms / 1000)

    def sentence(self, nbest: Sequence[Hypothesis]) -> Sentence | None:
        """The Chinese text of what may have been said; None without a model for it.

        The model of the characters is a language model too. What the decoder had counts less beside it, lest what both
        of them know count twice.
        """
        if self.hanzi is None:
            return None
        twice = 1 - LANGUAGE_SHARE
        heard = [(self.vocabulary.decode(one.ids), one.score - twice * one.language_score) for one in nbest]
        return self.hanzi.decode(heard)[0]

    def _transcript(self, outputs: Outputs, row: int, nbest: Sequence[Hypothesis]) -> Transcript:
        best, *others = (self._heard(outputs, row, hypothesis) for hypothesis in nbest)
        return replace(best, sentence=self.sentence(nbest), alternatives=tuple(others))

    def _heard(self, outputs: Outputs, row: int, hypothesis: Hypothesis) -> Transcript:
        """One hypothesis with the times and the confidence of each syllable."""
        log_probs = outputs.log_probs[row, : outputs.steps[row]]  # (U, V)
        kind = self.frontend.features
        sound = Sound(outputs.features[row], kind.hop_ms / 1000, kind.window_ms / 1000, outputs.seconds_per_step)
        starts, ends = boundaries(align_ctc(log_probs, hypothesis.ids), sound)
        confidences = syllable_confidences(log_probs, hypothesis.ids, self.temperature)
        return Transcript(
            syllables=tuple(self.vocabulary.decode(hypothesis.ids)),
            seconds=tuple(starts.round(3).tolist()),
            ends=tuple(ends.round(3).tolist()),
            confidences=confidences,
            confidence=sentence_confidence(confidences),
            log_prob=hypothesis.log_prob,
            score=hypothesis.score,
        )


def stack(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, F) of different lengths -> one batch (B, 1, T', F), zero after each end, and lengths (B,)."""
    lengths = np.array([len(one) for one in features], np.int32)
    frames = math.ceil(max(MIN_FRAMES, lengths.max()) / PAD_FRAMES) * PAD_FRAMES
    batch = np.zeros((len(features), 1, frames, features[0].shape[1]), np.float32)
    for row, one in enumerate(features):
        batch[row, 0, : len(one)] = one
    return batch, lengths


def by_length(lengths: Sequence[float]) -> Iterator[list[int]]:
    """Positions of recordings, given their seconds, in batches of like length, so that little is padded."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if len(batch) == BATCH_SIZE or (batch and (len(batch) + 1) * lengths[index] > BATCH_SECONDS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
