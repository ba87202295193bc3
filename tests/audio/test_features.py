"""Features against their peers (librosa, python_speech_features) and against their own promises."""

from __future__ import annotations

import json
import pickle

import librosa
import numpy as np
import pytest
import python_speech_features

from dfcnn_ms.audio.features import FEATURES, GlobalCmvn, LinearSpectrogram, LogMel, Mfcc, utterance_cmvn
from dfcnn_ms.audio.wave import LOUDEST, Array
from dfcnn_ms.errors import ConfigError, DataError

KINDS = [LinearSpectrogram(), LogMel(), Mfcc()]
by_kind = pytest.mark.parametrize("feature", KINDS, ids=lambda feature: type(feature).__name__)


def speech_like(seconds: float = 2.0, rate: int = 16_000) -> np.ndarray:
    """Gliding harmonics that come and go, over noise 40 dB below them."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * t + 10 * np.sin(3 * t))
    voice = sum(np.sin(k * phase) / k for k in range(1, 30)) * np.clip(np.sin(9 * t), 0, 1)
    return (0.2 * voice + 2e-3 * rng.standard_normal(len(t))).astype(np.float32)


WAVES = {
    "speech-like": speech_like(),
    "noise": 0.1 * np.random.default_rng(1).standard_normal(20_123).astype(np.float32),
    "quiet": 1e-3 * np.random.default_rng(2).standard_normal(7_777).astype(np.float32),
}
by_wave = pytest.mark.parametrize("wave", WAVES.values(), ids=WAVES.keys())


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def ones(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def assert_parity(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@by_wave
def test_linear_spectrogram_equals_librosa(wave):
    spectrum = librosa.stft(wave, n_fft=400, hop_length=160, window="hamming", center=False)
    assert_parity(LinearSpectrogram()(wave), np.log(np.abs(spectrum.T[:, :200]) ** 2 + 1e-8))


@by_wave
@pytest.mark.parametrize("n_mels", [23, 40, 80])
def test_log_mel_equals_librosa(wave, n_mels):
    # librosa puts a short window into the middle of n_fft points: (512 - 400) / 2 zeros lie before it.
    power = librosa.feature.melspectrogram(
        y=np.pad(wave, 56),
        sr=16_000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=n_mels,
        fmin=20,
    )
    assert_parity(LogMel(n_mels=n_mels)(wave), np.log(power.T + 1e-10))


def test_mel_filters_equal_librosa():
    for options in ({}, {"n_mels": 40, "high_hz": 7600}, {"sample_rate": 8000, "n_mels": 23, "low_hz": 0}):
        feature = LogMel(**options)
        theirs = librosa.filters.mel(
            sr=feature.sample_rate,
            n_fft=512,
            n_mels=feature.n_mels,
            fmin=feature.low_hz,
            fmax=feature.high_hz,
        )
        np.testing.assert_allclose(feature.filters, theirs.T, atol=1e-8)


@by_wave
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"n_ceps": 20, "n_mels": 40, "lifter": 0}, {"numcep": 20, "nfilt": 40, "ceplifter": 0}),
        ({"energy": False, "preemphasis": 0.0}, {"appendEnergy": False, "preemph": 0.0}),
        (
            {"low_hz": 100, "high_hz": 7000, "hop_ms": 12.5},
            {"lowfreq": 100, "highfreq": 7000, "winstep": 0.0125},
        ),
    ],
)
def test_mfcc_equals_python_speech_features(wave, ours, theirs):
    assert_parity(Mfcc(**ours)(wave), python_speech_features.mfcc(wave.astype(np.float64), **theirs))


def test_mfcc_of_silence_equals_python_speech_features():
    wave = np.zeros(3000, np.float32)
    assert_parity(Mfcc()(wave), python_speech_features.mfcc(wave))


def test_quiet_bins_beside_a_loud_tone_are_exact_to_a_millionth_of_it():
    wave = np.sin(np.arange(16_000) * 0.5).astype(np.float32)
    spectrum = librosa.stft(wave.astype(np.float64), n_fft=400, hop_length=160, window="hamming", center=False)
    ours = np.exp(LinearSpectrogram(floor=1e-30)(wave).astype(np.float64) / 2)
    theirs = np.abs(spectrum.T[:, :200])
    assert np.abs(ours - theirs).max() < 1e-6 * theirs.max()


@pytest.mark.parametrize("floor", [1e-30, 1e-8, 1.0])
def test_the_logarithm_holds_from_the_quietest_power_to_the_loudest(floor):
    """Waves from 1e-17, whose power is about the smallest that float32 has, to the loudest that are read."""
    feature = LinearSpectrogram(floor=floor)
    wave = np.geomspace(1e-17, LOUDEST, 64_000) * np.sign(speech_like(4.0))
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(np.float32).astype(np.float64), 400)[::160]
    power = np.abs(np.fft.rfft(frames * (0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)))) ** 2
    exact = np.log(power[:, :200] + floor)
    clear = power[:, :200] > 1e-4 * power.max(axis=1, keepdims=True)  # of these, float32 holds six digits
    ours = feature(wave)
    assert exact.min() < np.log(floor) + 1 and exact.max() > 2 * np.log(LOUDEST)
    np.testing.assert_allclose(ours[clear], exact[clear], rtol=1e-6, atol=2e-5)


def test_one_second_is_98_frames():
    wave = speech_like(1.0)
    assert LogMel(n_mels=80)(wave).shape == (98, 80)
    assert LinearSpectrogram()(wave).shape == (98, 200)
    assert Mfcc()(wave).shape == (99, 13)  # the last one is partly filled


@by_kind
def test_num_frames_tells_the_real_number(feature):
    wave = speech_like(0.2)
    for n in range(1, 2001):
        assert feature(wave[:n]).shape == (feature.num_frames(n), feature.num_bins), n


@pytest.mark.parametrize("feature", [LinearSpectrogram(), LogMel()], ids=["linear", "log_mel"])
def test_num_frames_counts_whole_windows_but_at_least_one(feature):
    assert [feature.num_frames(n) for n in (1, 400, 559, 560, 719, 720)] == [1, 1, 1, 2, 2, 3]


def test_mfcc_counts_a_partly_filled_window():
    assert [Mfcc().num_frames(n) for n in (1, 400, 401, 560, 561)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("n", [1, 17, 399])
def test_a_short_wave_is_padded_with_zeros(n):
    wave = speech_like(0.1)[:n]
    padded = np.pad(wave, (0, 400 - n))
    assert np.array_equal(LinearSpectrogram()(wave), LinearSpectrogram()(padded))
    assert np.array_equal(LogMel()(wave), LogMel()(padded))
    assert_parity(Mfcc()(wave), python_speech_features.mfcc(wave.astype(np.float64)))


@by_kind
def test_a_frame_depends_on_its_own_samples_only(feature):
    """Blocks, lengths and neighbours change nothing: each frame alone equals that frame of the whole."""
    wave = speech_like(6.0)
    whole = feature(wave)
    assert len(whole) > 2 * 256
    for t in (0, 1, 255, 256, 257, 511, 512, 597):
        start = 160 * t
        if isinstance(feature, Mfcc):  # sees one sample further back
            alone = feature(wave[max(0, start - 160) : start + 400])[min(t, 1)]
        else:
            alone = feature(wave[start : start + 400])[0]
        # The product of a power with the bands may add up in another order; nothing else depends on the others.
        tolerance = 0 if isinstance(feature, LinearSpectrogram) else 1e-5
        np.testing.assert_allclose(alone, whole[t], rtol=tolerance, atol=tolerance)


def test_a_tone_lights_the_bin_of_its_frequency():
    wave = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)
    features = LinearSpectrogram()(wave)
    assert set(features.argmax(axis=1)) == {1000 // 40}
    # A tone of amplitude a gives (a / 2 * sum of the window) ** 2; a periodic Hamming window sums to 0.54 W.
    np.testing.assert_allclose(features.max(axis=1), 2 * np.log(0.25 * 0.54 * 400), atol=1e-3)


def test_digital_silence_is_the_floor():
    wave = np.zeros(1000, np.float32)
    assert np.allclose(LinearSpectrogram(floor=1e-6)(wave), np.log(1e-6))
    assert np.allclose(LogMel(floor=1e-6)(wave), np.log(1e-6))


@by_kind
@pytest.mark.parametrize("level", [0.0, 1e-45, 1e-40, 1e-30, 1e-10, 1.0, 1e2])
def test_no_level_gives_what_is_not_a_number(feature, level):
    assert np.isfinite(feature(speech_like(0.3) * np.float32(level))).all()


@by_kind
def test_features_are_float32_contiguous_and_leave_the_wave_alone(feature):
    wave = speech_like(0.5)
    before = wave.copy()
    for given in (wave, wave.astype(np.float64), np.repeat(wave, 2)[::2]):
        features = feature(given)
        assert features.dtype == np.float32 and features.flags.c_contiguous and np.isfinite(features).all()
        assert np.array_equal(features, feature(before))
    assert np.array_equal(wave, before)


@by_kind
@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.zeros(0, np.float32), r"shape \(0,\)"),
        (np.zeros((100, 2), np.float32), r"shape \(100, 2\)"),
        (np.zeros(1000, np.int16), "int16"),
        (np.broadcast_to(np.float32(0), 31 * 60 * 16_000), r"got 31\.0 minutes; give parts of at most 30"),
        (np.full(1000, np.nan, np.float32), "sample 0 is nan; give samples in "),
        (np.append(np.zeros(999), np.inf), "sample 999 is inf"),
        (np.append(np.zeros(999), 1e300), r"sample 999 is 1e\+300; .*, where full scale is 1"),
        (np.float32([0, -1001]), "sample 1 is -1001"),
    ],
)
def test_what_is_not_a_wave_is_refused(feature, wave, says):
    with pytest.raises(DataError, match=says):
        feature(wave)


@by_kind
def test_a_feature_is_a_value(feature):
    kind = next(name for name, cls in FEATURES.items() if cls is type(feature))
    same = FEATURES[kind]()
    assert same == feature and hash(same) == hash(feature) and eval(repr(feature)) == feature
    wave = speech_like(0.1)
    assert np.array_equal(pickle.loads(pickle.dumps(feature))(wave), feature(wave))
    with pytest.raises(AttributeError):
        feature.hop_ms = 5.0


def test_another_rate_keeps_the_milliseconds():
    feature = LogMel(sample_rate=8000, n_fft=256, n_mels=40)
    assert feature.hop_ms == 10.0
    assert (feature.window_samples, feature.hop_samples) == (200, 80)
    assert feature(speech_like(1.0, 8000)).shape == (98, 40)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("linear", {"n_bins": 202}, "n_bins is 202; n_fft 400 allows 1 to 201"),
        ("linear", {"n_bins": 0}, "n_bins is 0"),
        ("linear", {"window": "haming"}, "choose one of hamming, hann"),
        ("linear", {"window_ms": 25.1}, "402 samples, n_fft is 400"),
        ("linear", {"floor": 0.0}, "floor is 0.0"),
        ("log_mel", {"n_mels": 200}, "n_mels is 200, so that .* stay empty; lower n_mels or raise n_fft"),
        ("log_mel", {"n_mels": 0}, "n_mels is 0"),
        ("log_mel", {"high_hz": 8001}, r"high_hz 8001 is above half the sample rate \(8000 Hz\)"),
        ("log_mel", {"high_hz": 0}, "below high_hz"),
        ("log_mel", {"low_hz": 5000, "high_hz": 4000}, "below high_hz"),
        ("log_mel", {"low_hz": -1}, "at least 0"),
        ("log_mel", {"hop_ms": 0}, "hop_ms is 0"),
        ("log_mel", {"hop_ms": 0.01}, "less than a sample"),
        ("log_mel", {"window_ms": float("nan")}, "window_ms is nan"),
        ("log_mel", {"sample_rate": -16_000}, "sample_rate is -16000"),
        ("log_mel", {"n_fft": 256}, "400 samples, n_fft is 256"),
        ("mfcc", {"n_ceps": 27}, "n_ceps is 27; n_mels 26 allows 1 to 26"),
        ("mfcc", {"n_mels": 150}, "stay empty"),
        ("mfcc", {"lifter": -1}, "lifter is -1"),
        ("mfcc", {"lifter": 10**400}, "lifter is a whole number of 1329 bits; give 0 to 1000"),
        ("mfcc", {"preemphasis": float("nan")}, "preemphasis is nan; give 0 to 1"),
        ("linear", {"n_fft": 10**9}, "n_fft is 1000000000; give at most 16384"),
        ("linear", {"floor": 1e308}, r"floor is 1e\+308; give at most 1e\+06"),
        ("log_mel", {"n_mels": 10**8}, "n_mels is 100000000; give at most 512"),
        ("log_mel", {"sample_rate": 10**400}, "sample_rate is a whole number of 1329 bits; give at most 768000"),
        ("log_mel", {"hop_ms": 1e300}, r"hop_ms is 1e\+300; give at most 1000"),
    ],
)
def test_options_that_cannot_work_are_refused(kind, options, says):
    with pytest.raises(ConfigError, match=says):
        FEATURES[kind](**options)


def test_utterance_cmvn_gives_mean_0_and_deviation_1():
    features = np.random.default_rng(0).normal(-15, 3, (200, 8)).astype(np.float32)
    normalised = utterance_cmvn(features)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=1e-5)


def test_utterance_cmvn_survives_constant_bins_and_single_frames():
    features = np.random.default_rng(0).normal(0, 3, (50, 4)).astype(np.float32)
    features[:, 2] = -18.420681
    normalised = utterance_cmvn(features)
    assert np.abs(normalised[:, 2]).max() < 1e-2
    assert np.array_equal(utterance_cmvn(features[:1]), np.zeros((1, 4), np.float32))


def test_global_cmvn_equals_the_statistics_of_all_frames_together():
    rng = np.random.default_rng(0)
    offset = np.array([1000.0, -20.0, 0.0])
    parts = [(rng.normal(0, 2, (t, 3)) + offset).astype(np.float32) for t in (1, 0, 70, 333)]
    together = np.concatenate(parts).astype(np.float64)
    cmvn = GlobalCmvn.estimate(iter(parts))
    np.testing.assert_allclose(cmvn.mean, together.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(cmvn.std, together.std(axis=0), rtol=1e-5)
    normalised = cmvn(parts[2])
    assert normalised.dtype == np.float32 and normalised.shape == (70, 3)
    np.testing.assert_allclose(normalised * cmvn.std + cmvn.mean, parts[2], rtol=1e-5, atol=1e-5)


def test_global_cmvn_only_shifts_a_constant_bin():
    cmvn = GlobalCmvn.estimate([np.full((10, 2), 5.0, np.float32)])
    assert cmvn(np.array([[5.0, 7.0]], np.float32)).tolist() == [[0.0, 2.0]]


def test_global_cmvn_survives_json_to_the_bit():
    parts = [np.random.default_rng(1).normal(-3, 0.7, (40, 5)).astype(np.float32)]
    cmvn = GlobalCmvn.estimate(parts)
    again = GlobalCmvn.from_dict(json.loads(json.dumps(cmvn.to_dict())))
    assert np.array_equal(again(parts[0]), cmvn(parts[0]))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GlobalCmvn.estimate([]), "no frames"),
        (lambda: GlobalCmvn.estimate([zeros(3, 2), zeros(3, 4)]), r"give \(T, 2\)"),
        (lambda: GlobalCmvn(zeros(3), ones(2)), r"both must be \(F,\)"),
        (lambda: GlobalCmvn(zeros(3), zeros(3)), "std above 0"),
        (lambda: GlobalCmvn(ones(1) * np.nan, ones(1)), "finite"),
        (lambda: GlobalCmvn.from_dict({"mean": [0.0]}), "give mean and std"),
        (lambda: GlobalCmvn(zeros(3), ones(3))(zeros(5, 4)), r"give \(T, 3\)"),
    ],
)
def test_unusable_statistics_are_refused(make, says):
    with pytest.raises(DataError, match=says):
        make()
