"""Image networks in a graph: each kind of layer has a row in ``WRITERS``, as it has a Cell in `cells/image/layers.py`.

Convolution, batch norm and ReLU, where they follow each other, become one convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfcnn_ms.exporting.layers import Layers, Window
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.models.graphs.weights import Weights, affine, batch_norm
from dfcnn_ms.models.image.layers import (
    Branches,
    Chain,
    Conv,
    Drop,
    DualPath,
    Joined,
    Layer,
    Norm,
    OverBins,
    OverTime,
    Picture,
    Pool,
    Relu,
    Sum,
    Swish,
    Widened,
    after_reach,
)
from dfcnn_ms.models.image.network import ImageNetwork

#: the axes of channels and bins
_CHANNELS, _BINS = 1, 3


@dataclass(frozen=True)
class Flow:
    """A value (B, C, T, F) with the frames (B,) of each clip, or None where all of them count."""

    x: str
    lengths: Lengths | None


@dataclass(frozen=True)
class Place:
    """A layer, the name of its Cell, and what it reads."""

    layer: Any
    name: str
    picture: Picture


@dataclass(frozen=True)
class Writing:
    """Where nodes go, and where numbers come from."""

    layers: Layers
    weights: Weights


def image_network(
    layers: Layers, network: ImageNetwork, num_bins: int, weights: Weights, features: str, lengths: Lengths
) -> str:
    """Writes the network; returns the name of its raw logits (B, 1, V)."""
    plan = network.plan(1)  # how many units there are is known by the weights
    *others, last = _flat(Place(plan, "body", Picture(1, num_bins, num_bins)))
    flow = _in_turn(Writing(layers, weights), others, Flow(features, lengths))
    return layers.over_bins(last.name, flow.x, affine(weights, f"{last.name}.conv"))


def _flat(place: Place) -> Iterator[Place]:
    """What stands in a chain, and in the chains inside it."""
    if not isinstance(place.layer, Chain):
        yield place
        return
    for index, (layer, picture) in enumerate(place.layer.each(place.picture)):
        yield from _flat(Place(layer, f"{place.name}.cells_in_turn.{index}", picture))


def _in_turn(writing: Writing, places: Sequence[Place], flow: Flow) -> Flow:
    index = 0
    while index < len(places):
        place, behind = places[index], [one.layer for one in places[index + 1 : index + 3]]
        if isinstance(place.layer, Conv):
            norm = places[index + 1].name if behind[:1] == [Norm()] else None
            relu = behind[bool(norm) :][:1] == [Relu()]
            flow = _convolved(writing, place, flow, norm, relu=relu)
            index += (norm is not None) + relu
        else:
            flow = WRITERS[type(place.layer)](writing, place, flow)
        index += 1
    return flow


def _convolved(writing: Writing, place: Place, flow: Flow, norm: str | None, *, relu: bool) -> Flow:
    """A convolution, and what is behind it."""
    layer: Conv = place.layer
    x, lengths = flow.x, flow.lengths
    if lengths is not None:
        if layer.kernel[0] > 1:
            x = writing.layers.silence_after(x, lengths)
        for reach in layer.clock:
            lengths = after_reach(lengths, *reach)
    numbers = affine(writing.weights, f"{place.name}.conv")
    if norm:
        numbers = numbers.then_scaled(*batch_norm(writing.weights, f"{norm}.norm"))
    window = Window(layer.stride, layer.padding, layer.dilation, layer.groups)
    return Flow(writing.layers.convolution(place.name, x, numbers, window, relu=relu), lengths)


def _norm(writing: Writing, place: Place, flow: Flow) -> Flow:
    """Each band of each channel has numbers of its own: (C x bands,) -> (C, 1, F)."""
    bands, bins = place.layer.bands, place.picture.bins
    scale, shift = (
        np.repeat(one.reshape(-1, 1, bands), bins // bands, axis=2) if bands > 1 else one.reshape(-1, 1, 1)
        for one in batch_norm(writing.weights, f"{place.name}.norm")
    )
    return replace(flow, x=writing.layers.scaled(flow.x, scale, shift))


def _relu(writing: Writing, place: Place, flow: Flow) -> Flow:
    return replace(flow, x=writing.layers.apply("Relu", flow.x))


def _swish(writing: Writing, place: Place, flow: Flow) -> Flow:
    return replace(flow, x=writing.layers.apply("Mul", flow.x, writing.layers.apply("Sigmoid", flow.x)))


def _nothing(writing: Writing, place: Place, flow: Flow) -> Flow:
    return flow


def _pool(writing: Writing, place: Place, flow: Flow) -> Flow:
    side = (place.layer.side, place.layer.side)
    if place.layer.largest:
        x = writing.layers.largest(flow.x, side)
    else:
        x = writing.layers.apply("AveragePool", flow.x, kernel_shape=side, strides=side)
    return Flow(x, None if flow.lengths is None else flow.lengths // place.layer.side)


def _widened(writing: Writing, place: Place, flow: Flow) -> Flow:
    stride, more = place.layer.stride, place.layer.channels - place.picture.channels
    x = writing.layers.largest(flow.x, (1, 1), (stride, stride)) if stride > 1 else flow.x
    if more:
        x = writing.layers.apply("Pad", x, writing.layers.graph.whole(0, 0, 0, 0, 0, more, 0, 0))
    return Flow(x, None if flow.lengths is None else (flow.lengths - 1) // stride + 1)


def _over_bins(writing: Writing, place: Place, flow: Flow) -> Flow:
    return replace(flow, x=writing.layers.apply("ReduceMean", flow.x, axes=(_BINS,)))


def _over_time(writing: Writing, place: Place, flow: Flow) -> Flow:
    assert flow.lengths is not None, "the frames of a clip are counted until here"
    return Flow(writing.layers.mean_over_time(flow.x, flow.lengths), None)


def _branches(writing: Writing, place: Place, flow: Flow) -> tuple[str, str, Lengths | None]:
    """What both branches make of it, and the frames as the first leaves them."""
    layer: Branches = place.layer
    one, other = (
        _in_turn(writing, list(_flat(Place(branch, f"{place.name}.{name}", place.picture))), flow)
        for branch, name in zip(layer.branches, ("first", "second"), strict=True)
    )
    return one.x, other.x, one.lengths


def _sum(writing: Writing, place: Place, flow: Flow) -> Flow:
    one, other, lengths = _branches(writing, place, flow)
    return Flow(writing.layers.apply("Add", one, other), lengths)


def _joined(writing: Writing, place: Place, flow: Flow) -> Flow:
    one, other, lengths = _branches(writing, place, flow)
    return Flow(writing.layers.apply("Concat", one, other, axis=_CHANNELS), lengths)


def _dual_path(writing: Writing, place: Place, flow: Flow) -> Flow:
    one, other, lengths = _branches(writing, place, flow)
    layers, graph, shared = writing.layers, writing.layers.graph, place.layer.shared
    axis, zero = graph.whole(_CHANNELS), graph.whole(0)
    middle, last = graph.whole(shared), graph.whole(np.iinfo(np.int64).max)
    first_parts = [layers.apply("Slice", x, zero, middle, axis) for x in (one, other)]
    rests = [layers.apply("Slice", x, middle, last, axis) for x in (one, other)]
    added = layers.apply("Add", *first_parts)
    return Flow(layers.apply("Concat", added, *rests, axis=_CHANNELS), lengths)


#: kind of layer -> what writes it; a convolution is written together with what is behind it
WRITERS: dict[type[Layer], Callable[[Writing, Place, Flow], Flow]] = {
    Norm: _norm,
    Relu: _relu,
    Swish: _swish,
    Drop: _nothing,
    Pool: _pool,
    Widened: _widened,
    OverBins: _over_bins,
    OverTime: _over_time,
    Sum: _sum,
    Joined: _joined,
    DualPath: _dual_path,
}
