"""Pictures: what the network hears, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE


@dataclass(frozen=True)
class Picture:
    """One utterance to draw.

    Attributes:
        title: name of the utterance.
        features: (T, F) as they enter the network.
        hop_ms: time from frame to frame.
        wave: its samples (N,), or None where only the features are known.
        label: syllables to write above the picture.
        seconds: when each syllable begins; without it the label is written as one line.
    """

    title: str
    features: np.ndarray
    hop_ms: float
    wave: np.ndarray | None = None
    label: Sequence[str] = ()
    seconds: Sequence[float] = ()


def draw(pictures: Sequence[Picture]) -> Any:
    """A matplotlib figure: for each utterance its waveform over the image that the network receives."""
    from matplotlib.figure import Figure

    heights = [height for picture in pictures for height in _heights(picture)]
    figure = Figure(figsize=(10, 0.9 * sum(heights) + 0.5), layout="constrained")
    axes = iter(np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=heights)))
    for picture in pictures:
        if picture.wave is not None:
            _draw_wave(next(axes), picture)
        _draw_features(next(axes), picture)
    return figure


def _heights(picture: Picture) -> tuple[float, ...]:
    return (3.0,) if picture.wave is None else (1.2, 3.0)


def _draw_wave(axis: Any, picture: Picture) -> None:
    assert picture.wave is not None
    axis.plot(np.arange(len(picture.wave)) / SAMPLE_RATE, picture.wave, linewidth=0.4, color="tab:blue")
    axis.set_xlim(0, _end(picture))
    axis.set_ylabel("sample")
    axis.set_title(_headline(picture), loc="left", fontsize=10)


def _end(picture: Picture) -> float:
    """Where both time axes end, so that they stand over each other: the last frame or the last sample."""
    samples = 0 if picture.wave is None else len(picture.wave)
    return max(len(picture.features) * picture.hop_ms / 1000, samples / SAMPLE_RATE)


def _headline(picture: Picture) -> str:
    return f"{picture.title}:  {' '.join(picture.label)}" if picture.label else picture.title


def _draw_features(axis: Any, picture: Picture) -> None:
    from matplotlib.patheffects import withStroke

    end = len(picture.features) * picture.hop_ms / 1000
    image = axis.imshow(
        picture.features.T,
        origin="lower",
        aspect="auto",
        extent=(0, end, 0, picture.features.shape[1]),
        cmap="magma",
    )
    axis.set_xlim(0, _end(picture))
    axis.set_xlabel("seconds")
    axis.set_ylabel("feature bin")
    if picture.wave is None:
        axis.set_title(_headline(picture), loc="left", fontsize=10)
    axis.figure.colorbar(image, ax=axis, pad=0.01)
    outline = [withStroke(linewidth=2, foreground="black")]  # white letters are lost over loud sounds
    for syllable, second in zip(picture.label, picture.seconds, strict=False):
        axis.axvline(second, color="white", linewidth=0.6, alpha=0.7)
        place = axis.get_xaxis_transform()
        axis.text(second, 0.92, f" {syllable}", color="white", fontsize=9, transform=place, path_effects=outline)
