"""The cepstrum against NumPy's inverse transform, and on voices whose period is known."""

from __future__ import annotations

import numpy as np
import pytest

from dfcnn_ms.audio import FEATURES, Cepstrogram
from dfcnn_ms.errors import ConfigError

RATE = 16_000


def noise() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(RATE // 2)).astype(np.float32)


@pytest.mark.parametrize(
    "kind",
    [
        Cepstrogram(),
        Cepstrogram(low_ms=0, high_ms=32),
        Cepstrogram(window="hamming", window_ms=25, n_fft=405, low_ms=0, high_ms=12.6),
    ],
    ids=repr,
)
def test_it_is_the_inverse_transform_of_the_logarithm(kind: Cepstrogram) -> None:
    frames = np.lib.stride_tricks.sliding_window_view(noise(), kind.window_samples)[:: kind.hop_samples]
    place, width = np.arange(kind.window_samples), kind.window_samples
    first, second = (0.54, 0.46) if kind.window == "hamming" else (0.5, 0.5)
    spectra = np.fft.rfft(frames * (first - second * np.cos(2 * np.pi * place / width)), kind.n_fft)
    wanted = np.fft.irfft(np.log(np.abs(spectra) ** 2 + 1e-8), kind.n_fft)
    shortest = round(kind.low_ms * 16)
    found = kind(noise())
    np.testing.assert_allclose(found, wanted[:, shortest : shortest + kind.num_bins], atol=1e-4)


@pytest.mark.parametrize("hertz", [80, 125, 250, 400])
def test_a_voice_has_a_ridge_at_its_period(hertz: int) -> None:
    time = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * hertz * k * time + k * k) / k for k in range(1, 7000 // hertz))
    found = Cepstrogram()(np.asarray(0.1 * voice, np.float32) + 0.01 * np.resize(noise(), RATE))
    period = (found.argmax(axis=1) + 32) / RATE  # the first bin is 2 ms
    np.testing.assert_allclose(np.median(period), 1 / hertz, rtol=0.01)


def test_it_is_a_value_with_a_row() -> None:
    assert FEATURES["cepstrogram"] is Cepstrogram
    assert eval(repr(Cepstrogram(high_ms=10))) == Cepstrogram(high_ms=10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"low_ms": 9, "high_ms": 4}, "low_ms is 9 and high_ms 4; give low_ms up to high_ms, both from 0 to 32"),
        ({"high_ms": 33}, "high_ms 33"),
        ({"n_fft": 16384, "high_ms": 100}, "2 to 100 ms has 1569 samples, each of them a bin; give at most 1024"),
        ({"window": "haming"}, "choose one of hamming, hann"),
        ({"floor": 0}, "floor is 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Cepstrogram(**options)  # type: ignore[arg-type]
