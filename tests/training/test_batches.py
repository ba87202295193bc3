"""Batches: each utterance once per epoch, in fixed shapes, the same for the same seed."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio.augment import Gain, SpecAugment, Speed, TimeStretch
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.training.batches import FILLER, BatchSource
from dfcnn_ms.training.cache import FeatureCache
from dfcnn_ms.training.corpus import open_corpus
from dfcnn_ms.training.plan import least_padding, plan_batches

FRONTEND = Frontend(LogMel(n_mels=20))


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    """Eleven utterances of noise of different lengths, with as many labels as their number modulo 4."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(11):
        seconds = 0.3 + 0.1 * index
        write_wave(tmp_path / f"{index}.wav", 0.1 * rng.standard_normal(round(seconds * 16_000)).astype(np.float32))
        made.append(Utterance(f"u{index}", f"{index}.wav", seconds, ("yi1",) * (index % 4)))
    write_manifest(tmp_path / "m.jsonl", made)
    return read_manifest(tmp_path / "m.jsonl")


def source(utterances: list[Utterance], batch_size: int = 3, buckets: int = 2, **options) -> BatchSource:
    corpus = open_corpus(utterances, [[2] * len(u.pinyin) for u in utterances], FRONTEND, **options)
    frames = [corpus.frames(index) for index in range(len(corpus))]
    return BatchSource(corpus, plan_batches(frames, batch_size, buckets, shuffle=True, seed=5))


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_every_utterance_is_in_exactly_one_batch_and_fits(frames, batch_size, buckets, epoch):
    plan = plan_batches(frames, batch_size, buckets, shuffle=True, seed=1)
    batches = plan(epoch)
    assert Counter(index for batch in batches for index in batch.indices) == Counter(range(len(frames)))
    assert all(frames[index] <= batch.frames for batch in batches for index in batch.indices)
    assert len({batch.frames for batch in batches}) <= buckets
    assert len(batches) == len(plan)


def test_sorted_epochs_go_from_short_to_long_and_then_all_is_as_without_them():
    frames = list(np.random.default_rng(0).integers(10, 300, 50))
    plan = plan_batches(frames, 4, 3, shuffle=True, seed=1, sorted_epochs=2)
    for epoch in (0, 1):
        order = [frames[index] for batch in plan(epoch) for index in batch.indices]
        assert order == sorted(frames)
    assert plan(2) == plan_batches(frames, 4, 3, shuffle=True, seed=1)(2)


def test_order_depends_on_seed_and_epoch_and_nothing_else():
    frames = list(np.random.default_rng(0).integers(10, 300, 50))
    plan = plan_batches(frames, 4, 3, shuffle=True, seed=1)
    assert plan(2) == plan(2) == plan_batches(frames, 4, 3, shuffle=True, seed=1)(2)
    assert plan(2) != plan(3)
    assert plan(2) != plan_batches(frames, 4, 3, shuffle=True, seed=2)(2)


def test_with_weights_each_epoch_has_as_many_utterances_and_batches_and_each_as_often_as_it_deserves():
    rng = np.random.default_rng(0)
    frames, weights = list(rng.integers(10, 300, 90)), rng.uniform(0.2, 3, 90)
    plan = plan_batches(frames, 4, 3, shuffle=True, seed=1, weights=weights)
    total: Counter[int] = Counter()
    for epoch in range(200):
        batches = plan(epoch)
        came = Counter(index for batch in batches for index in batch.indices)
        assert len(batches) == len(plan) and came.total() == 90
        assert all(frames[index] <= batch.frames for batch in batches for index in batch.indices)
        total += came
    for (_, members), draws in zip(plan.buckets, plan.draws, strict=True):
        share = weights[list(members)] / weights[list(members)].sum()
        assert abs(draws - 90 * weights[list(members)].sum() / weights.sum()) < 1
        np.testing.assert_allclose([total[index] / 200 for index in members], draws * share, atol=0.12)
    assert plan(7) == plan_batches(frames, 4, 3, shuffle=True, seed=1, weights=weights)(7) != plan(8)


