"""The nine steps for spoken commands: each changes what it says, within its range, half of the time, never in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfcnn_ms.audio import SPECTRUM_AUGMENTATIONS, WAVE_AUGMENTATIONS, ClipMel, write_wave
from dfcnn_ms.audio.augment import Augmentation
from dfcnn_ms.audio.augment_commands import (
    COMMAND_WAVE_AUGMENTATIONS,
    NOISE_LEVEL,
    Amplitude,
    FixLength,
    FixSpectrum,
    ShiftSpectrum,
    SpectrumNoise,
    SpeedAndPitch,
    StretchSpectrum,
)
from dfcnn_ms.audio.clip_mel import stft
from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError, DataError

WAVE = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000).astype(np.float32)
SPECTRUM = ClipMel().spectrum(WAVE)
EVERY = [kind() for kind in (*COMMAND_WAVE_AUGMENTATIONS.values(), *SPECTRUM_AUGMENTATIONS.values())]


def always(augmentation: Augmentation) -> Augmentation:
    return replace(augmentation, probability=1.0)


def results(augmentation: Augmentation, x: np.ndarray, count: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [augmentation(x, rng) for _ in range(count)]


def given(augmentation: Augmentation) -> np.ndarray:
    return WAVE if type(augmentation) in COMMAND_WAVE_AUGMENTATIONS.values() else SPECTRUM


@pytest.mark.parametrize("augmentation", EVERY, ids=lambda one: type(one).__name__)
def test_the_same_draws_give_the_same_and_the_input_stays(augmentation: Augmentation) -> None:
    x = given(augmentation)
    before = x.copy()
    one, other = (always(augmentation)(x, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(x, before)
    assert one.dtype == x.dtype


@pytest.mark.parametrize("augmentation", EVERY, ids=lambda one: type(one).__name__)
def test_what_is_random_happens_half_of_the_time_and_the_size_is_always_fixed(augmentation: Augmentation) -> None:
    fixes = isinstance(augmentation, FixLength | FixSpectrum)
    assert augmentation.probability == (1.0 if fixes else 0.5)
    x = given(augmentation)
    changed = sum(one.shape != x.shape or not np.array_equal(one, x) for one in results(augmentation, x))
    assert changed == 0 if fixes else 60 < changed < 140


def test_amplitude_is_a_factor_in_its_range() -> None:
    factors = [one[50] / WAVE[50] for one in results(always(Amplitude()), WAVE)]
    assert 0.7 <= min(factors) < 0.75 and 1.05 < max(factors) <= 1.1


def test_speed_changes_length_and_pitch_together() -> None:
    for one in results(always(SpeedAndPitch()), WAVE, 20):
        ratio = len(one) / len(WAVE)
        hertz = np.abs(np.fft.rfft(one * np.hanning(len(one)))).argmax() * 16_000 / len(one)
        assert 0.8 <= ratio <= 1.2 and hertz == pytest.approx(400 / ratio, abs=2)
    assert (SpeedAndPitch().longest, SpeedAndPitch().shortest) == (1.2, 0.8)


def test_the_length_is_a_second() -> None:
    assert [len(FixLength()(WAVE[:n], np.random.default_rng(0))) for n in (10, 16_000)] == [16_000, 16_000]


def test_stretching_changes_the_frames_and_not_the_pitch() -> None:
    lengths = set()
    for one in results(always(StretchSpectrum()), SPECTRUM, 50):
        lengths.add(len(one))
        middle = np.abs(one[5 : len(one) - 6])
        assert (middle.argmax(axis=1) == np.abs(SPECTRUM[5]).argmax()).all()
    assert min(lengths) >= 26 and max(lengths) <= 39 and len(lengths) > 8


def test_shifting_moves_by_at_most_eight_frames_and_brings_silence() -> None:
    marked = np.arange(1, 33, dtype=np.complex64)[:, None] * np.ones((1, 3), np.complex64)
    found = set()
    for one in results(always(ShiftSpectrum()), marked):
        first = one[:, 0].real.astype(int)
        places = np.flatnonzero(first)
        moved = int(places[0] - (first[places[0]] - 1))
        assert np.array_equal(first[places] - 1 + moved, places) and len(places) == 32 - abs(moved)
        found.add(moved)
    assert found == set(range(-8, 9))


def test_the_number_of_frames_is_fixed() -> None:
    shapes = [FixSpectrum()(SPECTRUM[:n], np.random.default_rng(0)).shape for n in (5, 32)]
    shapes.append(FixSpectrum()(np.concatenate([SPECTRUM] * 2), np.random.default_rng(0)).shape)
    assert shapes == [(32, 1025)] * 3


def test_noise_is_a_share_of_up_to_its_limit() -> None:
    """In silence nothing is left but the share of noise, which has a known loudness."""
    silent, white = np.zeros_like(SPECTRUM), always(SpectrumNoise(colours=("white",)))
    level = np.abs(stft(np.random.default_rng(0).normal(size=15_872).astype(np.float32), 2048, 2048, 512)[4:-4]).mean()
    shares = [np.abs(one[4:-4]).mean() / (NOISE_LEVEL * level) for one in results(white, silent, 60)]
    assert min(shares) < 0.05 and 0.35 < max(shares) < 0.47
    mixed, alone = (always(white)(x, np.random.default_rng(5)) for x in (SPECTRUM, silent))
    left = (mixed - alone)[3:-3]
    factor = (left[:, 50] / SPECTRUM[3:-3, 50]).real
    assert factor.std() < 1e-3 and 0.55 <= factor.mean() <= 1


def test_noise_comes_from_recordings_too(tmp_path) -> None:
    write_wave(tmp_path / "tone.wav", 0.1 * WAVE)
    noise = always(SpectrumNoise(recordings=(str(tmp_path),), colours=()))
    noise.check()
    loudest = {int(np.abs(one[10]).argmax()) for one in results(noise, np.zeros_like(SPECTRUM), 5)}
    assert loudest == {int(np.abs(SPECTRUM[10]).argmax())}
    with pytest.raises(DataError, match="no sound file is there"):
        SpectrumNoise(recordings=(str(tmp_path / "none"),)).check()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Amplitude(low=0.0),
        lambda: SpeedAndPitch(most=1.0),
        lambda: FixLength(seconds=-1),
        lambda: ShiftSpectrum(most=-1),
        lambda: FixSpectrum(frames=0),
        lambda: SpectrumNoise(colours=()),
        lambda: SpectrumNoise(colours=("green",)),
        lambda: StretchSpectrum(most=float("nan")),
    ],
)
def test_what_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="augmentation: "):
        wrong()


def test_the_page_of_commands_has_the_nine_steps_in_their_order_and_ranges() -> None:
    config = load_config("commands")
    first = [Amplitude(low=0.7, high=1.1), SpeedAndPitch(most=0.2), FixLength(seconds=1.0)]
    then = [StretchSpectrum(most=0.2), ShiftSpectrum(most=8), FixSpectrum(frames=32), SpectrumNoise(most=0.45)]
    assert list(config.augment.wave) == first and list(config.augment.spectrum) == then
    assert (config.features.n_fft, config.features.hop_samples, config.features.n_mels) == (2048, 512, 32)
    assert COMMAND_WAVE_AUGMENTATIONS.items() <= WAVE_AUGMENTATIONS.items()
