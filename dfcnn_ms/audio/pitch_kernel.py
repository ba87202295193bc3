"""The tracker of pitch, in machine code made by numba; :mod:`dfcnn_ms.audio.pitch` is its front.

A frame is correlated with itself, shifted by each lag between the periods of the highest and of the lowest pitch: two
pieces of equal length that lie about the middle of the frame, so that what is found belongs there. The best peaks of a
frame are what it may be. Which one it is, the frames around it decide: the sum of the correlations along a path of
peaks, less what its jumps cost, is to be the largest.

Frame t sees no sample outside its own window, and of the other frames' peaks those of `PATH_FRAMES` on either side.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dfcnn_ms.compiled import announced, compiled

if TYPE_CHECKING:
    from dfcnn_ms.audio.pitch import Pitch

Doubles = NDArray[np.float64]

#: frames on either side through which a path is looked for, and over which the slope is taken
PATH_FRAMES, SLOPE_FRAMES = 8, 2
#: peaks of a frame that are kept
PEAKS = 8
#: the sound is looked at below this, at about this rate
CUTOFF_HZ, RATE = 1000.0, 8000
#: length of the filter
FILTER_SECONDS = 0.004
#: a frame of this correlation is voiced as probably as not; so much more makes the odds e times better
EVEN, SPREAD = 0.6, 0.06

part = njit(nogil=True)
quick = njit(nogil=True, fastmath={"reassoc", "contract"})  # sums whose parts go on side by side


class Search(NamedTuple):
    """What is looked for, in samples.

    Attributes:
        taps: of the filter (J,).
        every: only each such sample is looked at.
        hop: from frame to frame, before samples are left out.
        size: samples of a frame, of those that are looked at.
        least_lag, most_lag: where peaks may lie.
        octave_jump: what an octave from frame to frame costs.
        low_pitch: what a lag costs, for each sample.
        floor: power that is added to that of every frame.
        rate: of the samples that are looked at.
    """

    taps: Doubles
    every: int
    hop: int
    size: int
    least_lag: int
    most_lag: int
    octave_jump: float
    low_pitch: float
    floor: float
    rate: float


def search_of(kind: Pitch) -> Search:
    """The same as the feature says, in samples."""
    every = max(step for step in range(1, max(1, kind.sample_rate // RATE) + 1) if kind.hop_samples % step == 0)
    rate, taps = kind.sample_rate / every, low_pass(kind.sample_rate)
    return Search(
        taps,
        every,
        kind.hop_samples,
        (kind.window_samples - len(taps)) // every + 1,
        int(rate / kind.high_hz),
        int(np.ceil(rate / kind.low_hz)),
        kind.octave_jump,
        kind.low_pitch / (0.01 * rate),
        kind.floor,
        rate,
    )


def low_pass(sample_rate: int) -> Doubles:
    """Weights (J,) of a mean of neighbouring samples in which high frequencies do not show."""
    from scipy.signal import firwin

    return np.asarray(firwin(2 * round(FILTER_SECONDS / 2 * sample_rate) + 1, CUTOFF_HZ, fs=sample_rate))


def tracked(search: Search, wave: NDArray[np.float32], frames: int) -> Doubles:
    """Voicing, Hz and octaves a frame of some frames (T, 3) of samples (N,) that fill them all."""
    wave = np.require(wave, np.float32, ["C", "A"]).view()
    wave.flags.writeable = False  # always, so that one compiled version serves all
    found = np.empty((frames, 3))
    with announced("the tracker of pitch"):
        _tracker()(wave, search, found)
    return found


@quick
def _product(a: Any, b: Any) -> float:
    """Of two pieces of sound."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@part
def _filtered(wave: Any, search: Search, samples: Doubles) -> None:
    """The sound below the cutoff, of which some samples are left out (M,)."""
    size = len(search.taps)
    for m in range(len(samples)):
        start = m * search.every
        samples[m] = _product(search.taps, wave[start : start + size])


@part
def _correlated(frame: Doubles, search: Search, correlation: Doubles) -> None:
    """Normalised cross-correlation at each lag, and at one more on either side."""
    frame -= frame.mean()
    squares = np.zeros(len(frame) + 1)
    for i in range(len(frame)):
        squares[i + 1] = squares[i] + frame[i] * frame[i]
    size = len(frame) - search.most_lag - 1
    ballast = size * search.floor
    for index in range(len(correlation)):
        lag = search.least_lag - 1 + index
        first = (search.most_lag + 1 - lag) // 2
        second = first + lag
        energy = squares[first + size] - squares[first] + ballast
        energy *= squares[second + size] - squares[second] + ballast
        product = _product(frame[first : first + size], frame[second : second + size])
        correlation[index] = product / np.sqrt(energy) if energy > 0 else 0.0


