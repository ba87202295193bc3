"""Convolution, batch norm, ReLU and pooling of maps that stay in oneDNN's layout from one to the next.

What the gradients need is kept in that layout too: the maps as the convolution read them, what it wrote, and a bit for
each value that ReLU let through.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.native import convolution, onednn
from dfcnn_ms.native.convolution import Geometry
from dfcnn_ms.native.onednn import Memory, Plan

_SCALED_WITH_RELU = 2 | 4
_MAX = 0x1FF
_STATISTICS, _WRITTEN = ("mean", "variance"), ("to maps", "to weights")
#: the layout of what is kept is oneDNN's own
_KEPT = ("silent", "convolved", "passed", "pooled")


@dataclass(frozen=True)
class Unit:
    """What is computed.

    Attributes:
        geometry: of the convolution.
        pool: the window along H and W; (1, 1): there is no pooling.
        epsilon: of the norm.
        share: how far its moving statistics go towards those of a batch.
    """

    geometry: Geometry
    pool: tuple[int, int]
    epsilon: float
    share: float

    @property
    def result(self) -> tuple[int, ...]:
        """(B, C', H', W')."""
        rows, channels, *sizes = self.geometry.result
        return rows, channels, *(size // window for size, window in zip(sizes, self.pool, strict=True))

    @property
    def kept(self) -> list[tuple[int, ...]]:
        """The shapes of what the gradients need; the first is that of the maps, with room for more channels."""
        return _plans(self).kept


def forwards(
    unit: Unit, maps: int, lengths: int, weights: int, gamma: int, beta: int, moving: Sequence[int],
    result: int, statistics: Sequence[int], moved: Sequence[int], kept: Sequence[int],
) -> None:  # fmt: skip
    """Writes the result, the norm's statistics, mean and variance, the moving ones as they are after it, what is kept.

    All are addresses. Maps count as 0 in the rows (the axis H) from an utterance's length (B,) on.
    """
    width = unit.geometry.weights[:1]
    scales = np.stack([onednn.tensor_at(one, width) for one in (gamma, beta)])
    places = {"maps": maps, "lengths": lengths, "weights": weights, "scales": scales.ctypes.data, "result": result}
    places |= dict(zip(_STATISTICS, statistics, strict=True)) | dict(zip(_KEPT, kept, strict=True))
    _plans(unit).forwards.run(places)
    rows, _, height, width_of_maps = unit.geometry.result
    count = rows * height * width_of_maps
    for source, found, target, factor in zip(moving, statistics, moved, (1.0, count / max(1, count - 1)), strict=True):
        before, now = onednn.tensor_at(source, width), onednn.tensor_at(found, width)
        onednn.tensor_at(target, width)[:] = (1.0 - unit.share) * before + unit.share * factor * now


def backwards(
    unit: Unit, lengths: int, weights: int, gamma: int, statistics: Sequence[int], kept: Sequence[int], gradient: int,
    written: Sequence[int | None],
) -> None:  # fmt: skip
    """Writes the gradients of maps, weights, gamma and beta from that of the result; all are addresses.

    Where there is None, that gradient is not wanted.
    """
    width = unit.geometry.weights[:1]
    scales = np.stack([onednn.tensor_at(gamma, width), np.zeros(width, np.float32)])
    to_scales = np.empty_like(scales)
    places = {"lengths": lengths, "weights": weights, "scales": scales.ctypes.data, "to scales": to_scales.ctypes.data}
    places |= dict(zip(_STATISTICS, statistics, strict=True)) | dict(zip(_KEPT, kept, strict=True))
    places["to result"] = gradient
    asked = {name: place for name, place in zip(_WRITTEN, written, strict=False) if place is not None}
    _plans(unit).backwards(tuple(asked)).run(places | asked)
    for place, found in zip(written[len(_WRITTEN) :], to_scales, strict=True):
        if place is not None:
            onednn.tensor_at(place, width)[:] = found


@functools.cache  # oneDNN writes code for each shape once; a training has a handful of them
def _plans(unit: Unit) -> _Plans:
    return _Plans(unit)


class _Plans:
    """How a unit is computed, and what it keeps."""

    def __init__(self, unit: Unit) -> None:
        self.unit, geometry = unit, unit.geometry
        convolve = convolution.choice("forward", geometry)
        self.read, self.convolved = (onednn.layout_in(convolve, role[0]) for role in (onednn.SOURCE, onednn.RESULT))
        how = (self.convolved, ctypes.c_float(unit.epsilon), _SCALED_WITH_RELU)
        self.norm = onednn.chosen("batch_normalization_forward", onednn.FORWARD_TRAINING, *how)
        self.to_norm = onednn.chosen(
            "batch_normalization_backward", onednn.BACKWARD, self.convolved, *how, hint=self.norm
        )
        layouts = [self.read, self.convolved, onednn.layout_in(self.norm, onednn.WORKSPACE[0])]
        self.pool = self.to_pool = None
        if unit.pool != (1, 1):
            pooled = onednn.as_you_like(unit.result)
            window = [onednn.numbers(values) for values in (unit.pool, unit.pool, (0, 0), (0, 0))]
            how = (self.convolved, pooled, *window)
            self.pool = onednn.chosen("pooling_forward", onednn.FORWARD_TRAINING, _MAX, *how)
            ready = onednn.layout_in(self.pool, onednn.RESULT[0])
            self.to_pool = onednn.chosen("pooling_backward", _MAX, self.convolved, ready, *window, hint=self.pool)
            layouts.append(onednn.layout_in(self.pool, onednn.WORKSPACE[0]))
        self.layouts = dict(zip(_KEPT, layouts, strict=False))
        sizes = [Memory(layout).size // onednn.BYTES + 1 for layout in layouts[1:]]
        self.kept = [onednn.room_for(self.read), *((size,) for size in sizes), *((len(_KEPT) - len(layouts)) * [(1,)])]
        self.forwards = self._forwards()
        self.backwards = functools.cache(self._backwards)

    def _plan(self, given: Mapping[str, Sequence[int]]) -> Plan:
        plan = Plan()
        channels = self.unit.geometry.weights[0]
        shapes = {"weights": self.unit.geometry.kernel, "scales": (2, channels)}
        shapes |= {"mean": (channels,), "variance": (channels,)}
        for name, shape in {**shapes, **given}.items():
            plan.give(name, onednn.as_it_lies(shape))
        for name, layout in self.layouts.items():
            plan.give(name, layout)
        return plan

    def _forwards(self) -> Plan:
        geometry = self.unit.geometry
        plan = self._plan({"maps": geometry.maps, "result": self.unit.result})
        plan.move("maps", "silent")
        plan.call(_silence, "silent")
        convolution.forwards(plan, geometry, "silent", "convolved")
        normed = "result" if self.pool is None else "normed"
        writes = {normed: onednn.RESULT, "mean": onednn.MEAN, "variance": onednn.VARIANCE, "passed": onednn.WORKSPACE}
        plan.then(self.norm, {"convolved": onednn.SOURCE, "scales": onednn.SCALES}, writes)
        if self.pool:
            writes = {"result": onednn.RESULT, "pooled": onednn.WORKSPACE}
            plan.then(self.pool, {"normed": onednn.SOURCE}, writes)
        return plan

    def _backwards(self, tensors: tuple[str, ...]) -> Plan:
        geometry = self.unit.geometry
        shapes = {"to maps": geometry.maps, "to weights": geometry.kernel}
        given = {name: shapes[name] for name in tensors}
        plan = self._plan({**given, "to scales": (2, geometry.weights[0]), "to result": self.unit.result})
        normed = "to result"
        if self.to_pool:
            normed = "to normed"
            reads = {"to result": onednn.TO_RESULT, "pooled": onednn.WORKSPACE}
            plan.then(self.to_pool, reads, {normed: onednn.TO_SOURCE})
        reads = {"convolved": onednn.SOURCE, "scales": onednn.SCALES, "mean": onednn.MEAN}
        reads |= {"variance": onednn.VARIANCE, "passed": onednn.WORKSPACE, normed: onednn.TO_RESULT}
        plan.then(self.to_norm, reads, {"to convolved": onednn.TO_SOURCE, "to scales": onednn.TO_SCALES})
        if "to maps" in tensors:
            convolution.to_maps(plan, geometry, "to silent", "to convolved")
            plan.call(_silence, "to silent")
            plan.move("to silent", "to maps")
        if "to weights" in tensors:
            convolution.to_weights(plan, geometry, "silent", "to convolved")
        return plan


def _silence(memory: Memory, places: Mapping[str, int]) -> None:
    maps = onednn.maps_at(memory.address, memory.layout)
    lengths = (ctypes.c_int32 * len(maps)).from_address(places["lengths"])
    for row, length in zip(maps, lengths, strict=True):
        row[:, max(0, length) :] = 0
