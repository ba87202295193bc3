"""The tracker of pitch: sound whose pitch is known because it was made with it, and noise, which has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio import GlobalCmvn, Pitch, RunningCmvn, add_noise_at_snr, coloured_noise, utterance_cmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.pitch import OCTAVES, REFERENCE_HZ, SLOPE, VOICING
from dfcnn_ms.errors import ConfigError

RATE = 16_000
#: a glide from pitch to pitch takes a second: tone 4 of a man, tone 2 of a woman, a child, and the lowest there is
GLIDES = {"man": (140.0, 80.0), "woman": (180.0, 330.0), "child": (300.0, 480.0), "lowest": (62.0, 75.0)}


def voice(hz: np.ndarray, rate: int = RATE, tilt: float = 1.0) -> np.ndarray:
    """Harmonics of a pitch (N,), each weaker than the one below it, at -20 dB; their phases are any."""
    phase, rng = 2 * np.pi * np.cumsum(hz) / rate, np.random.default_rng(1)
    parts = (np.sin(k * phase + rng.uniform(0, 6)) / k**tilt * (k * hz < 0.45 * rate) for k in range(1, 25))
    wave = sum(parts)
    return (0.1 * wave / np.sqrt(np.mean(np.square(wave)))).astype(np.float32)


def glide(start: float, stop: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Hertz (N,), as many octaves in each moment."""
    return start * (stop / start) ** np.linspace(0, 1, round(seconds * rate))


def middles(kind: Pitch, frames: int) -> np.ndarray:
    """The sample in the middle of each frame."""
    return np.arange(frames) * kind.hop_samples + kind.window_samples // 2


def hertz(features: np.ndarray) -> np.ndarray:
    return np.asarray(REFERENCE_HZ * 2 ** features[:, OCTAVES])


@pytest.mark.parametrize("name", GLIDES)
@pytest.mark.parametrize("tilt", [0.3, 1.5])
@pytest.mark.parametrize(("colour", "snr"), [("white", 40), ("white", 5), ("pink", 10)])
def test_a_glide_is_followed(name: str, tilt: float, colour: str, snr: float) -> None:
    kind, hz = Pitch(), glide(*GLIDES[name])
    noise = coloured_noise(np.random.default_rng(0), len(hz), colour)
    features = kind(add_noise_at_snr(voice(hz, tilt=tilt), noise, snr))
    voiced = features[:, VOICING] > 0.5
    error = np.abs(hertz(features) / hz[middles(kind, len(features))] - 1)[voiced]
    assert voiced.mean() > 0.9
    assert (error < 0.02).mean() > 0.97
    wanted = np.log2(GLIDES[name][1] / GLIDES[name][0]) / 10  # octaves in a tenth of a second
    assert np.median(features[:, SLOPE]) == pytest.approx(wanted, abs=0.02 + 0.1 * abs(wanted))


@pytest.mark.parametrize("missing", [1, 2])
def test_a_harmonic_that_is_missing_makes_no_octave_error(missing: int) -> None:
    """A telephone takes the fundamental away."""
    hz = glide(150, 220)
    kind, phase = Pitch(), 2 * np.pi * np.cumsum(hz) / RATE
    features = kind((voice(hz) - _harmonic(voice(hz), phase, missing)).astype(np.float32))
    error = np.abs(hertz(features) / hz[middles(kind, len(features))] - 1)
    assert (error < 0.02).mean() > 0.97


def _harmonic(wave: np.ndarray, phase: np.ndarray, number: int) -> np.ndarray:
    """That part of a wave."""
    waves = np.stack([np.sin(number * phase), np.cos(number * phase)], axis=1)
    return np.asarray(waves @ np.linalg.lstsq(waves, wave, rcond=None)[0])


@pytest.mark.parametrize(("colour", "most"), [("white", 0.03), ("pink", 0.05), ("brown", 0.12)])
def test_noise_has_no_pitch(colour: str, most: float) -> None:
    noise = coloured_noise(np.random.default_rng(2), 5 * RATE, colour)
    voicing = Pitch()((0.1 * noise / noise.std()).astype(np.float32))[:, VOICING]
    assert voicing.mean() < most
    assert (voicing > 0.5).mean() < most


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_silence_and_an_offset_have_no_pitch(level: float) -> None:
    features = Pitch()(np.full(RATE, level, np.float32))
    assert np.isfinite(features).all() and features[:, VOICING].max() < 0.01
    np.testing.assert_allclose(features[:, SLOPE], 0)


def test_what_is_loud_and_what_is_soft_have_the_same_pitch() -> None:
    wave = voice(glide(120, 240))
    np.testing.assert_allclose(Pitch()(wave), Pitch()(0.1 * wave), atol=0.02)


