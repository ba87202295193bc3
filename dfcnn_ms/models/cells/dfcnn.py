"""DFCNN: a deep fully convolutional network that reads a spectrogram and emits raw logits per output step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.cells.spread import spread
from dfcnn_ms.models.table import Block, convolved, steps_of


def silence_after(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeroes every frame of (B, C, T, F) at and after each utterance's end, as if nothing had been padded."""
    inside = ops.arange(x.shape[2]).reshape(1, 1, -1, 1) < lengths.reshape(-1, 1, 1, 1)
    return x * spread(inside.astype(x.dtype), x)


def fold(x: Tensor) -> Tensor:
    """Every bin of every channel as a channel of its own: (B, C, T, F) -> (B, C x F, T, 1)."""
    if x.shape[3] == 1:
        return x
    return x.transpose(0, 1, 3, 2).reshape(x.shape[0], x.shape[1] * x.shape[3], x.shape[2], 1)


class ConvNormRelu(nn.Cell):
    """Convolution, batch norm, ReLU, of an input that is silent where the sentence has ended.

    Inputs:
        - **x** (Tensor) - (B, C, T, F).
        - **lengths** (Tensor or None) - (B,) frames of each utterance *before* this layer; None: all frames count.

    Outputs:
        Tensor (B, C', T', F'), and the lengths after this layer. What lies after an utterance's end is undefined.
    """

    def __init__(self, inputs: int, block: Block, stride: tuple[int, int], pad_mode: str, padding: int) -> None:
        super().__init__()
        self.arithmetic = (block.kernel, stride[0], pad_mode, padding)
        sides = (padding, padding, 0, 0) if block.fold else padding
        self.conv = nn.Conv2d(inputs, block.channels, block.window, stride=stride, pad_mode=pad_mode, padding=sides)
        self.norm = nn.BatchNorm2d(block.channels)

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if lengths is not None:
            x = silence_after(x, lengths)
            lengths = convolved(lengths, *self.arithmetic)
        return ops.relu(self.norm(self.conv(x))), lengths  # (B, C, T, F) -> (B, C', T', F')


class ConvBlock(nn.Cell):
    """One row of the table: its convolutions, its pooling, its dropout."""

    def __init__(self, inputs: int, block: Block, pad_mode: str, padding: int, dropout: float) -> None:
        super().__init__()
        self.convs = nn.CellList(
            [
                ConvNormRelu(
                    inputs if index == 0 else block.channels,
                    block,
                    block.stride if index == 0 else (1, 1),
                    pad_mode,
                    padding,
                )
                for index in range(block.convs)
            ]
        )
        self.folds = block.fold
        self.time_pool = block.pool[0]
        self.pool = nn.MaxPool2d(block.pool, stride=block.pool) if block.pool != (1, 1) else nn.Identity()
        self.dropout = Dropout(dropout) if dropout else nn.Identity()

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.folds:
            x = fold(x)
        for conv in self.convs:
            x, lengths = conv(x, lengths)
        x = self.dropout(self.pool(x))  # (B, C, T, F) -> (B, C, T // pool, F // pool)
        return x, lengths if lengths is None else lengths // self.time_pool


class OverSteps(nn.Cell):
    """A convolution over steps and a batch norm, added to what they read, ReLU: what was said just before and after.

    The norm begins with a scale of zero, so that a new layer changes nothing: put on top of a trained network, it
    begins where that one ended.

    Inputs:
        - **x** (Tensor) - (B, C, U, 1), nowhere negative.
        - **steps** (Tensor or None) - (B,) of each utterance; None: all count.

    Outputs:
        Tensor (B, C, U, 1). What lies after an utterance's end is undefined.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        beside = kernel // 2
        self.conv = nn.Conv2d(width, width, (kernel, 1), pad_mode="pad", padding=(beside, beside, 0, 0))
        self.norm = nn.BatchNorm2d(width, gamma_init="zeros")

    def construct(self, x: Tensor, steps: Tensor | None = None) -> Tensor:
        if steps is not None:
            x = silence_after(x, steps)
        return ops.relu(x + self.norm(self.conv(x)))


def mean_over_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean of each utterance's own frames: (B, C, T, F) -> (B, C, 1, F)."""
    if lengths is None:
        return x.mean(axis=2, keep_dims=True)
    total = silence_after(x, lengths).sum(axis=2, keepdims=True)
    return total / ops.clamp(lengths, 1, None).reshape(-1, 1, 1, 1).astype(x.dtype)


