"""Clips of one length: the numbers of librosa, and the phase vocoder beside its own."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from dfcnn_ms.audio import FEATURES, ClipMel
from dfcnn_ms.audio.clip_mel import fitted, stft, stretched
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.errors import ConfigError, DataError


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Noise that grows louder, so that frames differ."""
    loud = np.linspace(0.001, 0.3, samples)
    return (np.random.default_rng(seed).normal(size=samples) * loud).astype(np.float32)


def by_librosa(wave: np.ndarray, features: ClipMel) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=librosa.util.fix_length(wave, size=features.clip_samples),
        sr=16_000,
        n_fft=features.n_fft,
        win_length=features.window_samples,
        hop_length=features.hop_samples,
        n_mels=features.n_mels,
        fmin=features.low_hz,
    )
    return librosa.power_to_db(mel, ref=np.max, top_db=features.range_db).T


@pytest.mark.parametrize("samples", [1_600, 12_345, 16_000, 20_000])
@pytest.mark.parametrize(
    "features", [ClipMel(), ClipMel(n_mels=40, window_ms=64, hop_ms=16, n_fft=1024, seconds=0.7, range_db=50)]
)
def test_the_numbers_are_those_of_librosa(features: ClipMel, samples: int) -> None:
    wave = noise(samples)
    np.testing.assert_allclose(features(wave), by_librosa(wave, features), atol=1e-3)


def test_every_clip_is_the_same_size_and_that_is_what_is_planned_for() -> None:
    features = ClipMel()
    for samples in (1, 1_600, 15_999, 16_000, 16_001, 40_000):
        assert features(noise(samples)).shape == (32, 32) == (features.num_frames(samples), features.num_bins)
        assert features(noise(samples)).dtype == np.float32


def test_silence_is_a_picture_without_anything() -> None:
    assert not ClipMel()(np.zeros(16_000, np.float32)).any()


def test_a_minute_is_no_clip() -> None:
    with pytest.raises(DataError, match=r"got 60.0 s of sound for a network that hears clips of 1 s; cut the clip out"):
        ClipMel()(np.zeros(60 * 16_000, np.float32))


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": 61}, {"range_db": 0}, {"range_db": float("nan")}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"features: (seconds|range_db) is"):
        ClipMel(**wrong)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_the_phase_vocoder_is_that_of_librosa(rate: float) -> None:
    spectrum = ClipMel().spectrum(noise(16_000))
    wanted = librosa.phase_vocoder(spectrum.T.astype(np.complex128), rate=rate, hop_length=512).T
    np.testing.assert_allclose(stretched(spectrum, rate, 512), wanted, atol=0.01 * np.abs(wanted).max())


def test_a_spectrum_of_a_tone_is_that_tone() -> None:
    """A cosine that fits the transform has all its power in one bin, whichever frame is looked at."""
    tone = np.cos(2 * np.pi * 64 * np.arange(16_000) / 2048).astype(np.float32)
    power = np.abs(stft(tone, 2048, 2048, 512)[4:-4]) ** 2
    assert (power.argmax(axis=1) == 64).all() and (power[:, 62:67].sum(axis=1) > 0.999 * power.sum(axis=1)).all()


def test_fitting_cuts_or_fills() -> None:
    assert fitted(np.arange(5), 3).tolist() == [0, 1, 2]
    assert fitted(np.ones((1, 2)), 3).tolist() == [[1, 1], [0, 0], [0, 0]]


def test_it_is_a_kind_of_the_page() -> None:
    assert FEATURES["clip_mel"] is ClipMel and issubclass(ClipMel, LogMel)
    assert eval(repr(ClipMel(seconds=2.0)), {"ClipMel": ClipMel}) == ClipMel(seconds=2.0)
