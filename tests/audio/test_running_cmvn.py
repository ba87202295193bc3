"""A normalisation that looks back alone: against a loop that does it frame by frame, whole and in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio.features import LEAST_VARIANCE, PRIOR_FRAMES, GlobalCmvn, LogMel, RunningCmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.errors import DataError

PRIOR = GlobalCmvn(np.array([-9.0, 3.0, 0.0]), np.array([2.0, 0.5, 1.0]))


def features(frames: int) -> np.ndarray:
    rng = np.random.default_rng(frames)
    return (rng.standard_normal((frames, 3)) * [3, 1, 0] + [-5, 2, 7]).astype(np.float32)


def slowly(frames: np.ndarray) -> np.ndarray:
    """Each frame by the mean and the deviation of all up to it and of the prior, computed anew for each."""
    found = []
    for stop in range(1, len(frames) + 1):
        known = (frames[:stop].astype(np.float64) - PRIOR.mean) / PRIOR.std
        weight = PRIOR_FRAMES + stop
        mean = known.sum(axis=0) / weight  # that of the prior is 0
        variance = (PRIOR_FRAMES + np.square(known).sum(axis=0)) / weight - mean**2
        found.append((known[-1] - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE)))
    return np.array(found).reshape(-1, 3)


@given(st.integers(0, 200), st.lists(st.integers(0, 60), min_size=1, max_size=4))
@settings(deadline=None)
def test_it_is_the_loop_and_pieces_make_no_difference(frames: int, sizes: list[int]) -> None:
    whole = RunningCmvn(PRIOR)(features(frames))
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, slowly(features(frames)), atol=1e-5)
    stream, parts, at = RunningCmvn(PRIOR).stream(), [], 0
    for size in [*sizes, 200]:
        parts.append(stream(features(frames)[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_nothing_looks_ahead() -> None:
    one, other = features(50), features(50)
    other[30:] += 5
    np.testing.assert_array_equal(RunningCmvn(PRIOR)(one)[:30], RunningCmvn(PRIOR)(other)[:30])


def test_it_begins_with_the_training_set_and_ends_with_the_utterance() -> None:
    frames = features(20_000)[:, :2]
    prior = GlobalCmvn(PRIOR.mean[:2], PRIOR.std[:2])
    found = RunningCmvn(prior)(frames)
    np.testing.assert_allclose(found[0], prior(frames)[0], rtol=0.2)
    by_itself = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(found[-100:], by_itself[-100:], atol=0.05)


def test_a_bin_that_never_moves_does_not_explode() -> None:
    assert np.abs(RunningCmvn(PRIOR)(features(100_000)[:, [2, 2, 2]])).max() < 10


@pytest.mark.parametrize("cmvn", ["none", "global", "running"])
def test_a_front_end_in_pieces_is_the_whole(cmvn: str) -> None:
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    frontend = Frontend(LogMel(n_mels=20), cmvn).fitted([wave, 0.1 * wave])
    assert (frontend.statistics is None) == (cmvn == "none") == (not frontend.wants_statistics)
    normalise, frames = frontend.in_pieces(), frontend.features(wave)
    assert normalise is not None
    found = np.concatenate([normalise(frames[:10]), normalise(frames[10:])])
    np.testing.assert_allclose(found, frontend(wave), atol=1e-6)
    if cmvn != "none":
        assert not np.allclose(found, frames)


def test_an_utterance_by_itself_cannot_be_had_in_pieces() -> None:
    assert Frontend(LogMel(), "utterance").in_pieces() is None


def test_bins_of_another_training_set_are_refused() -> None:
    with pytest.raises(DataError, match="give \\(T, 3\\)"):
        RunningCmvn(PRIOR)(np.zeros((5, 4), np.float32))
