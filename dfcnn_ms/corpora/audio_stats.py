"""What is in sound files besides speech: nothing, too much, the wrong rate, or the same as in another one."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from dfcnn_ms.audio.wave import Array, opened, read_wave
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import DataError

#: a flat top is at least so many samples in a row at the highest value
FLAT_SAMPLES = 3
#: so near to the highest value counts as the highest
_FLAT = 1 - 1e-4
_WINDOW_SECONDS = 0.025
#: share of the power that may lie above the band, 60 dB down
_REST = 1e-6


@dataclass(frozen=True)
class AudioStats:
    """What was measured in the audio of one utterance.

    Attributes:
        problem: why it cannot be read; then nothing else is known.
        missing: the file is not there.
        rate: samples per second of the file.
        channels: of the file.
        seconds: what there is of the utterance.
        file_seconds: length of the whole file.
        peak: the highest sample, full scale 1.0.
        loudest_db: level of the loudest 25 ms, in decibels below full scale; -inf for digital silence.
        band_hz: below this frequency lies nearly all of the power; half the sample rate or little less, unless the
            recording came through a telephone or was resampled from a lower rate.
        flat_share: share of the samples that lie on flat tops, as a recording has them that was too loud.
        content: the same for the same samples, whatever file they are in.
    """

    problem: str = ""
    missing: bool = False
    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    file_seconds: float = 0.0
    peak: float = 0.0
    loudest_db: float = -math.inf
    band_hz: float = 0.0
    flat_share: float = 0.0
    content: str = ""


def measure_all(utterances: Sequence[Utterance], jobs: int) -> list[AudioStats]:
    """Measures the audio of every utterance, ``jobs`` at a time; reading and decoding need no interpreter."""
    with ThreadPoolExecutor(jobs) as pool:
        heard = pool.map(measure, utterances)
        return list(tqdm(heard, total=len(utterances), desc="listening", unit="utt", disable=None, leave=False))


def measure(utterance: Utterance) -> AudioStats:
    """Measures the audio of one utterance."""
    path = utterance.path
    if not os.path.isfile(path):
        return AudioStats(problem="is a directory" if os.path.isdir(path) else "no such file", missing=True)
    try:
        with opened(path) as sound:
            rate, channels, file_seconds = sound.samplerate, sound.channels, sound.frames / sound.samplerate
        wave = read_wave(path, sample_rate=rate, start=utterance.start, seconds=utterance.seconds)
    except DataError as error:
        return AudioStats(problem=str(error).removeprefix(f"{path}: "))
    return AudioStats(
        rate=rate,
        channels=channels,
        seconds=len(wave) / rate,
        file_seconds=file_seconds,
        peak=float(np.abs(wave).max()),
        loudest_db=loudest_db(wave, rate),
        band_hz=band_hz(wave, rate),
        flat_share=flat_share(wave),
        content=hashlib.blake2b(wave.tobytes(), digest_size=16).hexdigest(),
    )


def loudest_db(wave: Array, rate: int) -> float:
    """Level of the loudest 25 ms of samples (N,), in decibels below full scale; -inf for nothing but zeros."""
    window = min(len(wave), max(1, round(_WINDOW_SECONDS * rate)))
    frames = sliding_window_view(wave, window)[:: max(1, window // 2)]  # (frames, window)
    power = float(np.einsum("ij,ij->i", frames, frames).max()) / window
    return 10 * math.log10(power) if power > 0 else -math.inf


def band_hz(wave: Array, rate: int) -> float:
    """The frequency below which all of the power of samples (N,) lies but a millionth; 0 for digital silence."""
    power = np.cumsum(np.square(np.abs(scipy.fft.rfft(wave)), dtype=np.float64))
    place = int(np.searchsorted(power, power[-1] * (1 - _REST)))
    return place * rate / len(wave) if power[-1] else 0.0


def flat_share(wave: Array) -> float:
    """Share of samples (N,) that stand at the highest value several times in a row.

    A recording that was too loud is cut off at full scale, or at whatever it was turned down to afterwards; speech that
    was not cut off reaches its highest value once.
    """
    magnitude = np.abs(wave)
    peak = float(magnitude.max())
    if not peak:
        return 0.0
    high = np.concatenate([[False], magnitude >= peak * _FLAT, [False]])
    edges = np.flatnonzero(high[1:] != high[:-1])  # starts and ends of the runs, in turn
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= FLAT_SAMPLES].sum() / len(wave))
