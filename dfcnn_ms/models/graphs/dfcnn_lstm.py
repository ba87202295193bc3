"""DFCNN + BiLSTM and CNN + RNN in a graph: ONNX's LSTM knows both directions, and where each utterance ends."""

from __future__ import annotations

import numpy as np

from dfcnn_ms.exporting.graph import INT32
from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.models.crnn import Crnn
from dfcnn_ms.models.dfcnn_lstm import DfcnnLstm
from dfcnn_ms.models.graphs.dfcnn import convolutions, dfcnn
from dfcnn_ms.models.graphs.weights import Weights, affine, part_of

#: MindSpore's gates are input, forget, cell, output; ONNX wants input, output, forget, cell
_GATES = (0, 3, 1, 2)


def dfcnn_lstm(
    layers: Layers, network: DfcnnLstm, num_bins: int, weights: Weights, features: str, lengths: Lengths
) -> str:
    """Writes the network; returns the name of its raw logits (B, U, V)."""
    front = dfcnn(layers, network.front, num_bins, part_of(weights, "front"), features, lengths)
    x = layers.apply("Relu", front)
    steps = network.output_lengths(lengths).at_least(1).at_most(layers.length(x, 1))
    for index in range(network.lstm_layers):
        x = _lstm(layers, network.lstm_width, weights, f"lstms.{index}", x, steps)
    return layers.dense("output_layer", x, affine(weights, "output_layer"))


def crnn(layers: Layers, network: Crnn, num_bins: int, weights: Weights, features: str, lengths: Lengths) -> str:
    """Writes the network; returns the name of its raw logits (B, 1, V)."""
    x, frames = features, lengths
    for index, block in enumerate(network.blocks):
        x, frames = convolutions(layers, block, ("pad", 1), weights, f"blocks.{index}", x, frames)
    x = layers.rows(x)  # (B, C, U, F') -> (B, U, C x F')
    own = frames.at_least(1).at_most(layers.length(x, 1))
    x = _lstm(layers, network.width, weights, "lstm", x, own)
    graph = layers.graph
    picture = graph.node("Unsqueeze", graph.node("Transpose", x, perm=(0, 2, 1)), graph.whole(3))  # (B, H, U, 1)
    return layers.over_bins("output_layer", layers.mean_over_time(picture, own), affine(weights, "output_layer"))


def _lstm(layers: Layers, width: int, weights: Weights, name: str, x: str, own: Lengths) -> str:
    """(B, U, C) -> (B, U, 2 x width); it has an end at `own` (B,)."""
    graph, weights = layers.graph, part_of(weights, name)
    numbers = [
        graph.constant(np.stack([_gates(weights, way, kinds) for way in ("ahead", "back")]), f"{name}.{kinds[0]}")
        for kinds in (("weight_ih",), ("weight_hh",), ("bias_ih", "bias_hh"))
    ]
    turned = layers.apply("Transpose", x, perm=(1, 0, 2))
    ends = graph.node("Cast", own.name, to=INT32)
    both = graph.node("LSTM", turned, *numbers, ends, name=name, direction="bidirectional", hidden_size=width)
    return graph.node(
        "Reshape", graph.node("Transpose", both, perm=(2, 0, 1, 3)), graph.whole(0, 0, 2 * width)
    )  # (U, 2, B, width) -> (B, U, 2 x width)


def _gates(weights: Weights, way: str, kinds: tuple[str, ...]) -> np.ndarray:
    """Parameters of one direction, gate after gate as ONNX wants them, one kind behind the other."""
    stored = [np.split(weights[f"{way}.{kind}_l0"], 4) for kind in kinds]
    return np.concatenate([parts[gate] for parts in stored for gate in _GATES]).astype(np.float32)
