"""How often each utterance comes in an epoch, when it is not once: balanced classes and lengths, corpora by weight.

A weight says how often an utterance comes in comparison with others. :func:`draw` takes as many as asked for, each
as often as its weight demands on average, and in every single epoch at most one less or more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def class_weights(labels: Sequence[Sequence[int]]) -> np.ndarray:
    """Weights (utterances,) that let utterances with rare units come more often.

    The weight is 1 over the geometric mean, over the units of the utterance, of how many utterances have that unit.
    With one unit an utterance this is plain class balancing: every class comes equally often.
    """
    counts = Counter(unit for label in labels for unit in set(label))
    silent = sum(not label for label in labels)
    logs = [np.mean(np.log([counts[unit] for unit in label])) if label else np.log(silent) for label in labels]
    return np.exp(-np.asarray(logs))


def scaled_by_group(weights: np.ndarray, groups: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The same weights, scaled so that those of group ``g`` add up to ``shares[g]``.

    Args:
        weights: (utterances,) above 0.
        groups: (utterances,) the group of each, from 0; such as its corpus.
        shares: of each group.
    """
    sums = np.bincount(groups, weights, minlength=len(shares))
    return np.asarray(weights * (np.asarray(shares) / np.where(sums > 0, sums, 1.0))[groups])


def quotas(masses: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to ``masses`` that add up to ``total``: the largest remainders are rounded up."""
    exact = np.asarray(masses, np.float64) * (total / np.sum(masses))
    whole = np.floor(exact).astype(int)
    missing = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return [int(count) for count in whole]


def draw(rng: np.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
    """Positions (count,) in ``weights``, in random order: evenly spaced marks on the weights laid end to end.

    A position that deserves 2.3 of the draws gets two or three of them, and with equal weights and as many draws as
    weights each comes exactly once.
    """
    order = rng.permutation(len(weights))
    ends = np.cumsum(weights[order])
    marks = (np.arange(count) + rng.uniform(0.01, 0.99)) * (ends[-1] / count)
    chosen = order[np.searchsorted(ends, marks, side="right")]
    return np.asarray(rng.permutation(chosen))
