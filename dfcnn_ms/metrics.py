"""Edits between what was said and what was written: counted first, divided last; intervals, and two systems compared.

Example:
    >>> pairs = [(["ni3", "hao3"], ["ni3"]), (["a1"], ["a1", "o1"])]
    >>> corpus = sum((edits(said, written) for said, written in pairs), Edits())
    >>> corpus.deletions, corpus.insertions, corpus.reference_length, round(corpus.rate, 3)
    (1, 1, 3, 0.667)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from dfcnn_ms.errors import DataError
from dfcnn_ms.text.characters import normalized

#: utterances drawn in one go when two systems are compared
DRAWS_AT_ONCE = 1 << 20
#: relative error of a rate; draws that are equal on paper count as equal
ROUNDING = 1e-9


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
    def numbers(self) -> tuple[int, ...]:
        """All five in their order, which can be added up where counts cannot."""
        return self.substitutions, self.deletions, self.insertions, self.reference_length, self.utterances

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> Edits:
        """The inverse of `numbers`, of their sum too."""
        return cls(*(round(number) for number in numbers))

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


def edits(reference: Sequence[str], hypothesis: Sequence[str], *, ordered: bool = True) -> Edits:
    """The fewest edits that turn `reference` into `hypothesis`, for one utterance.

    The total is unique. Where several alignments share it, its division into substitutions, deletions
    and insertions is that of the one which :func:`align` shows.
    """
    pairs = align(reference, hypothesis, ordered=ordered)
    deletions = sum(written is None for _, written in pairs)
    insertions = sum(said is None for said, _ in pairs)
    changes = sum(said != written for said, written in pairs)
    return Edits(changes - deletions - insertions, deletions, insertions, len(pairs) - insertions, utterances=1)


def align(
    reference: Sequence[str], hypothesis: Sequence[str], *, ordered: bool = True
) -> list[tuple[str | None, str | None]]:
    """One optimal alignment as pairs; None stands opposite a deleted or an inserted unit.

    Args:
        reference: what was said.
        hypothesis: what was written.
        ordered: otherwise both are sets, in which a unit stands opposite itself or nothing.

    >>> align(["ni3", "hao3", "ma5"], ["ni3", "hao4"])
    [('ni3', 'ni3'), ('hao3', 'hao4'), ('ma5', None)]
    >>> align(["ba1", "er4"], ["er4", "san1"], ordered=False)
    [('ba1', None), ('er4', 'er4'), (None, 'san1')]
    """
    from rapidfuzz.distance import Levenshtein

    if isinstance(reference, str) or isinstance(hypothesis, str):
        raise TypeError("give lists of units: a text would be compared letter by letter")
    if not ordered:
        there, found = set(reference), set(hypothesis)
        return [(one if one in there else None, one if one in found else None) for one in sorted(there | found)]
    pairs: list[tuple[str | None, str | None]] = []
    for block in Levenshtein.opcodes(reference, hypothesis):
        said = reference[block.src_start : block.src_end]
        written = hypothesis[block.dest_start : block.dest_end]
        pairs += zip_longest(said, written)  # equal lengths, or one of them empty
    return pairs


def characters(text: str) -> list[str]:
    """The characters of a text that count: no punctuation, no blanks, no case, wide forms as narrow ones.

    >>> characters("你好, ＯＫ!")
    ['你', '好', 'o', 'k']
    """
    return [character for character in normalized("NFKC", text).casefold() if character.isalnum()]


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


@dataclass(frozen=True)
class Scatter:
    """How unequal the rates of utterances (or of speakers) are.

    Attributes:
        ratio: how much more they vary than if each error came by itself; at least 1.
        degrees: of freedom: how many there are, less one.
    """

    ratio: float
    degrees: int

    @classmethod
    def of(cls, counts: Sequence[Edits]) -> Scatter:
        """The scatter of counts around their common rate: Pearson's chi-square over its degrees of freedom."""
        table = np.array([(c.total, c.reference_length) for c in counts if c.reference_length], float).reshape(-1, 2)
        expected = table[:, 1] * (table[:, 0].sum() / max(1.0, table[:, 1].sum()))
        degrees = max(1, len(table) - 1)
        if not expected.any():
            return cls(1.0, degrees)
        return cls(max(1.0, float(((table[:, 0] - expected) ** 2 / expected).sum()) / degrees), degrees)


def score_interval(counts: Edits, scatter: Scatter, *, level: float = 0.95) -> tuple[float, float]:
    """Where the rate lies that would make such a count, also when there are few utterances (or speakers), or no error.

    These are the rates r from which the rate found, e errors in n units, is no further than chance takes it:
    (e / n - r)^2 = t^2 * ratio * r / n, where t is Student's quantile. Where the bootstrap knows nothing but the few
    that it draws from, and so is too sure, t grows.

    Args:
        counts: of what the interval is about: a corpus, or a part of it.
        scatter: of the speakers, if these are what varies, else of the utterances.
        level: the mass between the two ends.

    Example:
        >>> low, high = score_interval(Edits(0, 0, 0, 400), Scatter(1.0, 1000))
        >>> low, round(high, 4)  # no error in 400 syllables does not mean that there are none
        (0.0, 0.0096)
    """
    from scipy.special import stdtrit

    if not counts.reference_length:
        return 0.0, float("inf")
    t = float(stdtrit(scatter.degrees, (1 + level) / 2))
    units, errors = counts.reference_length / scatter.ratio, counts.total / scatter.ratio
    middle, reach = errors + t * t / 2, t * np.sqrt(errors + t * t / 4)
    return max(0.0, float(middle - reach) / units), float(middle + reach) / units


