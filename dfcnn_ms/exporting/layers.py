"""Layers of a network as nodes of a graph, in float32: pictures (B, C, T, F), as in `models/cells/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.exporting.graph import FLOAT, Attribute, Graph
from dfcnn_ms.exporting.lengths import Lengths

#: the axis of time
TIME = 2

Pair = tuple[int, int]


@dataclass(frozen=True)
class Affine:
    """The numbers of a convolution, weight (C', C, kT, kF), or of a dense layer, weight (C', C); and bias (C',)."""

    weight: np.ndarray
    bias: np.ndarray

    def then_scaled(self, scale: np.ndarray, shift: np.ndarray) -> Affine:
        """With batch norm behind it: each output times `scale` (C',) plus `shift` (C',)."""
        return Affine(self.weight * scale[:, None, None, None], self.bias * scale + shift)

    def after_scaled(self, scale: np.ndarray, shift: np.ndarray) -> Affine:
        """With batch norm before it: each input times `scale` (C,) plus `shift` (C,); it must not pad."""
        added = np.einsum("oikl,i->o", self.weight, shift)
        return Affine(self.weight * scale[None, :, None, None], self.bias + added)


@dataclass(frozen=True)
class Window:
    """How a convolution moves over (time, frequency); padding is on both sides."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def attributes(self, kernel: Sequence[int]) -> dict[str, Attribute]:
        """As ONNX spells it."""
        return {
            "kernel_shape": tuple(kernel),
            "strides": self.stride,
            "pads": self.padding * 2,
            "dilations": self.dilation,
            "group": self.groups,
        }


class Layers:
    """What networks are made of, each layer under the name of its weights. `Int8Layers` does the same in 8 bits.

    Attributes:
        graph: where the nodes go.
        values: layer, or what goes into it (`<layer>.in`) -> the name of a value in the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, str] = {}

    def apply(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Any other operator, in float32."""
        return self.graph.node(operator, *inputs, name="", **attributes)

    def convolution(self, layer: str, x: str, numbers: Affine, window: Window | None = None, *, relu: bool) -> str:
        """A convolution, and ReLU where it is wanted."""
        self.values[f"{layer}.in"] = x
        window = window or Window()
        weight, bias = self._numbers(layer, numbers)
        kernel = numbers.weight.shape[2:]
        x = self.graph.node("Conv", x, weight, bias, name=layer, **window.attributes(kernel))
        self.values[layer] = self.graph.node("Relu", x, name=f"{layer}.relu") if relu else x
        return self.values[layer]

    def dense(self, layer: str, x: str, numbers: Affine) -> str:
        """A dense layer of every step: (B, U, C) -> (B, U, C')."""
        self.values[f"{layer}.in"] = x
        weight, bias = self._numbers(layer, Affine(numbers.weight.T, numbers.bias))
        return self.graph.node("Add", self.graph.node("MatMul", x, weight, name=layer), bias)

    def over_bins(self, layer: str, x: str, numbers: Affine) -> str:
        """A dense layer over all channels and bins of a step: (B, C, U, F) -> (B, U, C')."""
        rows = self.rows(x)
        return self.dense(layer, rows, Affine(numbers.weight.reshape(len(numbers.weight), -1), numbers.bias))

    def scaled(self, x: str, scale: np.ndarray, shift: np.ndarray) -> str:
        """Times `scale` plus `shift`, both in a shape that broadcasts."""
        scale_name, shift_name = (self.graph.constant(one.astype(np.float32), "affine") for one in (scale, shift))
        return self.apply("Add", self.apply("Mul", x, scale_name), shift_name)

    def silence_after(self, x: str, lengths: Lengths) -> str:
        """Zero in every frame at and after the end of each utterance."""
        return self.graph.node("Mul", x, self.graph.node("Cast", self.mask(x, lengths), to=FLOAT))

    def largest(self, x: str, window: Pair, stride: Pair | None = None) -> str:
        """The largest in each window, window beside window unless there is a stride."""
        if window == (1, 1) and stride is None:
            return x
        return self.graph.node("MaxPool", x, kernel_shape=window, strides=stride or window)

    def fold(self, x: str, channels: int) -> str:
        """Every bin of every channel as a channel of its own: (B, C, T, F) -> (B, C x F, T, 1)."""
        turned = self.graph.node("Transpose", x, perm=(0, 1, 3, 2))
        return self.graph.node("Reshape", turned, self.graph.whole(0, channels, -1, 1))

    def mean_over_time(self, x: str, lengths: Lengths) -> str:
        """The mean of each utterance's own frames: (B, C, T, F) -> (B, C, 1, F)."""
        total = self.apply("ReduceSum", self.silence_after(x, lengths), self.graph.whole(TIME))
        count = self.graph.node("Cast", lengths.at_least(1).name, to=FLOAT)
        return self.graph.node("Div", total, self._column(count))

    def mask(self, x: str, lengths: Lengths) -> str:
        """Which frames of a value (B, C, T, F) are an utterance's own: (B, 1, T, F), as long rows cost least."""
        row = self.graph.node("Reshape", self.numbered(x, TIME), self.graph.whole(1, 1, -1, 1))
        own = self.graph.node("Less", row, self._column(lengths.name))  # (B, 1, T, 1)
        shape = self.graph.node("Concat", self.graph.whole(1, 1, 1), self.length(x, TIME + 1), axis=0)
        return self.graph.node("Expand", own, shape)

    def length(self, x: str, axis: int) -> str:
        """How long a value is along an axis: (1,)."""
        return self.graph.node("Shape", x, start=axis, end=axis + 1)

    def numbered(self, x: str, axis: int) -> str:
        """The places along an axis: 0, 1, 2, ..."""
        zero, one = (self.graph.constant(np.int64(value), "scalar") for value in (0, 1))
        return self.graph.node("Range", zero, self.graph.node("Squeeze", self.length(x, axis)), one)

    def rows(self, x: str) -> str:
        """(B, C, U, F) -> (B, U, C x F)."""
        turned = self.graph.node("Transpose", x, perm=(0, 2, 1, 3))
        return self.graph.node("Reshape", turned, self.graph.whole(0, 0, -1))

    def _numbers(self, layer: str, numbers: Affine) -> tuple[str, str]:
        """Weight and bias as constants."""
        weight = self.graph.constant(numbers.weight.astype(np.float32), f"{layer}.weight")
        return weight, self.graph.constant(numbers.bias.astype(np.float32), f"{layer}.bias")

    def _column(self, lengths: str) -> str:
        """(B,) -> (B, 1, 1, 1)."""
        return self.graph.node("Reshape", lengths, self.graph.whole(-1, 1, 1, 1))
