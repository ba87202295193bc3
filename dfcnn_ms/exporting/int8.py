"""Layers in whole numbers of 8 bits: smaller, and faster on one core. What they may be is measured on real sound.

A value is ``step * (q - zero)``: activations q from 0 to 255, with one step for each layer; weights q from -63 to 63,
with one step for each output channel. Weights have 7 bits, since processors without VNNI add pairs of products in 16
bits, and 8 would overflow there: the same file says the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcnn_ms.exporting.graph import FLOAT, Attribute, Graph
from dfcnn_ms.exporting.layers import Affine, Layers, Pair, Window
from dfcnn_ms.exporting.lengths import Lengths

#: the largest activation and weight
MOST, MOST_WEIGHT = 255, 63
#: share of the numbers of a layer that are cut off at each end: a few that are far out would make all steps coarse
CUT_OFF = 1e-5
#: numbers of a layer and a recording that are looked at
_LOOKED_AT = 200_000
#: no layer is so still that its steps are smaller
_LEAST = 1e-6
#: a bias has 32 bits, and products are added to it
_MOST_BIAS = 1 << 30


@dataclass(frozen=True)
class Grid:
    """Where the 256 values of an activation lie."""

    step: float
    zero: int

    @classmethod
    def over(cls, low: float, high: float) -> Grid:
        """From at most `low` to at least `high`; 0 is one of the values."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, _LEAST) / MOST
        return cls(step, round(-low / step))


class Asked(dict[str, Grid]):
    """Any grid for every value; afterwards, the values for which one was wanted."""

    def __missing__(self, value: str) -> Grid:
        self[value] = Grid(1.0, 0)
        return self[value]


class Int8Layers(Layers):
    """Convolutions and dense layers in whole numbers; everything else gets float32 where it wants that.

    Args:
        graph: where the nodes go.
        grids: layer, or what goes into it -> where its values lie, as `Layers.values` calls them.
    """

    def __init__(self, graph: Graph, grids: Mapping[str, Grid]) -> None:
        super().__init__(graph)
        self.grids = grids
        self._grid_of: dict[str, Grid] = {}
        self._known: dict[tuple[str, Grid], str] = {}

    def apply(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        return super().apply(operator, *map(self._wide, inputs), **attributes)

    def convolution(self, layer: str, x: str, numbers: Affine, window: Window | None = None, *, relu: bool) -> str:
        x, given = self._narrow(x, f"{layer}.in")
        wanted = self.grids[layer]  # of what is left by ReLU: nothing below 0 is among the values
        weight, steps = whole_numbers(numbers.weight, np.abs(numbers.bias) / (given.step * _MOST_BIAS))
        bias = np.rint(numbers.bias / (given.step * steps)).astype(np.int32)
        written = self.graph.node(
            "QLinearConv",
            x,
            *self._constants(given),
            self.graph.constant(weight, f"{layer}.weight"),
            self.graph.constant(steps.astype(np.float32), f"{layer}.steps"),
            self.graph.constant(np.zeros(len(steps), np.int8), "zeros"),
            *self._constants(wanted),
            self.graph.constant(bias, f"{layer}.bias"),
            name=layer,
            **(window or Window()).attributes(weight.shape[2:]),
        )
        return self._on(wanted, written)

    def dense(self, layer: str, x: str, numbers: Affine) -> str:
        x, given = self._narrow(x, f"{layer}.in")
        weight, steps = whole_numbers(numbers.weight)
        table = self.graph.constant(np.ascontiguousarray(weight.T), f"{layer}.weight")
        products = self.graph.node("MatMulInteger", x, table, self._constants(given)[1], name=layer)
        scale = self.graph.constant((steps * given.step).astype(np.float32), f"{layer}.steps")
        scaled = self.graph.node("Mul", self.graph.node("Cast", products, to=FLOAT), scale)
        return self.graph.node("Add", scaled, self.graph.constant(numbers.bias.astype(np.float32), f"{layer}.bias"))

    def silence_after(self, x: str, lengths: Lengths) -> str:
        if x not in self._grid_of:
            return super().silence_after(x, lengths)
        zero = self._constants(self._grid_of[x])[1]
        return self._as(x, self.graph.node("Where", self.mask(x, lengths), x, zero))

    def largest(self, x: str, window: Pair, stride: Pair | None = None) -> str:
        return self._as(x, super().largest(x, window, stride))

    def fold(self, x: str, channels: int) -> str:
        return self._as(x, super().fold(x, channels))

    def rows(self, x: str) -> str:
        return self._as(x, super().rows(x))

    def _narrow(self, x: str, value: str) -> tuple[str, Grid]:
        """A value in whole numbers, and its grid: the one it has, or the one that was measured."""
        if x in self._grid_of:
            return x, self._grid_of[x]
        grid = self.grids[value]
        if (x, grid) not in self._known:
            self._known[x, grid] = self.graph.node("QuantizeLinear", x, *self._constants(grid))
        return self._on(grid, self._known[x, grid]), grid

    def _wide(self, x: str) -> str:
        """A value in float32."""
        if x not in self._grid_of:
            return x
        grid = self._grid_of[x]
        if (x, grid) not in self._known:
            self._known[x, grid] = self.graph.node("DequantizeLinear", x, *self._constants(grid))
        return self._known[x, grid]

    def _as(self, x: str, changed: str) -> str:
        """A value whose numbers are those of another, in other places."""
        return self._on(self._grid_of[x], changed) if x in self._grid_of else changed

    def _on(self, grid: Grid, name: str) -> str:
        self._grid_of[name] = grid
        return name

    def _constants(self, grid: Grid) -> tuple[str, str]:
        """Step and zero of a grid."""
        return self.graph.number(grid.step), self.graph.constant(np.uint8(grid.zero), "zero")


def whole_numbers(weight: np.ndarray, least: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Weights (C', ...) as whole numbers, and the step (C',) of each output channel, which is at least `least`."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    steps = np.maximum(np.maximum(largest, _LEAST) / MOST_WEIGHT, least)
    return np.rint(weight / steps.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8), steps


def measured(session: Any, names: Mapping[str, str], inputs: Iterable[Mapping[str, np.ndarray]]) -> dict[str, Grid]:
    """Where values lie when a network listens.

    Args:
        session: onnxruntime with a float32 graph in which all of them are results or inputs.
        names: value -> its name in the graph.
        inputs: what it listens to.
    """
    results = sorted({one.name for one in session.get_outputs()} & set(names.values()))
    ends: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
    for given in inputs:
        found = dict(zip(results, session.run(results, dict(given)), strict=True)) | dict(given)
        for name in ends:
            ends[name].append(_ends(found[name]))
    lowest, highest = ({name: pick(ends[name], axis=0) for name in ends} for pick in (np.min, np.max))
    return {value: Grid.over(float(lowest[name][0]), float(highest[name][1])) for value, name in names.items()}


def _ends(values: np.ndarray) -> np.ndarray:
    """Between which two numbers (2,) almost all of a layer's values lie."""
    some = values.ravel()[:: max(1, values.size // _LOOKED_AT)]
    return np.quantile(some, (CUT_OFF, 1 - CUT_OFF)) if len(some) else np.zeros(2)