@part
def _keep_peaks(correlation: Doubles, search: Search, lags: Doubles, heights: Doubles, scores: Doubles) -> None:
    """The best peaks of a frame, their places between the samples; at least one is made up."""
    scores[:] = -np.inf
    lags[:], heights[:] = search.most_lag, 0.0
    scores[0] = 0.0
    for index in range(1, len(correlation) - 1):
        before, here, after = correlation[index - 1], correlation[index], correlation[index + 1]
        if here <= 0 or here < before or here <= after:
            continue
        shift = 0.5 * (before - after) / (before - 2 * here + after)
        lag, height = search.least_lag - 1 + index + shift, here - 0.25 * (before - after) * shift
        score = height - search.low_pitch * lag
        place = int(np.argmin(scores))
        if score > scores[place]:
            lags[place], heights[place], scores[place] = lag, height, score


@part
def _step(totals: Doubles, octaves: Doubles, scores: Doubles, next_octaves: Doubles, jump: float) -> Doubles:
    """The best sums of paths to each peak of the next frame, from those to each of this one."""
    found = np.empty(PEAKS)
    for k in range(PEAKS):
        best = -np.inf
        for j in range(PEAKS):
            best = max(best, totals[j] - jump * abs(next_octaves[k] - octaves[j]))
        found[k] = best + scores[k]
    return found


@part
def _chosen(octaves: Doubles, scores: Doubles, t: int, jump: float) -> int:
    """Which peak of frame t lies on the best path through the frames around it."""
    first, last = max(0, t - PATH_FRAMES), min(len(scores) - 1, t + PATH_FRAMES)
    before, after = scores[first].copy(), scores[last].copy()
    for i in range(first, t):
        before = _step(before, octaves[i], scores[i + 1], octaves[i + 1], jump)
    for i in range(last, t, -1):
        after = _step(after, octaves[i], scores[i - 1], octaves[i - 1], jump)
    best, most = 0, -np.inf
    for k in range(PEAKS):
        total = before[k] + after[k] - scores[t, k]
        if scores[t, k] > -np.inf and total > most:
            best, most = k, total
    return best


@part
def _write_slopes(found: Doubles) -> None:
    """Of the line through the pitch around each frame, by how probably each is voiced."""
    frames = len(found)
    for t in range(frames):
        first, stop = max(0, t - SLOPE_FRAMES), min(frames, t + SLOPE_FRAMES + 1)
        weight, time, octaves = 0.0, 0.0, 0.0
        for i in range(first, stop):
            weight += found[i, 0]
            time += found[i, 0] * (i - t)
            octaves += found[i, 0] * np.log2(found[i, 1])
        time, octaves = time / weight, octaves / weight
        above, below = 0.0, 1.0  # as if one frame more said that the pitch stays
        for i in range(first, stop):
            above += found[i, 0] * (i - t - time) * (np.log2(found[i, 1]) - octaves)
            below += found[i, 0] * (i - t - time) ** 2
        found[t, 2] = above / below


@lru_cache(maxsize=1)
def _tracker() -> Any:
    """The whole way, from samples to pitch: compiled at its first call, or found on disk."""

    def track(wave: Any, search: Search, found: Doubles) -> None:
        frames = len(found)
        whole = ((frames - 1) * search.hop) // search.every + search.size
        samples = np.empty(whole)
        _filtered(wave, search, samples)
        correlation = np.empty(search.most_lag - search.least_lag + 3)
        lags, heights = np.empty((frames, PEAKS)), np.empty((frames, PEAKS))
        scores = np.empty((frames, PEAKS))
        for t in range(frames):
            start = t * search.hop // search.every
            _correlated(samples[start : start + search.size].copy(), search, correlation)
            _keep_peaks(correlation, search, lags[t], heights[t], scores[t])
        octaves = -np.log2(lags)
        for t in range(frames):
            k = _chosen(octaves, scores, t, search.octave_jump)
            found[t, 0] = 1 / (1 + np.exp((EVEN - heights[t, k]) / SPREAD))
            found[t, 1] = search.rate / lags[t, k]
        _write_slopes(found)

    return compiled(track)
