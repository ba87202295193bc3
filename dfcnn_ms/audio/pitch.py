"""Pitch as a feature: whether a frame is voiced, how high its voice is, and whether it rises or falls.

>>> Pitch()(np.zeros(16_000, dtype=np.float32)).shape
(96, 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms.audio.features import Features
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.quoting import quoted

if TYPE_CHECKING:
    from dfcnn_ms.audio.pitch_kernel import Search

#: what octaves are counted from
REFERENCE_HZ = 150.0
#: at least so many periods of the lowest pitch have to fit into a window
LEAST_PERIODS = 2.0
#: columns of the feature
VOICING, OCTAVES, SLOPE = range(3)


@dataclass(frozen=True)
class Pitch(Features):
    """Three numbers a frame, all of them bounded in time, so that streams have them too.

    0. How probable it is that the frame is voiced, from 0 to 1.
    1. The pitch, in octaves above 150 Hz.
    2. How fast it rises, in octaves in a tenth of a second.

    Where a frame is not voiced, the last two say little, and count for as little in every normalisation. The tracker is
    a normalised cross-correlation of the sound below 1 kHz with itself, as in Ghahremani et al. (2014); of its peaks,
    those are chosen that make the best path through the frames around each one.

    Args:
        low_hz: The lowest pitch that is looked for.
        high_hz: The highest.
        octave_jump: What a jump of an octave from frame to frame costs, where the correlation is at most 1.
        low_pitch: What a longer period costs, in a hundredth of a second: two periods correlate as well as one.
        floor: Power that no frame's pitch stands out of; 1e-7 is 70 dB below full scale.
    """

    window_ms: float = 50.0
    low_hz: float = 60.0
    high_hz: float = 500.0
    octave_jump: float = 0.35
    low_pitch: float = 0.1
    floor: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = LEAST_PERIODS * 1000 / self.window_ms, min(1000.0, self.sample_rate / 8)
        if not least <= self.low_hz < self.high_hz <= most:
            got = f"low_hz is {quoted(self.low_hz)} and high_hz {quoted(self.high_hz)}"
            raise ConfigError(
                f"features: {got}; give low_hz below high_hz, both from {least:g} (two periods in a window of"
                f" {self.window_ms:g} ms) to {most:g}"
            )
        for name, most in (("octave_jump", 100.0), ("low_pitch", 1.0), ("floor", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"features: {name} is {quoted(getattr(self, name))}; give 0 to {most:g}")

    @property
    def num_bins(self) -> int:
        """F, the width of a frame."""
        return 3

    @property
    def context_frames(self) -> int:
        """Frames on either side that decide which of its peaks a frame has."""
        from dfcnn_ms.audio.pitch_kernel import PATH_FRAMES, SLOPE_FRAMES

        return PATH_FRAMES + SLOPE_FRAMES

    def weights(self, features: Array) -> Array:
        """The voicing (T, 3), but for itself."""
        weights = np.repeat(features[:, VOICING : VOICING + 1], 3, axis=1)
        weights[:, VOICING] = 1.0
        return weights

    def _framed(self, wave: Array) -> Array:
        from dfcnn_ms.audio.pitch_kernel import tracked

        found = tracked(self._search, wave, self.num_frames(len(wave)))  # (T, 3): voicing, Hz, octaves a frame
        found[:, OCTAVES] = np.log2(found[:, OCTAVES] / REFERENCE_HZ)
        found[:, SLOPE] *= 100 / self.hop_ms
        return found.astype(np.float32)

    @cached_property
    def _search(self) -> Search:
        # Here, because numba takes half a second to load.
        from dfcnn_ms.audio.pitch_kernel import search_of

        return search_of(self)
