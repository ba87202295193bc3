"""The reliability diagram: is what is said to be 90 % sure right nine times out of ten?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcnn_ms.decoding.confidence import Reliability


@dataclass(frozen=True)
class Panel:
    """One diagram: its title, and the curve before and after calibration."""

    title: str
    before: Reliability
    after: Reliability


def draw(panels: Sequence[Panel]) -> Any:
    """A matplotlib figure: a diagram for each set, and under it how many units have which confidence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels) + 0.4, 6.2), layout="constrained")
    axes = figure.subplots(2, len(panels), height_ratios=(3, 1), sharex=True, squeeze=False)
    for (curve, counts), panel in zip(axes.T, panels, strict=True):
        _draw_curves(curve, panel)
        _draw_counts(counts, panel)
    return figure


def _draw_curves(axis: Any, panel: Panel) -> None:
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle="--", label="perfect")
    for name, one, color, marker in (
        ("before", panel.before, "tab:orange", "s"),
        ("after", panel.after, "tab:blue", "o"),
    ):
        filled = one.counts > 0
        low, high = interval(one.counts[filled], one.accuracies[filled])
        axis.plot(one.confidences[filled], one.accuracies[filled], color=color, marker=marker, markersize=4, label=name)
        axis.vlines(one.confidences[filled], low, high, color=color, linewidth=1, alpha=0.5)
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("share that was right")
    before, after = (one.expected_calibration_error for one in (panel.before, panel.after))
    title = f"{panel.title}\nexpected calibration error {before:.4f} before, {after:.4f} after"
    axis.set_title(title, loc="left", fontsize=10)
    axis.legend(loc="upper left", fontsize=8, frameon=False)


def interval(counts: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the true shares lie with 95 % probability, by Wilson's formula: few counts tell little."""
    z2 = 1.96**2 / counts
    middle = (shares + z2 / 2) / (1 + z2)
    half = np.sqrt(shares * (1 - shares) * z2 + z2**2 / 4) / (1 + z2)
    return middle - half, middle + half


def _draw_counts(axis: Any, panel: Panel) -> None:
    bins = len(panel.before.counts)
    lefts = np.arange(bins) / bins
    axis.bar(lefts + 0.25 / bins, panel.before.counts, width=0.4 / bins, color="tab:orange")
    axis.bar(lefts + 0.7 / bins, panel.after.counts, width=0.4 / bins, color="tab:blue")
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("confidence")
    axis.set_ylabel("how many")