def test_equal_weights_are_one_epoch_of_each():
    plan = plan_batches(list(range(10, 50)), 4, 3, shuffle=True, weights=np.full(40, 0.1))
    for epoch in range(20):
        assert Counter(index for batch in plan(epoch) for index in batch.indices) == Counter(range(40))


def test_equal_lengths_let_each_bucket_contribute_as_many():
    plan = plan_batches([10] * 50 + [100] * 10 + [200] * 3, 4, 3, shuffle=True, equal_lengths=True)
    assert plan.draws == [21, 21, 21]
    assert Counter(batch.frames for batch in plan(0)) == {16: 6, 104: 6, 200: 6}


def test_an_utterance_that_comes_twice_in_an_epoch_is_augmented_in_two_ways(utterances):
    corpus = source(utterances, augment_wave=(Gain(-20, 0),), augment_features=(SpecAugment(),)).corpus
    batch = plan_batches([100], 4, 1, weights=np.ones(1))(0)[0]
    assert batch.takes == (0,)
    plan = plan_batches([100] * 11, 3, 1, shuffle=True, weights=np.array([50.0] + [1.0] * 10))
    rows = [batch.row(place) for batch in plan(0) for place in range(len(batch.indices))]
    assert [take for index, take in rows if index == 0] == list(range(sum(index == 0 for index, _ in rows)))
    assert not np.array_equal(corpus.features(3, 0, 0), corpus.features(3, 0, 1))
    np.testing.assert_array_equal(corpus.features(3, 0, 1), corpus.features(3, 0, 1))


@pytest.mark.parametrize("where", ["wave", "features"])
def test_what_augmentation_makes_too_long_is_augmented_anew(utterances, where):
    """All that fits stays as it was; the rest is drawn again until it fits, and differs from epoch to epoch."""
    options = {"augment_wave": (Speed(factors=(0.8, 1.0, 1.25)),)}
    if where == "features":
        options = {"augment_features": (TimeStretch(0.8, 1.25),)}
    free, tight = (source(utterances, room=room, **options).corpus for room in (math.inf, 1.1))
    plain = source(utterances).corpus
    again, lengths = 0, set()
    for epoch in range(12):
        for index in range(len(utterances)):
            wanted, got = free.features(index, epoch), tight.features(index, epoch)
            allowed = math.ceil(1.1 * len(plain.features(index)) + 1.1)
            assert len(got) <= tight.frames(index) <= allowed
            if len(wanted) <= tight.frames(index):
                np.testing.assert_array_equal(got, wanted)
            again += len(wanted) > tight.frames(index)
            lengths.add(len(got) / len(plain.features(index)))
    assert again > 10 and min(lengths) < 0.85 and max(lengths) > 0.95
    assert max(tight.longest_frames) < max(free.longest_frames)


def test_without_a_limit_nothing_is_augmented_anew(utterances):
    """Not even what a step makes longer without saying so: its batch may have room for it all the same."""
    drawn = []

    def step(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn.append(rng.random())
        return np.pad(x, (0, 800))

    corpus = source(utterances, augment_wave=(step,)).corpus
    assert len(corpus.features(3)) > corpus.frames(3)
    assert drawn == [np.random.default_rng((corpus.seed, 0, 3)).random()]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=25), st.integers(1, 5))
@settings(deadline=None)
def test_shapes_pad_as_little_as_any_choice_of_shapes(lengths, buckets):
    def padded(shapes: tuple[int, ...]) -> int:
        return sum(min(shape for shape in shapes if shape >= length) for length in lengths)

    values = sorted(set(lengths))
    best = min(
        padded((*chosen, values[-1]))
        for count in range(buckets)
        for chosen in itertools.combinations(values[:-1], count)
    )
    shapes = least_padding(lengths, buckets)
    assert len(shapes) <= buckets
    assert padded(tuple(shapes)) == best


