"""Misses and false alarms of a spotter over all its thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dfcnn_ms.reporting.timings import Timed
from dfcnn_ms.spotting.spotter import Detection, Scores, Trigger

#: seconds after the end of a word in which it may still be heard
LATE_SECONDS = 0.75
HOUR = 3600.0
#: those that are tried, closer together near 0 and 1
THRESHOLDS = tuple(1 / (1 + math.exp(-place / 4)) for place in range(-16, 29))


@dataclass(frozen=True)
class Counts:
    """What came of some streams.

    Attributes:
        words: that were said.
        missed: those that were not heard.
        false_alarms: words that were heard and not said, or heard twice.
        seconds: of sound.
        delay: sum over the words that were heard, in seconds after their end.
    """

    words: int = 0
    missed: int = 0
    false_alarms: int = 0
    seconds: float = 0.0
    delay: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.words + other.words,
            self.missed + other.missed,
            self.false_alarms + other.false_alarms,
            self.seconds + other.seconds,
            self.delay + other.delay,
        )

    @property
    def miss_rate(self) -> float:
        """Share of the words that were not heard."""
        return self.missed / max(1, self.words)

    @property
    def alarms_an_hour(self) -> float:
        """False alarms in an hour of sound."""
        return self.false_alarms * HOUR / self.seconds

    @property
    def mean_delay(self) -> float:
        """From the end of a word until it is heard, in seconds; less than 0 where that is before."""
        return self.delay / max(1, self.words - self.missed)


@dataclass(frozen=True)
class Point:
    """One threshold and what comes of it."""

    threshold: float
    counts: Counts


@dataclass(frozen=True)
class Heard:
    """A stream that was listened to.

    Attributes:
        scores: of the words that are spotted.
        said: those among them that are said.
        seconds: how long it is.
    """

    scores: Scores
    said: Sequence[Timed]
    seconds: float


def count(detections: Sequence[Detection], said: Sequence[Timed], seconds: float) -> Counts:
    """Compares what was heard in a stream with what was said.

    A detection is right from the beginning of its word until `LATE_SECONDS` after the end, once for each word. As many
    as possible are taken for right: each, in the order of time, for that open word whose time is over first.
    """
    open_words = sorted(said, key=lambda word: word.end_seconds)
    false_alarms, delay = 0, 0.0
    for one in detections:
        for word in open_words:
            if word.text == one.word and word.start_seconds <= one.seconds <= word.end_seconds + LATE_SECONDS:
                open_words.remove(word)
                delay += one.seconds - word.end_seconds
                break
        else:
            false_alarms += 1
    return Counts(len(said), len(open_words), false_alarms, seconds, delay)


def counted(streams: Iterable[Heard], words: Sequence[str], threshold: float, refractory_seconds: float) -> Counts:
    """What comes of some streams at one threshold; ``words`` are the columns of the scores."""
    found = Counts()
    for one in streams:
        trigger = Trigger(words, threshold, refractory_seconds)
        found += count(list(trigger(one.scores)), one.said, one.seconds)
    return found


def curve(streams: Sequence[Heard], words: Sequence[str], refractory_seconds: float) -> list[Point]:
    """What comes of some streams at every threshold, the lowest first."""
    return [Point(value, counted(streams, words, value, refractory_seconds)) for value in THRESHOLDS]


def at_most(points: Sequence[Point], alarms_an_hour: float) -> Point | None:
    """The point with the fewest misses among those with no more false alarms; None where all have more."""
    allowed = [point for point in points if point.counts.alarms_an_hour <= alarms_an_hour]
    return min(allowed, key=lambda point: (point.counts.missed, point.counts.false_alarms), default=None)
