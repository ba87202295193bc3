"""Convolutions in the layout of oneDNN's fast kernels.

MindSpore gives oneDNN maps as they lie, channel after channel, and for those oneDNN has no code of its own: it copies
every window and multiplies matrices. For maps whose channels lie in groups of 16, or side by side, it writes code for
the processor at hand. So here each map is put in order, convolved, and put back.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dfcnn_ms.native import onednn
from dfcnn_ms.native.onednn import Plan

_DIRECT = 1
#: channels that lie together in oneDNN's own layout
_GROUP = 16
#: the share of channels of zeros with which that layout is no longer the faster one
_WASTE = 0.1

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """What a convolution reads, and how.

    Attributes:
        maps: (B, C, H, W).
        weights: (C', C / groups, kernel H, kernel W).
        stride, dilation: along H and W; 1 is every row, and no gap.
        padding: zeros above, below, left and right.
        groups: of channels that do not see each other.
    """

    maps: Shape
    weights: Shape
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def result(self) -> Shape:
        """(B, C', H', W')."""
        above, below, left, right = self.padding
        sides = zip(
            self.maps[2:], (above + below, left + right), self.dilation, self.weights[2:], self.stride, strict=True
        )
        ends = [(size + zeros - gap * (kernel - 1) - 1) // step + 1 for size, zeros, gap, kernel, step in sides]
        if min(ends) < 1:
            raise ValueError(
                f"kernel {self.weights[2:]} is larger than maps {self.maps[2:]} with {self.padding} around"
            )
        return self.maps[0], self.weights[0], *ends

    @property
    def kernel(self) -> Shape:
        """The shape of the weights as oneDNN counts: with an axis of groups if there are any."""
        if self.groups == 1:
            return self.weights
        return self.groups, self.weights[0] // self.groups, *self.weights[1:]


def convolve(geometry: Geometry, maps: int, weights: int, result: int) -> None:
    """Writes the result (B, C', H', W'); all are addresses."""
    _forwards(geometry).run({"maps": maps, "weights": weights, "result": result})


def backwards(
    geometry: Geometry, maps: int, weights: int, gradient: int, to_maps: int | None, to_weights: int | None
) -> None:
    """Writes the gradients of maps and weights, or of one of them, from that of the result; all are addresses."""
    places = {"maps": maps, "weights": weights, "to result": gradient, "to maps": to_maps, "to weights": to_weights}
    written = {name: place for name, place in places.items() if place is not None}
    _backwards(geometry, tuple(written)).run(written)


@functools.cache  # oneDNN writes code for each shape once; a training has a handful of them
def _forwards(geometry: Geometry) -> Plan:
    plan = Plan()
    plan.give("maps", onednn.as_it_lies(geometry.maps))
    plan.give("weights", onednn.as_it_lies(geometry.kernel))
    plan.give("result", onednn.as_it_lies(geometry.result))
    forwards(plan, geometry)
    return plan


@functools.cache
def _backwards(geometry: Geometry, tensors: tuple[str, ...]) -> Plan:
    plan = Plan()
    shapes = {"maps": geometry.maps, "weights": geometry.kernel, "result": geometry.result}
    for name in tensors:
        plan.give(name, onednn.as_it_lies(shapes[name.removeprefix("to ")]))
    if "to maps" in tensors:
        to_maps(plan, geometry)
    if "to weights" in tensors:
        to_weights(plan, geometry)
    return plan


def forwards(plan: Plan, geometry: Geometry, maps: str = "maps", result: str = "result") -> None:
    """Lets a plan write the result from these maps and ``weights``."""
    reads = {maps: onednn.SOURCE, "weights": onednn.WEIGHTS}
    plan.then(choice("forward", geometry), reads, {result: onednn.RESULT})


def to_maps(plan: Plan, geometry: Geometry, written: str = "to maps", gradient: str = "to result") -> None:
    """Lets a plan write the gradient of the maps from ``weights`` and the gradient of the result."""
    reads = {"weights": onednn.WEIGHTS, gradient: onednn.TO_RESULT}
    plan.then(choice("maps", geometry), reads, {written: onednn.TO_SOURCE})


def to_weights(plan: Plan, geometry: Geometry, maps: str = "maps", gradient: str = "to result") -> None:
    """Lets a plan write the gradient ``to weights`` from these maps and the gradient of the result."""
    reads = {maps: onednn.SOURCE, gradient: onednn.TO_RESULT}
    plan.then(choice("weights", geometry), reads, {"to weights": onednn.TO_WEIGHTS})


def choice(kind: str, geometry: Geometry) -> ctypes.c_void_p:
    """What oneDNN does best: with channels side by side where its groups of them would be far from full."""
    wasted = max(-channels % _GROUP / channels for channels in (geometry.maps[1], geometry.weights[0]))
    if geometry.groups == 1 and wasted > _WASTE:
        choice = _chosen(kind, geometry, onednn.channels_last)
        if not onednn.code_of(choice).startswith("ref"):
            return choice
    return _chosen(kind, geometry, onednn.as_you_like)


def with_bias(geometry: Geometry) -> ctypes.c_void_p:
    """Forwards, with a bias for each channel of the result, of maps whose channels lie side by side."""
    return _chosen("forward", geometry, onednn.channels_last, onednn.as_it_lies(geometry.weights[:1]))


def _chosen(kind: str, geometry: Geometry, layout: Callable[[Shape], Any], bias: Any = None) -> ctypes.c_void_p:
    maps, result = layout(geometry.maps), layout(geometry.result)
    weights = onednn.as_you_like(geometry.kernel)
    above, below, left, right = geometry.padding
    gaps = [gap - 1 for gap in geometry.dilation]
    how = [onednn.numbers(values) for values in (geometry.stride, gaps, [above, left], [below, right])]
    if kind == "forward":
        wish = ("dilated_convolution_forward", onednn.FORWARD_TRAINING, _DIRECT, maps, weights, bias, result, *how)
        return onednn.chosen(*wish)
    hint = _chosen("forward", geometry, layout)
    if kind == "maps":
        return onednn.chosen("dilated_convolution_backward_data", _DIRECT, maps, weights, result, *how, hint=hint)
    wish = ("dilated_convolution_backward_weights", _DIRECT, maps, weights, None, result, *how)
    return onednn.chosen(*wish, hint=hint)
