"""Greedy decoding: golden paths, a slow truth, and batches that equal their utterances."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import Hypothesis, decode_greedy, decode_greedy_batch
from dfcnn_ms.errors import CheckpointError

Array = NDArray[np.float64]
steady = settings(deadline=None)  # a busy machine is not a fault


def peaked(path: list[int], units: int = 4, peak: float = 0.7) -> Array:
    """Log-probabilities (U, V) whose best path is `path`."""
    scores = np.full((len(path), units), (1 - peak) / (units - 1))
    scores[np.arange(len(path)), path] = peak
    return np.asarray(np.log(scores))


def slow_collapse(path: list[int], blank: int = 0) -> tuple[int, ...]:
    return tuple(id for id, _ in groupby(path) if id != blank)


def random_scores(rng: np.random.Generator, *shape: int) -> Array:
    logits = rng.normal(size=shape) * 3
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ([2, 0, 0], (2,)),  # a unit at the very first step
        ([0, 0, 2], (2,)),
        ([2, 2, 2], (2,)),  # a repeat is one unit
        ([2, 0, 2], (2, 2)),  # a blank between makes it two
        ([1, 1, 2, 2, 0, 0, 2, 3], (1, 2, 2, 3)),
        ([0, 0, 0], ()),
        ([], ()),
    ],
)
def test_golden_paths(path: list[int], ids: tuple[int, ...]) -> None:
    assert decode_greedy(peaked(path)).ids == ids


@steady
@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 3))
def test_collapse_is_that_of_groupby(path: list[int], blank: int) -> None:
    assert decode_greedy(peaked(path), blank=blank).ids == slow_collapse(path, blank)


def test_the_probability_of_a_golden_path() -> None:
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    assert np.exp(decode_greedy(np.log(probabilities)).log_prob) == pytest.approx(0.9 * 0.6 * 0.8 * 0.7)


def test_padding_is_never_decoded() -> None:
    scores = peaked([2, 0, 3, 3, 1])
    assert decode_greedy(scores, 3) == decode_greedy(scores[:3])
    scores[3:] = np.nan
    assert decode_greedy(scores, 3).ids == (2, 3)
    assert decode_greedy(scores, 0) == Hypothesis((), 0.0)


def test_a_run_that_reaches_into_the_padding_is_cut() -> None:
    scores = peaked([0, 2, 2, 2])
    scores[3] = np.log([0.001, 0.001, 0.997, 0.001])
    hypothesis = decode_greedy(scores, 2)
    assert (hypothesis.ids, hypothesis.log_prob) == ((2,), pytest.approx(2 * np.log(0.7)))


@steady
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_a_batch_is_its_utterances(seed: int, lengths: list[int]) -> None:
    scores = random_scores(np.random.default_rng(seed), len(lengths), 9, 4)
    alone = [decode_greedy(one[:length]) for one, length in zip(scores, lengths, strict=True)]
    assert decode_greedy_batch(scores, lengths) == alone
    assert decode_greedy_batch(scores, np.array(lengths, dtype=np.int32)) == alone


@steady
@given(st.integers(0, 2**32 - 1))
def test_logits_give_the_same_units(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, 12, 5)
    logits = (scores + rng.normal(size=(12, 1)) * 10).astype(np.float32)
    assert decode_greedy(logits).ids == decode_greedy(scores).ids


@steady
@given(st.integers(0, 2**32 - 1))
def test_log_prob_is_that_of_the_best_path(seed: int) -> None:
    scores = random_scores(np.random.default_rng(seed), 10, 4)
    hypothesis = decode_greedy(scores)
    assert hypothesis.log_prob == hypothesis.score == pytest.approx(scores.max(axis=-1).sum())
    assert (hypothesis.language_log_prob, hypothesis.language_score) == (0.0, 0.0)


def test_batches_of_nothing() -> None:
    assert decode_greedy_batch(np.zeros((0, 5, 3)), []) == []
    assert decode_greedy_batch(np.zeros((2, 0, 3)), [0, 0]) == [Hypothesis((), 0.0)] * 2


def test_results_are_plain_python() -> None:
    hypothesis = decode_greedy(peaked([2, 0, 3]).astype(np.float32))
    assert {type(id) for id in hypothesis.ids} == {int}
    assert type(hypothesis.log_prob) is type(hypothesis.score) is float


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((5, 3), [5], r"\(B, U, V\)"),
        ((2, 5, 3), [5], "one per utterance of 2"),
        ((2, 5, 3), [5, 6], "between 0 and 5"),
        ((2, 5, 3), [5, -1], "between 0 and 5"),
    ],
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...], lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_greedy_batch(np.zeros(shape), lengths)


def test_one_utterance_is_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"\(U, V\)"):
        decode_greedy(np.zeros((1, 5, 3)))


def test_nan_is_refused() -> None:
    scores = peaked([2, 0, 3])
    scores[1, 2] = np.nan
    with pytest.raises(CheckpointError, match="NaN or infinity at step 1: the network has diverged"):
        decode_greedy(scores)
