"""From the n-grams of each length to one trie, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfcnn_ms.decoding.ngram.trie import Level, Trie, frozen, level_starts, parents
from dfcnn_ms.errors import DataError

MAX_NODES = np.iinfo(np.int32).max


def assemble(levels: Sequence[Level]) -> Trie:
    """Puts the n-grams of all orders into one trie; the first level holds every word, in the order of the ids."""
    from dfcnn_ms.compiled import announced
    from dfcnn_ms.decoding.ngram.kernels import links

    while len(levels) > 1 and not len(levels[-1].word):
        levels = levels[:-1]  # of a model that was pruned so far
    first_child = _first_children(levels)
    word = np.concatenate([np.array([-1], np.int32), *(level.word for level in levels)])
    zero = np.zeros(1, np.float32)
    with announced("the language model"):
        link = links(first_child, word)
    trie = Trie(
        first_child,
        word,
        np.concatenate([zero, *(level.log10_prob for level in levels)]),
        np.concatenate([zero, *(level.log10_backoff for level in levels[:-1])]),
        link,
    )
    for column in trie:
        frozen(column)
    return trie


def take_apart(trie: Trie) -> list[Level]:
    """The n-grams by length: what :func:`assemble` was given."""
    starts, parent = level_starts(trie), parents(trie)
    backoff = np.zeros(len(trie.word), np.float32)
    backoff[: len(trie.log10_backoff)] = trie.log10_backoff
    levels = []
    for before, begin, end in zip(starts, starts[1:], starts[2:], strict=False):
        here = slice(begin, end)
        levels.append(Level(parent[here] - np.int32(before), trie.word[here], trie.log10_prob[here], backoff[here]))
    return levels


def _first_children(levels: Sequence[Level]) -> np.ndarray:
    sizes = [1, *(len(level.word) for level in levels)]
    if sum(sizes) > MAX_NODES:
        raise DataError(f"{sum(sizes):,} n-grams are more than a model can hold; use a smaller --order or --min-count")
    numbers = [np.bincount(level.parent, minlength=size) for level, size in zip(levels, sizes, strict=False)]
    return np.concatenate([[1], 1 + np.cumsum(np.concatenate(numbers))]).astype(np.int32)
