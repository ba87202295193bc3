"""From sound to syllables, the whole chain on one screen.

>>> from dfcnn_ms import Recognizer
>>> recognizer = Recognizer.load("dfcnn.ckpt")  # doctest: +SKIP
>>> recognizer.transcribe("a.wav").text  # doctest: +SKIP
'san1 ling2 ba1 ba1'
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from dfcnn_ms import plugins
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import duration, read_wave
from dfcnn_ms.decoding import DECODERS, Decoder, Hypothesis
from dfcnn_ms.decoding.boundaries import Sound
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.confidence import sentence_confidence
from dfcnn_ms.decoding.options import Chosen, decoders
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.models import Network
from dfcnn_ms.runtime import Acoustics
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.tasks import Ctc, Task
from dfcnn_ms.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dfcnn_ms.decoding.align import Alignment
    from dfcnn_ms.decoding.hanzi import HanziModel, Sentence
    from dfcnn_ms.runtime.meta import Meta

#: frames are padded to a multiple of this, so that few shapes occur
PAD_FRAMES = 32
#: no network that can be used wants more frames for its first step
MOST_FRAMES = 1 << 20
#: most recordings heard at once, and most seconds of them, padding included: memory grows with both
BATCH_SIZE, BATCH_SECONDS = 16, 240.0
#: how much of the decoder's language model counts beside that of the characters, and how much these do
LANGUAGE_SHARE, CHARACTERS_SHARE = 0.5, 0.5


@dataclass(frozen=True)
class Alternative:
    """What else may have been said in a recording.

    Attributes:
        syllables: toned pinyin, or whatever units the network writes.
        confidence: probability of the whole.
        log_prob: acoustic, natural logarithm.
        score: what it was ranked by: `log_prob`, and what a language model, hotwords, and its characters add.
    """

    syllables: tuple[str, ...]
    confidence: float
    log_prob: float
    score: float

    @property
    def text(self) -> str:
        """The syllables joined by blanks."""
        return " ".join(self.syllables)


@dataclass(frozen=True)
class Transcript(Alternative):
    """What was heard in one recording.

    Attributes:
        starts, ends: when each syllable begins and ends, in seconds.
        confidences: probability of each syllable at its most certain step, 0 to 1, calibrated where the checkpoint
            says how.
        sentence: the Chinese text, which had a say in what was heard; None where the recognizer has no model for it.
        alternatives: what else it may have been, best first, as far as more was asked for.
    """

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    confidences: tuple[float, ...]
    sentence: Sentence | None = None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def seconds(self) -> tuple[float, ...]:
        """The former name of `starts`, for programs that use it."""
        return self.starts

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
    """

    features: Sequence[np.ndarray]
    log_probs: np.ndarray
    steps: np.ndarray

    def of(self, row: int) -> np.ndarray:
        """Log-probabilities (U, V) of the utterance in a row."""
        return self.log_probs[row, : self.steps[row]]


