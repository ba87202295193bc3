"""How loud speech stands over the noise around it, estimated from the recording alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dfcnn_ms.audio.wave import Array

#: 25 ms and 10 ms at 16 kHz
WINDOW, HOP = 400, 160
#: this share of the frames lies between words, where only the noise is heard
PAUSES = 0.1
#: digital silence has no ratio at all; more than this is not told apart
MOST_DB = 60.0


def estimate_snr(wave: Array) -> float:
    """Power of the speech over power of the noise in samples (N,) at 16 kHz, in decibels.

    The quietest tenth of the frames is taken for the noise, which is right for steady noise and speech with short
    pauses; speech without any pause looks noisier than it is.

    Returns:
        At most 60; NaN for digital silence, which has neither speech nor noise.
    """
    frames = sliding_window_view(np.pad(wave, (0, max(0, WINDOW - len(wave)))), WINDOW)[::HOP]
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)  # (frames,)
    total, noise = float(power.mean()), float(np.quantile(power, PAUSES))
    if not total:
        return math.nan
    speech = max(total - noise, total * 1e-3)
    return min(MOST_DB, 10 * math.log10(speech / max(noise, 1e-12 * total)))
