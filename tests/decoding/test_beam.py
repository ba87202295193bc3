"""Prefix beam search: the enumeration of all paths, and a slow search with the same pruning."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import BeamSearch, Greedy, Hotwords, Hypothesis
from dfcnn_ms.decoding.beam import FIRST_ROOM
from dfcnn_ms.decoding.hotwords import Phrase
from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.errors import ConfigError

Array = NDArray[Any]
Text = tuple[int, ...]
SYMBOLS = ("<blank>", "<unk>", "ma1", "ma2", "ma3")
WIDE = 2000  # more than there are texts in any small case
steady = settings(deadline=None, max_examples=60)  # a busy machine is not a fault
seeds = st.integers(0, 2**32 - 1)


def random_log_probs(rng: np.random.Generator, steps: int, units: int, spread: float) -> Array:
    logits = rng.normal(size=(steps, units)) * spread
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), np.float32)


def small_case(rng: np.random.Generator) -> Array:
    """Log-probabilities (U, V) with at most 1,024 paths, from nearly uniform to nearly certain."""
    units = int(rng.integers(2, 6))
    return random_log_probs(rng, int(rng.integers(0, {2: 10, 3: 7}.get(units, 5))), units, rng.choice([0.5, 2, 6]))


def collapse(path: tuple[int, ...]) -> Text:
    return tuple(unit for unit, _ in itertools.groupby(path) if unit)


def all_texts(log_probs: Array, min_log_prob: float = -math.inf) -> dict[Text, float]:
    """Log-probability of each text that can be spelt with units as probable as that, over all its paths."""
    likely = [np.flatnonzero(row >= min(row.max(), min_log_prob)) for row in log_probs]
    found = defaultdict(list)
    for path in itertools.product(*likely):
        found[collapse(path)].append(sum(float(row[unit]) for row, unit in zip(log_probs, path, strict=True)))
    return {text: float(np.logaddexp.reduce(paths)) for text, paths in found.items()}


def random_model(rng: np.random.Generator) -> NgramModel:
    return train([rng.choice(SYMBOLS[2:], size=rng.integers(1, 7)).tolist() for _ in range(30)], order=3)


def random_boosts(rng: np.random.Generator, units: int) -> dict[Text, float]:
    phrases = [tuple(rng.integers(2, units, size=rng.integers(1, 4)).tolist()) for _ in range(4)] if units > 2 else []
    return {phrase: float(rng.uniform(0.1, 5)) for phrase in phrases}


def hotwords_of(boosts: Mapping[Text, float], units: int) -> Hotwords:
    phrases = (Phrase(tuple(SYMBOLS[unit] for unit in text), boost) for text, boost in boosts.items())
    return Hotwords(tuple(phrases), SYMBOLS[:units])


def bonus_of(text: Text, boosts: Mapping[Text, float]) -> float:
    """What the phrases in a text gain, counted one by one."""
    places = range(len(text))
    return sum(
        boost * len(phrase)
        for phrase, boost in boosts.items()
        for place in places
        if text[place : place + len(phrase)] == phrase
    )


def search(log_probs: Array, **options: Any) -> list[Hypothesis]:
    return BeamSearch(**options)(log_probs[None], [len(log_probs)])[0]


@steady
@given(seeds)
def test_a_wide_beam_is_the_enumeration_of_all_paths(seed: int) -> None:
    log_probs = small_case(np.random.default_rng(seed))
    found, truth = search(log_probs, beam=WIDE, nbest=WIDE, min_log_prob=-math.inf), all_texts(log_probs)
    assert {hypothesis.ids for hypothesis in found} == set(truth)
    assert len(found) == len(truth)
    assert [h.log_prob for h in found] == pytest.approx(sorted(truth.values(), reverse=True), abs=1e-9)
    assert all(h.log_prob == h.score == pytest.approx(truth[h.ids], abs=1e-9) for h in found)


@steady
@given(seeds)
def test_with_language_model_and_hotwords_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_probs, weight, bonus = small_case(rng), float(rng.uniform(0, 2)), float(rng.uniform(-1, 1))
    units, model = log_probs.shape[1], random_model(rng)
    boosts = random_boosts(rng, units)
    language = model.scorer(SYMBOLS[:units]) if units > 2 else None
    options = {"language": language, "lm_weight": weight, "length_bonus": bonus, "hotwords": hotwords_of(boosts, units)}
    found = search(log_probs, beam=WIDE, nbest=WIDE, min_log_prob=-math.inf, **options)
    truth = all_texts(log_probs)
    assert {hypothesis.ids for hypothesis in found} == set(truth)
    for hypothesis in found:
        said = model.log_prob([SYMBOLS[unit] for unit in hypothesis.ids]) if language else 0.0
        score = truth[hypothesis.ids] + weight * said + bonus * len(hypothesis.ids) + bonus_of(hypothesis.ids, boosts)
        assert hypothesis.language_log_prob == pytest.approx(said, abs=1e-6)
        assert hypothesis.score == pytest.approx(score, abs=1e-6)
        counted = weight * said + bonus * len(hypothesis.ids) if language else 0.0
        assert hypothesis.language_score == pytest.approx(counted, abs=1e-6)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@steady
@given(seeds, st.sampled_from([-0.5, -1.5, -4.0]))
def test_improbable_units_are_left_out_of_the_texts_but_not_of_their_probability(seed: int, least: float) -> None:
    log_probs = small_case(np.random.default_rng(seed))
    found, truth = search(log_probs, beam=WIDE, nbest=WIDE, min_log_prob=least), all_texts(log_probs)
    assert {hypothesis.ids for hypothesis in found} == set(all_texts(log_probs, least))
    assert all(hypothesis.log_prob == pytest.approx(truth[hypothesis.ids], abs=1e-9) for hypothesis in found)


def slow_search(log_probs: Array, beam: int, min_log_prob: float, model: NgramModel | None, weight: float) -> set[Text]:
    """The beam after the last step, in the plainest way: dictionaries of logarithms, all candidates, then the best."""
    kept: dict[Text, tuple[float, float]] = {(): (0.0, -math.inf)}
    for row in log_probs.astype(float):
        grown: defaultdict[Text, list[Any]] = defaultdict(lambda: [-math.inf, -math.inf])
        for unit in np.flatnonzero(row >= min(row.max(), min_log_prob)).tolist():
            for text, (blank, spoken) in kept.items():
                if unit == 0:
                    grown[text][0] = np.logaddexp(grown[text][0], np.logaddexp(blank, spoken) + row[unit])
                    continue
                again = bool(text) and text[-1] == unit
                if again:
                    grown[text][1] = np.logaddexp(grown[text][1], spoken + row[unit])
                ready = blank if again else np.logaddexp(blank, spoken)
                longer = (*text, unit)
                grown[longer][1] = np.logaddexp(grown[longer][1], ready + row[unit])
        scores = {text: float(np.logaddexp(*ends)) + _said(text, model, weight) for text, ends in grown.items()}
        best = sorted((text for text in scores if scores[text] > -math.inf), key=scores.__getitem__, reverse=True)
        kept = {text: (grown[text][0], grown[text][1]) for text in best[:beam]}
    return set(kept)


def _said(text: Text, model: NgramModel | None, weight: float) -> float:
    return weight * model.log_prob([SYMBOLS[unit] for unit in text], eos=False) if model else 0.0


@steady
@given(seeds, st.integers(1, 12), st.sampled_from([-2.0, -5.0]), st.booleans())
def test_the_beam_is_that_of_a_slow_search_with_the_same_pruning(
    seed: int, beam: int, least: float, with_model: bool
) -> None:
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, int(rng.integers(1, 15)), 5, rng.choice([1, 3]))
    model = random_model(rng) if with_model else None
    language = model.scorer(SYMBOLS) if model else None
    found = search(log_probs, beam=beam, nbest=beam, min_log_prob=least, language=language, lm_weight=0.7)
    assert {hypothesis.ids for hypothesis in found} == slow_search(log_probs, beam, least, model, 0.7)


def test_a_prefix_that_left_the_beam_comes_back_as_itself() -> None:
    """Thousands of steps with a narrow beam: no text twice, and each with its own probability."""
    log_probs = random_log_probs(np.random.default_rng(5), 3000, 4, 1.0)
    found = search(log_probs, beam=6, nbest=6)
    assert len({hypothesis.ids for hypothesis in found}) == len(found) == 6


@pytest.mark.parametrize("lower", [15.0, 2000.0])
def test_probabilities_smaller_than_any_float_lose_nothing(lower: float) -> None:
    """Lower by as much at each step: of the whole utterance, or of a step alone, no float64 holds the probability."""
    log_probs = random_log_probs(np.random.default_rng(4), 80, 5, 2.0)
    usual = search(log_probs, nbest=10, min_log_prob=-math.inf)
    low = search(log_probs - np.float32(lower), nbest=10, min_log_prob=-math.inf)
    assert [hypothesis.ids for hypothesis in low] == [hypothesis.ids for hypothesis in usual]
    assert [h.log_prob + 80 * lower for h in low] == pytest.approx([h.log_prob for h in usual], abs=0.05)


def test_the_length_bonus_makes_texts_longer() -> None:
    log_probs = random_log_probs(np.random.default_rng(3), 30, 5, 1.0)
    lengths = [len(search(log_probs, length_bonus=bonus)[0].ids) for bonus in (-4.0, 0.0, 4.0)]
    assert lengths[0] < lengths[1] < lengths[2]


def test_the_language_model_decides_what_the_sound_does_not() -> None:
    log_probs = np.log(np.full((1, 5), 0.2, np.float32))
    language = train([["ma3"]] * 9 + [["ma2"]], order=2).scorer(SYMBOLS)
    assert search(log_probs, language=language, lm_weight=1.0)[0].ids == (4,)


def test_a_result_is_plain_python() -> None:
    best = search(random_log_probs(np.random.default_rng(0), 20, 5, 2.0), beam=3)[0]
    assert {type(id) for id in best.ids} == {int}
    numbers = (best.log_prob, best.language_log_prob, best.score, best.language_score)
    assert {type(number) for number in numbers} == {float}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam must be a whole number from 1"),
        ({"beam": 2.5}, "beam must be a whole number"),
        ({"beam": 10**9}, "from 1 to 10000; got 1000000000"),
        ({"beam": 5, "nbest": 6}, "nbest must be at most beam; got 6 of a beam of 5"),
        ({"lm_weight": -1.0}, "lm_weight must be 0 or more; got -1.0"),
        ({"lm_weight": math.nan}, "lm_weight"),
        ({"lm_weight": 1e308}, r"lm_weight must be at most 1e\+06; got 1e\+308"),
        ({"length_bonus": math.inf}, "length_bonus must be a number"),
        ({"length_bonus": -1e308}, r"length_bonus must be a number from -1e\+06 to 1e\+06; got -1e\+308"),
        ({"min_log_prob": 0.5}, "min_log_prob must be the logarithm of a probability; got 0.5"),
        ({"threads": -1}, "threads must be a whole number from 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BeamSearch(**options)


def test_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="logarithms of probabilities"):
        search(np.array([[3.0, -1.0]]))


def test_what_was_made_for_another_network_is_refused() -> None:
    log_probs = random_log_probs(np.random.default_rng(0), 3, 9, 1.0)
    cure = "; make it with the vocabulary of this one"
    with pytest.raises(ConfigError, match=f"hotwords: made for a network of 5 units, this one has 9{cure}"):
        search(log_probs, hotwords=hotwords_of({(2,): 1.0}, 5))
    with pytest.raises(ConfigError, match="language model: made for a network of 5 units"):
        search(log_probs, language=random_model(np.random.default_rng(0)).scorer(SYMBOLS))


def test_a_text_has_the_same_probability_wherever_it_stands_in_the_list() -> None:
    """Texts are summed together, and share what they begin with: alone, as one of five, and as one of a hundred."""
    log_probs = random_log_probs(np.random.default_rng(6), 40, 5, 1.5)
    lists = [search(log_probs, beam=100, nbest=nbest, min_log_prob=-math.inf) for nbest in (100, 20, 1)]
    known = {hypothesis.ids: hypothesis.log_prob for hypothesis in lists[0]}
    for hypothesis in (hypothesis for found in lists for hypothesis in found):
        assert hypothesis.log_prob == pytest.approx(known[hypothesis.ids], abs=1e-9)
        assert hypothesis.log_prob == pytest.approx(ctc_log_prob(log_probs, hypothesis.ids), abs=1e-9)


def ctc_log_prob(log_probs: Array, ids: Text) -> float:
    """Log-probability of a text over all its paths, by the forward algorithm on logarithms."""
    states = [0, *(state for unit in ids for state in (unit, 0))]
    reached = [float(log_probs[0, state]) if place < 2 else -math.inf for place, state in enumerate(states)]
    for row in log_probs[1:].astype(float):
        before = [-math.inf, -math.inf, *reached]
        for place, state in enumerate(states):
            skips = state != 0 and place > 1 and state != states[place - 2]
            ways = before[place + 1 : place + 3] + ([before[place]] if skips else [])
            reached[place] = float(np.logaddexp.reduce(ways)) + row[state]
    return float(np.logaddexp.reduce(reached[-2:]))


def test_a_decoder_says_what_it_is() -> None:
    assert repr(BeamSearch(beam=3)).startswith("BeamSearch(beam=3, nbest=1, min_log_prob=-5.0, lm_weight=0.5")
    assert BeamSearch(beam=3) == BeamSearch(beam=3) != BeamSearch(beam=4)


def test_only_a_call_loads_numba() -> None:
    program = (
        "import sys; from dfcnn_ms.decoding import DECODERS; DECODERS['beam'](beam=3); "
        "import dfcnn_ms.decoding.ngram; sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def indifferent(units: int) -> Any:
    """A language model in plain Python that likes everything alike."""
    return SimpleNamespace(
        units=units, start=0, next=lambda state, unit: 0, score=lambda state: np.zeros(units), finish=lambda state: 0.0
    )


@pytest.mark.long
@pytest.mark.slow
def test_one_compiled_search_serves_whatever_the_arrays_are_and_one_more_each_kind_of_language_model(
    tmp_path: Path,
) -> None:
    from dfcnn_ms.decoding.beam_kernel import searcher

    log_probs, model = random_log_probs(np.random.default_rng(0), 8, 5, 1.0), random_model(np.random.default_rng(0))
    frozen = log_probs.copy()
    frozen.flags.writeable = False
    model.save(tmp_path / "model.bin")
    for scores in (log_probs, frozen, log_probs.astype(np.float64), np.asfortranarray(log_probs), log_probs[::2]):
        search(scores, lm_weight=1, length_bonus=0, min_log_prob=-5)
        search(scores, language=model.scorer(SYMBOLS), hotwords=hotwords_of({(2,): 1.0}, 5))
        search(scores, language=NgramModel.load(tmp_path / "model.bin").scorer(SYMBOLS))
        search(scores, language=indifferent(5))
    assert len(searcher().signatures) == 3


@pytest.mark.parametrize("kind", ["plain", "model", "asked"])
def test_a_stream_gives_what_the_whole_gives_at_every_step(kind: str) -> None:
    """Fed step by step and in greater pieces, through memory that has to grow; hotwords included."""
    rng = np.random.default_rng(1)
    language = {"plain": None, "model": random_model(rng).scorer(SYMBOLS), "asked": indifferent(5)}[kind]
    beam = BeamSearch(
        beam=6, nbest=3, min_log_prob=-20, language=language, hotwords=hotwords_of({(2, 3): 1.5, (4,): 0.5}, 5)
    )
    log_probs = random_log_probs(rng, 2 * FIRST_ROOM + 30, 5, 1.0)
    by_step, by_piece, at = beam.stream(), beam.stream(), 0
    for size in [1, 2, 0, 3, 10, 60, 70, len(log_probs)]:
        piece, at = log_probs[at : at + size], min(at + size, len(log_probs))
        (whole,) = beam(log_probs[None, :at], [at])
        assert by_piece.add(piece) == whole
        for row in range(len(piece)):
            found = by_step.add(piece[row : row + 1])
        assert found == whole
    assert at == len(log_probs)


def test_a_stream_without_steps_says_nothing_yet() -> None:
    assert [one.ids for one in BeamSearch().stream().add(np.zeros((0, 5)))] == [()]
    with pytest.raises(ConfigError, match="made for a network of 4 units, this one has 5"):
        BeamSearch(hotwords=hotwords_of({(2,): 1.0}, 4)).stream().add(np.zeros((0, 5)))


def test_a_decoder_without_a_search_decodes_again() -> None:
    log_probs, stream = random_log_probs(np.random.default_rng(2), 9, 5, 1.0), Greedy().stream()
    for stop in range(1, 10):
        assert stream.add(log_probs[stop - 1 : stop]) == Greedy()(log_probs[None, :stop], [stop])[0]
