"""The power spectrum of frames, eight of them side by side, in machine code made by numba.

Each lane holds one frame, and each instruction does the same to the same number of eight frames. So what follows reads
like the transform of a single frame, serves every length, and no frame can see another.

The Fourier transform is the textbook's: the spectrum of n samples is woven from the spectra of every r-th of them, r at
a time (a butterfly); those from the spectra of every r-th of these, and so on down to single samples, which are their
own spectra. Samples are real, so that the second half of each spectrum mirrors its first half: only points 0 to n / 2
are computed and kept. Before the pass of radix r that makes spectra of r * m points, there are c * r of m points each:

* spectrum b is that of the samples b, b + c * r, b + 2 * c * r, ...
* point k + j * m of the new spectrum b is the transform, at j, of the points k of the spectra b, b + c, b + 2 * c, ...,
  turned by 0, 1, 2, ... times the angle of k

A pass takes about n * r steps, so that a length with a large prime factor is slow, though no less exact.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dfcnn_ms.audio import butterflies, lanes
from dfcnn_ms.audio.butterflies import RADICES, Way
from dfcnn_ms.audio.lanes import LANES, POINT
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.compiled import announced, compiled

#: a function that `_spectrum` takes in when it is compiled
part = njit(nogil=True)


class Plan(NamedTuple):
    """What the transform of one length needs.

    Attributes:
        window: weights of the samples of a frame (W,).
        n_fft: samples of a frame, with the zeros after the window.
        radices: how many spectra become one, pass by pass; the first is written out, or 1.
        angles: real and imaginary parts; of each pass but the first, r - 1 for each k, then the r-th roots of 1.
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
        radices = _radices(n_fft)
        weights, ones = np.asarray(window, np.float32), np.ones(LANES, np.float32)
        self._plan = Plan(weights, n_fft, np.array(radices), _angles(radices), ones)
        self._bins = n_fft // 2 + 1
        spectra = n_fft // radices[0] * (radices[0] // 2 + 1)  # the passes after the first need less room
        self._sizes = n_fft * LANES, spectra * POINT, spectra * POINT, max(radices) * POINT

    def __call__(self, wave: Array, hop: int, out: Array) -> None:
        """Write the powers of T frames.

        Args:
            wave: samples (N,), float32, at least as many as T frames have.
            hop: samples from the start of a frame to the start of the next.
            out: room for the powers (T, n_fft // 2 + 1), float32 and contiguous.
        """
        used = (len(out) - 1) * hop + len(self._plan.window)
        fits = out.shape[1:] == (self._bins,) and out.dtype == np.float32 and out.flags.c_contiguous
        if len(wave) < used or not fits:
            raise ValueError(f"{len(wave)} samples for frames of shape {out.shape}, {out.dtype}")
        if len(out) >= LANES:
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
        rooms = [np.empty(size, np.float32) for size in self._sizes]
        with announced("the Fourier transform"):
            _spectrum()(wave, hop, self._plan, *rooms, out.reshape(-1), self._bins)


def _radices(n: int) -> list[int]:
    """Numbers whose product is n."""
    radices = []
    for radix in (*RADICES, *range(7, n + 1, 2)):
        while n % radix == 0:
            radices.append(radix)
            n //= radix
    return radices if radices and radices[0] in RADICES else [1, *radices]


def _angles(radices: list[int]) -> Array:
    rows, points = [np.zeros(0)], radices[0]
    for radix in radices[1:]:
        k, i = np.arange(points // 2 + 1)[:, None], np.arange(1, radix)
        points *= radix
        rows += [(k * i / points).ravel(), np.arange(radix) / radix]
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
        way = Way(b * LANES, count * LANES, 0, b * size, POINT, 0)
        if radix == 10:
            butterflies.first_10(samples, new, way)
        elif radix == 8:
            butterflies.first_8(samples, new, way)
        elif radix == 5:
            butterflies.first_5(samples, new, way)
        elif radix == 4:
            butterflies.first_4(samples, new, way)
        elif radix == 3:
            butterflies.first_3(samples, new, way)
        elif radix == 2:
            butterflies.first_2(samples, new, way)
        else:
            butterflies.first_1(samples, new, way)


@part
def _any(old: Array, angles: Array, new: Array, way: Way, radix: int, roots: int, spare: Array) -> None:
    """A butterfly of any odd radix, as the transform is defined."""
    spare[: radix * POINT] = 0
    for i in range(radix):
        turn = way.turn + i - 1 if i else roots
        butterflies.add_turned(spare, i * POINT, old, way.start + i * way.step, angles, turn)
    for j in range(radix):
        at = way.to + j * way.stride if 2 * j < radix else way.mirror + (radix - 1 - j) * way.stride
        new[at : at + POINT] = 0
        product = 0  # i * j % radix
        for i in range(radix):
            butterflies.add_turned(new, at, spare, i * POINT, angles, roots + product)
            product += j if product + j < radix else j - radix
        if 2 * j > radix:
            for lane in range(LANES, POINT):
                new[at + lane] = -new[at + lane]


@part
def _pass(old: Array, points: int, n: int, radix: int, angles: Array, new: Array, spare: Array) -> None:
    """From spectra of `points` samples to spectra of `radix` times as many."""
    count, half = n // (points * radix), points // 2 + 1
    size, new_size, stride = half * POINT, (points * radix // 2 + 1) * POINT, points * POINT
    for b in range(count):
        for k in range(half):
            start, to, mirror = b * size + k * POINT, b * new_size + k * POINT, b * new_size + (points - k) * POINT
            way = Way(start, count * size, k * (radix - 1), to, stride, mirror)
            if radix == 10:
                butterflies.next_10(old, angles, new, way)
            elif radix == 8:
                butterflies.next_8(old, angles, new, way)
            elif radix == 5:
                butterflies.next_5(old, angles, new, way)
            elif radix == 4:
                butterflies.next_4(old, angles, new, way)
            elif radix == 3:
                butterflies.next_3(old, angles, new, way)
            elif radix == 2:
                butterflies.next_2(old, angles, new, way)
            else:
                _any(old, angles, new, way, radix, half * (radix - 1), spare)


@lru_cache(maxsize=1)
def _spectrum() -> Any:
    """The whole way, from samples to the powers of all frames: compiled at its first call, or found on disk.

    numba renews what it keeps when this file changes, or what the function closes over: hence what the others hold.
    """
    others = tuple(hashlib.sha256(Path(str(room.__file__)).read_bytes()).hexdigest() for room in (butterflies, lanes))

    def spectrum(
        wave: Array, hop: int, plan: Plan, samples: Array, old: Array, new: Array, spare: Array, out: Array, bins: int
    ) -> None:
        _ = others
        frames = len(out) // bins
        for t in range(0, frames, LANES):
            first = min(t, frames - LANES)  # the last ones may be among those before
            _gather(wave, first * hop, hop, plan.window, samples)
            points, angles = plan.radices[0], plan.angles
            _first_pass(samples, plan.n_fft, points, new)
            for radix in plan.radices[1:]:
                old, new = new, old
                _pass(old, points, plan.n_fft, radix, angles, new, spare)
                angles = angles[2 * ((points // 2 + 1) * (radix - 1) + radix) :]
                points *= radix
            for k in range(bins):
                butterflies.put_power(new, k * POINT, samples, k * LANES)
            _scatter(samples, plan.ones, out, first * bins, bins)

    return compiled(spectrum)