def test_arrays_hold_the_utterances_and_silence_and_fillers(utterances):
    batches = source(utterances)
    for batch in batches.plan(0):
        features, labels, lengths, label_lengths = batches.arrays(batch)
        assert features.shape == (3, 1, batch.frames, 20)
        assert labels.shape == (3, 3)
        assert features.dtype == np.float32
        assert labels.dtype == lengths.dtype == label_lengths.dtype == np.int32
        for row, index in enumerate(batch.indices):
            alone = batches.corpus.features(index)
            assert lengths[row] == len(alone)
            np.testing.assert_array_equal(features[row, 0, : len(alone)], alone)
            assert not features[row, 0, len(alone) :].any()
            assert label_lengths[row] == len(utterances[index].pinyin)
        assert (label_lengths[len(batch.indices) :] == FILLER).all()


def test_the_dataset_yields_the_plan_of_each_epoch_in_its_order(utterances):
    batches = source(utterances)
    iterator = batches.dataset().create_tuple_iterator(num_epochs=2, output_numpy=True)
    for epoch in range(2):
        got = [lengths for _, _, lengths, _ in iterator]
        wanted = [batches.arrays(batch, epoch)[2] for batch in batches.plan(epoch)]
        assert len(got) == len(wanted) == len(batches)
        np.testing.assert_array_equal(got, wanted)


def test_augmentation_depends_on_seed_epoch_and_utterance_only(utterances):
    options = {"augment_wave": (Gain(-20, 0),), "augment_features": (TimeStretch(0.8, 1.2), SpecAugment())}
    first, second = (source(utterances, seed=3, **options).corpus for _ in range(2))
    backwards = {index: second.features(index, epoch=1) for index in reversed(range(len(second)))}
    for index in range(len(first)):
        np.testing.assert_array_equal(first.features(index, epoch=1), backwards[index])
    assert not np.array_equal(first.features(10, epoch=1), first.features(10, epoch=2))
    assert not np.array_equal(first.features(10, epoch=1), source(utterances, seed=4, **options).corpus.features(10, 1))


def test_no_augmentation_outgrows_the_frames_planned_for_it(utterances):
    corpus = source(utterances, augment_wave=(Speed((0.8, 1.25)),), augment_features=(TimeStretch(0.7, 1.4),)).corpus
    for index, epoch in itertools.product(range(len(corpus)), range(40)):
        assert len(corpus.features(index, epoch)) <= corpus.frames(index)


def test_cached_features_are_those_computed_and_are_read_not_computed(utterances, tmp_path, monkeypatch):
    plain = source(utterances).corpus
    cached = source(utterances, cache=tmp_path / "cache").corpus
    for index in range(len(utterances)):
        np.testing.assert_array_equal(cached.features(index), plain.features(index))
    monkeypatch.setattr("dfcnn_ms.training.cache._write_cache", lambda *_: pytest.fail("computed again"))
    again = source(utterances, cache=tmp_path / "cache").corpus
    np.testing.assert_array_equal(again.features(3), plain.features(3))


def test_a_changed_file_is_not_served_from_the_cache(utterances, tmp_path):
    FeatureCache.open(tmp_path / "cache", utterances, FRONTEND)
    path = utterances[4].path
    write_wave(path, np.zeros(16_000, np.float32))
    os.utime(path, ns=(1, 1))
    fresh = FeatureCache.open(tmp_path / "cache", utterances, FRONTEND)
    assert not fresh[4].any()


def test_a_cached_picture_can_be_changed_without_changing_the_cache(utterances, tmp_path):
    cache = FeatureCache.open(tmp_path / "cache", utterances, FRONTEND)
    cache[2][:] = 7
    assert not (cache[2] == 7).all()


def test_cache_and_wave_augmentation_exclude_each_other(utterances, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.cache and augment\.wave exclude each other"):
        source(utterances, cache=tmp_path, augment_wave=(Gain(),))


def test_missing_audio_names_line_and_file(utterances):
    utterances[6].path.unlink()
    batches = source(utterances)
    with pytest.raises(DataError, match=r"m\.jsonl:7: .*6\.wav: no such file"):
        batches.corpus.features(6)


def test_no_utterances_is_an_error():
    with pytest.raises(DataError, match="the manifest is empty"):
        plan_batches([], 4, 2)
