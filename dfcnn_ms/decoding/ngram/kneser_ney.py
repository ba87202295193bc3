"""Interpolated modified Kneser-Ney estimation (Chen and Goodman 1998), in the details as KenLM's lmplz has them.

An n-gram of the highest order, and one that begins with a sentence, counts as often as it occurs; a shorter one as
often as there are different words before it. Of each count a discount is taken, by whether it is 1, 2 or more, and
what is taken in a context is given to the words that the shorter context predicts. The shortest is the uniform
distribution over all words with `<unk>`, which gets its probability only from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dfcnn_ms.decoding.ngram.counts import Counts, count
from dfcnn_ms.decoding.ngram.text import BOS_ID, Text
from dfcnn_ms.decoding.ngram.trie import Level, keep
from dfcnn_ms.errors import DataError

#: discounts of counts 1, 2 and more where the text is too small, or too regular, to tell them
FALLBACK = (0.5, 1.0, 1.5)


def discounts(counts: np.ndarray) -> np.ndarray:
    """Discounts of counts 0, 1, 2 and more (4,): equation 26 of Chen and Goodman.

    >>> discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4])).round(3).tolist()
    [0.0, 0.5, 1.25, 1.0]
    """
    of = np.bincount(np.minimum(counts, 5), minlength=6)[:5].astype(float)
    if (of[1:4] == 0).any():
        return np.array([0.0, *FALLBACK])
    once = of[1] / (of[1] + 2 * of[2])
    taken = np.array([0.0, *(j - (j + 1) * once * of[j + 1] / of[j] for j in (1, 2, 3))])
    return taken if (taken[1:] > 0).all() else np.array([0.0, *FALLBACK])


def estimate(text: Text, order: int, min_counts: Sequence[int] = (1,)) -> list[Level]:
    """The n-grams of a text with their probabilities and back-off weights.

    Args:
        text: at least one sentence.
        order: the longest n-gram, 1 to 5.
        min_counts: an n-gram that occurs less often is left out, by its length; the last number also serves the
            longer ones. Words themselves always stay.

    Raises:
        DataError: there is no sentence.
    """
    if not len(text.ids):
        raise DataError("a language model needs at least one sentence; got none")
    levels: list[Level] = []
    kept: list[np.ndarray] = []
    shorter = np.array([1 / (len(text.words) - 1)])  # uniform: all words but <s>, which nothing predicts
    orders = tqdm(
        _adjusted(count(text.ids, len(text.words), order)),
        total=order, desc="estimating", unit="order", disable=None, leave=False, delay=2,
    )  # fmt: skip
    for length, (grams, adjusted) in enumerate(orders, start=1):
        kept.append(grams.occurrences >= _least(min_counts, length))
        share = _share(grams, adjusted, kept[-1], contexts=len(shorter))
        shorter = share.own + share.rest[grams.parent] * shorter[grams.suffix]
        if levels:
            levels[-1] = levels[-1]._replace(log10_backoff=np.log10(share.rest).astype(np.float32))
        levels.append(_level(grams, shorter))
    levels[0].log10_prob[BOS_ID] = 0.0
    return keep(levels, kept)


def _least(min_counts: Sequence[int], length: int) -> int:
    """How often an n-gram must occur; words stay, `<unk>` too, which never occurs."""
    return min_counts[min(length, len(min_counts)) - 1] if length > 1 else 0


class _Share(NamedTuple):
    """How the probability in each context is divided."""

    own: np.ndarray  # what each n-gram keeps for itself (M,)
    rest: np.ndarray  # what each context gives to shorter ones (contexts,)


def _adjusted(orders: Iterator[Counts]) -> Iterator[tuple[Counts, np.ndarray]]:
    """The n-grams of each order with their adjusted counts."""
    grams = next(orders)
    for longer in orders:
        before = np.bincount(longer.suffix, minlength=len(grams.word))
        yield grams, _without_bos(grams, np.where(grams.starts, grams.occurrences, before))
        grams = longer
    yield grams, _without_bos(grams, grams.occurrences)


def _without_bos(grams: Counts, counts: np.ndarray) -> np.ndarray:
    """Nothing predicts `<s>`."""
    return np.where(grams.word == BOS_ID, 0, counts)


def _share(grams: Counts, adjusted: np.ndarray, kept: np.ndarray, contexts: int) -> _Share:
    """An n-gram that is not kept gives away all that it has; a context that nothing follows gives everything."""
    taken = discounts(adjusted)[np.minimum(adjusted, 3)]
    total = np.maximum(np.bincount(grams.parent, adjusted, contexts), 1.0)  # of nothing, no share is taken
    given = np.bincount(grams.parent, np.where(kept, taken, adjusted), contexts)
    used = np.bincount(grams.parent, minlength=contexts) > 0
    return _Share((adjusted - taken) / total[grams.parent], np.where(used, given / total, 1.0))


def _level(grams: Counts, probs: np.ndarray) -> Level:
    log10 = np.log10(np.minimum(probs, 1.0)).astype(np.float32)
    return Level(grams.parent, grams.word, log10, np.zeros(len(log10), np.float32))
