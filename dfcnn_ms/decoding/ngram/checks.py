"""What a model that was read must keep to: compiled code, which looks at no bounds, relies on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfcnn_ms.decoding.ngram.text import SPECIALS
from dfcnn_ms.decoding.ngram.trie import Trie, level_starts

#: what no log10-probability and no back-off weight is below: far beyond impossible, and sums of it are still numbers
LEAST = -1e30
#: what no log10 back-off weight is above
MOST_BACKOFF = 100.0


def fault(words: Sequence[str], trie: Trie) -> str:
    """What is wrong with a model, or nothing."""
    if tuple(words[: len(SPECIALS)]) != SPECIALS:
        return f"its words do not begin with {', '.join(SPECIALS)}"
    if not _fit(trie):
        return "its arrays do not fit each other"
    if not (_is_tree(trie) and _has_words(trie, len(words))):
        return "its n-grams are no tree of its words"
    if not _is_linked(trie, len(words)):
        return "its n-grams do not lead to shorter ones"
    return numbers_fault(trie.log10_prob, trie.log10_backoff)


def numbers_fault(log10_prob: np.ndarray, log10_backoff: np.ndarray) -> str:
    """What is wrong with the numbers of a model, or nothing."""
    columns = {"log10-probabilities": (log10_prob, 0.0), "log10 back-off weights": (log10_backoff, MOST_BACKOFF)}
    for name, (values, most) in columns.items():
        right = (values >= LEAST) & (values <= most)  # NaN is neither
        if not right.all():
            return f"{name} lie between {LEAST:g} and {most:g}; got {values[~right][0]:g}"
    return ""


def _fit(trie: Trie) -> bool:
    nodes, contexts = len(trie.word), len(trie.log10_backoff)
    return 0 < contexts < nodes == len(trie.log10_prob) == len(trie.link) and len(trie.first_child) == contexts + 1


def _is_tree(trie: Trie) -> bool:
    """Children follow their contexts without a gap, and the levels end where the contexts do."""
    first, contexts = trie.first_child, len(trie.log10_backoff)
    rises = (first[1:] >= first[:-1]).all() and (first[:-1] > np.arange(contexts, dtype=np.int32)).all()
    return bool(first[0] == 1 and first[-1] == len(trie.word) and rises) and level_starts(trie)[-2] == contexts


def _has_words(trie: Trie, words: int) -> bool:
    """Node 0 has every word for a child, in order; the children of others are some of them, sorted."""
    word, first = trie.word, trie.first_child
    if first[1] != 1 + words or word[0] != -1 or (word[1 : 1 + words] != np.arange(words)).any():
        return False
    begins = np.zeros(len(word) + 1, bool)
    begins[first] = True
    return bool(((word[1:] >= 0) & (word[1:] < words)).all() and ((word[2:] > word[1:-1]) | begins[2:-1]).all())


def _is_linked(trie: Trie, words: int) -> bool:
    """Each link leads to a node before, which ends with the same word; that of a single word to node 0."""
    link, longer = trie.link, slice(1 + words, None)
    if link[: 1 + words].any():
        return False
    before = (link[longer] > 0) & (link[longer] < np.arange(1 + words, len(link), dtype=np.int32))
    return bool(before.all()) and bool((trie.word[link[longer]] == trie.word[longer]).all())