@pytest.mark.parametrize(
    "kind",
    [Pitch(sample_rate=8000), Pitch(sample_rate=44_100), Pitch(hop_ms=12.5), Pitch(window_ms=60, low_hz=50)],
    ids=repr,
)
def test_other_rates_and_clocks(kind: Pitch) -> None:
    hz = glide(120, 200, rate=kind.sample_rate)
    features = kind(voice(hz, kind.sample_rate))
    assert features.shape == (kind.num_frames(kind.sample_rate), 3)
    np.testing.assert_allclose(hertz(features), hz[middles(kind, len(features))], rtol=0.01)


@given(st.integers(0, 60), st.integers(1, 40))
@settings(deadline=None, max_examples=20)
def test_a_frame_depends_on_no_others_than_it_says(first: int, frames: int) -> None:
    """Whatever lies outside is replaced by noise."""
    kind, wave = Pitch(), voice(glide(90, 400)) + _noise(0)
    start, stop = first, min(first + frames, kind.num_frames(RATE))
    early = max(0, start - kind.context_frames) * kind.hop_samples
    late = (stop - 1 + kind.context_frames) * kind.hop_samples + kind.window_samples
    other = _noise(1)
    other[early:late] = wave[early:late]
    np.testing.assert_array_equal(kind(wave)[start:stop], kind(other)[start:stop])


def _noise(seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(RATE)).astype(np.float32)


def voiced_in_noise() -> np.ndarray:
    """Half a second of a high voice, and as much noise before and after it."""
    wave = _noise(3)
    wave[RATE // 4 : 3 * RATE // 4] += voice(glide(250, 350, 0.5)) * 10
    return wave


def test_normalised_pitch_is_that_of_the_voiced_frames_alone() -> None:
    raw, known = Pitch()(voiced_in_noise()), Frontend(Pitch())(voiced_in_noise())
    weights = raw[:, VOICING]
    assert 0.3 < weights.mean() < 0.7
    for column in (OCTAVES, SLOPE):
        mean = np.average(raw[:, column], weights=weights)
        deviation = np.sqrt(np.average((raw[:, column] - mean) ** 2, weights=weights))
        np.testing.assert_allclose(known[:, column], weights * (raw[:, column] - mean) / deviation, atol=1e-3)
        assert np.abs(known[weights < 0.05, column]).max() < 1
    np.testing.assert_allclose(known[:, VOICING].mean(), 0, atol=1e-5)


def test_weights_of_1_and_0_are_frames_that_are_there_and_are_not() -> None:
    rng = np.random.default_rng(0)
    features, there = rng.standard_normal((80, 2)).astype(np.float32) + 5, rng.random(80) < 0.6
    weights = np.repeat(there[:, None], 2, axis=1).astype(np.float32)
    found = utterance_cmvn(features, weights=weights)
    np.testing.assert_allclose(found[there], utterance_cmvn(features[there]), atol=1e-5)
    assert not found[~there].any()
    halves = (features[:40], features[40:])
    told = dict(zip(map(id, halves), (weights[:40], weights[40:]), strict=True))
    estimate = GlobalCmvn.estimate(halves, weights=lambda part: told[id(part)])
    alone = GlobalCmvn.estimate([features[there]])
    np.testing.assert_allclose([estimate.mean, estimate.std], [alone.mean, alone.std], rtol=1e-6)
    running = RunningCmvn(alone)(features, weights)
    np.testing.assert_allclose(running[there], RunningCmvn(alone)(features[there]), atol=1e-5)


@pytest.mark.parametrize("cmvn", ["none", "global", "running"])
def test_pieces_are_normalised_as_the_whole(cmvn: str) -> None:
    frontend = Frontend(Pitch(), cmvn).fitted([voiced_in_noise(), voice(glide(100, 150))])
    raw, normalise = Pitch()(voiced_in_noise()), frontend.in_pieces()
    assert normalise is not None
    found = np.concatenate([normalise(raw[:30]), normalise(raw[30:])])
    np.testing.assert_allclose(found, frontend(voiced_in_noise()), atol=1e-5)
    assert np.abs(found[raw[:, VOICING] < 0.02, OCTAVES]).max() < 0.2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"low_hz": 500.0}, "low_hz is 500.0 and high_hz 500.0; give low_hz below high_hz"),
        ({"window_ms": 25.0}, r"both from 80 \(two periods in a window of 25 ms\)"),
        ({"high_hz": 1500.0}, "to 1000"),
        ({"octave_jump": -1.0}, "octave_jump is -1.0; give 0 to 100"),
        ({"floor": float("nan")}, "floor is nan; give 0 to 1"),
        ({"hop_ms": 0.0}, "hop_ms is 0.0; it must be above 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Pitch(**options)  # type: ignore[arg-type]
