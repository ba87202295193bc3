"""Forgetting the n-grams that change the model least: relative entropy pruning (Stolcke 1998)."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from dfcnn_ms.decoding.ngram.assembly import assemble, take_apart
from dfcnn_ms.decoding.ngram.text import BOS_ID, EOS_ID
from dfcnn_ms.decoding.ngram.trie import Trie, frozen, keep, level_starts, parents, scorer
from dfcnn_ms.errors import ConfigError

LN10 = math.log(10.0)
#: the least that a context is taken to leave to words it does not name; what is smaller is rounding
LEAST = 1e-9


def prune(trie: Trie, threshold: float) -> Trie:
    """The model without the n-grams whose loss raises its perplexity by less than `threshold`, relative to before.

    Each n-gram is judged as if it alone were left out; one that is the context of another stays. The probabilities of
    those that stay do not change, and the back-off weights are made anew, so that every context sums to 1.

    Args:
        trie: of the model.
        threshold: such as 1e-7; 0 leaves out only what the model would predict as well without.

    Raises:
        ConfigError: the threshold is negative, or no number.
    """
    check_threshold(threshold)
    starts, parent = level_starts(trie), parents(trie)
    stays = losses(trie) >= threshold
    stays[: starts[2]] = True  # the empty n-gram and the words
    for begin, end in reversed([*pairwise(starts[2:])]):
        stays[parent[begin:end][stays[begin:end]]] = True
    masks = [stays[begin:end] for begin, end in pairwise(starts[1:])]
    return with_backoffs(assemble(keep(take_apart(trie), masks)))


def check_threshold(threshold: float) -> None:
    """Refuses a threshold that is negative, or no number.

    Raises:
        ConfigError: see above.
    """
    if not threshold >= 0:
        raise ConfigError(f"a threshold of pruning is 0 or a small positive number, such as 1e-7; got {threshold}")


def losses(trie: Trie) -> np.ndarray:
    """By how much the perplexity of the model itself would rise, relative to before, without each node (M,).

    For the n-gram (h, w), with h' the context without its first word, a the back-off weight of h and a' what it
    would be: exp(-P(h) [p(w|h) (log p(w|h') + log a' - log p(w|h)) + (1 - sum of p(.|h)) (log a' - log a)]) - 1.
    """
    parent = parents(trie)
    log_prob = LN10 * trie.log10_prob.astype(float)
    shorter = _shorter(trie, log_prob)
    left, left_shorter = _left(trie, log_prob), _left(trie, shorter)
    before = (np.log(left) - np.log(left_shorter))[parent]
    left, left_shorter = left[parent], left_shorter[parent]
    after = np.log(left + np.exp(log_prob)) - np.log(left_shorter + np.exp(shorter))
    change = np.exp(log_prob) * (shorter + after - log_prob) + left * (after - before)
    with np.errstate(over="ignore"):  # without an n-gram, a model may hold its own texts for impossible
        return np.expm1(-np.exp(_log_marginals(trie, log_prob)[parent]) * change)


def with_backoffs(trie: Trie) -> Trie:
    """The same probabilities with the back-off weights that make every context sum to 1."""
    log_prob = LN10 * trie.log10_prob.astype(float)
    starts = level_starts(trie)
    for begin, end in pairwise(starts[1:-1]):  # short contexts first: longer ones need them
        left, left_shorter = _left(trie, log_prob), _left(trie, _shorter(trie, log_prob))
        weights = trie.log10_backoff.copy()
        weights[begin:end] = (np.log10(left) - np.log10(left_shorter))[begin:end]
        trie = trie._replace(log10_backoff=frozen(weights))
    return trie


def _shorter(trie: Trie, log_prob: np.ndarray) -> np.ndarray:
    """Natural log-probability of the word of each node after its context without the first word (M,)."""
    from dfcnn_ms.compiled import announced
    from dfcnn_ms.decoding.ngram.kernels import shorter_log_probs

    words = level_starts(trie)[2]
    with announced("the language model"):
        log_probs = shorter_log_probs(scorer(trie, np.zeros(0, np.int32)), 1, len(trie.log10_backoff))
    return np.concatenate([log_prob[:words], log_probs])


def _left(trie: Trie, log_probs: np.ndarray) -> np.ndarray:
    """What each context leaves to the words that it does not name (C,)."""
    named = np.bincount(parents(trie)[1:], np.exp(log_probs[1:]), len(trie.log10_backoff))
    return np.maximum(1 - named, LEAST)


def _log_marginals(trie: Trie, log_prob: np.ndarray) -> np.ndarray:
    """Natural log-probability of each node's words, one after the other (M,); sentences begin as often as they end."""
    parent, starts = parents(trie), level_starts(trie)
    log_marginals = log_prob.copy()
    log_marginals[0] = 0.0
    log_marginals[1 + BOS_ID] = log_prob[1 + EOS_ID]
    for begin, end in pairwise(starts[2:]):
        log_marginals[begin:end] += log_marginals[parent[begin:end]]
    return log_marginals
