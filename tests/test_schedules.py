"""Schedules: closed forms at the first, some and the last step, warm-up, and what holds for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineRestarts,
    InverseTime,
    Noam,
    Plateau,
    Schedule,
    Step,
)

EPOCHS, STEPS = 8, 5
LAST = EPOCHS * STEPS - 1

fractions = st.floats(0, 3, allow_nan=False)
positive = st.floats(0.01, 5)
ANY_SCHEDULE = st.one_of(
    st.builds(Constant, warmup_epochs=fractions),
    st.builds(Cosine, warmup_epochs=fractions, final=st.floats(0, 1)),
    st.builds(Step, warmup_epochs=fractions, every_epochs=positive, factor=st.floats(0, 1)),
    st.builds(InverseTime, warmup_epochs=fractions, decay=st.floats(0, 10)),
    st.builds(Noam, warmup_epochs=fractions),
    st.builds(Plateau, warmup_epochs=fractions),
)


def cosine(share: float, final: float) -> float:
    """From 1 down to `final`, which is reached when the last step (share 1) is."""
    return final + (1 - final) * math.cos(math.pi * share / 2) ** 2


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(), {0: 1, 17: 1, LAST: 1}),
        (Plateau(), {0: 1, 17: 1, LAST: 1}),
        (Cosine(warmup_epochs=0, final=0.1), {0: 1, 13: cosine(1 / 3, 0.1), 20: cosine(20 / 39, 0.1), LAST: 0.1}),
        (Cosine(warmup_epochs=2, final=0.2), {0: 0.1, 9: 1, 10: 1, 25: cosine(15 / 29, 0.2), LAST: 0.2}),
        (Step(every_epochs=2, factor=0.5), {0: 1, 9: 1, 10: 0.5, 19: 0.5, 20: 0.25, LAST: 0.125}),
        (Step(every_epochs=0.4, factor=0.1), {0: 1, 1: 1, 2: 0.1, 4: 0.01}),
        (Step(warmup_epochs=1, every_epochs=3, factor=0.1), {4: 1, 5: 1, 19: 1, 20: 0.1, 34: 0.1, 35: 0.01}),
        (CosineRestarts(period_epochs=2, final=0.1), {0: 1, 5: 0.55, 9: cosine(0.9, 0.1), 10: 1, 15: 0.55, 20: 1}),
        (
            CosineRestarts(period_epochs=1, growth=3, final=0),
            {0: 1, 4: cosine(0.8, 0), 5: 1, 12: cosine(7 / 15, 0), 20: 1},
        ),
        (InverseTime(decay=1), {0: 1, 5: 1 / 2, 13: 1 / (1 + 13 / 5), LAST: 1 / (1 + LAST / 5)}),
        (Noam(warmup_epochs=0), {0: 1, 20: 1, LAST: 1}),
        (Noam(warmup_epochs=2), {4: 0.5, 9: 1, 10: 1, 20: math.sqrt(1 / 2), LAST: math.sqrt(10 / 39)}),
        (InverseTime(decay=0.5, warmup_epochs=2), {9: 1, 10: 1, 20: 1 / 2, LAST: 1 / (1 + 0.5 * 29 / 5)}),
    ],
    ids=lambda value: repr(value) if isinstance(value, Schedule) else "",
)
def test_closed_forms(schedule: Schedule, values: dict[int, float]) -> None:
    factors = schedule.factors(EPOCHS, STEPS)
    assert {step: float(factors[step]) for step in values} == pytest.approx(values, rel=1e-6)


def test_without_options_a_step_is_a_tenth_after_ten_epochs() -> None:
    expected = [1.0] * 10 + [0.1] * 10 + [0.01] * 10
    np.testing.assert_allclose(Step().factors(30, 1), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("warmup_epochs", "rise"),
    [
        (0, []),
        (0.2, [1]),  # a warm-up of one step is none
        (0.6, [1 / 3, 2 / 3, 1]),
        (1, [0.2, 0.4, 0.6, 0.8, 1]),
        (1.5, [step / 8 for step in range(1, 9)]),  # 7.5 steps: eight
    ],
)
@pytest.mark.parametrize("kind", SCHEDULES)
def test_warm_up_rises_to_the_peak_and_the_schedule_begins_there(
    kind: str, warmup_epochs: float, rise: list[float]
) -> None:
    factors = SCHEDULES[kind](warmup_epochs=warmup_epochs).factors(EPOCHS, STEPS)
    np.testing.assert_allclose(factors[: len(rise)], rise, rtol=1e-6)
    assert factors[len(rise)] == 1


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_warm_up_longer_than_the_training_never_arrives(kind: str) -> None:
    factors = SCHEDULES[kind](warmup_epochs=10).factors(2, 3)
    np.testing.assert_allclose(factors, np.arange(1, 7) / 6, rtol=1e-6)


@settings(deadline=None)
@given(schedule=ANY_SCHEDULE, epochs=st.integers(1, 30), steps=st.integers(1, 40))
def test_what_holds_for_every_schedule(schedule: Schedule, epochs: int, steps: int) -> None:
    factors = schedule.factors(epochs, steps)
    assert factors.shape == (epochs * steps,) and factors.dtype == np.float32
    assert (factors >= 0).all() and (factors <= 1).all()
    warmup = min(round(schedule.warmup_epochs * steps), epochs * steps)
    assert (np.diff(factors[:warmup]) > 0).all()
    assert (np.diff(factors[warmup:]) <= 0).all()


@settings(deadline=None)
@given(steps=st.integers(1, 50), every=st.integers(1, 5))
def test_step_changes_at_whole_epochs_whatever_their_length(steps: int, every: int) -> None:
    """The floor of a quotient of floats must not fall one step late."""
    factors = Step(every_epochs=every, factor=0.5).factors(12, steps).reshape(12, steps)
    expected = 0.5 ** (np.arange(12) // every)
    np.testing.assert_allclose(factors, expected[:, None] * np.ones(steps), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("constant", {"warmup_epochs": -1}, "warmup_epochs: got -1, wanted 0 to"),
        ("step", {"warmup_epochs": -0.1}, "warmup_epochs: got -0.1"),
        ("cosine_restarts", {"period_epochs": 0}, "period_epochs: got 0, wanted 0.001 to"),
        ("cosine_restarts", {"period_epochs": 1e-300}, "period_epochs: got 1e-300"),  # would never end
        ("cosine_restarts", {"growth": 0.5}, "growth: got 0.5, wanted 1 to 1000"),
        ("cosine", {"final": math.nan}, "final: got nan, wanted 0 to 1"),
        ("step", {"every_epochs": 0}, "every_epochs: got 0, wanted 0.001 to"),
        ("step", {"factor": 1e300}, "factor: got 1e[+]300, wanted 0 to 1"),
        ("inverse_time", {"decay": -1}, "decay: got -1, wanted 0 to"),  # would divide by zero
        ("plateau", {"patience": 0}, "patience: got 0, wanted 1 to"),
    ],
)
def test_values_without_sense_are_refused(kind: str, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        SCHEDULES[kind](**options)
