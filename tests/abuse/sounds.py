"""Sound files as formats that can be damaged: a short tone, as libsndfile writes it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from mutate import damaged
from reading import Format

from dfcnn_ms.audio.wave import LONGEST_SECONDS, LOUDEST, SAMPLE_RATE, duration, read_wave

RATE = 8000
#: most of what a header says lies in so many bytes
HEADER_BYTES = 128
#: how far the length that a header tells may be from that of the sound: the ends of an MP3 come and go
SLACK_SECONDS = 0.5
#: resampling and averaging of channels may add so much
LOUDER = 2.0


def _tone(kind: str, subtype: str) -> bytes:
    """0.3 s of 440 Hz, two channels."""
    time = np.arange(round(0.3 * RATE)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * 440 * time)
    memory = io.BytesIO()
    soundfile.write(memory, np.stack([wave, 0.5 * wave], axis=1), RATE, format=kind, subtype=subtype)
    return memory.getvalue()


def _mutant(data: bytes, random: Random) -> bytes:
    """Damaged anywhere, or in the header."""
    if random.random() < 0.5:
        return damaged(data, random)
    return damaged(data[:HEADER_BYTES], random) + data[HEADER_BYTES:]


def _use(path: Path) -> None:
    wave = read_wave(path)
    seconds = len(wave) / SAMPLE_RATE
    assert wave.dtype == np.float32 and wave.ndim == 1 and 0 < seconds <= LONGEST_SECONDS + 1
    assert abs(duration(path) - seconds) <= SLACK_SECONDS, (duration(path), seconds)
    assert np.abs(wave).max() <= LOUDER * LOUDEST  # false for what is no number


def _format(kind: str, subtype: str) -> Format:
    original: Callable[[], bytes] = partial(_tone, kind, subtype)
    return Format(original, _mutant, _use, f".{kind.lower()}")


FORMATS = {
    "wav": _format("WAV", "PCM_16"),
    "flac": _format("FLAC", "PCM_16"),
    "ogg": _format("OGG", "VORBIS"),
}
if "MP3" in soundfile.available_formats():
    FORMATS["mp3"] = _format("MP3", "MPEG_LAYER_III")
