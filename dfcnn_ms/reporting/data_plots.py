"""What a corpus is made of, as one picture: lengths, speed of speech, how often each unit is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dfcnn_ms.corpora.findings import Material, Split

#: bars of a histogram; beyond this percentile of all values lies what one wrong label can do to an axis
BINS, LAST_PERCENTILE = 40, 99.5
#: with no more units than this each has a bar with its name
NAMED_UNITS = 30
COLOURS = ("#4c78a8", "#e8883a", "#54a24b", "#b279a2", "#9d755d")


def draw_data(material: Material) -> Any:
    """A matplotlib figure of four drawings, the splits in colours over each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), layout="constrained")
    (durations, labels), (rates, units) = figure.subplots(2, 2)
    unit = material.unit
    _histogram(durations, material, "seconds an utterance", lambda split: [one.seconds for one, _ in split.labelled])
    _histogram(labels, material, f"{unit}s an utterance", lambda split: [len(label) for _, label in split.labelled])
    _histogram(rates, material, f"{unit}s a second", _rates)
    few = len({one for split in material.splits for one in split.units}) <= NAMED_UNITS
    (_bars if few else _ranks)(units, material)
    durations.legend(frameon=False)
    for axis in (durations, labels, rates, units):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _rates(split: Split) -> list[float]:
    return [len(label) / one.seconds for one, label in split.labelled]


def _histogram(axis: Any, material: Material, name: str, values: Callable[[Split], Sequence[float]]) -> None:
    """The shares of each split, so that a small one is seen beside a large one."""
    found = {split.name: np.asarray(values(split), float) for split in material.splits}
    edges = _edges(np.concatenate([*found.values(), [0.0]]))
    for (title, numbers), colour in zip(found.items(), _colours(), strict=False):
        if len(numbers):
            counts, _ = np.histogram(np.minimum(numbers, edges[-1]), edges)
            axis.stairs(100 * counts / len(numbers), edges, label=title, color=colour, fill=True, alpha=0.35)
            axis.stairs(100 * counts / len(numbers), edges, color=colour, linewidth=1.2)
    axis.locator_params(axis="x", integer=edges[0] < 0)
    axis.set_xlabel(name)
    axis.set_ylabel("% of the utterances")
    axis.set_ylim(bottom=0)


def _edges(values: np.ndarray) -> np.ndarray:
    """Limits of the bars: whole numbers stand in the middle of theirs. The last bar also counts what is beyond."""
    end = float(np.percentile(values, LAST_PERCENTILE)) or 1.0
    if np.all(values == np.round(values)):
        step = max(1, round(end / BINS))
        return np.arange(-0.5, end + step + 0.5, step)
    return np.linspace(0, end, BINS + 1)


def _bars(axis: Any, material: Material) -> None:
    """Every unit by its name."""
    names = sorted({unit for split in material.splits for unit in split.units})
    width = 0.8 / len(material.splits)
    for index, (split, colour) in enumerate(zip(material.splits, _colours(), strict=False)):
        total = sum(split.units.values()) or 1
        heights = [100 * split.units.get(name, 0) / total for name in names]
        axis.bar(np.arange(len(names)) + (index + 0.5) * width - 0.4, heights, width, color=colour)
    axis.set_xticks(range(len(names)), names, rotation=90 if len(names) > 12 else 0)
    axis.set_ylabel(f"% of the {material.unit}s said")


def _ranks(axis: Any, material: Material) -> None:
    """Units by rank, on two logarithmic scales: natural speech is nearly a straight line with a falling end."""
    for split, colour in zip(material.splits, _colours(), strict=False):
        if split.units:
            axis.plot(np.arange(1, len(split.units) + 1), list(split.units.values()), color=colour)
    axis.set(xscale="log", yscale="log", ylabel="times said", xlabel=f"{material.unit}s, the commonest first")
    _name_some(axis, material)


def _name_some(axis: Any, material: Material) -> None:
    """Writes beside the first line which units are at its beginning, its middle and its end."""
    units = list(material.splits[0].units)
    for rank in sorted({1, 10, 100, len(units)}):
        if rank <= len(units):
            count = material.splits[0].units[units[rank - 1]]
            axis.annotate(units[rank - 1], (rank, count), xytext=(3, 4), textcoords="offset points", fontsize=8)


def _colours() -> list[str]:
    return [*COLOURS, *COLOURS]
