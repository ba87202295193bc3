"""Pictures of one utterance in several versions, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.reporting.plots import Picture

#: columns of a row; more versions begin a new one
COLUMNS = 4


def draw_versions(pictures: Sequence[Picture]) -> Any:
    """A matplotlib figure: a column for each version, its wave over its features, all on one scale."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.6 * rows), layout="constrained")
    axes = figure.subplots(2 * rows, columns, height_ratios=[1, 2.4] * rows, squeeze=False)
    seconds = max(_seconds(picture) for picture in pictures)
    loudest = max(float(np.abs(picture.wave).max()) for picture in pictures if picture.wave is not None)
    values = np.concatenate([picture.features.ravel() for picture in pictures])
    colours = tuple(np.quantile(values, (0.01, 0.99)))
    for place in range(rows * columns):
        pair = axes[2 * (place // columns) : 2 * (place // columns) + 2, place % columns]
        if place < len(pictures):
            _draw(pair, pictures[place], seconds, loudest, colours)
        else:
            for axis in pair:
                axis.set_axis_off()
    return figure


def _seconds(picture: Picture) -> float:
    samples = 0 if picture.wave is None else len(picture.wave)
    return max(len(picture.features) * picture.hop_ms / 1000, samples / SAMPLE_RATE)


def _draw(axes: Any, picture: Picture, seconds: float, loudest: float, colours: tuple[float, float]) -> None:
    above, below = axes
    if picture.wave is not None:
        above.plot(np.arange(len(picture.wave)) / SAMPLE_RATE, picture.wave, linewidth=0.3, color="tab:blue")
    above.set(xlim=(0, seconds), ylim=(-1.05 * loudest, 1.05 * loudest), xticks=[])
    above.set_title(picture.title, loc="left", fontsize=10)
    frames, bins = picture.features.shape
    extent = (0, frames * picture.hop_ms / 1000, 0, bins)
    low, high = colours
    below.imshow(picture.features.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=high)
    below.set(xlim=(0, seconds), xlabel="seconds")
