"""Signal-to-noise ratios of mixtures that were made to have them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dfcnn_ms.audio.augment import add_noise_at_snr, coloured_noise
from dfcnn_ms.audio.snr import MOST_DB, estimate_snr

RATE = 16_000


def syllables(rng: np.random.Generator, count: int = 6) -> np.ndarray:
    """Something like speech: voiced bursts of changing loudness with silence around each."""
    time = np.arange(round(0.22 * RATE)) / RATE
    pieces = []
    for _ in range(count):
        tones = sum(np.sin(2 * np.pi * rng.uniform(90, 250) * k * time) / k for k in range(1, 20))
        pieces += [rng.uniform(0.3, 1) * np.hanning(len(time)) * tones, np.zeros(round(rng.uniform(0.05, 0.12) * RATE))]
    return np.concatenate(pieces).astype(np.float32)


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20, 30])
def test_constructed_mixtures(snr_db: float, colour: str) -> None:
    rng = np.random.default_rng(snr_db)
    found = []
    for _ in range(10):
        speech = syllables(rng)
        found.append(estimate_snr(add_noise_at_snr(speech, coloured_noise(rng, len(speech), colour), snr_db)))
    assert np.abs(np.array(found) - snr_db).max() < 2.0


def test_loudness_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    speech = syllables(rng)
    mixture = add_noise_at_snr(speech, coloured_noise(rng, len(speech), "white"), 12)
    assert estimate_snr(mixture) == pytest.approx(estimate_snr(0.01 * mixture), abs=1e-3)


def test_noise_alone_is_near_or_below_zero() -> None:
    noise = coloured_noise(np.random.default_rng(0), 3 * RATE, "white")
    assert estimate_snr(noise) < 0


def test_no_noise_is_the_most_that_is_said() -> None:
    assert estimate_snr(syllables(np.random.default_rng(0))) == MOST_DB


@pytest.mark.parametrize("samples", [1, 200, 400, 16_000])
def test_silence_has_no_ratio(samples: int) -> None:
    assert math.isnan(estimate_snr(np.zeros(samples, np.float32)))


@pytest.mark.parametrize("samples", [1, 200, 399, 401])
def test_short_sounds_have_one(samples: int) -> None:
    assert math.isfinite(estimate_snr(np.full(samples, 0.1, np.float32)))
