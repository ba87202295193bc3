"""The power spectrum of frames, eight of them side by side, in machine code made by numba.

Each lane holds one frame, and each instruction does the same to the same number of eight frames. So what follows reads
like the transform of a single frame, and no frame can see another.

The Fourier transform is the textbook's: the spectrum of n samples is computed from the spectra of every r-th of them, r
at a time (a butterfly); those from the spectra of every r-th of these, and so on down to single samples, which are
their own spectra. Samples are real, so that the second half of each spectrum mirrors its first half: only points 0 to
n / 2 are computed and kept. Before the pass of radix r that makes spectra of r * m points, there are c * r of m points
each:

* spectrum b is that of the samples b, b + c * r, b + 2 * c * r, ...
* point k + j * m of the new spectrum b is the transform, at j, of the points k of the spectra b, b + c, b + 2 * c, ...,
  turned by 0, 1, 2, ... times the angle of k

Lengths with a prime factor above 5, which hardly anybody chooses, are left to SciPy.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dfcnn_ms.audio.fft import butterflies, simd
from dfcnn_ms.audio.fft.butterflies import RADICES, Addresses
from dfcnn_ms.audio.fft.simd import LANES, POINT
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.compiled import announced, compiled

#: a function that `_spectrum` takes in when it is compiled
part = njit(nogil=True)

#: SciPy transforms so many rows at most with one instruction, and what is left over by code that may round otherwise
_ROWS = 16


class Transform(NamedTuple):
    """What the transform of one length needs.

    Attributes:
        window: weights of the samples of a frame (W,).
        n_fft: samples of a frame, with the zeros after the window.
        radices: how many spectra become one, pass by pass.
        angles: real and imaginary parts; of each pass but the first, r - 1 for each k.
        ones: weights that change nothing.
    """

    window: Array
    n_fft: int
    radices: NDArray[np.int64]
    angles: Array
    ones: Array


class PowerSpectrum:
    """Squared magnitudes of the Fourier transform of each frame.

    Args:
        window: weights of the samples of a frame (W,).
        n_fft: points of the transform, W or more; zeros follow the window.
    """

    def __init__(self, window: Array, n_fft: int) -> None:
        radices, weights, ones = _radices(n_fft), np.asarray(window, np.float32), np.ones(LANES, np.float32)
        self._transform = Transform(weights, n_fft, np.array(radices, np.int64), _angles(radices), ones)
        self._bins = n_fft // 2 + 1

    def __call__(self, wave: Array, hop: int, out: Array) -> None:
        """Write the powers of T frames.

        Args:
            wave: samples (N,), float32, at least as many as T frames have.
            hop: samples from the start of a frame to the start of the next.
            out: room for the powers (T, n_fft // 2 + 1), float32 and contiguous.
        """
        used = (len(out) - 1) * hop + len(self._transform.window)
        fits = out.shape[1:] == (self._bins,) and out.dtype == np.float32 and out.flags.c_contiguous
        if len(wave) < used or not fits:
            raise ValueError(f"{len(wave)} samples for frames of shape {out.shape}, {out.dtype}")
        if not len(self._transform.radices):
            _write_with_scipy(self._transform, wave, hop, out)
        elif len(out) >= LANES:
            self._write(wave, hop, out)
        else:
            more, powers = np.zeros(used + LANES * hop, np.float32), np.empty((LANES, self._bins), np.float32)
            more[:used] = wave[:used]
            self._write(more, hop, powers)
            out[:] = powers[: len(out)]

    def _write(self, wave: Array, hop: int, out: Array) -> None:
        """The same for LANES frames or more."""
        wave = np.require(wave, np.float32, ["C", "A"]).view()
        wave.flags.writeable = False  # always, so that one compiled version serves all
        n_fft, first = self._transform.n_fft, self._transform.radices[0]
        spectra = n_fft // first * (first // 2 + 1)  # the passes after the first need less room
        rooms = [np.empty(size, np.float32) for size in (n_fft * LANES, spectra * POINT, spectra * POINT)]
        with announced("the Fourier transform"):
            _spectrum()(wave, hop, self._transform, *rooms, out.reshape(-1), self._bins)


def _write_with_scipy(transform: Transform, wave: Array, hop: int, out: Array) -> None:
    """The same for any length and any number of frames."""
    from scipy.fft import rfft

    width = len(transform.window)
    frames = sliding_window_view(np.asarray(wave, np.float32), width)[::hop]  # (frames, W)
    rows = np.zeros((_ROWS, width), np.float32)
    for t in range(0, len(out), _ROWS):
        block = out[t : t + _ROWS]
        with np.errstate(all="ignore"):  # what is no number stays none
            np.multiply(frames[t : t + len(block)], transform.window, out=rows[: len(block)])
            spectra = rfft(rows, transform.n_fft)[: len(block)]
            np.add(np.square(spectra.real), np.square(spectra.imag), out=block)


def _radices(n: int) -> list[int]:
    """Numbers whose product is n; none where they are not enough for it."""
    radices = []
    for radix in RADICES:
        while n % radix == 0:
            radices.append(radix)
            n //= radix
    return radices if n == 1 else []


def _angles(radices: list[int]) -> Array:
    rows, points = [np.zeros(0)], math.prod(radices[:1])
    for radix in radices[1:]:
        k, i = np.arange(points // 2 + 1)[:, None], np.arange(1, radix)
        points *= radix
        rows.append((k * i / points).ravel())
    return np.exp(-2j * np.pi * np.concatenate(rows)).astype(np.complex64).view(np.float32)


@part
def _gather(wave: Array, start: int, hop: int, window: Array, samples: Array) -> None:
    """LANES frames, weighted, sample by sample: those of one number beside each other; then zeros."""
    whole = len(window) - len(window) % LANES
    for k in range(0, whole, LANES):
        butterflies.transpose(wave, start + k, hop, window, k, samples, k * LANES, LANES)
    for k in range(whole, len(window)):
        for lane in range(LANES):
            samples[k * LANES + lane] = wave[start + lane * hop + k] * window[k]
    samples[len(window) * LANES :] = 0


@part
def _scatter(powers: Array, ones: Array, out: Array, start: int, bins: int) -> None:
    """The way back: bin by bin becomes frame by frame."""
    whole = bins - bins % LANES
    for k in range(0, whole, LANES):
        butterflies.transpose(powers, k * LANES, LANES, ones, 0, out, start + k, bins)
    for k in range(whole, bins):
        for lane in range(LANES):
            out[start + lane * bins + k] = powers[k * LANES + lane]


@part
def _first_pass(samples: Array, n: int, radix: int, new: Array) -> None:
    """Spectra of `radix` samples each."""
    count, size = n // radix, (radix // 2 + 1) * POINT
    for b in range(count):
        where = Addresses(b * LANES, count * LANES, 0, b * size, POINT, 0)
        if radix == 10:
            butterflies.first_10(samples, new, where)
        elif radix == 8:
            butterflies.first_8(samples, new, where)
        elif radix == 5:
            butterflies.first_5(samples, new, where)
        elif radix == 4:
            butterflies.first_4(samples, new, where)
        elif radix == 3:
            butterflies.first_3(samples, new, where)
        else:
            butterflies.first_2(samples, new, where)


@part
def _pass(old: Array, points: int, n: int, radix: int, angles: Array, new: Array) -> None:
    """From spectra of `points` samples to spectra of `radix` times as many."""
    count, half = n // (points * radix), points // 2 + 1
    size, new_size, stride = half * POINT, (points * radix // 2 + 1) * POINT, points * POINT
    for b in range(count):
        for k in range(half):
            start, to, mirror = b * size + k * POINT, b * new_size + k * POINT, b * new_size + (points - k) * POINT
            where = Addresses(start, count * size, k * (radix - 1), to, stride, mirror)
            if radix == 10:
                butterflies.next_10(old, angles, new, where)
            elif radix == 8:
                butterflies.next_8(old, angles, new, where)
            elif radix == 5:
                butterflies.next_5(old, angles, new, where)
            elif radix == 4:
                butterflies.next_4(old, angles, new, where)
            elif radix == 3:
                butterflies.next_3(old, angles, new, where)
            else:
                butterflies.next_2(old, angles, new, where)


@lru_cache(maxsize=1)
def _spectrum() -> Any:
    """The whole way, from samples to the powers of all frames: compiled at its first call, or found on disk.

    numba renews what it keeps when this file changes, or what the function closes over: hence what the others hold.
    """
    others = tuple(hashlib.sha256(Path(str(one.__file__)).read_bytes()).hexdigest() for one in (butterflies, simd))

    def spectrum(
        wave: Array, hop: int, transform: Transform, samples: Array, old: Array, new: Array, out: Array, bins: int
    ) -> None:
        _ = others
        frames = len(out) // bins
        for t in range(0, frames, LANES):
            first = min(t, frames - LANES)  # the last ones may be among those before
            _gather(wave, first * hop, hop, transform.window, samples)
            points, angles = transform.radices[0], transform.angles
            _first_pass(samples, transform.n_fft, points, new)
            for radix in transform.radices[1:]:
                old, new = new, old
                _pass(old, points, transform.n_fft, radix, angles, new)
                angles = angles[2 * (points // 2 + 1) * (radix - 1) :]
                points *= radix
            for k in range(bins):
                butterflies.put_power(new, k * POINT, samples, k * LANES)
            _scatter(samples, transform.ones, out, first * bins, bins)

    return compiled(spectrum)
