"""Convolutions in the layout of oneDNN's fast kernels.

MindSpore gives oneDNN maps as they lie, channel after channel, and for those oneDNN has no code of its own: it copies
every window and multiplies matrices. For maps whose channels lie in groups of 16, or side by side, it writes code for
the processor at hand. So here each map is put in order, convolved, and put back.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfcnn_ms.native import onednn, threads
from dfcnn_ms.native.onednn import Bench, Memory, Task

_DIRECT, _FORWARD_TRAINING = 1, 64
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

    def rows(self, count: int) -> Geometry:
        """The same for so many rows of the batch."""
        return replace(self, maps=(count, *self.maps[1:]))

    def channels(self, count: int) -> Geometry:
        """The same for so many channels of the result."""
        return replace(self, weights=(count, *self.weights[1:]))


def convolve(geometry: Geometry, maps: int, weights: int, result: int) -> None:
    """Writes the result (B, C', H', W'); all are addresses."""
    shares = _shares("forward", geometry, threads.count())

    def work(part: int, bench: Bench) -> None:
        share = shares[part]
        share.operation(bench, share.of(maps, weights, result), {})

    threads.together(len(shares), work)


def backwards(
    geometry: Geometry, maps: int, weights: int, gradient: int, to_maps: int | None, to_weights: int | None
) -> None:
    """Writes the gradients of maps and weights, or of one of them, from that of the result; all are addresses."""
    into = {"weights": to_weights, "maps": to_maps}
    towards = {kind: _shares(kind, geometry, threads.count()) for kind, place in into.items() if place is not None}
    shares = next(iter(towards.values()))
    # What all parts add to, unless each has its own: the first part writes it, the others beside it.
    added = "weights" if shares[0].is_of_rows else "maps"
    sums: list[np.ndarray[Any, Any]] = []
    if (place := into[added]) is not None:
        sums = [onednn.tensor_at(place, geometry.weights if added == "weights" else geometry.maps)]
    sums += [np.empty_like(one) for one in sums for _ in shares[1:]]

    def work(part: int, bench: Bench) -> None:
        ready: dict[str, Any] = {}
        for kind, of_threads in towards.items():
            addresses = of_threads[part].of(maps, weights, gradient)
            own = of_threads[part].of(to_maps or 0, to_weights or 0, 0)[kind]
            addresses[kind] = sums[part].ctypes.data if kind == added else own
            of_threads[part].operation(bench, addresses, ready)

    threads.together(len(shares), work)
    for other in sums[1:]:
        sums[0] += other


#: kind -> the tensor that it writes; and for each tensor what is asked of oneDNN's choice, and the number it goes by
_KINDS: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "forward": ("result", {"maps": (129, 1), "weights": (131, 33), "result": (133, 17)}),
    "maps": ("maps", {"maps": (130, 129), "weights": (131, 33), "result": (134, 145)}),
    "weights": ("weights", {"maps": (129, 1), "weights": (132, 161), "result": (134, 145)}),
}


class _Operation:
    """A convolution or one of its gradients, for rows of one shape and one thread."""

    def __init__(self, kind: str, geometry: Geometry) -> None:
        self.written, numbers = _KINDS[kind]
        choice = _choice(kind, geometry)
        self.outside: dict[str, Memory] = {}
        self.inside: dict[str, _Inside] = {}
        for role, (query, _) in numbers.items():
            lies, wanted = onednn.as_it_lies(_shape(role, geometry)), onednn.layout_in(choice, query)
            outside = self.outside[role] = Memory(lies)
            if not onednn.same(lies, wanted):
                inside = Memory(wanted)
                here, there = (wanted, inside), (lies, outside)
                (before, source), (after, target) = (here, there) if role == self.written else (there, here)
                reordering = Task(onednn.reordering(before, after), {onednn.FROM: source, onednn.TO: target})
                self.inside[role] = _Inside(inside, wanted, reordering)
        memories = {role: self.inside[role].memory if role in self.inside else self.outside[role] for role in numbers}
        self.task = Task(onednn.made(choice), {number: memories[role] for role, (_, number) in numbers.items()})

    def __call__(self, bench: Bench, addresses: dict[str, int], ready: dict[str, Any]) -> None:
        """Reads and writes at addresses. What another operation has put in order, and says so in ``ready``, stays."""
        for role, memory in self.outside.items():
            memory.place(addresses[role])
        for role, inside in self.inside.items():
            inside.memory.place(bench.room(role, inside.memory.size))
            if role != self.written and not (role in ready and onednn.same(ready[role], inside.layout)):
                inside.reordering.run(bench)
                ready[role] = inside.layout
        self.task.run(bench)
        ready.pop(self.written, None)
        if self.written in self.inside:
            self.inside[self.written].reordering.run(bench)


