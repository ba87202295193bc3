"""Where somebody speaks: segments that begin and end in pauses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.streaming.activity import Levels

#: ways to tell a voice from noise
VADS = ("energy", "silero")
#: of a segment that is too long: it is cut where it is weakest, but not before this share of it
CUT_AFTER = 0.6
#: seconds that the longest segment must be allowed
SHORTEST = 1.0
#: seconds over which the weakest place of a segment is looked for
WEAK_SECONDS = 0.1


@dataclass(frozen=True)
class Endpointing:
    """When a segment begins and when it ends, and what is no voice at all.

    Attributes:
        pause: so many seconds without a voice end a segment.
        longest: a segment that goes on is cut after so many seconds at the latest, at the weakest place near its end.
        before, after: seconds that a segment has before the first and after the last frame with a voice, at most; of
            those after it, no more than the pause.
        onset: so many seconds with a voice begin a segment; less is a click.
        threshold_db: a frame that stands so far above the noise may be a voice; with `silero`, decibels of its odds.
        least_confidence: a segment whose syllables are less sure, on the average, is noise; None: nearly as sure
            as the network is right on its dev set (:func:`dfcnn_ms.streaming.hearing.usual_confidence`).
        vad: how a voice is told from noise: `energy`, or `silero`, which is a package of its own.
    """

    pause: float = 0.6
    longest: float = 20.0
    before: float = 0.2
    after: float = 0.2
    onset: float = 0.08
    threshold_db: float = 2.5
    least_confidence: float | None = None
    vad: str = "energy"

    def __post_init__(self) -> None:
        if self.vad not in VADS:
            raise ConfigError(f"endpointing: vad is {self.vad!r}; give one of {', '.join(VADS)}")
        for name, value in asdict(self).items():
            if name != "vad" and value is not None and not 0 <= value <= 3600:
                raise ConfigError(f"endpointing: {name} is {value}; give a number from 0 to 3600")
        if not self.pause:
            raise ConfigError("endpointing: pause is 0 s; give more, such as 0.6")
        if self.longest < SHORTEST:
            raise ConfigError(f"endpointing: longest is {self.longest} s; give at least {SHORTEST:g} s")


class Span(NamedTuple):
    """Frames from the first to before the last."""

    first: int
    stop: int


class Endpointer:
    """Follows the loudness of frames and says which of them make segments.

    Attributes:
        first: the first frame of the segment that is open; None between segments.
        ready: frames before this belong to it, whatever comes.

    Args:
        endpointing: when segments begin and end.
        hop_seconds: from frame to frame.
    """

    def __init__(self, endpointing: Endpointing, hop_seconds: float) -> None:
        def frames(seconds: float) -> int:
            return round(seconds / hop_seconds)

        self._pause, self._onset = max(1, frames(endpointing.pause)), max(1, frames(endpointing.onset))
        self._longest = frames(endpointing.longest)
        self._before, self._after = frames(endpointing.before), min(frames(endpointing.after), self._pause)
        self._weak = max(1, round(WEAK_SECONDS / hop_seconds))
        self._threshold = endpointing.threshold_db
        self._frame = 0  # that comes next
        self._free = 0  # where the next segment may begin
        self._loud = 0  # voiced frames lately, less those without
        self._last = 0  # after the last voiced frame
        self._loudness: list[float] = []  # of the frames of the open segment
        self.first: int | None = None

    @property
    def ready(self) -> int:
        return min(self._frame, self._last + self._after)

    @property
    def needed(self) -> int:
        """The first frame that may still belong to a segment."""
        return self._earliest() if self.first is None else self.first

    def feed(self, levels: Levels) -> list[Span]:
        """Takes the decibels (t, 2) of the next frames, as `Activity` gives them; gives the segments they complete."""
        found = []
        for above, loudness in levels.tolist():
            span = self._next(above, loudness)
            if span is not None:
                found.append(span)
        return found

    def finish(self) -> list[Span]:
        """The segment that is open when the sound ends."""
        found = [] if self.first is None else [self._close(self.ready)]
        self._free = self._frame
        return found

    def _next(self, above: float, loudness: float) -> Span | None:
        is_voiced = above >= self._threshold
        self._frame += 1
        self._last = self._frame if is_voiced else self._last
        if self.first is None:
            self._loud = self._loud + 1 if is_voiced else max(0, self._loud - 1)
            if self._loud >= self._onset:
                self.first = self._earliest()
                self._loudness = [loudness] * (self._frame - self.first)
            return None
        self._loudness.append(loudness)
        if self._frame - self._last >= self._pause:
            return self._close(self._last + self._after)
        return self._cut() if self._frame - self.first >= self._longest else None

    def _earliest(self) -> int:
        """Where a segment would begin that is noticed now."""
        return max(self._free, self._frame - 2 * self._onset - self._before)

    def _close(self, stop: int) -> Span:
        assert self.first is not None
        span = Span(self.first, stop)
        self.first, self._free, self._loud, self._loudness = None, stop, 0, []
        return span

    def _cut(self) -> Span:
        """Ends a segment that is too long at its weakest place; what follows is another one already."""
        assert self.first is not None
        begin = round(len(self._loudness) * CUT_AFTER)
        sums = np.convolve(self._loudness[begin:], np.ones(self._weak), "valid")
        place = begin + int(sums.argmin()) + self._weak // 2
        loudness, span = self._loudness[place:], self._close(self.first + place)
        if self._last > span.stop:
            self.first, self._loudness = span.stop, loudness
        return span
