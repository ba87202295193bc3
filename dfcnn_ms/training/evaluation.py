"""How a network does on a set of utterances: edits, and what its output looks like; shared out over the workers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dfcnn_ms.decoding.greedy import decode_greedy_batch
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.models.acoustic import Acoustic
from dfcnn_ms.text.vocabulary import BLANK_ID, Vocabulary
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.workers import Workers


@dataclass(frozen=True)
class Output:
    """What a network wrote on a whole set, in numbers that can be added up.

    Attributes:
        edits: against the references.
        steps: output steps.
        blanks: steps at which the blank was likeliest.
        emitted: syllables written.
        entropy: summed over steps, in nats.
    """

    edits: Edits = field(default_factory=Edits)
    steps: int = 0
    blanks: int = 0
    emitted: int = 0
    entropy: float = 0.0

    def __add__(self, other: Output) -> Output:
        return Output(
            self.edits + other.edits,
            self.steps + other.steps,
            self.blanks + other.blanks,
            self.emitted + other.emitted,
            self.entropy + other.entropy,
        )

    def to_numbers(self) -> list[float]:
        """All counts in one row, for a sum over workers."""
        counted = self.edits
        return [
            counted.substitutions, counted.deletions, counted.insertions, counted.reference_length, counted.utterances,
            self.steps, self.blanks, self.emitted, self.entropy,
        ]  # fmt: skip

    @classmethod
    def from_numbers(cls, numbers: list[float]) -> Output:
        """The inverse of :meth:`to_numbers`."""
        *counts, entropy = numbers
        whole = [round(count) for count in counts]
        steps, blanks, emitted = whole[5:]
        return cls(Edits(*whole[:5]), steps, blanks, emitted, entropy)


def measure(acoustic: Acoustic, source: BatchSource, vocabulary: Vocabulary, workers: Workers) -> Output:
    """Reads every utterance of ``source`` once, decodes it greedily and counts; each worker reads its share."""
    total = Output()
    for batch in source.plan()[workers.rank :: workers.count]:
        features, _, lengths, _ = source.arrays(batch)
        log_probs, steps = acoustic(features, lengths)
        hypotheses = decode_greedy_batch(log_probs, steps)
        for row, index in enumerate(batch.indices):
            written = vocabulary.decode(hypotheses[row].ids)
            said = source.corpus.utterances[index].pinyin
            total += describe(log_probs[row, : steps[row]], edits(said, written), len(written))
    return Output.from_numbers(workers.sum(total.to_numbers()))


def describe(log_probs: np.ndarray, counted: Edits, emitted: int) -> Output:
    """The numbers of one utterance from its log-probabilities (U, V)."""
    blanks = int((log_probs.argmax(axis=1) == BLANK_ID).sum())
    entropy = -float((np.exp(log_probs) * log_probs).sum())
    return Output(counted, len(log_probs), blanks, emitted, entropy)
