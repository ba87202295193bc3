"""The n-grams of a model as one trie in a few arrays, the form that is mapped from a file and searched by the beam.

Node 0 is the empty n-gram; the words are its children, in the order of their ids; then come the n-grams of two words,
and so on. The children of a node lie side by side, sorted by their word. A node's link is its longest proper suffix
that is a node too: where one goes when a context does not know the next word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dfcnn_ms.decoding.ngram.text import BOS_ID, EOS_ID


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

    # What follows says the same as the kernels, slowly: so a model is one like any other, and tests compare the two.

    @property
    def units(self) -> int:
        """V, how many units the network has."""
        return len(self.unit_words)

    def next(self, state: int, unit: int) -> int:
        """The state after one more unit."""
        return self._after(state, int(self.unit_words[unit]))[1]

    def score(self, state: int) -> np.ndarray:
        """Natural log-probability of each unit after what led to a state (V,)."""
        return np.array([self._after(state, int(word))[0] for word in self.unit_words])

    def finish(self, state: int) -> float:
        """Natural log-probability that the sentence ends here."""
        return self._after(state, EOS_ID)[0]

    def _after(self, state: int, word: int) -> tuple[float, int]:
        log10_prob, contexts = 0.0, len(self.log10_backoff)
        while True:
            children = self.word[self.first_child[state] : self.first_child[state + 1]]
            place = int(np.searchsorted(children, word))
            if place < len(children) and children[place] == word:
                break
            log10_prob += float(self.log10_backoff[state])
            state = int(self.link[state])
        node = int(self.first_child[state]) + place
        log10_prob += float(self.log10_prob[node])
        while node >= contexts or (
            node > 0 and self.first_child[node] == self.first_child[node + 1] and self.log10_backoff[node] == 0.0
        ):
            node = int(self.link[node])
        return min(log10_prob, 0.0) * math.log(10.0), node


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
