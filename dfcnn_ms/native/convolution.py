"""Convolutions in the layout of oneDNN's fast kernels.

MindSpore gives oneDNN maps as they lie, channel after channel, and for those oneDNN has no code of its own: it copies
every window and multiplies matrices. For maps whose channels lie in groups of 16, or side by side, it writes code for
the processor at hand. So here each map is put in order, convolved, and put back.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfcnn_ms.native import onednn, threads
from dfcnn_ms.native.onednn import Bench, Memory

_DIRECT, _FORWARD_TRAINING = 1, 64
#: channels that lie together in oneDNN's own layout
_GROUP = 16

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
        ends = ((size + zeros - gap * (kernel - 1) - 1) // step + 1 for size, zeros, gap, kernel, step in sides)
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


def convolve(geometry: Geometry, maps: int, weights: int, result: int) -> None:
    """Writes the result (B, C', H', W'); all are addresses."""

    def work(part: int, rows: slice, bench: Bench) -> None:
        own = geometry.rows(rows.stop - rows.start)
        read, written = maps + rows.start * _row(geometry.maps), result + rows.start * _row(geometry.result)
        _operation("forward", own, part)(bench, {"maps": read, "weights": weights, "result": written}, {})

    threads.together(geometry.maps[0], work)


def backwards(
    geometry: Geometry, maps: int, weights: int, gradient: int, to_maps: int | None, to_weights: int | None
) -> None:
    """Writes the gradients of maps and weights, or of one of them, from that of the result; all are addresses."""
    partial: list[np.ndarray[Any, Any]] = []
    if to_weights is not None:
        others = len(threads.parts(geometry.maps[0])) - 1
        partial = [onednn.tensor_at(to_weights, geometry.weights)]
        partial += [np.empty(geometry.weights, np.float32) for _ in range(others)]

    def work(part: int, rows: slice, bench: Bench) -> None:
        own = geometry.rows(rows.stop - rows.start)
        ready: dict[str, Any] = {}
        above = rows.start * _row(geometry.maps)
        read = {"maps": maps + above, "weights": weights, "result": gradient + rows.start * _row(geometry.result)}
        if partial:
            _operation("weights", own, part)(bench, read | {"weights": partial[part].ctypes.data}, ready)
        if to_maps is not None:
            _operation("maps", own, part)(bench, read | {"maps": to_maps + above}, ready)

    threads.together(geometry.maps[0], work)
    for other in partial[1:]:
        partial[0] += other


def _row(shape: Sequence[int]) -> int:
    return onednn.BYTES * int(np.prod(shape[1:], dtype=np.int64))


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
        self.primitive = onednn.made(choice)
        self.outside: dict[str, Memory] = {}
        self.inside: dict[str, tuple[Memory, Any, ctypes.c_void_p]] = {}
        self.numbers = {role: number for role, (_, number) in numbers.items()}
        for role, (query, _) in numbers.items():
            lies, wanted = onednn.as_it_lies(_shape(role, geometry)), onednn.layout_in(choice, query)
            self.outside[role] = Memory(lies)
            if not onednn.same(lies, wanted):
                ends = (wanted, lies) if role == self.written else (lies, wanted)
                self.inside[role] = Memory(wanted), wanted, onednn.reordering(*ends)

    def __call__(self, bench: Bench, addresses: dict[str, int], ready: dict[str, Any]) -> None:
        """Reads and writes at addresses. What another operation has put in order, and says so in ``ready``, stays."""
        arguments = {}
        for role, number in self.numbers.items():
            outside = self.outside[role].at(addresses[role])
            arguments[number] = outside
            if role in self.inside:
                memory, layout, reordering = self.inside[role]
                arguments[number] = memory.at(bench.room(role, memory.size))
                if role != self.written and not (role in ready and onednn.same(ready[role], layout)):
                    bench.run(reordering, {onednn.FROM: outside, onednn.TO: memory.handle})
                    ready[role] = layout
        bench.run(self.primitive, arguments)
        ready.pop(self.written, None)
        if self.written in self.inside:
            memory, _, reordering = self.inside[self.written]
            bench.run(reordering, {onednn.FROM: memory.handle, onednn.TO: self.outside[self.written].handle})


@functools.lru_cache(maxsize=4096)
def _operation(kind: str, geometry: Geometry, part: int) -> _Operation:
    return _Operation(kind, geometry)


def _shape(role: str, geometry: Geometry) -> Shape:
    return {"maps": geometry.maps, "weights": geometry.kernel, "result": geometry.result}[role]


def _choice(kind: str, geometry: Geometry) -> ctypes.c_void_p:
    """What oneDNN does best: with channels side by side where groups of them would not be full."""
    channels = (geometry.maps[1], geometry.weights[0])
    if geometry.groups == 1 and any(count % _GROUP for count in channels):
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
