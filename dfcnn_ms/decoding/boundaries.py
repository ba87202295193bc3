"""From the steps of an alignment to times: where each syllable begins and ends.

A CTC network says a unit in one or two steps and the blank in all others, so its steps tell where a syllable was
recognised and not how long it lasted. Its boundaries lie between its steps and those of its neighbours, on the average
at a place that is known; near that place the sound tells more: a syllable ends where the sound changes and grows
weaker.

The constants were chosen on the dev voices of the synthetic corpus; ``benchmarks/alignment.py`` measures what they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.align import Alignment

Array = NDArray[Any]

#: A boundary is expected this far on the way from the middle of one syllable's steps to the middle of the next one's.
SHARE = 0.58
#: Seconds from syllable to syllable where a single one cannot tell, and the most that is believed.
USUAL_SECONDS, LONGEST_SECONDS = 0.24, 0.4
#: Neighbours further apart than this many times the usual distance have a pause between them.
PAUSE = 2.0
#: How far from the expected place a boundary lies, in output steps: between neighbours, and beside silence.
SPREAD, SPREAD_AT_SILENCE = 0.5, 1.0
#: Frames on either side of a place that are compared to see a change.
CONTEXT = 3
#: A smaller spread of changes is only rounding.
LEAST_CHANGE = 1e-6


@dataclass(frozen=True)
class Sound:
    """Where boundaries are looked for: an utterance as the network receives it, and its clock.

    Attributes:
        features: (T, F).
        hop_seconds: from frame to frame.
        window_seconds: that one frame sees.
        step_frames: from output step to output step.
        first_frame: where the first output step begins, in frames.
    """

    features: Array
    hop_seconds: float
    window_seconds: float
    step_frames: int
    first_frame: float = 0.0

    @property
    def seconds(self) -> float:
        """Where the last frame ends."""
        return (len(self.features) - 1) * self.hop_seconds + self.window_seconds

    @property
    def step_seconds(self) -> float:
        """From output step to output step."""
        return self.step_frames * self.hop_seconds

    def between_frames(self, frames: Array) -> Array:
        """The seconds at which each of some frames gives way to it: halfway between the middles of their windows."""
        return frames * self.hop_seconds + (self.window_seconds - self.hop_seconds) / 2

    def step_begins(self, steps: Array) -> Array:
        """The seconds at which output steps begin."""
        return self.between_frames(self.first_frame + steps * self.step_frames)


def boundaries(alignment: Alignment, sound: Sound) -> tuple[Array, Array]:
    """Where each unit begins and ends, in seconds (L,) and (L,).

    No unit begins before its predecessor ends, and neighbours without a pause between them share a boundary.
    """
    steps = np.array([alignment.first, alignment.last])  # (2, L)
    middles = np.clip(sound.step_begins((steps.sum(axis=0) + 1) / 2), 0.0, sound.seconds)
    usual = min(float(np.median(np.diff(middles))), LONGEST_SECONDS) if len(middles) > 1 else USUAL_SECONDS
    after_pause = np.flatnonzero(np.diff(middles) > PAUSE * usual) + 1
    limits = [0.0, *((middles[after_pause - 1] + middles[after_pause]) / 2), sound.seconds]
    changes = _changes(sound)
    phrases = [
        _phrase(phrase, usual, sound, changes, (low, high))
        for phrase, low, high in zip(np.split(middles, after_pause), limits[:-1], limits[1:], strict=True)
        if len(phrase)
    ]
    starts, ends = [edges[:-1] for edges in phrases], [edges[1:] for edges in phrases]
    return np.concatenate([np.zeros(0), *starts]), np.concatenate([np.zeros(0), *ends])


def _phrase(
    middles: Array, usual: float, sound: Sound, changes: tuple[Array, Array, Array], limits: tuple[float, float]
) -> Array:
    """The boundaries (L+1,) of units without a pause between them, by the middles (L,) of their steps."""
    inner = middles[:-1] + SHARE * np.diff(middles)
    expected = np.concatenate([[middles[0] - (1 - SHARE) * usual], inner, [middles[-1] + SHARE * usual]])
    lows, highs = np.append(limits[0], middles), np.append(middles, limits[1])
    spreads = np.full(len(expected), SPREAD * sound.step_seconds)
    spreads[[0, -1]] = SPREAD_AT_SILENCE * sound.step_seconds
    times, change, weaker = changes
    found = [_settled(place, times, change + weaker) for place in zip(expected, lows, highs, spreads, strict=True)]
    start = expected[0], lows[0], highs[0], spreads[0]
    return np.array([_settled(start, times, change - weaker), *found[1:]])


def _settled(place: tuple[float, float, float, float], times: Array, evidence: Array) -> float:
    """The time with the most evidence near the expected one and inside the limits; without any, the expected one."""
    expected, low, high, spread = place
    inside = (times > low) & (times < high)
    if not inside.any():
        return float(np.clip(expected, low, high))
    score = evidence[inside] - ((times[inside] - expected) / spread) ** 2 / 2
    return float(times[inside][score.argmax()])


def _changes(sound: Sound) -> tuple[Array, Array, Array]:
    """Between any two frames (T-1,): the time, how much the sound changes there, and how much weaker it becomes.

    Both are in standard deviations of the change over the utterance.
    """
    frames = len(sound.features)
    here = np.arange(1, frames)
    first, last = np.maximum(here - CONTEXT, 0), np.minimum(here + CONTEXT, frames)
    sums = np.cumsum(np.vstack([np.zeros(sound.features.shape[1]), sound.features]), axis=0)
    before = (sums[here] - sums[first]) / (here - first)[:, None]
    after = (sums[last] - sums[here]) / (last - here)[:, None]
    change = np.sqrt(((after - before) ** 2).mean(axis=1))
    scale = max(float(change.std()), LEAST_CHANGE) if frames > 1 else 1.0
    return sound.between_frames(here), change / scale, (before - after).mean(axis=1) / scale
