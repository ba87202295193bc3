"""Decoding of aggregation cross-entropy: repeats stay, and each unit of a text has the best step of its own."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dfcnn_ms.decoding import AceGreedy, decode_greedy
from dfcnn_ms.decoding.ace import align_ace
from dfcnn_ms.errors import CheckpointError, DataError


def log_probs_of(*shape: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=shape) * 2
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def peaked(*path: int) -> np.ndarray:
    probabilities = np.full((1, len(path), 4), 0.02)
    probabilities[0, np.arange(len(path)), path] = 0.94
    return np.log(probabilities)


@pytest.mark.parametrize(
    ("path", "ids"),
    [((2, 2, 0, 2, 3), (2, 2, 2, 3)), ((0, 0), ()), ((1,), (1,)), ((), ()), ((3, 3, 3), (3, 3, 3))],
)
def test_blanks_go_and_repeats_stay(path: tuple[int, ...], ids: tuple[int, ...]) -> None:
    found = AceGreedy()(peaked(*path), [len(path)])
    assert [one.ids for one in found[0]] == [ids]
    assert found[0][0].log_prob == pytest.approx(len(path) * np.log(0.94))


def test_the_decoder_of_ctc_would_lose_what_is_said_twice() -> None:
    assert decode_greedy(peaked(2, 2, 3)[0]).ids == (2, 3)


def test_a_batch_is_its_utterances_and_padding_is_not_read() -> None:
    log_probs = log_probs_of(3, 8, 5)
    lengths = [8, 0, 3]
    alone = [AceGreedy()(one[None, :length], [length])[0] for one, length in zip(log_probs, lengths, strict=True)]
    for one, length in zip(log_probs, lengths, strict=True):
        one[length:] = np.nan
    assert AceGreedy()(log_probs, lengths) == alone
    with pytest.raises(CheckpointError, match="NaN or infinity at step 3"):
        AceGreedy()(log_probs, [8, 0, 4])


@pytest.mark.parametrize("ids", [(), (1,), (2, 2), (3, 1, 2), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_an_alignment_is_the_best_of_all(ids: tuple[int, ...], seed: int) -> None:
    log_probs = log_probs_of(6, 4, seed=seed)

    def along(steps: tuple[int, ...]) -> float:
        path = np.zeros(6, int)
        path[list(steps)] = ids
        return float(log_probs[np.arange(6), path].sum())

    best = max(combinations(range(6), len(ids)), key=along)
    found = align_ace(log_probs, ids)
    assert found.ids == ids and found.first == found.last == found.peaks == best
    assert found.log_prob == pytest.approx(along(best))
    assert found.scores == pytest.approx(np.exp(log_probs[list(best), list(ids)]).tolist())


def test_a_text_with_more_units_than_steps_is_refused() -> None:
    with pytest.raises(DataError, match="a text of 3 units needs at least as many output steps, the sound has 2"):
        align_ace(log_probs_of(2, 4), [1, 2, 3])
