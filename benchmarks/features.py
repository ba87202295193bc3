"""How fast the features are: against real time, and against the usual package for the same numbers.

Command: ``python benchmarks/features.py`` (about five seconds). One core; medians; ours and the peer take turns, so
that both meet the same disturbances. A turn is several calls in a row, as when a corpus is read: the first call after
the other's turn finds cold caches and memory that was given back, and is the outlier of the turn's median. Last
column: the largest difference between their numbers.

What the first call of a process costs, loading numba and, once after installation, making the machine code, is said
above the table and not counted in it.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable

import librosa
import numpy as np
import python_speech_features
from threadpoolctl import threadpool_limits

from dfcnn_ms.audio import LinearSpectrogram, LogMel, Mfcc

ROUNDS = 9
CALLS = 7
SECONDS = (1, 4, 16)

Feature = Callable[[np.ndarray], np.ndarray]


def librosa_linear(wave: np.ndarray) -> np.ndarray:
    spectrum = librosa.stft(wave, n_fft=400, hop_length=160, window="hamming", center=False)
    return np.log(np.abs(spectrum[:200].T) ** 2 + np.float32(1e-8))


def librosa_log_mel(wave: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=np.pad(wave, 56),  # librosa centres the window in the transform
        sr=16_000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=False,
        n_mels=80,
        fmin=20,
    )
    return np.log(power.T + np.float32(1e-10))


PAIRS: dict[str, tuple[Feature, str, Feature]] = {
    "LinearSpectrogram": (LinearSpectrogram(), "librosa", librosa_linear),
    "LogMel": (LogMel(), "librosa", librosa_log_mel),
    "Mfcc": (Mfcc(), "python_speech_features", python_speech_features.mfcc),
}


def seconds_of(feature: Feature, wave: np.ndarray) -> float:
    """Median of one turn."""
    calls = []
    for _ in range(CALLS):
        start = time.perf_counter()
        feature(wave)
        calls.append(time.perf_counter() - start)
    return statistics.median(calls)


def medians(ours: Feature, theirs: Feature, wave: np.ndarray) -> tuple[float, float]:
    rounds = [(seconds_of(ours, wave), seconds_of(theirs, wave)) for _ in range(ROUNDS)]
    own, peer = zip(*rounds, strict=True)
    return statistics.median(own), statistics.median(peer)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # says so if something is compiled
    start = time.perf_counter()
    LogMel()(np.zeros(16_000, np.float32))
    print(f"first call: {time.perf_counter() - start:.1f} s")
    rng = np.random.default_rng(0)
    print(f"{'feature':<18}{'wave':>6}{'x real time':>13}  {'peer':<23}{'x peer':>7}{'difference':>12}")
    for name, (ours, peer_name, theirs) in PAIRS.items():
        for seconds in SECONDS:
            wave = (0.1 * rng.standard_normal(16_000 * seconds)).astype(np.float32)
            difference = np.abs(ours(wave) - theirs(wave)).max()
            own, peer = medians(ours, theirs, wave)
            print(
                f"{name:<18}{seconds:>4} s{seconds / own:>13,.0f}  {peer_name:<23}{peer / own:>7.1f}{difference:>12.0e}"
            )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
