"""From samples to segments: features of what somebody says, between two pauses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.audio.features import Features
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.streaming.activity import Activity, Levels
from dfcnn_ms.streaming.endpoints import Endpointer, Endpointing, Span
from dfcnn_ms.streaming.frames import FeatureStream
from dfcnn_ms.streaming.silero import SileroActivity

#: how a voice is told from noise
ACTIVITIES: dict[str, Callable[[Features], Activity | SileroActivity]] = {"energy": Activity, "silero": SileroActivity}


@dataclass(frozen=True)
class Segment:
    """What somebody says between two pauses.

    Attributes:
        index: its number, from 0.
        first: its first frame in the stream.
        features: not normalised (T, F).
    """

    index: int
    first: int
    features: Array

    @property
    def stop(self) -> int:
        """The frame after its last one."""
        return self.first + len(self.features)


class Segmenter:
    """Cuts a stream of samples into segments; memory does not grow beyond that of one segment.

    Args:
        features: what a frame is.
        endpointing: when segments begin and end; None: everything up to the end of the stream is one.
    """

    def __init__(self, features: Features, endpointing: Endpointing | None) -> None:
        self._frames = FeatureStream(features)
        self._history = _History(features.num_bins)
        self._activity = None if endpointing is None else ACTIVITIES[endpointing.vad](features)
        self._endpointer = None if endpointing is None else Endpointer(endpointing, features.hop_ms / 1000)
        self._levels = np.zeros((0, 2))  # of frames that are not there yet
        self._judged = self._index = 0

    @property
    def open(self) -> Segment | None:
        """The segment that is not complete yet, as far as it goes for sure."""
        if self._endpointer is None:
            return self._segment(Span(0, self._history.stop)) if self._history.stop else None
        if self._endpointer.first is None:
            return None
        return self._segment(Span(self._endpointer.first, min(self._endpointer.ready, self._history.stop)))

    @property
    def frames_kept(self) -> int:
        """How many are in memory."""
        return self._history.stop - self._history.first

    def feed(self, samples: Array) -> list[Segment]:
        """Takes samples (n,) and gives the segments that they complete."""
        self._history.add(self._frames.feed(samples))
        if self._endpointer is None or self._activity is None:
            return []
        return self._segments(self._endpointer.feed(self._known(self._activity.feed(samples))))

    def finish(self) -> list[Segment]:
        """What is left when the sound ends."""
        self._history.add(self._frames.finish())
        if self._endpointer is None or self._activity is None:
            return self._segments([Span(0, self._history.stop)] if self._history.stop else [])
        spans = self._endpointer.feed(self._known(self._activity.finish()))
        return self._segments([*spans, *self._endpointer.finish()])

    def _known(self, levels: Levels) -> Levels:
        """The levels (t, 2) of frames that are there; features that look around themselves are later."""
        self._levels = np.concatenate([self._levels, levels])
        known, self._levels = np.split(self._levels, [self._history.stop - self._judged])
        self._judged += len(known)
        return known

    def _segments(self, spans: list[Span]) -> list[Segment]:
        found = []
        for span in spans:
            found.append(self._segment(span))
            self._index += 1
        if self._endpointer is not None:
            self._history.forget(min(self._endpointer.needed, self._history.stop))
        return found

    def _segment(self, span: Span) -> Segment:
        return Segment(self._index, span.first, self._history.between(span))


class _History:
    """The last frames of a stream, by their number in it; those that were given out never change."""

    def __init__(self, num_bins: int) -> None:
        self._parts: list[Array] = []
        self._whole = np.zeros((0, num_bins), np.float32)
        self.first = self.stop = 0

    def add(self, frames: Array) -> None:
        if len(frames):
            self._parts.append(frames)
            self.stop += len(frames)

    def between(self, span: Span) -> Array:
        if self._parts:
            self._whole, self._parts = np.concatenate([self._whole, *self._parts]), []
        return self._whole[span.first - self.first : span.stop - self.first]

    def forget(self, before: int) -> None:
        if before > self.first:
            self._whole, self._parts = self.between(Span(before, self.stop)).copy(), []
            self.first = before
