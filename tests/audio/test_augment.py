"""Augmentations against oracles: each does to the sound exactly what it says, and nothing else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfcnn_ms.audio.augment import (
    FEATURE_AUGMENTATIONS,
    WAVE_AUGMENTATIONS,
    AddNoise,
    BandLimit,
    Clip,
    Colour,
    FreqWarp,
    Gain,
    Room,
    SpecAugment,
    Speed,
    TimeStretch,
    Trim,
    add_noise_at_snr,
    coloured_noise,
    convolve,
    endless_noise,
    mu_law,
    recorded_response,
    room_response,
)
from dfcnn_ms.audio.wave import SAMPLE_RATE, write_wave
from dfcnn_ms.errors import ConfigError, DataError

REGISTERED = {**WAVE_AUGMENTATIONS, **FEATURE_AUGMENTATIONS}
by_name = pytest.mark.parametrize("name", REGISTERED)
#: those whose `repr` is read back below
VALUES = {value.__name__: value for value in REGISTERED.values()}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def strongest_hz(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 16 * len(wave)))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / (16 * len(wave))


def power_db(wave: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave, dtype=np.float64))))


def example(name: str) -> np.ndarray:
    """What the augmentation takes: samples (N,) or features (T, F)."""
    size = 8000 if name in WAVE_AUGMENTATIONS else (120, 40)
    x = rng(5).standard_normal(size).astype(np.float32)
    if name == "trim":
        x[:3000] *= 1e-4
    return x


@by_name
def test_same_generator_same_result_and_another_one_another(name):
    augment, x = REGISTERED[name](), example(name)
    results = [augment(x, rng(seed)) for seed in range(5)]
    for seed, result in enumerate(results):
        assert np.array_equal(result, augment(x, rng(seed)))
    if name != "fix_length":  # which draws nothing
        assert any(not np.array_equal(results[0], other) for other in results[1:])


@by_name
def test_float32_contiguous_and_never_in_place(name):
    augment, x = REGISTERED[name](), example(name)
    before = x.copy()
    for form in (x, x.astype(np.float64), np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]):
        result = augment(form, rng(1))
        assert result.dtype == np.float32 and result.flags.c_contiguous and np.isfinite(result).all()
        assert result.ndim == x.ndim
    assert np.array_equal(x, before)


@by_name
def test_probability(name):
    x = example(name)
    assert np.array_equal(REGISTERED[name](probability=0.0)(x, rng()), x)
    random = rng(2)
    augment = REGISTERED[name](probability=0.3)
    changed = [not np.array_equal(augment(x, random), x) for _ in range(300)]
    expected = 0.3 * 2 / 3 if name == "speed" else 0.3  # one of its three factors is 1.0
    assert np.mean(changed) == pytest.approx(expected, abs=0.1)


@by_name
def test_an_augmentation_is_a_value(name):
    augment = REGISTERED[name]()
    assert augment == REGISTERED[name]() and hash(augment) == hash(REGISTERED[name]())
    assert eval(repr(augment), VALUES) == augment
    x = example(name)
    assert np.array_equal(pickle.loads(pickle.dumps(augment))(x, rng()), augment(x, rng()))


@by_name
def test_the_smallest_inputs_pass(name):
    x = np.ones(1 if name in WAVE_AUGMENTATIONS else (1, 1), np.float32)
    for seed in range(10):
        assert np.isfinite(REGISTERED[name]()(x, rng(seed))).all()


VARIED = {"speed": Speed((0.5, 1.0, 1.6)), "time_stretch": TimeStretch(0.4, 2.0)}


@pytest.mark.parametrize("name", sorted({*REGISTERED} - {"fix_length"}))  # for features of one length alone
def test_no_utterance_becomes_longer_or_shorter_than_the_augmentation_says(name):
    for augment in (REGISTERED[name](), VARIED.get(name, REGISTERED[name]())):
        x = example(name)
        lengths = [len(augment(x, rng(seed))) for seed in range(40)]
        assert len(x) * augment.shortest - 1 <= min(lengths) <= max(lengths) <= len(x) * augment.longest + 1


def test_an_utterance_that_may_stay_as_it_is_has_its_own_length_among_the_possible_ones():
    assert (Speed((0.5, 2.0)).shortest, Speed((0.5, 2.0)).longest) == (0.5, 2.0)
    assert (Speed((1.25,)).shortest, Speed((1.25,)).longest) == (0.8, 1.0)
    assert (TimeStretch(0.8, 0.9).shortest, TimeStretch(0.8, 0.9).longest) == (0.8, 1.0)
    assert (TimeStretch(1.1, 1.3).shortest, TimeStretch(1.1, 1.3).longest) == (1.0, 1.3)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.5])
def test_speed_divides_duration_and_multiplies_pitch(factor):
    wave = Speed(factors=(factor,))(tone(440), rng())
    assert len(wave) == pytest.approx(SAMPLE_RATE / factor, abs=1)
    assert strongest_hz(wave) == pytest.approx(440 * factor, abs=0.5)
    assert power_db(wave) == pytest.approx(power_db(tone(440)), abs=0.1)


def test_speed_1_is_exact_and_all_factors_come_up():
    wave = tone(440)
    assert np.array_equal(Speed(factors=(1.0,))(wave, rng()), wave)
    random = rng()
    lengths = {len(Speed()(wave, random)) for _ in range(40)}
    assert lengths == {round(SAMPLE_RATE / factor) for factor in (0.9, 1.0, 1.1)}


def test_gain_is_exact_and_stays_between_its_limits():
    wave = tone(440)
    np.testing.assert_allclose(Gain(-20.0, -20.0)(wave, rng()), wave * 0.1, rtol=1e-6)
    np.testing.assert_allclose(Gain(6.0, 6.0)(wave, rng()), wave * 10**0.3, rtol=1e-6)
    random = rng()
    gains = [power_db(Gain(-10.0, 6.0)(wave, random)) - power_db(wave) for _ in range(200)]
    assert -10.01 < min(gains) < -8 and 4 < max(gains) < 6.01


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 40.0])
@pytest.mark.parametrize("noise_samples", [16_000, 3_001, 50_000])
def test_noise_is_added_at_the_snr_asked_for(snr_db, noise_samples):
    wave, noise = tone(440), 30 * rng().standard_normal(noise_samples).astype(np.float32)
    added = add_noise_at_snr(wave, noise, snr_db) - wave
    assert power_db(wave) - power_db(added) == pytest.approx(snr_db, abs=0.1)
    shape = np.resize(noise, len(wave))
    assert np.corrcoef(added, shape)[0, 1] == pytest.approx(1, abs=1e-3)


def test_silence_has_no_snr():
    silence = np.zeros(100, np.float32)
    assert np.array_equal(add_noise_at_snr(silence, tone(440), 10), silence)
    assert np.array_equal(add_noise_at_snr(tone(440), silence, 10), tone(440))


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_add_noise_reaches_its_snr_with_each_colour(colour):
    wave = tone(440)
    added = AddNoise(snr_db=(7.0, 7.0), colours=(colour,))(wave, rng()) - wave
    assert power_db(wave) - power_db(added) == pytest.approx(7, abs=0.1)


def test_add_noise_draws_the_snr_from_its_range():
    wave, random = tone(440), rng()
    snrs = [power_db(wave) - power_db(AddNoise()(wave, random) - wave) for _ in range(60)]
    assert 4.9 < min(snrs) < 8 and 22 < max(snrs) < 25.1


def test_recorded_noise_is_used_from_a_random_place(tmp_path):
    recording = rng().uniform(-0.5, 0.5, 1000).astype(np.float32)
    write_wave(tmp_path / "cafe.wav", recording)
    augment = AddNoise(snr_db=(0.0, 0.0), colours=(), recordings=(str(tmp_path / "cafe.wav"),))
    wave, starts = tone(440, 0.0625), set()
    for seed in range(10):
        added = augment(wave, rng(seed)) - wave
        match = np.fft.irfft(np.fft.rfft(recording) * np.fft.rfft(added).conj(), 1000)  # for each start
        start = int(np.argmax(match))
        assert np.corrcoef(added, np.roll(recording, -start))[0, 1] > 0.999
        starts.add(start)
    assert len(starts) > 5


def test_noise_of_a_folder_comes_from_all_its_files_at_any_depth(tmp_path):
    recordings = {}
    for name in ("a.wav", "deep/er/b.flac", "c.wav"):
        recordings[name] = rng(len(recordings)).uniform(-0.5, 0.5, 4000).astype(np.float32)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_wave(tmp_path / name, recordings[name])
    (tmp_path / "notes.txt").write_text("no sound")
    augment = AddNoise(snr_db=(3.0, 3.0), colours=(), recordings=(str(tmp_path),))
    wave, heard = tone(440, 0.0625), set()
    for seed in range(20):
        added = augment(wave, rng(seed)) - wave
        assert power_db(wave) - power_db(added) == pytest.approx(3, abs=0.1)
        for name, recording in recordings.items():  # the file whose some 1,000 samples in a row were added
            twice = np.concatenate([recording, recording[:999]])
            match = np.abs(np.correlate(twice, added, "valid"))
            best = twice[match.argmax() : match.argmax() + 1000]
            heard |= {name} if abs(np.corrcoef(best, added)[0, 1]) > 0.99 else set()
    assert heard == set(recordings)


def test_noise_of_long_files_is_not_kept_in_memory(tmp_path):
    write_wave(tmp_path / "long.wav", rng().uniform(-0.5, 0.5, 400_000).astype(np.float32))
    augment = AddNoise(colours=(), recordings=(str(tmp_path),))
    for seed in range(3):
        augment(tone(440), rng(seed))
    assert len(pickle.dumps(augment)) < 2000


@pytest.mark.parametrize("kind", [AddNoise, Room])
def test_missing_recordings_are_told_before_training_and_not_when_a_page_is_read(kind, tmp_path):
    augment = kind(recordings=(str(tmp_path / "nowhere"),))
    with pytest.raises(DataError, match="nowhere: no sound file is there"):
        augment.check()


@pytest.mark.parametrize(("colour", "db_per_octave"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_coloured_noise_has_the_slope_of_its_name(colour, db_per_octave):
    noise = coloured_noise(rng(), 2**18, colour)
    power = np.square(np.abs(np.fft.rfft(noise)))
    hz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    octaves = [(low, 2 * low) for low in (100, 200, 400, 800, 1600, 3200)]
    levels = [10 * np.log10(power[(low <= hz) & (hz < high)].mean()) for low, high in octaves]
    assert np.polyfit(range(6), levels, 1)[0] == pytest.approx(db_per_octave, abs=0.15)
    assert noise.dtype == np.float32 and len(noise) == 2**18


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_endless_noise_begins_anywhere_in_one_noise_and_has_no_seam(colour):
    period = 2**19
    one, other = (endless_noise(rng(seed), period + 5000, colour) for seed in (0, 1))
    assert not np.array_equal(one, other)
    for piece in (one, other):
        assert piece.dtype == np.float32 and np.array_equal(piece[:5000], piece[period:])
        steps = np.diff(piece.astype(np.float64))
        assert np.abs(steps).max() < 6.5 * steps.std()  # the largest of so many Gaussian steps: 5 deviations
    assert np.array_equal(np.sort(one[:period]), np.sort(other[:period]))
    piece = endless_noise(rng(0), 3000, colour)
    assert np.array_equal(piece, one[:3000])
    piece[:] = 0  # it is the caller's
    assert np.array_equal(endless_noise(rng(0), 3000, colour), one[:3000])


@pytest.mark.parametrize("rt60", [0.15, 0.4, 0.9])
def test_room_response_has_the_reverberation_time_asked_for(rt60):
    for seed in range(5):
        response = room_response(rng(seed), rt60).astype(np.float64)
        # Schroeder: the energy still to come, in decibels, falls on a line of -60 dB per rt60.
        decay_db = 10 * np.log10(np.cumsum(np.square(response[:0:-1]))[::-1])
        decay_db -= decay_db[0]
        part = (decay_db < -5) & (decay_db > -35)
        slope = np.polyfit(np.flatnonzero(part) / SAMPLE_RATE, decay_db[part], 1)[0]
        assert -60 / slope == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("direct_db", [-3.0, 0.0, 9.0])
def test_room_response_has_power_1_and_its_direct_sound_first(direct_db):
    response = room_response(rng(), 0.3, direct_db=direct_db)
    assert response.dtype == np.float32 and len(response) == 4800
    assert np.sum(np.square(response)) == pytest.approx(1, rel=1e-4)
    ratio = response[0] ** 2 / np.sum(np.square(response[1:]))
    assert 10 * np.log10(ratio) == pytest.approx(direct_db, abs=0.01)


def test_convolution_equals_the_sum_that_defines_it():
    wave = rng(1).standard_normal(1003).astype(np.float32)
    for samples in (1, 7, 400, 3000):
        response = rng(2).standard_normal(samples).astype(np.float32)
        expected = np.convolve(wave.astype(np.float64), response)[:1003]
        ours = convolve(wave, response)
        assert ours.dtype == np.float32 and ours.flags.c_contiguous
        np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_room_keeps_length_and_about_the_loudness_and_nothing_sounds_before_its_time():
    wave = np.concatenate([np.zeros(4000, np.float32), rng().standard_normal(16_000).astype(np.float32)])
    heard = Room()(wave, rng())
    assert len(heard) == len(wave)
    assert np.abs(heard[:4000]).max() < 1e-4
    assert power_db(heard) == pytest.approx(power_db(wave), abs=1.5)


def test_a_recorded_room_begins_at_its_direct_sound_without_offset_and_keeps_the_loudness(tmp_path):
    response = np.zeros(3000, np.float32)
    response[200], response[1000] = 0.5, 0.25
    write_wave(tmp_path / "hall.wav", response + 0.01)
    heard = recorded_response(tmp_path / "hall.wav")
    assert heard.argmax() == 0 and heard[800] / heard[0] == pytest.approx(0.5, abs=0.01)
    assert np.sum(np.square(heard)) == pytest.approx(1, rel=1e-5)
    wave = rng().standard_normal(16_000).astype(np.float32)
    in_it = Room(recordings=(str(tmp_path),))(wave, rng())
    echo = np.zeros(16_000)
    echo[800:] = wave[:-800]
    np.testing.assert_allclose(in_it, (wave + 0.5 * echo) * heard[0], atol=0.1)


def test_a_silent_response_is_refused(tmp_path):
    write_wave(tmp_path / "nothing.wav", np.zeros(100, np.float32))
    with pytest.raises(DataError, match="no response of a room"):
        recorded_response(tmp_path / "nothing.wav")


@pytest.mark.parametrize("bits", [4, 8])
def test_mu_law_has_so_many_levels_and_the_error_that_the_formula_allows(bits):
    loud = np.geomspace(1e-6, 0.7, 10_000)
    wave = np.concatenate([-loud, loud]).astype(np.float32)
    rounded = mu_law(wave, bits)
    assert len(np.unique(rounded)) == 2**bits - 1
    steps = 2 ** (bits - 1) - 1
    # Half a level on the compressed scale, times the slope of the expansion at most one level higher.
    peak = np.abs(wave).max()
    allowed = 0.5 / steps * np.log(256) * (np.abs(wave) + peak / 255) * 256 ** (0.5 / steps)
    assert (np.abs(rounded - wave) <= allowed + 1e-6).all()
    assert not mu_law(np.zeros(5, np.float32), bits).any()


def test_band_limit_keeps_the_middle_and_removes_the_ends():
    augment = BandLimit(low_hz=(300.0, 300.0), high_hz=(3400.0, 3400.0))
    for hz, db in ((1000, 0.0), (300, -3.01), (3400, -3.01), (150, -36.1), (6800, -36.1)):
        change = power_db(augment(tone(hz, 4.0), rng())[8000:-8000]) - power_db(tone(hz, 4.0)[8000:-8000])
        assert change == pytest.approx(db, abs=0.2), hz


def test_colour_changes_each_frequency_by_its_decibels():
    """The same generator draws the same curve for each tone; between its places it is straight on the mel scale."""
    augment, hz, found = Colour(db=9.0, parts=4), np.geomspace(60, 7500, 24), []
    for seed in range(12):
        before = [tone(one, 2.0) for one in hz]
        after = [augment(wave, np.random.default_rng(seed)) for wave in before]
        changes = [
            power_db(one[8000:-8000]) - power_db(other[8000:-8000]) for one, other in zip(after, before, strict=True)
        ]
        drawn = np.random.default_rng(seed).uniform(size=6)[1:] * 18 - 9  # the first says whether it is done at all
        curve = np.interp(np.log1p(hz / 700), np.log1p(8000 / 700) * np.arange(5) / 4, drawn)
        np.testing.assert_allclose(changes, curve, atol=0.2)
        found += changes
    assert max(found) > 5 and min(found) < -5


def test_clip_cuts_what_is_louder_and_leaves_the_rest():
    wave = rng().standard_normal(5000).astype(np.float32)
    clipped = Clip(level_db=(-6.0, -6.0))(wave, rng())
    level = np.abs(wave).max() * 10 ** (-6 / 20)
    loud = np.abs(wave) > level
    assert 0 < loud.sum() < len(wave) / 2
    np.testing.assert_allclose(np.abs(clipped[loud]), level, rtol=1e-6)
    assert np.array_equal(clipped[~loud], wave[~loud]) and (np.sign(clipped) == np.sign(wave)).all()
    assert not Clip()(np.zeros(10, np.float32), rng()).any()


def mask_runs(hidden: np.ndarray) -> int:
    return int(np.count_nonzero(np.diff(np.concatenate([[0], hidden.astype(int)])) == 1))


def test_spec_augment_hides_within_its_bounds_and_touches_nothing_else():
    augment = SpecAugment(time_masks=2, time_width=20, freq_masks=3, freq_width=5, value=99.0)
    features = rng().standard_normal((200, 80)).astype(np.float32)
    random, times, freqs = rng(), [], []
    for _ in range(300):
        masked = augment(features, random)
        hidden = masked == 99.0
        assert np.array_equal(masked[~hidden], features[~hidden])
        rows, columns = hidden.all(axis=1), hidden.all(axis=0)
        assert np.array_equal(hidden, rows[:, None] | columns)  # whole bands, nothing else
        assert mask_runs(rows) <= 2 and mask_runs(columns) <= 3
        times.append(rows.sum())
        freqs.append(columns.sum())
    assert 0 < max(times) <= 40 and 0 < max(freqs) <= 15
    assert max(times) > 30 and min(times) < 10 and max(freqs) > 10


def test_spec_augment_uses_every_width_and_every_place():
    augment = SpecAugment(time_masks=1, time_width=4, freq_masks=0, value=9.0)
    features, random = np.zeros((12, 3), np.float32), rng()
    hidden = [(augment(features, random) == 9.0).all(axis=1) for _ in range(500)]
    assert {int(rows.sum()) for rows in hidden} == {0, 1, 2, 3, 4}
    assert np.any(hidden, axis=0).all()


def test_spec_augment_never_hides_an_utterance_whole():
    augment = SpecAugment(time_masks=10, time_width=10_000, freq_masks=10, freq_width=10_000, value=9.0)
    for shape in ((1, 1), (2, 3), (19, 40), (1600, 200)):
        for seed in range(50):
            hidden = augment(np.zeros(shape, np.float32), rng(seed)) == 9.0
            assert hidden.all(axis=1).sum() <= shape[0] / 2 and hidden.all(axis=0).sum() <= shape[1] / 2
            assert not hidden.all()


def test_spec_augment_writes_the_mean():
    features = rng().normal(-15, 3, (100, 40)).astype(np.float32)
    masked = SpecAugment(freq_masks=0, time_width=50)(features, rng(1))
    changed = np.any(masked != features, axis=1)
    assert changed.any()
    np.testing.assert_allclose(masked[changed], features.mean(), rtol=1e-5)


def test_spec_augment_without_masks_is_identity():
    features = rng().standard_normal((50, 20)).astype(np.float32)
    assert np.array_equal(SpecAugment(time_masks=0, freq_masks=0)(features, rng()), features)
    assert np.array_equal(SpecAugment(time_width=0, freq_width=0)(features, rng()), features)


@pytest.mark.parametrize("kind", [TimeStretch, FreqWarp])
def test_factor_1_is_identity(kind):
    features = rng().standard_normal((50, 20)).astype(np.float32)
    assert np.array_equal(kind(1.0, 1.0)(features, rng()), features)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_time_stretch_moves_a_peak_and_changes_the_length(factor):
    features = np.zeros((100, 4), np.float32)
    features[:, 1] = np.maximum(0, 20 - np.abs(np.arange(100) - 40))
    stretched = TimeStretch(factor, factor)(features, rng())
    assert stretched.shape == (round(100 * factor), 4)
    assert stretched[:, 1].argmax() == pytest.approx(40 * factor, abs=0.5)
    assert not stretched[:, [0, 2, 3]].any()


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_freq_warp_moves_a_peak_and_keeps_the_shape(factor):
    features = np.zeros((3, 100), np.float32)
    features[1] = np.maximum(0, 20 - np.abs(np.arange(100) - 40))
    warped = FreqWarp(factor, factor)(features, rng())
    assert warped.shape == (3, 100)
    assert warped[1].argmax() == pytest.approx(40 * factor, abs=0.5)
    assert not warped[[0, 2]].any()


def test_interpolation_is_linear():
    ramp = np.repeat(np.arange(10, dtype=np.float32)[:, None], 3, axis=1)
    expected = np.minimum(np.arange(12) / 1.2, 9)
    np.testing.assert_allclose(TimeStretch(1.2, 1.2)(ramp, rng())[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(FreqWarp(1.2, 1.2)(np.ascontiguousarray(ramp.T), rng())[0], expected[:10], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("speed", {"factors": ()}, "factors is empty"),
        ("speed", {"factors": (0.0, 1.0)}, "each must be from 0.1 to 10"),
        ("speed", {"factors": (1.0, float("nan"))}, "each must be from 0.1 to 10"),
        ("speed", {"factors": (1.0, 1e9)}, "each must be from 0.1 to 10"),
        ("gain", {"high_db": 1e9}, "at most 100"),
        ("noise", {"snr_db": (-1e9, 5.0)}, "above -100"),
        ("room", {"rt60": (0.1, 1e9)}, "at most 10"),
        ("band_limit", {"high_hz": (3400.0, 1e300)}, "at most 16000"),
        (
            "spec_augment",
            {"time_width": 10**400},
            "time_width is a whole number of 1329 bits; give a whole number from 0",
        ),
        ("spec_augment", {"value": float("nan")}, "value is nan; give a number from -10000 to 10000"),
        ("time_stretch", {"high": 1e9}, "at most 10"),
        ("speed", {"probability": 1.5}, "probability is 1.5"),
        ("gain", {"low_db": 3.0, "high_db": -3.0}, "the lower first"),
        ("noise", {"snr_db": (20.0, 5.0)}, "snr_db is 20.0, 5.0"),
        ("noise", {"snr_db": (20.0,)}, "two numbers"),
        ("noise", {"colours": ("blue",)}, "choose from white, pink, brown"),
        ("noise", {"colours": ()}, "no noise to add"),
        ("room", {"rt60": (0.0, 0.5)}, "above 0"),
        ("band_limit", {"low_hz": (20.0, 5000.0)}, "high_hz is 3400.0, 8000.0; .* above 5000"),
        ("band_limit", {"bits": 1}, "bits is 1; give 0 or 2 to 16"),
        ("spec_augment", {"time_masks": -1}, "time_masks is -1"),
        ("spec_augment", {"freq_width": 2.5}, "freq_width is 2.5"),
        ("time_stretch", {"low": 0.0}, "above 0"),
        ("freq_warp", {"low": 1.2, "high": float("nan")}, "the lower first"),
    ],
)
def test_options_that_cannot_work_are_refused(name, options, says):
    with pytest.raises(ConfigError, match=says):
        REGISTERED[name](**options)


@given(before=st.integers(0, 8000), after=st.integers(0, 8000), most=st.floats(0.0, 0.4), seed=st.integers(0, 99))
def test_trimming_leaves_the_sound_and_at_most_so_much_quiet(before, after, most, seed):
    sound = 0.5 * np.sin(2 * np.pi * 500 * np.arange(3200) / SAMPLE_RATE).astype(np.float32) + 0.1
    quiet = np.random.default_rng(seed).uniform(-1e-3, 1e-3, before + after).astype(np.float32)
    wave = np.concatenate([quiet[:before], sound, quiet[before:]]).astype(np.float32)
    trimmed = Trim(seconds=(0.0, most))(wave, np.random.default_rng(seed))
    start = next(place for place in range(len(wave)) if np.array_equal(wave[place : place + len(trimmed)], trimmed))
    moment = SAMPLE_RATE // 100
    # a moment with so few samples of the sound that it is quiet may go
    assert before - most * SAMPLE_RATE - moment <= start < before + moment
    assert before + 3200 - moment < start + len(trimmed) <= before + 3200 + most * SAMPLE_RATE + moment


def test_silence_is_not_trimmed():
    silence = np.zeros(500, np.float32)
    assert np.array_equal(Trim()(silence, np.random.default_rng(0)), silence)
