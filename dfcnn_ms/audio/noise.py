"""How much of each place of a spectrum is kept where noise is reduced, in machine code made by numba.

Frame after frame, frequency by frequency: power, smoothed over time and neighbours; the least of it in the last
seconds, which is the noise; and how much stands above it, by the decision-directed estimate of Ephraim and Malah
(1984): most of it is what was kept of the frame before, so that noise which flickers does not sing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.compiled import announced, compiled

Doubles = NDArray[np.float64]

#: share of the smoothed power that is kept from frame to frame
SMOOTHED = 0.7
#: share of what was kept of the frame before in what is believed of this one
BELIEVED = 0.98
#: how many times the least of its smoothed power noise is taken for; in white noise, its mean is 2.1 times as much
BIAS = 2.0
#: of the last seconds, the least is kept for so many parts of them, the oldest of which is forgotten at a time
PARTS = 6
#: variance of what rounding to 16 bits leaves; no noise is taken for weaker
ROUNDING = 2.0**-30 / 12


class Gains:
    """What is kept of each frequency, for one sound whose frames come in order.

    Args:
        width: samples of a frame, under the root of a Hann window.
        least: share of the amplitude that is kept of noise.
        memory: frames in which the least power is looked for.
    """

    def __init__(self, width: int, least: float, memory: int) -> None:
        bins = width // 2 + 1
        self._least, self._quiet = least, ROUNDING * width / 2
        self._part = max(1, -(-memory // PARTS))
        self._minima = np.full((PARTS + 1, bins), np.inf)  # of the parts, the oldest first, and of the one that goes on
        self._state = np.zeros((2, bins))  # smoothed power, and what was kept of the frame before
        self._seen = 0

    def __call__(self, power: Doubles) -> Doubles:
        """Shares (t, K) of the amplitudes of frames whose powers are (t, K)."""
        gains = np.empty_like(power)
        with announced("the noise reduction"):
            _kernel()(power, gains, self._state, self._minima, self._seen, self._part, self._least, self._quiet)
        self._seen += len(power)
        return gains


@lru_cache(maxsize=1)
def _kernel() -> Any:
    """Compiled at its first call, or found on disk."""

    def gains_of(
        power: Doubles,
        gains: Doubles,
        state: Doubles,
        minima: Doubles,
        seen: int,
        part: int,
        least: float,
        quiet: float,
    ) -> None:
        frames, bins = power.shape
        last = len(minima) - 1
        for t in range(frames):
            number = seen + t
            if number and (number - 1) % part == 0:  # the first frame lies half before the sound
                for i in range(last):
                    minima[i] = minima[i + 1]
                minima[last] = np.inf
            for k in range(bins):
                near = (power[t, max(k - 1, 0)] + 2 * power[t, k] + power[t, min(k + 1, bins - 1)]) / 4
                kept = SMOOTHED if number > 1 else 0.0
                state[0, k] = kept * state[0, k] + (1 - kept) * near
                if number:
                    minima[last, k] = min(minima[last, k], state[0, k])
                noise = np.inf
                for i in range(last + 1):
                    noise = min(noise, minima[i, k])
                noise = quiet if noise == np.inf else max(quiet, noise * BIAS)
                above = power[t, k] / noise
                believed = BELIEVED * state[1, k] + (1 - BELIEVED) * max(above - 1, 0.0)
                gain = max(least, believed / (1 + believed))
                state[1, k] = gain * gain * above
                gains[t, k] = gain

    return compiled(gains_of)
