"""Counts of n-grams, order by order: an n-gram is its context, which has a number already, and one more word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dfcnn_ms.decoding.ngram.text import BOS_ID, EOS_ID


class Counts(NamedTuple):
    """The n-grams of one order, sorted by context and then by word; M of them.

    Attributes:
        parent: number of the context among the n-grams one shorter (M,).
        word: the last word (M,).
        suffix: number of the n-gram without its first word, among those one shorter (M,).
        occurrences: how often it occurs (M,).
        starts: whether it begins with `<s>` (M,).
    """

    parent: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    occurrences: np.ndarray
    starts: np.ndarray


def count(ids: np.ndarray, num_words: int, order: int) -> Iterator[Counts]:
    """Counts the n-grams of order 1, 2, ... of sentences between their boundaries.

    Args:
        ids: sentences with their boundaries (N,).
        num_words: how many words have an id.
        order: the longest n-gram.
    """
    zeros = np.zeros(num_words, np.int32)
    words = np.arange(num_words, dtype=np.int32)
    yield Counts(zeros, words, zeros, np.bincount(ids, minlength=num_words), words == BOS_ID)
    numbers, starts = ids, words == BOS_ID  # of the n-gram that begins at each position; -1 where none does
    at = np.arange(len(ids), dtype=np.int32)
    for length in range(2, order + 1):
        at = at[ids[at + length - 2] != EOS_ID]
        keys = numbers[at].astype(np.int64) * num_words + ids[at + length - 1]
        keys, first, inverse, occurrences = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        parent, word = np.divmod(keys, num_words)
        suffix = numbers[at[first] + 1]
        numbers = np.full(len(ids), -1, np.int32)
        numbers[at] = inverse
        del keys, inverse
        starts = starts[parent]
        yield Counts(parent.astype(np.int32), word.astype(np.int32), suffix, occurrences, starts)
