"""The compiled part: following a trie word by word. The beam calls `advance` and `finish` from its own compiled code.

A state is a node of the trie: the longest end of what was said that the model can tell from others. Nothing is
allocated, and log-probabilities are natural and never above 0.
"""

from __future__ import annotations

import math

import numpy as np

from dfcnn_ms.compiled import compiled
from dfcnn_ms.decoding.ngram.text import BOS_ID, EOS_ID
from dfcnn_ms.decoding.ngram.trie import LanguageScorer

LN10 = math.log(10.0)


@compiled
def child(first_child: np.ndarray, words: np.ndarray, context: int, word: int) -> int:
    """The node of `word` after `context`, or -1."""
    low, high = first_child[context], first_child[context + 1]
    while low < high:
        middle = (low + high) // 2
        if words[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low if low < first_child[context + 1] and words[low] == word else -1


@compiled
def advance_word(scorer: LanguageScorer, state: int, word: int) -> tuple[float, int]:
    """Natural log-probability of a word of the model, and the state after it."""
    log10_prob = 0.0
    node = -1
    while state > 0:
        node = child(scorer.first_child, scorer.word, state, word)
        if node >= 0:
            break
        log10_prob += scorer.log10_backoff[state]
        state = scorer.link[state]
    if node < 0:
        node = 1 + word  # node 0 has every word for a child, in order
    log10_prob += scorer.log10_prob[node]
    contexts = len(scorer.log10_backoff)
    while node >= contexts or (
        node > 0 and scorer.first_child[node] == scorer.first_child[node + 1] and scorer.log10_backoff[node] == 0.0
    ):
        node = scorer.link[node]
    return min(log10_prob, 0.0) * LN10, int(node)


@compiled
def advance(scorer: LanguageScorer, state: int, unit: int) -> tuple[float, int]:
    """Natural log-probability of a unit of the network after what led to `state`, and the state after it."""
    return advance_word(scorer, np.int64(state), np.int64(scorer.unit_words[unit]))


@compiled
def finish(scorer: LanguageScorer, state: int) -> float:
    """Natural log-probability that the sentence ends here."""
    return advance_word(scorer, np.int64(state), np.int64(EOS_ID))[0]


@compiled
def score(scorer: LanguageScorer, ids: np.ndarray) -> np.ndarray:
    """Natural log-probability of each word of sentences between their boundaries (N,); 0 for each `<s>`."""
    log_probs = np.zeros(len(ids))
    state = np.int64(0)
    for position in range(len(ids)):
        if ids[position] == BOS_ID:
            state = np.int64(scorer.start)
        else:
            log_probs[position], state = advance_word(scorer, state, np.int64(ids[position]))
    return log_probs


@compiled
def links(first_child: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The longest proper suffix of each node (M,): as the suffix of its context goes on with its word."""
    link = np.zeros(len(words), np.int32)
    for context in range(1, len(first_child) - 1):
        for node in range(first_child[context], first_child[context + 1]):
            shorter = link[context]
            found = child(first_child, words, shorter, words[node])
            while found < 0:
                shorter = link[shorter]
                found = child(first_child, words, shorter, words[node])
            link[node] = found
    return link


@compiled
def shorter_log_probs(scorer: LanguageScorer, begin: int, end: int) -> np.ndarray:
    """Natural log-probability of each child of some contexts, after the context without its first word."""
    first = scorer.first_child[begin]
    log_probs = np.zeros(scorer.first_child[end] - first)
    for context in range(begin, end):
        shorter = np.int64(scorer.link[context])
        for node in range(scorer.first_child[context], scorer.first_child[context + 1]):
            log_probs[node - first] = advance_word(scorer, shorter, np.int64(scorer.word[node]))[0]
    return log_probs
