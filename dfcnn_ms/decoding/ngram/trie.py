"""The n-grams of a model as one trie in a few arrays, the form that is mapped from a file and searched by the beam.

Node 0 is the empty n-gram; the words are its children, in the order of their ids; then come the n-grams of two words,
and so on. The children of a node lie side by side, sorted by their word. A node's link is its longest proper suffix
that is a node too: where one goes when a context does not know the next word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dfcnn_ms.decoding.ngram.text import BOS_ID
from dfcnn_ms.errors import DataError

MAX_NODES = np.iinfo(np.int32).max


class Level(NamedTuple):
    """All n-grams of one order, sorted by context and then by word; M of them.

    Attributes:
        parent: number of the context among the n-grams one shorter (M,).
        word: the last word (M,).
        log10_prob: of the last word after the context (M,).
        log10_backoff: weight of shorter contexts after this n-gram (M,).
    """

    parent: np.ndarray
    word: np.ndarray
    log10_prob: np.ndarray
    log10_backoff: np.ndarray


class Trie(NamedTuple):
    """M nodes; those that can be a context come first, C of them.

    Attributes:
        first_child: node where the children of each context begin (C + 1,); they end where the next one's begin.
        word: last word of each node (M,); -1 for node 0.
        log10_prob: of each node's word after its context (M,).
        log10_backoff: of each context (C,).
        link: longest proper suffix of each node (M,).
    """

    first_child: np.ndarray
    word: np.ndarray
    log10_prob: np.ndarray
    log10_backoff: np.ndarray
    link: np.ndarray


class LanguageScorer(NamedTuple):
    """A model as the beam asks it, for the units of one network; see :mod:`dfcnn_ms.decoding.ngram.kernels`.

    Attributes:
        unit_words: unit of the network -> word of the model (V,); `<unk>` where it has no such word.
        first_child, word, log10_prob, log10_backoff, link: the trie.
        start: the state after `<s>`.
    """

    unit_words: np.ndarray
    first_child: np.ndarray
    word: np.ndarray
    log10_prob: np.ndarray
    log10_backoff: np.ndarray
    link: np.ndarray
    start: int


def scorer(trie: Trie, unit_words: np.ndarray) -> LanguageScorer:
    """The trie with the words that its units stand for (V,)."""
    start = 1 + BOS_ID if len(trie.log10_backoff) > 1 else 0
    return LanguageScorer(frozen(unit_words), *trie, start=start)


def keep(levels: Sequence[Level], masks: Sequence[np.ndarray]) -> list[Level]:
    """The n-grams under the masks; the context of one that stays has to stay as well."""
    kept = []
    number = np.zeros(1, np.int32)  # of each context among those that stay
    for level, mask in zip(levels, masks, strict=True):
        parent = number[level.parent[mask]]
        kept.append(Level(parent, level.word[mask], level.log10_prob[mask], level.log10_backoff[mask]))
        number = np.cumsum(mask, dtype=np.int32) - np.int32(1)
    return kept


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


def frozen(column: np.ndarray) -> np.ndarray:
    """The same array, not to be written any more, as if mapped from a file: one compiled version serves both."""
    column.flags.writeable = False
    return column


def level_starts(trie: Trie) -> tuple[int, ...]:
    """First node of each order, beginning with order 0, and the end."""
    starts = [0]
    while starts[-1] < len(trie.log10_backoff):
        starts.append(int(trie.first_child[starts[-1]]))
    return (*starts, len(trie.word))


def parents(trie: Trie) -> np.ndarray:
    """The context of each node (M,); node 0 is given itself."""
    contexts = np.arange(len(trie.log10_backoff), dtype=np.int32)
    return np.concatenate([contexts[:1], np.repeat(contexts, np.diff(trie.first_child))])


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
