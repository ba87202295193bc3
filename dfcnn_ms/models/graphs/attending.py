"""Transformer and Conformer in a graph, as `cells/attention.py` and its neighbours compute them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dfcnn_ms.exporting.graph import FLOAT
from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.models.attending import Attending
from dfcnn_ms.models.conformer import Conformer
from dfcnn_ms.models.graphs.dfcnn import dfcnn
from dfcnn_ms.models.graphs.weights import Weights, affine, part_of, wide
from dfcnn_ms.models.transformer import Transformer
from dfcnn_ms.models.writer import EPSILON, wave_speeds
from dfcnn_ms.runtime.bundle import DECODER, MEMORY

#: what is added to the score of a step that must not be seen
_FAR_BELOW = 1e9


def transformer(
    layers: Layers, network: Transformer, num_bins: int, weights: Weights, features: str, lengths: Lengths
) -> str:
    """Writes the network; returns the name of its raw logits (B, U, V)."""

    def layer(encoder: Encoder, name: str, x: str) -> str:
        x = encoder.added(x, encoder.attention(f"{name}.attention", encoder.norm(f"{name}.attention_norm", x)))
        dense = encoder.feed_forward(f"{name}.dense", encoder.norm(f"{name}.dense_norm", x), swish=False)
        return encoder.added(x, dense)

    return _encoded(layers, network, num_bins, weights, features, lengths, layer)


def conformer(
    layers: Layers, network: Conformer, num_bins: int, weights: Weights, features: str, lengths: Lengths
) -> str:
    """Writes the network; returns the name of its raw logits (B, U, V)."""

    def layer(encoder: Encoder, name: str, x: str) -> str:
        def normed(number: int, x: str) -> str:
            return encoder.norm(f"{name}.norms.{number}", x)

        x = encoder.added(x, encoder.half(encoder.feed_forward(f"{name}.before", normed(0, x), swish=True)))
        if network.heads:
            x = encoder.added(x, encoder.attention(f"{name}.attention", normed(1, x)))
        x = encoder.added(x, encoder.convolution(f"{name}.convolution", normed(2, x), network.kernel))
        x = encoder.added(x, encoder.half(encoder.feed_forward(f"{name}.after", normed(3, x), swish=True)))
        return normed(4, x)

    return _encoded(layers, network, num_bins, weights, features, lengths, layer)


class Encoder:
    """The parts of an encoder's layers: (B, U, D) in and out."""

    def __init__(self, layers: Layers, network: Attending, weights: Weights, x: str, steps: Lengths) -> None:
        self.layers, self.network, self.weights = layers, network, weights
        graph = layers.graph
        column = graph.node("Reshape", steps.at_least(1).name, graph.whole(-1, 1))
        own = graph.node("Cast", graph.node("Less", layers.numbered(x, 1), column), to=FLOAT)  # (B, U)
        self.own = graph.node("Unsqueeze", own, graph.whole(1))  # (B, 1, U)
        if network.heads:
            below = graph.node("Mul", graph.node("Sub", own, graph.number(1)), graph.number(_FAR_BELOW))
            self.hidden = graph.node("Unsqueeze", below, graph.whole(1, 2))  # (B, 1, 1, U)
            self.steps = layers.length(x, 1)
            self.distances = self._distances()

    def added(self, x: str, more: str) -> str:
        """The sum of both."""
        return self.layers.graph.node("Add", x, more)

    def half(self, x: str) -> str:
        """Half of it."""
        return self.layers.graph.node("Mul", x, self.layers.graph.number(0.5))

    def norm(self, name: str, x: str) -> str:
        """A layer norm."""
        graph = self.layers.graph
        gamma, beta = (graph.constant(self.weights[f"{name}.{part}"], f"{name}.{part}") for part in ("gamma", "beta"))
        return graph.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=EPSILON)

    def dense(self, name: str, x: str) -> str:
        """A dense layer."""
        return self.layers.dense(name, x, affine(self.weights, name))

    def swish(self, x: str) -> str:
        """Each number times its sigmoid."""
        return self.layers.graph.node("Mul", x, self.layers.graph.node("Sigmoid", x))

    def feed_forward(self, name: str, x: str, *, swish: bool) -> str:
        """Two dense layers."""
        inner = self.dense(f"{name}.wide", x)
        return self.dense(f"{name}.narrow", self.swish(inner) if swish else self.layers.graph.node("Relu", inner))

    def attention(self, name: str, x: str) -> str:
        """Self-attention that knows distances."""
        graph, heads = self.layers.graph, self.network.heads
        asked = self._parted(self.dense(f"{name}.query", x), (0, 2, 1, 3))  # (B, H, U, K)
        keys = self._parted(self.dense(f"{name}.key", x), (0, 2, 3, 1))  # (B, H, K, U)
        values = self._parted(self.dense(f"{name}.value", x), (0, 2, 1, 3))
        content = graph.node("MatMul", graph.node("Add", asked, self._bias(f"{name}.of_content")), keys)
        by_distance = wide(self.weights, f"{name}.distance.weight").T.astype(np.float32)
        vectors = graph.node("MatMul", self.distances, graph.constant(by_distance, f"{name}.distance"))
        vectors = graph.node("Reshape", vectors, graph.whole(-1, heads, self.network.width // heads))
        vectors = graph.node("Transpose", vectors, perm=(1, 2, 0))  # (H, K, 2U - 1)
        distant = graph.node("MatMul", graph.node("Add", asked, self._bias(f"{name}.of_distance")), vectors)
        scores = graph.node("Add", content, self._by_key(distant))
        scale = graph.number((self.network.width // heads) ** -0.5)
        scores = graph.node("Add", graph.node("Mul", scores, scale), self.hidden)
        seen = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), values)  # (B, H, U, K)
        joined = graph.node("Transpose", seen, perm=(0, 2, 1, 3))
        return self.dense(f"{name}.out", graph.node("Reshape", joined, graph.whole(0, 0, self.network.width)))

    def convolution(self, name: str, x: str, kernel: int) -> str:
        """A gate, a convolution over time of each channel by itself, a norm, a dense layer."""
        graph, width = self.layers.graph, self.network.width
        halves = graph.split(self.dense(f"{name}.gated", x), 2, (width, width))
        x = graph.node("Mul", halves[0], graph.node("Sigmoid", halves[1]))
        x = graph.node("Mul", graph.node("Transpose", x, perm=(0, 2, 1)), self.own)  # (B, D, U)
        weight = graph.constant(self.weights[f"{name}.conv.weight"].reshape(width, 1, kernel), f"{name}.conv.weight")
        bias = graph.constant(self.weights[f"{name}.conv.bias"], f"{name}.conv.bias")
        beside = (kernel // 2, kernel // 2)
        x = graph.node("Conv", x, weight, bias, kernel_shape=(kernel,), pads=beside, group=width)
        x = self.norm(f"{name}.norm", graph.node("Transpose", x, perm=(0, 2, 1)))
        return self.dense(f"{name}.out", self.swish(x))

    def _distances(self) -> str:
        """The sinusoids (2U - 1, D) of the distances U - 1, ..., 0, ..., 1 - U."""
        graph = self.layers.graph
        steps = Lengths(graph, graph.node("Squeeze", self.steps))
        minus = graph.constant(np.int64(-1), "scalar")
        places = graph.node("Range", (steps - 1).name, (-steps).name, minus)
        column = graph.node("Unsqueeze", graph.node("Cast", places, to=FLOAT), graph.whole(1))
        speeds = graph.constant(wave_speeds(self.network.width).astype(np.float32)[None], "speeds")
        angles = graph.node("Mul", column, speeds)
        return graph.node("Concat", graph.node("Sin", angles), graph.node("Cos", angles), axis=-1)

    def _by_key(self, distant: str) -> str:
        """From a column for each distance to one for each key: (B, H, U, 2U - 1) -> (B, H, U, U)."""
        graph, heads = self.layers.graph, self.network.heads
        wider = graph.node("Pad", distant, graph.whole(0, 0, 0, 1, 0, 0, 0, 0))  # (B, H, U, 2U)
        shape = graph.node("Concat", graph.whole(0, heads, -1), self.steps, axis=0)
        moved = graph.node("Reshape", wider, shape)  # (B, H, 2U, U)
        last = graph.whole(np.iinfo(np.int64).max)
        moved = graph.node("Slice", moved, graph.whole(1), last, graph.whole(2))
        shape = graph.node("Concat", graph.whole(0, heads), self.steps, graph.whole(-1), axis=0)
        moved = graph.node("Reshape", moved, shape)  # (B, H, U, 2U - 1)
        return graph.node("Slice", moved, graph.whole(0), self.steps, graph.whole(3))

    def _parted(self, x: str, order: tuple[int, ...]) -> str:
        """The heads of each step: (B, U, D) -> (B, U, H, K), in another order."""
        graph, heads = self.layers.graph, self.network.heads
        parted = graph.node("Reshape", x, graph.whole(0, 0, heads, self.network.width // heads))
        return graph.node("Transpose", parted, perm=order)

    def _bias(self, name: str) -> str:
        return self.layers.graph.constant(self.weights[name], name)


def _encoded(
    layers: Layers,
    network: Attending,
    num_bins: int,
    weights: Weights,
    features: str,
    lengths: Lengths,
    layer: Callable[[Encoder, str, str], str],
) -> str:
    x = dfcnn(layers, network.front, num_bins, part_of(weights, "front"), features, lengths)
    encoder = Encoder(layers, network, weights, x, network.output_lengths(lengths))
    for index in range(network.depth):
        x = layer(encoder, f"layers.{index}", x)
    memory = encoder.norm("norm", x)
    if network.has_decoder:  # it writes unit by unit, outside of the graph
        graph = layers.graph
        graph.output(graph.node("Identity", memory, name=MEMORY), np.float32, ["B", "U", network.width])
        for name, value in part_of(weights, "decoder").items():
            graph.keep(value, f"{DECODER}{name}")
    return encoder.dense("output_layer", memory)
