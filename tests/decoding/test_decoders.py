"""One contract for every decoder of sentences, a beam search with everything among them; and what ranks classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import DECODERS, BaseDecoder, Decoder, Hotwords, Hypothesis, Ranking
from dfcnn_ms.decoding.choice import SEARCH
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.errors import CheckpointError, ConfigError
from dfcnn_ms.tasks import TASKS

Array = NDArray[Any]
SYMBOLS = ("<blank>", "<unk>", "ma1", "ma2", "ma3", "ma4", "ma5")
UNITS = len(SYMBOLS)


def with_everything(symbols: tuple[str, ...]) -> Decoder:
    model = train([["ma1", "ma2"], ["ma3", "ma1", "ma2"], ["ma4"]], order=3)
    hotwords = Hotwords.parse(["ma2 ma3", "ma2"], symbols, boost=0.5)
    return DECODERS["beam"](beam=8, nbest=3, language=model.scorer(symbols), lm_weight=0.2, hotwords=hotwords)


WITHOUT_VOCABULARY = {name: make() for name, make in DECODERS.items() if make.reads == "ctc"}
ALL = WITHOUT_VOCABULARY | {"beam + lm": with_everything(SYMBOLS)}

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
            assert all(0 < unit < UNITS for unit in hypothesis.ids)
            assert hypothesis.log_prob < 0


@each
@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ([], ()),
        ([0], ()),
        ([0, 0, 0, 0], ()),
        ([3], (3,)),
        ([2, 2, 2], (2,)),  # a repeat is one unit
        ([2, 0, 2], (2, 2)),  # a blank between makes it two
        ([0, 2, 4, 4, 0, 4, 2, 0], (2, 4, 4, 2)),
    ],
)
def test_clear_sound(decoder: Decoder, path: list[int], ids: tuple[int, ...]) -> None:
    assert decoder(peaked(path), [len(path)])[0][0].ids == ids


@each_without_vocabulary
def test_two_units_are_enough(decoder: Decoder) -> None:
    assert decoder(peaked([1, 1, 0, 1], units=2), [4])[0][0].ids == (1, 1)


@each
def test_nothing_gives_nothing(decoder: Decoder) -> None:
    assert decoder(np.zeros((0, 5, UNITS)), []) == []
    assert decoder(np.zeros((0, 0, UNITS)), []) == []
    assert [found[0].ids for found in decoder(np.zeros((2, 0, UNITS)), [0, 0])] == [(), ()]


@each
def test_an_impossible_unit_is_a_probability_of_zero(decoder: Decoder) -> None:
    log_probs = np.full((1, 5, UNITS), -np.inf)
    log_probs[0, np.arange(5), [2, 0, 2, 3, 0]] = 0.0
    (best,) = decoder(log_probs, [5])[0]
    assert (best.ids, best.log_prob) == ((2, 2, 3), 0.0)


@each
@pytest.mark.parametrize(
    ("value", "message"), [(math.nan, "NaN or infinity at step 1"), (math.inf, "NaN or infinity at step 1")]
)
def test_what_is_no_number_is_refused(decoder: Decoder, value: float, message: str) -> None:
    log_probs = peaked([2, 0, 3])
    log_probs[0, 1, 4] = value
    with pytest.raises(CheckpointError, match=message):
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


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_is_a_value_and_knows_its_flags(name: str) -> None:
    kind = DECODERS[name]
    assert issubclass(kind, BaseDecoder)
    assert eval(repr(kind()), {one.__name__: one for one in DECODERS.values()}) == kind()
    assert kind.hears <= SEARCH.keys()
    assert kind.reads in {task.outputs for task in TASKS.values()}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_decoder(task: str) -> None:
    assert TASKS[task].outputs in {kind.reads for kind in DECODERS.values()}


# --- classes ----------------------------------------------------------------------------------------------------------


def slow_ranking(log_probs: Array, nbest: int) -> list[tuple[int, float]]:
    """Classes of a clip (U, V) by its first step, in pairs with their log-probabilities; of equals, the first."""
    classes = [(unit, float(log_probs[0, unit])) for unit in range(2, log_probs.shape[1])]
    return sorted(classes, key=lambda one: -one[1])[:nbest]


@steady
@given(seeds, st.integers(1, 8), st.sampled_from([2, 7]), st.booleans())
def test_classes_are_ranked_as_a_sort_would(seed: int, nbest: int, classes: int, many_are_equal: bool) -> None:
    log_probs = random_log_probs(np.random.default_rng(seed), 3, 2, 2 + classes)
    if many_are_equal:
        log_probs = np.round(log_probs)
    for found, one in zip(Ranking(nbest)(log_probs, [1, 2, 1]), log_probs, strict=True):
        assert [(h.ids, h.log_prob) for h in found] == [((unit,), score) for unit, score in slow_ranking(one, nbest)]
        assert all(h.score == h.log_prob for h in found)
        assert {type(h.ids[0]) for h in found} == {int}


@pytest.mark.parametrize("special", [0, 1])
def test_blank_and_unknown_are_no_class(special: int) -> None:
    log_probs = peaked([special])
    log_probs[0, 0, 4] += 0.1
    assert Ranking()(log_probs, [1])[0][0].ids == (4,)
    assert {unit for h in Ranking(UNITS)(log_probs, [1])[0] for unit in h.ids} == {2, 3, 4, 5, 6}


@steady
@given(seeds, st.lists(st.integers(0, 3), max_size=5))
def test_a_batch_of_clips_is_its_clips_and_padding_is_not_read(seed: int, lengths: list[int]) -> None:
    log_probs, ranking = random_log_probs(np.random.default_rng(seed), len(lengths), 3, UNITS), Ranking(3)
    alone = [ranking(one[None, :length], [length])[0] for one, length in zip(log_probs, lengths, strict=True)]
    for one, length in zip(log_probs, lengths, strict=True):
        one[length:] = np.nan
    assert ranking(log_probs, lengths) == alone
    assert ranking(log_probs.astype(np.float64), np.array(lengths, np.int32)) == alone


def test_a_clip_without_a_step_has_no_class() -> None:
    assert Ranking(3)(np.zeros((2, 1, UNITS)), [0, 1])[0] == [Hypothesis((), 0.0)]
    assert Ranking()(np.zeros((0, 1, UNITS)), []) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_no_class_either(value: float) -> None:
    log_probs = peaked([2, 3])
    log_probs[0, 1, 4] = value
    with pytest.raises(CheckpointError, match="NaN or infinity at step 1"):
        Ranking()(log_probs, [2])
    assert Ranking()(log_probs, [1])[0][0].ids == (2,)


def test_wrong_shapes_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, U, V\); got shape \(5, 7\)"):
        Ranking()(np.zeros((5, UNITS)), [5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        Ranking()(np.zeros((1, 1, UNITS)), [2])


def test_a_ranking_has_at_least_one_place() -> None:
    for nbest in (0, 2.5):
        with pytest.raises(ConfigError, match=f"nbest must be a whole number of at least 1; got {nbest}"):
            Ranking(nbest)  # type: ignore[arg-type]