@dataclass(frozen=True)
class _Inside:
    """A tensor as an operation wants it, and how it comes to be so, or comes back."""

    memory: Memory
    layout: Any
    reordering: Task


@dataclass(frozen=True)
class _Share:
    """What one thread does: rows of the batch, or channels of the result where there is but one row.

    Attributes:
        maps, weights, result: the bytes before its part of each.
        operation: what is done with it.
        is_of_rows: whether it is a part of the batch.
    """

    maps: int
    weights: int
    result: int
    operation: _Operation
    is_of_rows: bool

    def of(self, maps: int, weights: int, result: int) -> dict[str, int]:
        """Where its part lies in the tensors at these addresses."""
        return {"maps": maps + self.maps, "weights": weights + self.weights, "result": result + self.result}


@functools.cache  # oneDNN writes code for each shape once; a training has a handful of them
def _shares(kind: str, geometry: Geometry, count: int) -> list[_Share]:
    maps, result = (onednn.BYTES * math.prod(shape[1:]) for shape in (geometry.maps, geometry.result))
    if geometry.maps[0] > 1 or geometry.groups > 1:
        return [
            _Share(rows.start * maps, 0, rows.start * result, _Operation(kind, geometry.rows(_length(rows))), True)
            for rows in threads.parts(geometry.maps[0], count)
        ]
    channels = geometry.weights[0]
    weights, result = (onednn.BYTES * math.prod(shape) for shape in (geometry.weights[1:], geometry.result[2:]))
    return [
        _Share(0, part.start * weights, part.start * result, _Operation(kind, geometry.channels(_length(part))), False)
        for part in threads.parts(channels, count)
    ]


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _shape(role: str, geometry: Geometry) -> Shape:
    return {"maps": geometry.maps, "weights": geometry.kernel, "result": geometry.result}[role]


def _choice(kind: str, geometry: Geometry) -> ctypes.c_void_p:
    """What oneDNN does best: with channels side by side where its groups of them would be far from full."""
    wasted = max(-channels % _GROUP / channels for channels in (geometry.maps[1], geometry.weights[0]))
    if geometry.groups == 1 and wasted > _WASTE:
        choice = _chosen(kind, geometry, onednn.channels_last)
        if not onednn.code_of(choice).startswith("ref"):
            return choice
    return _chosen(kind, geometry, onednn.as_you_like)


def _chosen(kind: str, geometry: Geometry, layout: Callable[[Shape], Any]) -> ctypes.c_void_p:
    maps, result = layout(geometry.maps), layout(geometry.result)
    weights = onednn.as_you_like(geometry.kernel)
    above, below, left, right = geometry.padding
    gaps = [gap - 1 for gap in geometry.dilation]
    how = [onednn.numbers(values) for values in (geometry.stride, gaps, [above, left], [below, right])]
    if kind == "forward":
        wish = ("dilated_convolution_forward", _FORWARD_TRAINING, _DIRECT, maps, weights, None, result, *how)
        return onednn.chosen(*wish)
    hint = _chosen("forward", geometry, layout)
    if kind == "maps":
        return onednn.chosen("dilated_convolution_backward_data", _DIRECT, maps, weights, result, *how, hint=hint)
    wish = ("dilated_convolution_backward_weights", _DIRECT, maps, weights, None, result, *how)
    return onednn.chosen(*wish, hint=hint)
