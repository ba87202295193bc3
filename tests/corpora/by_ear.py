"""What the tests of voices share: a manner of speaking, and the tone that is heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE


@dataclass(frozen=True)
class Said:
    """A prosody."""

    rate: int = 150
    pitch: int = 57
    pitch_range: int = 65


def pitch_hz(wave: np.ndarray) -> float:
    """Where the spectrum of samples (N,) at 16 kHz is greatest."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 16))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / (1 << 16)
