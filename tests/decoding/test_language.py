"""Language models inside the beam: the slow methods against the kernels, plain Python against machine code."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dfcnn_ms.decoding import BeamSearch, Hotwords, Hypothesis, LanguageModel
from dfcnn_ms.decoding.hotwords import Phrase
from dfcnn_ms.decoding.ngram import LanguageScorer, NgramModel, train
from dfcnn_ms.decoding.ngram.kernels import advance, finish
from dfcnn_ms.decoding.ngram.trie import frozen
from dfcnn_ms.errors import ConfigError

Array = NDArray[Any]
Text = tuple[int, ...]
SYMBOLS = ("<blank>", "<unk>", "ma1", "ma2", "ma3", "ma4")  # no text holds the last one
WIDE = 2000  # more than there are texts in any small case
steady = settings(deadline=None, max_examples=40)  # a busy machine is not a fault
seeds = st.integers(0, 2**32 - 1)


def random_log_probs(rng: np.random.Generator, *shape: int) -> Array:
    logits = rng.normal(size=shape) * 2
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), np.float32)


def random_model(rng: np.random.Generator, order: int = 3) -> NgramModel:
    return train([rng.choice(SYMBOLS[2:5], size=rng.integers(1, 7)).tolist() for _ in range(30)], order=order)


@dataclass
class Remembers:
    """An n-gram model as a neural one would look: its state is all that was said, and it is asked for whole texts."""

    model: NgramModel
    units: int = len(SYMBOLS)
    start: Text = ()

    def next(self, state: Text, unit: int) -> Text:
        return (*state, unit)

    def score(self, state: Text) -> Array:
        return np.array([self._said((*state, unit)) for unit in range(self.units)]) - self._said(state)

    def finish(self, state: Text) -> float:
        return self.model.log_prob(self._symbols(state)) - self._said(state)

    def _said(self, text: Text) -> float:
        return self.model.log_prob(self._symbols(text), eos=False)

    def _symbols(self, text: Text) -> list[str]:
        return [SYMBOLS[unit] for unit in text]


def search(log_probs: Array, **options: Any) -> list[Hypothesis]:
    return BeamSearch(**options)(log_probs[None], [len(log_probs)])[0]


# --- the n-gram model, slowly -----------------------------------------------------------------------------------------


def reachable(scorer: LanguageScorer) -> set[int]:
    """Every state that something that can be said leads to."""
    found, new = {scorer.start}, [scorer.start]
    while new:
        new = list({int(advance(scorer, state, unit)[1]) for state in new for unit in range(scorer.units)} - found)
        found.update(new)
    return found


@steady
@given(seeds, st.integers(1, 5), st.sampled_from([None, 1e-3, 1e-1]), st.booleans())
def test_the_slow_methods_of_a_scorer_say_what_its_kernels_say(
    seed: int, order: int, threshold: float | None, is_odd: bool
) -> None:
    """Odd models come from elsewhere: their back-off weights are not those that make probabilities sum to one."""
    rng = np.random.default_rng(seed)
    model = random_model(rng, order)
    scorer = (model if threshold is None else model.pruned(threshold)).scorer(SYMBOLS)
    if is_odd:
        weights = rng.choice([-2.0, -0.5, 0.0, 0.25], size=len(scorer.log10_backoff))
        scorer = scorer._replace(log10_backoff=frozen(weights.astype(np.float32)))
    assert scorer.units == len(SYMBOLS)
    states = reachable(scorer)
    assert order == 1 or threshold or len(states) > 3
    for state in states:
        slow = scorer.score(state)
        assert slow.shape == (scorer.units,)
        for unit in range(scorer.units):
            log_prob, following = advance(scorer, state, unit)
            assert slow[unit] == pytest.approx(log_prob, rel=1e-12, abs=0)
            assert scorer.next(state, unit) == following
        assert scorer.finish(state) == pytest.approx(finish(scorer, state), rel=1e-12, abs=0)


@steady
@given(seeds, st.integers(1, 4), st.lists(st.integers(1, len(SYMBOLS) - 1), max_size=8))
def test_the_slow_methods_add_up_to_the_sentence(seed: int, order: int, said: list[int]) -> None:
    model = random_model(np.random.default_rng(seed), order)
    language: LanguageModel = model.scorer(SYMBOLS)
    state, total = language.start, 0.0
    for unit in said:
        total += language.score(state)[unit]
        state = language.next(state, unit)
    assert total + language.finish(state) == pytest.approx(model.log_prob([SYMBOLS[unit] for unit in said]))


# --- any other model --------------------------------------------------------------------------------------------------


@steady
@given(seeds, st.integers(1, 12), st.booleans())
def test_a_model_in_plain_python_finds_what_the_compiled_one_finds(seed: int, beam: int, with_hotwords: bool) -> None:
    rng = np.random.default_rng(seed)
    model, log_probs = random_model(rng), random_log_probs(rng, 2, 12, len(SYMBOLS))
    phrases = [Phrase(tuple(rng.choice(SYMBOLS[2:], size=rng.integers(1, 4))), rng.uniform(0.1, 3)) for _ in range(3)]
    options: dict[str, Any] = {
        "beam": beam,
        "nbest": beam,
        "min_log_prob": float(rng.choice([-3.0, -math.inf])),
        "lm_weight": float(rng.uniform(0, 2)),
        "length_bonus": float(rng.uniform(-1, 1)),
        "hotwords": Hotwords(tuple(phrases), SYMBOLS) if with_hotwords else None,
    }
    compiled = BeamSearch(language=model.scorer(SYMBOLS), **options)(log_probs, [12, 7])
    plain = BeamSearch(language=Remembers(model), **options)(log_probs, [12, 7])
    for mine, theirs in zip(plain, compiled, strict=True):
        assert [h.ids for h in mine] == [h.ids for h in theirs]
        for name in ("score", "log_prob", "language_log_prob", "language_score"):
            numbers = [getattr(h, name) for h in theirs]
            assert [getattr(h, name) for h in mine] == pytest.approx(numbers, abs=1e-6), name


@dataclass
class Opinionated:
    """By hand: 3 never follows 2, 2 is liked at the beginning and 3 after itself; a sentence likes to end in 3.

    Its state is a dictionary, so as to be nothing that could be a key. `asked` counts what it was asked, by text.
    """

    units: int = 4
    start: Mapping[str, Text] = field(default_factory=lambda: {"said": ()})
    asked: Counter[tuple[str, Text]] = field(default_factory=Counter)

    def next(self, state: Mapping[str, Text], unit: int) -> Mapping[str, Text]:
        self.asked["next", (*state["said"], unit)] += 1
        return {"said": (*state["said"], unit)}

    def score(self, state: Mapping[str, Text]) -> Array:
        self.asked["score", state["said"]] += 1
        likes = {(): (math.nan, -4.0, -0.2, -2.0), (2,): (math.nan, -3.0, -0.5, -math.inf)}
        return np.array(likes.get(state["said"][-1:], (math.nan, -2.5, -1.5, -0.4)), np.float32)

    def finish(self, state: Mapping[str, Text]) -> float:
        self.asked["finish", state["said"]] += 1
        return -0.1 if state["said"][-1:] == (3,) else -2.0


def opinion(text: Text) -> float:
    """What the model above thinks of a whole sentence."""
    model = Opinionated()
    states = [{"said": text[:place]} for place in range(len(text) + 1)]
    likes = [float(model.score(state)[unit]) for state, unit in zip(states[:-1], text, strict=True)]
    return sum(likes) + model.finish(states[-1])


def all_texts(log_probs: Array) -> dict[Text, float]:
    """Log-probability of each text over all its paths, by the sound alone."""
    found = defaultdict(list)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        found[text].append(sum(float(row[unit]) for row, unit in zip(log_probs, path, strict=True)))
    return {text: float(np.logaddexp.reduce(paths)) for text, paths in found.items()}


def forbidden(text: Text) -> bool:
    return (2, 3) in itertools.pairwise(text)


@steady
@given(seeds, st.integers(0, 4), st.floats(0.1, 2))
def test_a_model_by_hand_is_weighed_against_the_sound(seed: int, steps: int, weight: float) -> None:
    log_probs = random_log_probs(np.random.default_rng(seed), steps, 4)
    options = {"beam": WIDE, "nbest": WIDE, "min_log_prob": -math.inf, "lm_weight": weight, "length_bonus": 0.3}
    found, sound = search(log_probs, language=Opinionated(), **options), all_texts(log_probs)
    truth = {
        text: log_prob + weight * opinion(text) + 0.3 * len(text)
        for text, log_prob in sound.items()
        if not forbidden(text)
    }
    assert len(found) == len(truth)
    assert {h.ids: h.score for h in found} == pytest.approx(truth, abs=1e-5)
    assert {h.ids: h.log_prob for h in found} == pytest.approx({text: sound[text] for text in truth}, abs=1e-6)
    assert [h.language_log_prob for h in found] == pytest.approx([opinion(h.ids) for h in found], abs=1e-5)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_a_model_decides_what_the_sound_does_not() -> None:
    """Two steps that sound like anything but a blank: the sound is for no text, and the model likes 2 2, or 3 3."""
    log_probs = np.log(np.array([[0.01, 0.33, 0.33, 0.33], [0.97, 0.01, 0.01, 0.01], [0.01, 0.33, 0.33, 0.33]]))
    texts = [text for text in all_texts(log_probs) if len(text) == 2 and not forbidden(text)]
    best = max(texts, key=opinion)
    assert search(log_probs, language=Opinionated(), lm_weight=1.0)[0].ids == best == (3, 3)
    assert opinion((2, 3)) == -math.inf


@steady
@given(seeds, st.integers(1, 12))
def test_a_model_is_asked_no_question_twice_and_none_about_the_blank(seed: int, beam: int) -> None:
    """In one utterance; its scores of the blank above are no numbers, and nobody minds."""
    model = Opinionated()
    log_probs = random_log_probs(np.random.default_rng(seed), 15, 4)
    found = search(log_probs, language=model, beam=beam, nbest=beam)
    assert set(model.asked.values()) == {1}
    assert not [text for _, text in model.asked if 0 in text]
    assert {("finish", h.ids) for h in found} <= model.asked.keys()


@steady
@given(seeds, st.lists(st.integers(0, 9), min_size=1, max_size=5), st.sampled_from([None, 3]))
def test_a_batch_with_a_model_is_its_utterances(seed: int, lengths: list[int], threads: int | None) -> None:
    log_probs = random_log_probs(np.random.default_rng(seed), len(lengths), 9, 4)
    decoder = BeamSearch(nbest=3, language=Opinionated(), threads=threads)
    alone = [decoder(one[None, :length], [length])[0] for one, length in zip(log_probs, lengths, strict=True)]
    assert decoder(log_probs, lengths) == alone


class Trouble(Exception):  # noqa: N818 (not an error of anybody)
    pass


def troubled(where: str, at: int, trouble: BaseException) -> Opinionated:
    """A model that fails when it is asked something for the `at`-th time, and ever after."""

    class Troubled(Opinionated):
        pass

    def fails(self: Opinionated, *arguments: Any) -> Any:
        if next(times) >= at:
            raise trouble
        return getattr(Opinionated, where)(self, *arguments)

    times: Iterator[int] = itertools.count(1)
    setattr(Troubled, where, fails)
    return Troubled()


@pytest.mark.parametrize("where", ["score", "next", "finish"])
@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("trouble", [Trouble("out of memory"), KeyboardInterrupt()])
def test_an_exception_inside_a_model_reaches_the_caller(where: str, at: int, trouble: BaseException) -> None:
    log_probs = random_log_probs(np.random.default_rng(0), 2, 12, 4)
    before = BeamSearch(language=Opinionated())(log_probs, [12, 12])
    with pytest.raises(type(trouble)) as caught:
        BeamSearch(language=troubled(where, at, trouble))(log_probs, [12, 12])
    assert caught.value is trouble
    with pytest.raises(type(trouble)):
        BeamSearch(language=troubled(where, at, trouble), threads=2)(log_probs, [12, 12])
    assert BeamSearch(language=Opinionated())(log_probs, [12, 12]) == before  # nothing of it is left


def test_the_first_of_several_exceptions_is_told() -> None:
    class Falls(Opinionated):
        def score(self, state: Mapping[str, Text]) -> Array:
            raise Trouble(state["said"])

    with pytest.raises(Trouble) as caught:
        search(random_log_probs(np.random.default_rng(0), 5, 4), language=Falls())
    assert caught.value.args == ((),)


def test_a_model_that_forgets_a_unit_is_told() -> None:
    class Short(Opinionated):
        def score(self, state: Mapping[str, Text]) -> Array:
            return np.zeros(3)

    with pytest.raises(IndexError):
        search(np.log(np.full((2, 4), 0.25)), language=Short())


@pytest.mark.parametrize("units", [3, 5])
def test_a_model_of_another_network_is_refused(units: int) -> None:
    model = Opinionated(units=units)
    with pytest.raises(ConfigError, match=f"language model: made for a network of {units} units, this one has 4"):
        search(np.log(np.full((2, 4), 0.25)), language=model)
    assert not model.asked


def test_probabilities_above_one_count_as_one() -> None:
    class Generous(Opinionated):
        def score(self, state: Mapping[str, Text]) -> Array:
            return np.full(4, 1e-3)

        def finish(self, state: Mapping[str, Text]) -> float:
            return 0.5

    assert search(np.log(np.full((2, 4), 0.25)), language=Generous())[0].language_log_prob == 0.0