class Recognizer:
    """A trained network with everything it needs to listen.

    Args:
        acoustics: the network in use.
        frontend: samples -> features.
        vocabulary: the units of the outputs.
        network: the network as a value, which knows where its output steps lie.
        task: what its outputs mean; sentences by CTC unless it says otherwise.
        meta: what its file says about it, or None.
        decoder: log-probabilities -> hypotheses; by default the first of :data:`dfcnn_ms.decoding.DECODERS` that fits.
        hanzi: syllables -> Chinese text, where that is wanted; it chooses among what the decoder believes.
        shown: how many hypotheses a transcript has; None: all that the decoder gives.
        device: where it runs, for people.
    """

    def __init__(
        self,
        acoustics: Acoustics,
        frontend: Frontend,
        vocabulary: Vocabulary,
        network: Network,
        *,
        task: Task | None = None,
        meta: Meta | None = None,
        decoder: Decoder | None = None,
        hanzi: HanziModel | None = None,
        shown: int | None = None,
        device: str = "CPU",
    ) -> None:
        self.acoustics = acoustics
        self.frontend = frontend
        self.vocabulary = vocabulary
        self.network = network
        self.task = task or Ctc()
        self.meta = meta
        self.decoder = decoder or next(make() for make in DECODERS.values() if make.reads == self.task.outputs)
        self.hanzi = hanzi
        self.shown = shown
        self.device = device

    def use(self, choice: Choice) -> None:
        """Listens from now on as the flags say.

        Raises:
            ConfigError, DataError: they cannot be meant of this network.
        """
        self.decoder = self.decoders(choice).decoder
        self.hanzi, self.shown = choice.load_hanzi(), choice.nbest

    def decoders(self, choice: Choice) -> Chosen:
        """Every decoder that the flags allow, with what its file says about decoding.

        Raises:
            ConfigError, DataError: as :meth:`use`.
        """
        stored = self.meta.decoding if self.meta else {}
        return decoders(choice, self.vocabulary, stored, self.task.outputs)

    @property
    def temperature(self) -> float:
        """By which confidences are calibrated: the checkpoint's, or 1, which leaves them as the network says."""
        return self.meta.decoding.get("temperature", 1.0) if self.meta else 1.0

    @property
    def labels(self) -> str:
        """How a manifest must be read for this network, a value of ``data.labels``."""
        return self.meta.config.data.labels if self.meta else "pinyin"

    @property
    def unit(self) -> str:
        """What a unit of its labels is called."""
        return self.task.unit_of(self.labels)

    @classmethod
    def load(cls, path: str | Path, device_target: str = "auto") -> Recognizer:
        """Opens what ``dfcnn_ms.train`` wrote, or any file of :data:`dfcnn_ms.runtime.LOADERS`, wherever it lies."""
        plugins.load_installed()
        loaded = loader_of(path).load(Path(path), device_target)
        meta, config = loaded.meta, loaded.meta.config
        frontend = Frontend(config.features, config.cmvn, meta.cmvn)
        return cls(
            loaded.acoustics,
            frontend,
            meta.vocabulary,
            config.model,
            task=config.task,
            meta=meta,
            device=loaded.device,
        )

    def transcribe(self, path: str | Path) -> Transcript:
        """Listens to one file, whole or, if it is long, from pause to pause."""
        from dfcnn_ms.streaming import recordings  # which listens with a recognizer

        if recordings.is_long(self, duration(path)):
            return recordings.transcript(self, path)
        return self.hear([read_wave(path)])[0]

    def hear(self, waves: Sequence[np.ndarray]) -> list[Transcript]:
        """Listens to samples (N,) at 16 kHz, all in one batch; each is heard as if it were alone."""
        return self.read([self.frontend(wave) for wave in waves])

    def hear_each(self, waves: Sequence[np.ndarray]) -> list[Transcript | DataError]:
        """As :meth:`hear`, with the reason in the place of each that cannot be heard."""
        try:
            return [*self.hear(waves)] if waves else []
        except DataError as error:  # one of them; which one is found by hearing each alone
            return [error] if len(waves) == 1 else [self.hear_each([wave])[0] for wave in waves]

    def read(self, features: Sequence[np.ndarray]) -> list[Transcript]:
        """Reads features (T, F), all in one batch."""
        outputs = self.outputs(features)
        found = self.decoder(outputs.log_probs, outputs.steps)
        return [self.transcript_of(outputs, row, nbest) for row, nbest in enumerate(found)]

    def outputs(self, features: Sequence[np.ndarray]) -> Outputs:
        """What the network says about features (T, F), all in one batch."""
        batch, lengths = stack(features, self.least_frames)
        return Outputs(features, *self.acoustics(batch, lengths))

    @cached_property
    def least_frames(self) -> int:
        """The shortest batch, in frames, that leaves the network one step.

        Raises:
            ConfigError: there is none.
        """
        wanted = PAD_FRAMES
        while self.network.output_lengths(wanted) < 1:
            wanted += PAD_FRAMES
            if wanted > MOST_FRAMES:
                raise ConfigError(f"{type(self.network).__name__}: has no output step however long the input is")
        return wanted

    def sound(self, features: np.ndarray) -> Sound:
        """Features (T, F) with the clock of their frames and of the network's steps."""
        kind, network = self.frontend.features, self.network
        step_frames = network.frames_per_step or len(features)
        return Sound(features, kind.hop_ms / 1000, kind.window_ms / 1000, step_frames, network.first_frame)

    def sentence(self, one: Hypothesis) -> Sentence | None:
        """The Chinese text of what may have been said; None without a model for it."""
        return None if self.hanzi is None else self.hanzi.decode([(self.vocabulary.decode(one.ids), 0.0)])[0]

    def written(self, nbest: Sequence[Hypothesis]) -> list[tuple[Hypothesis, Sentence | None]]:
        """Hypotheses with their Chinese texts, the likeliest pair first; as they are where there is nothing to choose.

        The model of the characters is a language model too. What the decoder had counts less beside it: otherwise what
        both of them know would count twice.
        """
        pairs = [(one, self.sentence(one)) for one in nbest]
        if self.hanzi is None or len(pairs) == 1:
            return pairs
        return sorted(map(_weighed, pairs), key=lambda pair: -pair[0].score)

    def aligned(self, outputs: Outputs, row: int, ids: Sequence[int]) -> Alignment:
        """Where each unit of a text lies in the outputs of the utterance in a row."""
        return self.task.align(outputs.of(row), ids)

    def times(self, outputs: Outputs, row: int, alignment: Alignment) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """When each unit of an aligned text begins and ends, in seconds."""
        starts, ends = self.task.times(alignment, self.sound(outputs.features[row]))
        return tuple(starts.round(3).tolist()), tuple(ends.round(3).tolist())

    def transcript_of(self, outputs: Outputs, row: int, nbest: Sequence[Hypothesis]) -> Transcript:
        """The best hypothesis with the times and the confidence of each syllable, and the others."""
        (best, sentence), *others = self.written(nbest)[: self.shown]
        alignment = self.aligned(outputs, row, best.ids)
        starts, ends = self.times(outputs, row, alignment)
        sure = self.task.confidences(outputs.of(row), alignment, self.temperature)
        return Transcript(
            syllables=tuple(self.vocabulary.decode(best.ids)),
            confidence=sentence_confidence(sure),
            log_prob=best.log_prob,
            score=best.score,
            starts=starts,
            ends=ends,
            confidences=sure,
            sentence=sentence,
            alternatives=tuple(self._alternative(outputs, row, one) for one, _ in others),
        )

    def _alternative(self, outputs: Outputs, row: int, one: Hypothesis) -> Alternative:
        sure = self.task.confidences(outputs.of(row), self.aligned(outputs, row, one.ids), self.temperature)
        return Alternative(tuple(self.vocabulary.decode(one.ids)), sentence_confidence(sure), one.log_prob, one.score)


def _weighed(pair: tuple[Hypothesis, Sentence | None]) -> tuple[Hypothesis, Sentence | None]:
    one, sentence = pair
    assert sentence is not None
    once = one.score - (1 - LANGUAGE_SHARE) * one.language_score
    return replace(one, score=once + CHARACTERS_SHARE * sentence.score), sentence


def stack(features: Sequence[np.ndarray], least_frames: int = PAD_FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, F) of different lengths -> one batch (B, 1, T', F), zero after each end, and lengths (B,)."""
    lengths = np.array([len(one) for one in features], np.int32)
    frames = math.ceil(max(least_frames, lengths.max()) / PAD_FRAMES) * PAD_FRAMES
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


def batches(seconds: Sequence[float], unit: str = "utt", name: str | None = None) -> Iterator[list[int]]:
    """The batches of :func:`by_length`, with a progress bar in a terminal.

    Args:
        seconds: of each recording.
        unit: what a recording is called beside the bar.
        name: stands before the bar.
    """
    with tqdm(total=len(seconds), desc=name, unit=unit, disable=None, leave=False) as bar:
        for batch in by_length(seconds):
            yield batch
            bar.update(len(batch))
