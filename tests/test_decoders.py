"""One contract for every decoder: greedy, beam search, and beam search with a language model and hotwords."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import DECODERS, Decoder, Hotwords
from dfcnn_ms.decoding.ngram import train

Array = NDArray[Any]
SYMBOLS = ("<blank>", "<unk>", "ma1", "ma2", "ma3", "ma4", "ma5")
UNITS = len(SYMBOLS)


def with_everything(symbols: tuple[str, ...]) -> Decoder:
    model = train([["ma1", "ma2"], ["ma3", "ma1", "ma2"], ["ma4"]], order=3)
    hotwords = Hotwords.parse(["ma2 ma3", "ma2"], symbols, boost=0.5)
    return DECODERS["beam"](beam=8, nbest=3, language=model.scorer(symbols), lm_weight=0.2, hotwords=hotwords)


ALL = {name: make() for name, make in DECODERS.items()} | {"beam + lm": with_everything(SYMBOLS)}
WITHOUT_VOCABULARY = {name: make() for name, make in DECODERS.items()}

each = pytest.mark.parametrize("decoder", ALL.values(), ids=ALL.keys())
each_without_vocabulary = pytest.mark.parametrize("decoder", WITHOUT_VOCABULARY.values(), ids=WITHOUT_VOCABULARY.keys())
steady = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)


def random_log_probs(rng: np.random.Generator, *shape: int) -> Array:
    logits = rng.normal(size=shape) * 3
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), np.float32)


def peaked(path: list[int], units: int = UNITS, peak: float = 0.98) -> Array:
    """Log-probabilities (1, U, V) that nearly spell one path."""
    probabilities = np.full((1, len(path), units), (1 - peak) / max(units - 1, 1))
    probabilities[0, np.arange(len(path)), path] = peak
    return np.asarray(np.log(probabilities), np.float32)


@each
@steady
@given(seeds, st.lists(st.integers(0, 9), max_size=5))
def test_a_batch_is_its_utterances_and_padding_is_not_read(decoder: Decoder, seed: int, lengths: list[int]) -> None:
    log_probs = random_log_probs(np.random.default_rng(seed), len(lengths), 9, UNITS)
    alone = [decoder(one[None, :length], [length])[0] for one, length in zip(log_probs, lengths, strict=True)]
    for one, length in zip(log_probs, lengths, strict=True):
        one[length:] = np.nan
    assert decoder(log_probs, lengths) == alone
    assert decoder(log_probs.astype(np.float64), np.array(lengths, np.int32)) == alone


@each
@steady
@given(seeds)
def test_lists_are_in_order_and_their_numbers_make_sense(decoder: Decoder, seed: int) -> None:
    log_probs = random_log_probs(np.random.default_rng(seed), 2, 12, UNITS)
    for found in decoder(log_probs, [12, 7]):
        assert found
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        assert len({h.ids for h in found}) == len(found)
        for hypothesis in found:
            assert len(hypothesis.ids) == len(hypothesis.steps) == len(hypothesis.confidences)
            assert all(0 < unit < UNITS for unit in hypothesis.ids)
            assert list(hypothesis.steps) == sorted(set(hypothesis.steps))
            assert all(0 < confidence <= 1 for confidence in hypothesis.confidences)
            assert hypothesis.log_prob < 0


@each
@pytest.mark.parametrize(
    ("path", "ids", "steps"),
    [
        ([], (), ()),
        ([0], (), ()),
        ([0, 0, 0, 0], (), ()),
        ([3], (3,), (0,)),
        ([2, 2, 2], (2,), (0,)),  # a repeat is one unit
        ([2, 0, 2], (2, 2), (0, 2)),  # a blank between makes it two
        ([0, 2, 4, 4, 0, 4, 2, 0], (2, 4, 4, 2), (1, 2, 5, 6)),
    ],
)
def test_clear_sound(decoder: Decoder, path: list[int], ids: tuple[int, ...], steps: tuple[int, ...]) -> None:
    best = decoder(peaked(path), [len(path)])[0][0]
    assert (best.ids, best.steps) == (ids, steps)
    assert best.confidences == pytest.approx([0.98] * len(ids))


@each_without_vocabulary
def test_two_units_are_enough(decoder: Decoder) -> None:
    best = decoder(peaked([1, 1, 0, 1], units=2), [4])[0][0]
    assert (best.ids, best.steps) == ((1, 1), (0, 3))


@each
def test_nothing_gives_nothing(decoder: Decoder) -> None:
    assert decoder(np.zeros((0, 5, UNITS)), []) == []
    assert decoder(np.zeros((0, 0, UNITS)), []) == []
    assert [found[0].ids for found in decoder(np.zeros((2, 0, UNITS)), [0, 0])] == [(), ()]


@each
def test_an_impossible_unit_is_a_probability_of_zero(decoder: Decoder) -> None:
    log_probs = np.full((1, 5, UNITS), -np.inf)
    log_probs[0, np.arange(5), [2, 0, 2, 3, 0]] = 0.0
    best = decoder(log_probs, [5])[0][0]
    assert (best.ids, best.steps, best.confidences) == ((2, 2, 3), (0, 2, 3), (1.0, 1.0, 1.0))
    assert best.log_prob == 0.0
    assert len(decoder(log_probs, [5])[0]) == 1


@each
@pytest.mark.parametrize(
    ("value", "message"), [(math.nan, "NaN or infinity at step 1"), (math.inf, "NaN or infinity at step 1")]
)
def test_what_is_no_number_is_refused(decoder: Decoder, value: float, message: str) -> None:
    log_probs = peaked([2, 0, 3])
    log_probs[0, 1, 4] = value
    with pytest.raises(ValueError, match=message):
        decoder(log_probs, [3])
    assert decoder(log_probs, [1])[0][0].ids == (2,)


@each
def test_a_step_without_any_possible_unit_is_refused(decoder: Decoder) -> None:
    log_probs = peaked([2, 0, 3])
    log_probs[0, 2] = -np.inf
    with pytest.raises(ValueError, match="step 2 of an utterance gives every unit a probability of zero"):
        decoder(log_probs, [3])


@each
@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((5, UNITS), [5], r"\(B, U, V\); got shape \(5, 7\)"),
        ((1, 5, 0), [5], r"\(B, U, V\)"),
        ((2, 5, UNITS), [5], "one per utterance of 2"),
        ((2, 5, UNITS), [5, 6], "between 0 and 5"),
        ((2, 5, UNITS), [5, -1], "between 0 and 5"),
    ],
)
def test_wrong_shapes_are_refused(decoder: Decoder, shape: tuple[int, ...], lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoder(np.zeros(shape), lengths)


@each
def test_the_input_is_left_as_it_was(decoder: Decoder) -> None:
    log_probs = random_log_probs(np.random.default_rng(0), 3, 9, UNITS)
    before = log_probs.copy()
    log_probs.flags.writeable = False
    decoder(log_probs, [9, 4, 0])
    assert (log_probs == before).all()


@each
def test_any_layout_in_memory_will_do(decoder: Decoder) -> None:
    log_probs = random_log_probs(np.random.default_rng(0), 2, 9, UNITS)
    assert decoder(np.asfortranarray(log_probs), [9, 9]) == decoder(log_probs, [9, 9])
    assert decoder(log_probs[:, ::2], [5, 5]) == decoder(log_probs[:, ::2].copy(), [5, 5])


def test_lists_are_as_long_as_asked() -> None:
    log_probs = random_log_probs(np.random.default_rng(0), 1, 9, UNITS)
    assert [len(DECODERS["beam"](nbest=n)(log_probs, [9])[0]) for n in (1, 4, 10)] == [1, 4, 10]


@each_without_vocabulary
def test_a_decoder_is_a_value(decoder: Decoder) -> None:
    assert eval(repr(decoder), {type(decoder).__name__: type(decoder)}) == decoder
