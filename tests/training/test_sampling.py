"""Sampling: how often an utterance comes, against what its weight demands."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.training.sampling import class_weights, draw, quotas, scaled_by_group

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=30)


@given(weights, st.integers(1, 100), st.integers(0, 5))
@settings(deadline=None)
def test_each_comes_as_often_as_its_weight_demands_give_or_take_one(values, count, seed):
    chosen = draw(np.random.default_rng(seed), np.array(values), count)
    came = np.bincount(chosen, minlength=len(values))
    deserved = count * np.array(values) / sum(values)
    assert len(chosen) == count
    assert (np.abs(came - deserved) <= 1 + 1e-9).all()


def test_on_average_each_comes_exactly_as_often_as_its_weight_demands():
    values = np.array([1.0, 2.0, 0.1, 5.0, 0.4])
    rng = np.random.default_rng(0)
    came = sum(np.bincount(draw(rng, values, 4), minlength=5) for _ in range(4000)) / 4000
    np.testing.assert_allclose(came, 4 * values / values.sum(), atol=0.03)


@given(st.integers(1, 300), st.integers(0, 20))
@settings(deadline=None)
def test_with_equal_weights_each_comes_once(count, seed):
    assert Counter(draw(np.random.default_rng(seed), np.full(count, 0.3), count)) == Counter(range(count))


def test_the_same_generator_draws_the_same_and_the_order_is_random():
    values = np.ones(50)
    first, again = (draw(np.random.default_rng(3), values, 50) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, draw(np.random.default_rng(4), values, 50))
    assert not np.array_equal(first, np.sort(first))


def test_with_one_label_each_every_class_weighs_the_same():
    labels = [[2]] * 7 + [[3]] * 2 + [[]] * 4
    sums = scaled = class_weights(labels)
    sums = [scaled[:7].sum(), scaled[7:9].sum(), scaled[9:].sum()]
    np.testing.assert_allclose(sums, sums[0])


def test_of_sequences_those_with_rare_units_weigh_more():
    common, rare, rarest = [2, 3, 2, 3], [2, 3, 2, 4], [4, 4, 4, 4]
    weight = dict(zip("cra", class_weights([common, rare, rarest] + [common] * 97)[:3], strict=True))
    # 2 and 3 are in 99 utterances, 4 is in 2.
    assert weight["c"] == pytest.approx(1 / 99)
    assert weight["r"] == pytest.approx(1 / (99**0.75 * 2**0.25))
    assert weight["a"] == pytest.approx(1 / 2)


def test_groups_get_their_shares_and_keep_their_proportions():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    scaled = scaled_by_group(values, np.array([0, 0, 1, 1, 1]), [1.0, 0.5])
    assert scaled[:2].sum() == pytest.approx(1.0) and scaled[2:].sum() == pytest.approx(0.5)
    assert scaled[1] / scaled[0] == pytest.approx(2) and scaled[4] / scaled[2] == pytest.approx(5 / 3)


@given(st.lists(st.floats(0.001, 50), min_size=1, max_size=20), st.integers(1, 500))
def test_quotas_add_up_and_are_next_to_the_exact_share(masses, total):
    counts = quotas(masses, total)
    assert sum(counts) == total
    assert all(abs(count - total * mass / sum(masses)) < 1 + 1e-6 for count, mass in zip(counts, masses, strict=True))
