"""Filters against the responses that SciPy and closed forms give, noise reduction on sound that is known, pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfreqz

from dfcnn_ms.audio import ClipMel, HighPass, LogMel, Mfcc, NoiseReduction, PreEmphasis, add_noise_at_snr
from dfcnn_ms.audio.preprocess import PREPROCESS, Step
from dfcnn_ms.config import load_config, parse_config
from dfcnn_ms.errors import ConfigError

RATE = 16_000
STEPS = [HighPass(), HighPass(hz=300, order=5), PreEmphasis(), NoiseReduction(), NoiseReduction(memory_seconds=0.3)]
PAGE = {"data": {"train": "train.jsonl", "dev": "dev.jsonl"}}


def tone(hz: float, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def white(samples: int, seed: int = 0) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def power(wave: np.ndarray) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


def syllables(seconds: float = 4.0) -> np.ndarray:
    """Harmonics that come and go three times in a second, as a voice does, before and after a quarter of silence."""
    t = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k * k) / k for k in range(1, 30))
    shape = np.clip(np.sin(2 * np.pi * 1.5 * t), 0, 1) * ((t > 0.25) & (t < seconds - 0.25))
    return np.asarray(0.1 * voice * shape, np.float32)


@pytest.mark.parametrize("step", [HighPass(), HighPass(hz=300, order=5)])
@pytest.mark.parametrize("hz", [40.0, 80.0, 300.0, 2000.0])
def test_a_tone_behind_the_high_pass_is_as_loud_as_scipy_says(step: HighPass, hz: float) -> None:
    sections = butter(step.order, step.hz, "highpass", fs=RATE, output="sos")
    wanted = abs(sosfreqz(sections, [hz], fs=RATE)[1][0])
    found = step(tone(hz), RATE)[RATE:]
    assert np.sqrt(power(found) / power(tone(hz)[RATE:])) == pytest.approx(wanted, rel=0.01, abs=1e-4)


def test_half_of_the_power_is_left_at_the_edge_and_no_offset_ever() -> None:
    found = HighPass(hz=200)(tone(200) + np.float32(0.5), RATE)
    assert power(found[RATE:]) == pytest.approx(power(tone(200)[RATE:]) / 2, rel=0.01)
    assert np.abs(HighPass()(np.full(RATE, 0.5, np.float32), RATE)).max() < 1e-6


@pytest.mark.parametrize("hz", [100.0, 1000.0, 6000.0])
def test_pre_emphasis_has_the_gain_of_its_formula(hz: float) -> None:
    wanted = np.sqrt(1 + 0.97**2 - 2 * 0.97 * np.cos(2 * np.pi * hz / RATE))
    found = PreEmphasis()(tone(hz), RATE)[100:]
    assert np.sqrt(power(found) / power(tone(hz)[100:])) == pytest.approx(wanted, rel=1e-3)


def test_pre_emphasis_before_features_is_that_of_mfcc() -> None:
    before = Mfcc(preemphasis=0.0, preprocess=(PreEmphasis(),))
    np.testing.assert_allclose(before(white(RATE)), Mfcc()(white(RATE)), atol=1e-3)


@pytest.mark.parametrize("snr", [0.0, 10.0])
@pytest.mark.parametrize("rate", [8000, 16_000])
def test_noise_is_reduced_and_what_is_said_in_it_stays(snr: float, rate: int) -> None:
    """Of words of one tone in noise: how far what comes out is from the tone alone."""
    time = np.arange(4 * rate) / rate
    words = tone(1000, 4.0, rate) * (np.sin(2 * np.pi * 1.5 * time) > 0)
    words[: rate // 4] = 0
    noisy = add_noise_at_snr(words, white(len(words)), snr)
    clean = words * (np.dot(noisy, words) / np.dot(words, words))
    found = NoiseReduction()(noisy, rate)
    assert power(found - clean) < power(noisy - clean) / 10**0.6
    assert np.dot(found, clean) / np.dot(clean, clean) > 0.9


def test_noise_alone_becomes_weaker_by_as_much_as_was_wanted_and_not_more() -> None:
    for most_db in (6.0, 12.0, 20.0):
        found = 10 * np.log10(power(NoiseReduction(most_db=most_db)(white(4 * RATE), RATE)) / power(white(4 * RATE)))
        assert -most_db - 0.1 < found < -0.8 * most_db


def test_a_clean_voice_is_left_alone() -> None:
    found = NoiseReduction()(syllables(), RATE)
    assert power(found - syllables()) < power(syllables()) / 100
    assert power(found) == pytest.approx(power(syllables()), rel=0.05)


def test_digital_silence_is_forgotten_and_hides_the_noise_after_it_no_longer() -> None:
    wave = np.concatenate([np.zeros(RATE // 2, np.float32), white(4 * RATE)])
    found = NoiseReduction(memory_seconds=1.5)(wave, RATE)
    assert power(found[3 * RATE :]) < power(wave[3 * RATE :]) / 8
    assert power(found[RATE : 2 * RATE]) < power(wave[RATE : 2 * RATE])
    assert np.abs(found[: RATE // 4]).max() < 1e-6


@pytest.mark.parametrize("step", STEPS, ids=repr)
@given(samples=st.integers(1, 9000), cuts=st.lists(st.integers(0, 9000), max_size=5))
@settings(deadline=None, max_examples=25)
def test_pieces_make_the_whole(step: Step, samples: int, cuts: list[int]) -> None:
    wave = white(samples) + tone(300, 1.0)[:samples]
    stream = step.stream(RATE)
    parts = [stream.feed(part) for part in np.split(wave, sorted(min(cut, samples) for cut in cuts))]
    found = np.concatenate([*parts, stream.finish()])
    assert found.shape == wave.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, step(wave, RATE), atol=1e-6)


@pytest.mark.parametrize("step", STEPS, ids=repr)
@given(st.integers(0, 7000))
@settings(deadline=None, max_examples=10)
def test_nothing_looks_further_ahead_than_a_frame_of_noise_reduction(step: Step, place: int) -> None:
    one, other = white(8000), white(8000)
    other[place + 512 :] = white(8000, seed=1)[place + 512 :]
    np.testing.assert_allclose(step(one, RATE)[:place], step(other, RATE)[:place], atol=1e-7)


def test_features_hear_what_the_steps_leave_one_after_the_other() -> None:
    steps, wave = (HighPass(hz=200), NoiseReduction(), PreEmphasis()), syllables() + white(4 * RATE)
    known = wave
    for step in steps:
        known = step(known, RATE)
    for kind in (LogMel(n_mels=20), ClipMel(seconds=4.0)):
        with_steps = replace(kind, preprocess=steps)
        np.testing.assert_array_equal(with_steps(wave), kind(known))
        assert not np.allclose(with_steps(wave), kind(wave))


def test_a_page_says_it_and_one_without_says_what_it_said_before() -> None:
    sections = [{"kind": "high_pass", "hz": 100}, {"kind": "pre_emphasis"}, {"kind": "noise_reduction", "most_db": 6}]
    config = parse_config({**PAGE, "features": {"kind": "log_mel", "preprocess": sections}}, "page")
    steps = (HighPass(hz=100), PreEmphasis(), NoiseReduction(most_db=6))
    assert config.features == LogMel(preprocess=steps)
    assert parse_config(config.model_dump(mode="json"), "page") == config
    assert eval(repr(config.features)) == config.features
    # A name of packs and caches: it may not change.
    assert repr(LogMel(n_mels=40)) == (
        "LogMel(sample_rate=16000, window_ms=25.0, hop_ms=10.0, n_fft=512, n_mels=40, low_hz=20.0, high_hz=None,"
        " window='hann', floor=1e-10)"
    )
    assert load_config("digits", ["features.preprocess=[{kind: high_pass}]"]).features.preprocess == (HighPass(),)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"kind": "high_pass", "hz": 9000}, "hz is 9000.0; give more than 0 and less than 8000, half the rate"),
        ({"kind": "high_pass", "order": 0}, "order is 0; give 1 to 8"),
        ({"kind": "pre_emphasis", "coefficient": 1.5}, "coefficient is 1.5; give 0 to 1"),
        ({"kind": "noise_reduction", "most_db": 0}, "most_db is 0.0; give more than 0"),
        ({"kind": "noise_reduction", "memory_seconds": 0}, "memory_seconds is 0.0; give 0.2 to 60"),
        ({"kind": "low_pass"}, "features.preprocess.0: unknown kind 'low_pass'; did you mean 'high_pass'"),
        ({"kind": "high_pass", "herz": 9}, "features.preprocess.0: unknown key 'herz' for kind 'high_pass'"),
    ],
)
def test_options_that_cannot_work_are_refused_in_a_sentence(section: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({**PAGE, "features": {"kind": "log_mel", "preprocess": [section]}}, "page")


def test_every_step_is_a_value_with_a_row() -> None:
    assert {type(step) for step in STEPS} == set(PREPROCESS.values())
    assert all(hash(step) == hash(eval(repr(step))) for step in STEPS)