class DfcnnCell(nn.Cell):
    """The network of the mission: convolution blocks, batch norm, dense layers per output step, raw logits.

    The dense layers over channels x frequency are written as convolutions, which is the same
    arithmetic and exports with any batch and length.

    Args:
        num_units: V, the output units with the blank.
        bins: the frequency bins that each block reads, and F', those that are left for the dense layers.
        blocks, hidden, context, dropout, block_dropout, pad_mode, padding, over_time: see
            :class:`~dfcnn_ms.models.dfcnn.Dfcnn`.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F) float32.
        - **lengths** (Tensor or None) - (B,) int32, the frames of each utterance. With them, an utterance's logits
          depend on nothing but itself in eval mode; None: every row is T frames long.

    Outputs:
        Tensor (B, U, V), **raw logits**: the loss applies the softmax, this network never does.

    Examples:
        >>> network = Dfcnn().build(num_bins=200, num_units=1428)
        >>> network.output_lengths(1600)
        200
    """

    def __init__(
        self,
        num_units: int,
        bins: Sequence[int],
        *,
        blocks: Sequence[Block],
        hidden: Sequence[int],
        context: Sequence[int],
        dropout: float,
        block_dropout: float,
        pad_mode: str,
        padding: int,
        over_time: str,
    ) -> None:
        super().__init__()
        self.arithmetic = (tuple(blocks), pad_mode, padding, over_time)
        widths = [1, *(block.channels for block in blocks)]
        self.blocks = nn.CellList(
            [
                ConvBlock(block.channels_in(width, one), block, pad_mode, padding, block_dropout)
                for width, one, block in zip(widths[:-1], bins[:-1], blocks, strict=True)
            ]
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = _dense_layers(widths[-1], bins[-1], hidden, num_units, dropout)
        self.context = nn.CellList([OverSteps(hidden[-1], kernel) for kernel in context])
        self.is_pooled = over_time == "mean"

    @property
    def output_layer(self) -> nn.Conv2d:
        """The layer that writes the logits."""
        return self.head[len(self.head) - 1]

    def output_lengths(self, lengths: Any) -> Any:
        """Output steps U for T frames: ints, NumPy arrays and tensors alike; below 1 means too short for one step."""
        blocks, pad_mode, padding, over_time = self.arithmetic
        return steps_of(lengths, blocks, pad_mode, padding, over_time)

    def construct(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        x = features
        for block in self.blocks:
            x, lengths = block(x, lengths)
        x = self.norm(x)
        if self.is_pooled:
            x = mean_over_time(x, lengths)  # (B, C, U, F') -> (B, C, 1, F')
        for index in range(len(self.head) - 1):  # a slice of it would be another Cell, and rename its parameters
            x = self.head[index](x)
        for layer in self.context:
            x = layer(x, lengths)  # (B, H, U, 1), the last of the dense layers and what is around it
        x = self.output_layer(x)  # (B, H, U, 1) -> (B, V, U, 1); without dense layers (B, C, U, F') ->
        return x.squeeze(3).swapaxes(1, 2)  # (B, V, U, 1) -> (B, U, V)


def _dense_layers(channels: int, bins: int, hidden: Sequence[int], num_units: int, dropout: float) -> nn.Cell:
    """Dense layers per output step as convolutions: the first spans all bins, the others are 1x1."""
    layers: list[nn.Cell] = []
    window = (1, bins)
    for width in hidden:
        layers += [nn.Conv2d(channels, width, window, pad_mode="valid", has_bias=True), nn.ReLU()]
        if dropout:
            layers.append(Dropout(dropout))
        channels, window = width, (1, 1)
    layers.append(nn.Conv2d(channels, num_units, window, pad_mode="valid", has_bias=True))
    return nn.SequentialCell(layers)
