"""Tuning of weight and length bonus: constructed sound whose right values are known, and what holds for any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest

from dfcnn_ms.decoding import BeamSearch, Greedy, Hypothesis
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.decoding.tune import Grid, Trial, tune
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import Edits, edits

SYMBOLS = ("<blank>", "<unk>", "a", "b")
A, B = 2, 3


@pytest.fixture(scope="module")
def search() -> BeamSearch:
    """With a model that has read `a` nine times as often as `b`."""
    model = train([["a"]] * 9 + [["b"]], order=2)
    return BeamSearch(language=model.scorer(SYMBOLS), min_log_prob=-20.0)


def one_step(wrong: float) -> np.ndarray:
    """A step (1, V) in which `b` is e**wrong times as probable as `a`; the blank is out of the question."""
    scores = np.array([[-30.0, -30.0, 0.0, wrong]])
    return scores - np.log(np.exp(scores).sum())


def margin(search: BeamSearch) -> float:
    """By how much the model likes `a` better than `b`, the ends included."""
    found = [search(one_step(wrong)[None], [1])[0][0] for wrong in (-5.0, 5.0)]
    return found[0].language_log_prob - found[1].language_log_prob


def test_the_weight_is_found_that_the_sound_needs(search):
    """`a` was said, and heard as `b` by 1: the model has to be believed by at least 1 / margin."""
    needed = 1 / margin(search)
    grid = Grid(lm_weights=(0.0, 2.0), length_bonuses=(0.0,), halvings=8)
    best = tune(search, [one_step(1.0)] * 3, [[A]] * 3, grid)
    assert best.edits == Edits(reference_length=3, utterances=3)
    assert needed < best.lm_weight < needed + 0.02  # the least of those without errors, to 2 / 2**8


def test_a_weight_that_does_harm_is_not_taken(search):
    best = tune(search, [one_step(1.0)], [[B]], Grid(lm_weights=(0.0, 1.0, 2.0), length_bonuses=(0.0,)))
    assert (best.lm_weight, best.edits.total) == (0.0, 0)


def faint() -> np.ndarray:
    """Three steps (3, V): `a`, a blank, and a `b` that is a little less probable than no sound at all."""
    probabilities = np.array([[0.05, 0.01, 0.9, 0.04], [0.9, 0.01, 0.05, 0.04], [0.6, 0.01, 0.01, 0.38]])
    return np.log(probabilities)


def test_the_length_bonus_is_found_that_brings_back_what_is_lost(search):
    without = search(faint()[None], [3])[0][0]
    assert without.ids == (A,)
    best = tune(search, [faint()], [[A, B]], Grid(lm_weights=(0.5,), length_bonuses=(0.0, 2.0, 4.0, 8.0)))
    assert best.edits.total == 0 and best.length_bonus > 0 and best.lm_weight == 0.5


def random_sound(seed: int) -> tuple[list[np.ndarray], list[list[int]]]:
    """Utterances of different lengths that nearly say their reference."""
    rng = np.random.default_rng(seed)
    log_probs, references = [], []
    for _ in range(70):
        reference = rng.choice([A, B], size=rng.integers(1, 6), p=[0.8, 0.2]).tolist()
        scores = rng.normal(size=(2 * len(reference), 4))
        for place, unit in enumerate(reference):
            scores[2 * place, unit] += 1.5
            scores[2 * place + 1, 0] += 3.0
        log_probs.append((scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32))
        references.append(reference)
    return log_probs, references


def test_the_best_of_all_trials_is_returned_and_none_is_made_twice(search):
    log_probs, references = random_sound(0)
    trials: list[Trial] = []
    grid = Grid(lm_weights=(0.0, 0.5, 1.0), length_bonuses=(0.0, 1.0))
    best = tune(search, log_probs, references, grid, watch=trials.append)
    points = [(trial.lm_weight, trial.length_bonus) for trial in trials]
    assert len(set(points)) == len(points)
    assert points[:6] == list(product(grid.lm_weights, grid.length_bonuses))
    assert best in trials and best.edits.total == min(trial.edits.total for trial in trials)
    assert min(weight for weight, _ in points) >= 0


def test_errors_are_counted_as_each_utterance_alone_would(search):
    log_probs, references = random_sound(1)
    best = tune(search, log_probs, references, Grid(lm_weights=(0.7,), length_bonuses=(1.3,)))
    chosen = BeamSearch(language=search.language, min_log_prob=-20.0, lm_weight=0.7, length_bonus=1.3)
    total = Edits()
    for one, reference in zip(log_probs, references, strict=True):
        ids = chosen(one[None], [len(one)])[0][0].ids
        total += edits([SYMBOLS[id] for id in reference], [SYMBOLS[id] for id in ids])
    assert best.edits == total and total.total > 0


def test_of_equals_the_gentlest_is_taken(search):
    best = tune(
        search, [one_step(-9.0)], [[A]], Grid(lm_weights=(0.6, 0.2, 0.4), length_bonuses=(2.0, -1.0, 1.0, -2.0))
    )
    assert best.edits.total == 0
    assert best.lm_weight <= 0.2 and abs(best.length_bonus) <= 1.0


def test_a_search_without_a_model_is_refused():
    with pytest.raises(ConfigError, match="nothing to tune without a language model"):
        tune(BeamSearch(), [one_step(0.0)], [[A]])


def test_a_decoder_without_anything_to_tune_is_refused():
    with pytest.raises(ConfigError, match="Greedy has nothing to tune: it takes no lm_weight and no length_bonus"):
        tune(Greedy(), [one_step(0.0)], [[A]])


@dataclass(frozen=True)
class Compromise:
    """A decoder of somebody's own: `a` where its weight is near one, `b` where it is not; once for each bonus."""

    language: str = "anything"
    lm_weight: float = 0.0
    length_bonus: float = 0.0
    beam: int = 5

    def __call__(self, log_probs: np.ndarray, lengths: Sequence[int] | np.ndarray) -> list[list[Hypothesis]]:
        assert self.beam == 7
        unit = A if 0.7 < self.lm_weight < 1.3 else B
        return [[Hypothesis((unit,) * int(self.length_bonus), 0.0)] for _ in log_probs]


