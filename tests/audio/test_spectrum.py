"""The power spectrum: NumPy's transform in float64 for every length, loud, quiet and broken waves, and neighbours."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio.fft import PowerSpectrum
from dfcnn_ms.audio.fft.simd import LANES, transform
from dfcnn_ms.audio.fft.spectrum import _spectrum
from dfcnn_ms.audio.wave import Array

HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)).astype(np.float32)


def noise(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def powers(window: Array, n_fft: int, wave: Array, hop: int, frames: int) -> Array:
    out = np.full((frames, n_fft // 2 + 1), np.nan, np.float32)
    PowerSpectrum(window, n_fft)(wave, hop, out)
    return out


def numpy_powers(window: Array, n_fft: int, wave: Array, hop: int, frames: int) -> np.ndarray:
    parts = [wave[t * hop : t * hop + len(window)].astype(np.float64) * window for t in range(frames)]
    return np.abs(np.fft.rfft(parts, n_fft)) ** 2


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    """To three millionths of the loudest bin of the frame, which is what float32 can say."""
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= 3e-6 * theirs.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("n", range(1, 18))
def test_the_transform_of_a_few_numbers_is_that_of_numpy(n: int) -> None:
    numbers = [complex(*pair) for pair in np.random.default_rng(n).standard_normal((n, 2))]
    np.testing.assert_allclose(transform(numbers), np.fft.fft(numbers), rtol=0, atol=1e-13)


POWERS_OF_TWO = [2**k for k in range(13)]
PRODUCTS = [6, 9, 10, 15, 25, 50, 80, 100, 200, 240, 320, 400, 480, 600, 800, 882, 960, 1000, 1200]
WITH_OTHER_PRIMES = [7, 11, 14, 22, 49, 77, 121, 202, 401, 441, 506, 551, 1018, 1009]


@pytest.mark.parametrize("n_fft", POWERS_OF_TWO + PRODUCTS + WITH_OTHER_PRIMES)
def test_the_power_is_that_of_numpy(n_fft: int) -> None:
    arguments = noise(n_fft, 1), n_fft, noise(13 * n_fft), n_fft, 13
    assert_same(powers(*arguments), numpy_powers(*arguments))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_so_it_is_with_any_window_any_hop_and_any_number_of_frames(data: st.DataObject) -> None:
    n_fft = data.draw(st.integers(1, 130))
    width, hop, frames = data.draw(st.integers(1, n_fft)), data.draw(st.integers(1, 40)), data.draw(st.integers(1, 30))
    wave = noise((frames - 1) * hop + width + data.draw(st.integers(0, 3)), n_fft)
    arguments = noise(width, hop), n_fft, wave, hop, frames
    assert_same(powers(*arguments), numpy_powers(*arguments))


@pytest.mark.parametrize("n_fft", [400, 401, 441, 512])
def test_a_frame_is_the_same_to_the_bit_whatever_stands_around_it(n_fft: int) -> None:
    """Alone, at each place among others, beside loud ones, and beside some that are not numbers."""
    wave = noise(400 + 160 * 40)
    whole = powers(HANN, n_fft, wave, 160, 41)
    for t in range(41):
        assert np.array_equal(powers(HANN, n_fft, wave[160 * t :], 160, 1), whole[t : t + 1])
    for frames in range(1, 3 * LANES):
        assert np.array_equal(powers(HANN, n_fft, wave, 160, frames), whole[:frames])
    for broken in (1e15, np.inf, np.nan):
        damaged = wave.copy()
        damaged[3000] = broken
        sees_it = [160 * t <= 3000 < 160 * t + 400 for t in range(41)]
        found = powers(HANN, n_fft, damaged, 160, 41)
        assert np.array_equal(found[np.invert(sees_it)], whole[np.invert(sees_it)])
        assert not np.isclose(found[sees_it], whole[sees_it]).any()


@pytest.mark.parametrize("n_fft", [400, 401, 441, 512])
def test_silence_has_no_power(n_fft: int) -> None:
    assert not powers(HANN, n_fft, np.zeros(4000, np.float32), 160, 20).any()


@pytest.mark.parametrize("n_fft", [400, 401, 441, 512])
@pytest.mark.parametrize("exponent", [-50, -15, 15, 50])
def test_loud_and_quiet_waves_differ_by_their_scale_alone(n_fft: int, exponent: int) -> None:
    """Powers of two change no digit, so that nothing is rounded in another way."""
    wave = noise(4000)
    scaled = powers(HANN, n_fft, np.ldexp(wave, exponent), 160, 20)
    assert np.array_equal(scaled, np.ldexp(powers(HANN, n_fft, wave, 160, 20), 2 * exponent))


def test_full_scale_and_what_is_almost_nothing() -> None:
    for wave in (np.ones(4000, np.float32), np.sign(noise(4000))):
        arguments = HANN, 400, wave, 160, 20
        assert_same(powers(*arguments), numpy_powers(*arguments))
    for level in (1e-30, 1e-40, 1e-45):  # its square is less than float32 has; the latter two are denormal themselves
        assert not powers(HANN, 400, noise(4000) * np.float32(level), 160, 20).any()


def test_one_compiled_version_serves_whatever_the_samples_are() -> None:
    wave = noise(4000)
    frozen = wave.copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"x" + wave.tobytes(), np.uint8)[1:].view(np.float32)
    expected = powers(HANN, 400, wave, 160, 20)
    for given_wave in (frozen, unaligned, wave.astype(np.float64), np.repeat(wave, 2)[::2]):
        assert np.array_equal(powers(HANN, 400, given_wave, 160, 20), expected)
        assert np.array_equal(powers(HANN, 400, given_wave, 160, 3), expected[:3])
    assert len(_spectrum().signatures) == 1


def test_what_does_not_fit_is_refused_before_memory_is_touched() -> None:
    spectrum, wave = PowerSpectrum(HANN, 512), noise(400 + 160 * 9)
    spectrum(wave, 160, np.empty((10, 257), np.float32))
    for samples, out in (
        (wave[1:], np.empty((10, 257), np.float32)),
        (wave, np.empty((11, 257), np.float32)),
        (wave, np.empty((10, 256), np.float32)),
        (wave, np.empty((20, 257), np.float32)[::2]),
        (wave, np.empty((10, 257), np.float64)),
    ):
        with pytest.raises(ValueError, match="for frames of shape"):
            spectrum(samples, 160, out)


def test_threads_share_a_spectrum() -> None:
    spectrum = PowerSpectrum(HANN, 512)

    def run(seed: int) -> Array:
        out = np.empty((200, 257), np.float32)
        spectrum(noise(400 + 160 * 199, seed), 160, out)
        return out

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(24)))
    assert all(np.array_equal(run(seed), out) for seed, out in enumerate(together))


def test_numba_waits_for_the_first_frame() -> None:
    program = (
        "import sys, numpy as np; from dfcnn_ms.audio import LogMel; feature = LogMel();"
        "before = 'numba' in sys.modules; feature(np.zeros(400, np.float32)); print(before, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.slow
def test_processes_that_start_at_once_with_nothing_compiled_do_not_disturb_each_other(tmp_path: Path) -> None:
    program = """
import logging, numpy as np
from dfcnn_ms.audio import LinearSpectrogram
logging.basicConfig(level=logging.INFO, format="%(message)s")
print(LinearSpectrogram()(np.ones(16_000, np.float32)).sum())
"""

    def start() -> subprocess.Popen[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", program], env=environment, text=True, **pipes)

    together = [start().communicate for _ in range(2)]
    answers = [communicate() for communicate in together]
    later = start().communicate()
    assert {number for number, _ in answers} == {later[0]} and float(later[0])
    assert all("compiling the Fourier transform, once" in said for _, said in answers)
    assert later[1] == ""
