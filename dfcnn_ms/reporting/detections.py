"""The trade of misses for false alarms as a picture: detection error trade-off, DET."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfcnn_ms.spotting.curve import Point

#: of misses, in percent; those between the least and the most are written
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98)
COLOURS = ("#4c78a8", "#e8883a", "#54a24b", "#b279a2", "#9d755d")
#: where a curve has none, it is drawn as half of one
_LEAST = 0.5


def draw_det(curves: Mapping[str, Sequence[Point]], marks: Mapping[str, Point]) -> Any:
    """A matplotlib figure with a curve for each name: misses over false alarms an hour.

    The axis of the misses is that of the normal distribution, on which scores that are normally distributed make a
    straight line. None at all is drawn as half of one.

    Args:
        curves: points of rising threshold, or of falling.
        marks: by name: what is used, as a dot.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axis = figure.subplots()
    for (name, points), colour in zip(curves.items(), (COLOURS * len(curves)), strict=False):
        xs, ys = zip(*map(_place, points), strict=True)
        axis.plot(xs, ys, label=name, color=colour)
        if name in marks:
            axis.plot(*_place(marks[name]), "o", color=colour)
    axis.set_xscale("log")
    axis.set_yticks([_deviate(tick / 100) for tick in TICKS], [f"{tick:g}" for tick in TICKS])
    axis.set_xlabel("false alarms an hour")
    axis.set_ylabel("missed, % of the words")
    axis.grid(color="0.9")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _place(point: Point) -> tuple[float, float]:
    """Where a point lies on the two axes."""
    counts = point.counts
    hours = counts.seconds / 3600
    missed = min(max(counts.missed, _LEAST), counts.words - _LEAST)
    return max(counts.false_alarms, _LEAST) / hours, _deviate(missed / counts.words)


def _deviate(share: float) -> float:
    return NormalDist().inv_cdf(share)