@dataclass(frozen=True)
class Difference:
    """How the rate of a second system differs from that of a first one on the same utterances.

    Attributes:
        rate: second minus first: negative where the second makes fewer edits.
        low, high: where the difference lies, were the utterances drawn anew.
        p_value: two-sided: how often the choice of the utterances alone makes such a difference of equal systems.
        better, worse: utterances in which the second system makes fewer and more edits.
    """

    rate: float
    low: float
    high: float
    p_value: float
    better: int
    worse: int


def paired_bootstrap(
    first: Sequence[Edits],
    second: Sequence[Edits],
    *,
    rng: np.random.Generator,
    samples: int = 10_000,
    level: float = 0.95,
) -> Difference:
    """Compares two systems that heard the same utterances.

    Utterances are drawn with both their counts, so that what makes an utterance hard for both systems cancels out. The
    p-value is the share of draws that lie as far from the difference found as zero does; the interval, as wide to both
    sides, leaves zero out where the p-value is below 1 - `level`.

    Args:
        first, second: one entry per utterance (or per speaker), in the same order.
        rng: the source of the draws.
        samples: how many corpora to draw.
        level: the mass between the two ends of the interval.

    Example:
        >>> first, second = [Edits(1, 0, 0, 5)] * 40, [Edits(1, 0, 0, 5)] * 10 + [Edits(0, 0, 0, 5)] * 30
        >>> difference = paired_bootstrap(first, second, rng=np.random.default_rng(0))
        >>> round(difference.rate, 3), difference.better, difference.p_value < 0.001
        (-0.15, 30, True)
    """
    _check_pairs(first, second)
    change = np.array([b.total - a.total for a, b in zip(first, second, strict=True)])
    lengths = np.array([a.reference_length for a in first])
    found = float(change.sum() / lengths.sum())
    away = np.abs(np.concatenate(list(_drawn_differences(change, lengths, rng, samples))) - found)
    reach = float(np.quantile(away, level))
    as_far = np.count_nonzero(away >= abs(found) * (1 - ROUNDING))
    return Difference(
        rate=found,
        low=found - reach,
        high=found + reach,
        p_value=float((as_far + 1) / (samples + 1)),
        better=int(np.count_nonzero(change < 0)),
        worse=int(np.count_nonzero(change > 0)),
    )


def _check_pairs(first: Sequence[Edits], second: Sequence[Edits]) -> None:
    if [a.reference_length for a in first] != [b.reference_length for b in second]:
        raise ValueError("two systems are compared on the same utterances; their reference lengths differ")
    if not any(counts.reference_length for counts in first):
        raise DataError("a comparison needs at least one utterance in which something is said; got none")


def _drawn_differences(
    change: np.ndarray, lengths: np.ndarray, rng: np.random.Generator, samples: int
) -> Iterator[np.ndarray]:
    """Differences of the rates of `samples` corpora, drawn in portions that fit into the memory."""
    portion = max(1, DRAWS_AT_ONCE // len(change))
    for start in range(0, samples, portion):
        chosen = rng.integers(len(change), size=(min(portion, samples - start), len(change)))
        # A drawn corpus in which nothing is said counts as one unit: there is no rate of nothing.
        yield change[chosen].sum(axis=1) / np.maximum(1, lengths[chosen].sum(axis=1))


def _rate(total: int, reference_length: int) -> float:
    """The rate of summed edits; without a reference, every edit is an insertion."""
    return Edits(insertions=total, reference_length=reference_length).rate


def f1(truth: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """F1 of labels without an order: over all decisions together (micro), and the mean over the labels (macro).

    A label that is nowhere and was never chosen has none, and takes no part in the mean.

    Args:
        truth: whether a clip has a label (N, K).
        chosen: whether it was said to have it (N, K).

    Example:
        >>> f1(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
        (0.8, 0.8333333333333333)
    """
    truth, chosen = np.asarray(truth, bool), np.asarray(chosen, bool)
    found, wanted = (truth & chosen).sum(axis=0), truth.sum(axis=0) + chosen.sum(axis=0)  # (K,)
    known = wanted > 0
    if not known.any():
        raise DataError("F1 needs at least one label that is there or was chosen; got none")
    return float(2 * found.sum() / wanted.sum()), float((2 * found[known] / wanted[known]).mean())


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """How well clips with a label are ranked before those without, as a mean over the labels that are somewhere.

    The average precision of a label: at each clip that has it, the share of those ranked as high that have it too.

    Args:
        truth: whether a clip has a label (N, K).
        scores: the higher, the likelier (N, K).

    Example:
        >>> mean_average_precision(np.array([[1], [0], [1]]), np.array([[0.9], [0.8], [0.7]]))
        0.8333333333333333
    """
    truth, scores = np.asarray(truth, bool), np.asarray(scores, np.float64)
    known = [label for label in range(truth.shape[1]) if truth[:, label].any()]
    if not known:
        raise DataError("a mean average precision needs at least one clip with a label; got none")
    return float(np.mean([_average_precision(truth[:, label], scores[:, label]) for label in known]))


def _average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    at_least = scores[None, :] >= scores[truth][:, None]  # (clips that have it, N): equal scores are ranked together
    return float(((at_least & truth).sum(axis=1) / at_least.sum(axis=1)).mean())
