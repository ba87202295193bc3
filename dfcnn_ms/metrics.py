"""Edits between what was said and what was written: counted first, divided last.

Example:
    >>> pairs = [(["ni3", "hao3"], ["ni3"]), (["a1"], ["a1", "o1"])]
    >>> corpus = sum((edits(said, written) for said, written in pairs), Edits())
    >>> corpus.deletions, corpus.insertions, corpus.reference_length, round(corpus.rate, 3)
    (1, 1, 3, 0.667)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from dfcnn_ms.errors import DataError


@dataclass(frozen=True)
class Edits:
    """How often a hypothesis left its reference; `Edits() + a + b` is the count of a corpus."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0
    utterances: int = 0

    def __add__(self, other: Edits) -> Edits:
        if not isinstance(other, Edits):
            return NotImplemented
        return Edits(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
            self.utterances + other.utterances,
        )

    @property
    def total(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits per unit of the reference.

        It exceeds 1 when more is inserted than was said. Without a reference it is 0 if nothing was
        inserted and infinite otherwise.
        """
        if self.reference_length:
            return self.total / self.reference_length
        return float("inf") if self.insertions else 0.0


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """The fewest edits that turn `reference` into `hypothesis`, for one utterance.

    The total is unique. Where several alignments share it, its division into substitutions, deletions
    and insertions is that of the one which :func:`align` shows.
    """
    pairs = align(reference, hypothesis)
    deletions = sum(written is None for _, written in pairs)
    insertions = sum(said is None for said, _ in pairs)
    changes = sum(said != written for said, written in pairs)
    return Edits(changes - deletions - insertions, deletions, insertions, len(reference), utterances=1)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """One optimal alignment as pairs; None stands opposite a deleted or an inserted unit.

    >>> align(["ni3", "hao3", "ma5"], ["ni3", "hao4"])
    [('ni3', 'ni3'), ('hao3', 'hao4'), ('ma5', None)]
    """
    from rapidfuzz.distance import Levenshtein

    if isinstance(reference, str) or isinstance(hypothesis, str):
        raise TypeError("give lists of units: a text would be compared letter by letter")
    pairs: list[tuple[str | None, str | None]] = []
    for block in Levenshtein.opcodes(reference, hypothesis):
        said = reference[block.src_start : block.src_end]
        written = hypothesis[block.dest_start : block.dest_end]
        pairs += zip_longest(said, written)  # equal lengths, or one of them empty
    return pairs


def bootstrap_interval(
    counts: Sequence[Edits], *, rng: np.random.Generator, samples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Where the rate of a corpus lies with probability `level`, were its utterances drawn anew.

    Args:
        counts: one entry per utterance (or per speaker, when speakers are what varies).
        rng: the source of the draws.
        samples: how many corpora to draw.
        level: the mass between the two ends.
    """
    if not counts:
        raise DataError("an interval needs at least one utterance; got none")
    if not (0 < level < 1 and samples > 0):
        raise ValueError(f"level must lie between 0 and 1 and samples be positive; got {level} and {samples}")
    table = np.array([(c.total, c.reference_length) for c in counts])  # (utterances, 2)
    drawn = (table[rng.integers(len(table), size=len(table))].sum(axis=0) for _ in range(samples))
    rates = [_rate(int(total), int(length)) for total, length in drawn]
    # Inverted CDF picks a drawn rate; interpolation between infinite rates would give nan.
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def _rate(total: int, reference_length: int) -> float:
    """The rate of summed edits; without a reference, every edit is an insertion."""
    return Edits(insertions=total, reference_length=reference_length).rate