def test_any_decoder_that_takes_both_values_is_tuned():
    best = tune(Compromise(beam=7), [one_step(0.0)] * 2, [[A] * 3] * 2, Grid((0.0, 1.0), (0.0, 2.0), halvings=1))
    assert (best.lm_weight, best.length_bonus, best.edits.total) == (1.0, 3.0, 0)


def test_a_model_in_plain_python_is_tuned_like_a_compiled_one(search):
    class Plain:
        """The same model, which no compiled code knows."""

        def __getattr__(self, name):
            return getattr(search.language, name)

    log_probs, references = random_sound(2)
    grid = Grid(lm_weights=(0.0, 1.0), length_bonuses=(0.0, 1.0), halvings=1)
    compiled, plain = [], []
    for language, trials in ((search.language, compiled), (Plain(), plain)):
        tune(replace(search, language=language), log_probs, references, grid, watch=trials.append)
    assert plain == compiled and len(compiled) > 4


@pytest.mark.parametrize("count", [0, 1])
def test_references_that_do_not_fit_are_refused(search, count):
    with pytest.raises(DataError, match="a reference for each utterance; got 0"):
        tune(search, [one_step(0.0)] * count, [])


def test_an_empty_grid_is_refused():
    with pytest.raises(ConfigError, match="at least one weight"):
        Grid(lm_weights=())


@pytest.mark.parametrize(
    "values", [{"lm_weights": (-0.5,)}, {"lm_weights": (math.nan,)}, {"length_bonuses": (0.0, math.inf)}]
)
def test_values_that_cannot_be_are_refused(values):
    with pytest.raises(ConfigError, match="must be"):
        Grid(**values)
