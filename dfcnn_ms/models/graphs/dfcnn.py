"""The DFCNN in a graph, layer by layer as `cells/dfcnn.py` computes it; each batch norm is part of a convolution."""

from __future__ import annotations

from dfcnn_ms.exporting.layers import Layers, Window
from dfcnn_ms.exporting.lengths import Lengths
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.graphs.weights import Weights, affine, batch_norm
from dfcnn_ms.models.table import Block, convolved


def dfcnn(layers: Layers, network: Dfcnn, num_bins: int, weights: Weights, features: str, lengths: Lengths) -> str:
    """Writes the network; returns the name of its raw logits (B, U, V)."""
    x, inputs = features, 1
    for index, (block, bins) in enumerate(zip(network.blocks, network.bins(num_bins), strict=False)):
        if block.fold and bins > 1:
            x = layers.fold(x, block.channels_in(inputs, bins))
        padded = (network.pad_mode, network.padding)
        x, lengths = convolutions(layers, block, padded, weights, f"blocks.{index}", x, lengths)
        inputs = block.channels
    if network.over_time == "mean":
        x = layers.mean_over_time(x, lengths)
    return _dense(layers, network, weights, x, lengths)


def convolutions(
    layers: Layers, block: Block, padded: tuple[str, int], weights: Weights, name: str, x: str, lengths: Lengths
) -> tuple[str, Lengths]:
    """One row of the table: (B, C, T, F) -> (B, C', T', F'), and the lengths after it.

    Args:
        layers: what writes it.
        block: the row.
        padded: pad mode and padding.
        weights: of the network.
        name: of the row's Cell.
        x: what it reads.
        lengths: of what it reads.
    """
    beside = {"pad": padded[1], "same": block.kernel // 2, "valid": 0}[padded[0]]
    for index in range(block.convs):
        layer, stride = f"{name}.convs.{index}", block.stride if index == 0 else (1, 1)
        numbers = affine(weights, f"{layer}.conv").then_scaled(*batch_norm(weights, f"{layer}.norm"))
        window = Window(stride, (beside, 0 if block.fold else beside))
        x = layers.convolution(layer, layers.silence_after(x, lengths), numbers, window, relu=True)
        lengths = convolved(lengths, block.kernel, stride[0], *padded)
    return layers.largest(x, block.pool), lengths // block.pool[0]


def _dense(layers: Layers, network: Dfcnn, weights: Weights, x: str, lengths: Lengths) -> str:
    """The batch norm before the dense layers is part of the first of them."""
    apart = 3 if network.dropout else 2  # a dense layer, its ReLU, its dropout
    names = [f"head.{apart * index}" for index in range(len(network.hidden) + 1)]
    numbers = {name: affine(weights, name) for name in names}
    numbers[names[0]] = numbers[names[0]].after_scaled(*batch_norm(weights, "norm"))
    for name in names[:-1]:
        x = layers.convolution(name, x, numbers[name], relu=True)
    for index, kernel in enumerate(network.context):
        layer, read = f"context.{index}", layers.silence_after(x, lengths)
        around = affine(weights, f"{layer}.conv").then_scaled(*batch_norm(weights, f"{layer}.norm"))
        more = layers.convolution(f"{layer}.conv", read, around, Window(padding=(kernel // 2, 0)), relu=False)
        x = layers.apply("Relu", layers.apply("Add", read, more))
    return layers.over_bins(names[-1], x, numbers[names[-1]])
