"""A Cell for each kind of layer in ``models/image/layers.py``.

Each takes a picture (B, C, T, F) and the frames (B,) of each clip, or None where all of them count, and gives both as
they are after it. What lies after a clip's end is undefined; a layer that reaches over time zeroes it first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeNormal

from dfcnn_ms.models.cells.dfcnn import mean_over_time, silence_after
from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.image import layers as values
from dfcnn_ms.models.image.layers import Layer, Picture, after_reach

Flow = tuple[Tensor, Tensor | None]


def cell_of(layer: Layer, picture: Picture) -> nn.Cell:
    """The Cell of a layer that reads such pictures."""
    return CELLS[type(layer)](layer, picture)


class Conv(nn.Cell):
    """A convolution of a picture that is silent where the clip has ended."""

    def __init__(self, layer: values.Conv, picture: Picture) -> None:
        super().__init__()
        self.clock = layer.clock
        self.reaches = layer.kernel[0] > 1
        (frames, bins), channels = layer.padding, (picture.channels, layer.channels)
        self.conv = nn.Conv2d(
            *channels, layer.kernel, layer.stride, "pad", (frames, frames, bins, bins), layer.dilation, layer.groups,
            has_bias=layer.bias, weight_init=HeNormal(mode="fan_out", nonlinearity="relu"),
        )  # fmt: skip

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        if lengths is not None:
            if self.reaches:
                x = silence_after(x, lengths)
            for reach in self.clock:
                lengths = after_reach(lengths, *reach)
        return self.conv(x), lengths  # (B, C, T, F) -> (B, C', T', F')


class Norm(nn.Cell):
    """Batch norm of every channel, or of every band of every channel."""

    def __init__(self, layer: values.Norm, picture: Picture) -> None:
        super().__init__()
        self.bands = layer.bands
        self.norm = nn.BatchNorm2d(picture.channels * layer.bands)

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        if self.bands == 1:
            return self.norm(x), lengths
        b, c, t, f = x.shape
        split = x.reshape(b, c, t, self.bands, f // self.bands).transpose(0, 1, 3, 2, 4)
        normed = self.norm(split.reshape(b, c * self.bands, t, f // self.bands))
        parted = normed.reshape(b, c, self.bands, t, f // self.bands)
        return parted.transpose(0, 1, 3, 2, 4).reshape(b, c, t, f), lengths


class Relu(nn.Cell):
    """max(x, 0)."""

    def __init__(self, layer: values.Relu, picture: Picture) -> None:
        super().__init__()

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return ops.relu(x), lengths


class Swish(nn.Cell):
    """x times its sigmoid."""

    def __init__(self, layer: values.Swish, picture: Picture) -> None:
        super().__init__()

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return x * ops.sigmoid(x), lengths


class Drop(nn.Cell):
    """Dropout that can be repeated."""

    def __init__(self, layer: values.Drop, picture: Picture) -> None:
        super().__init__()
        self.dropout = Dropout(layer.share)

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return self.dropout(x), lengths


class Pool(nn.Cell):
    """The largest or the mean of each square; a square that is not whole is left out."""

    def __init__(self, layer: values.Pool, picture: Picture) -> None:
        super().__init__()
        self.side = layer.side
        self.pool = (nn.MaxPool2d if layer.largest else nn.AvgPool2d)(layer.side, layer.side)

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return self.pool(x), lengths if lengths is None else lengths // self.side  # (B, C, T // side, F // side)


class Widened(nn.Cell):
    """Every so many frames and bins, with channels of zeros behind."""

    def __init__(self, layer: values.Widened, picture: Picture) -> None:
        super().__init__()
        self.stride = layer.stride
        # A slice with a step would do, but its gradient fails on a CPU ("input memory out of bounds").
        self.every = nn.MaxPool2d(1, layer.stride) if layer.stride > 1 else nn.Identity()
        self.more = layer.channels - picture.channels

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        x = self.every(x)
        if self.more:
            zeros = ops.zeros((x.shape[0], self.more, x.shape[2], x.shape[3]), x.dtype)
            x = ops.concat((x, zeros), 1)
        return x, lengths if lengths is None else (lengths - 1) // self.stride + 1


class OverBins(nn.Cell):
    """The mean over frequency: (B, C, T, F) -> (B, C, T, 1)."""

    def __init__(self, layer: values.OverBins, picture: Picture) -> None:
        super().__init__()

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return x.mean(axis=3, keep_dims=True), lengths


class OverTime(nn.Cell):
    """The mean over the frames of each clip: (B, C, T, F) -> (B, C, 1, F), all of which count."""

    def __init__(self, layer: values.OverTime, picture: Picture) -> None:
        super().__init__()

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        return mean_over_time(x, lengths), None


class Chain(nn.Cell):
    """One after the other."""

    def __init__(self, layer: values.Chain, picture: Picture) -> None:
        super().__init__()
        self.cells_in_turn = nn.CellList([cell_of(one, before) for one, before in layer.each(picture)])

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        for cell in self.cells_in_turn:
            x, lengths = cell(x, lengths)
        return x, lengths


class Branches(nn.Cell):
    """Two layers that read the same picture."""

    def __init__(self, layer: values.Branches, picture: Picture) -> None:
        super().__init__()
        first, second = layer.branches
        self.first, self.second = cell_of(first, picture), cell_of(second, picture)


class Sum(Branches):
    """The sum of both."""

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        one, after = self.first(x, lengths)
        other, _ = self.second(x, lengths)
        return one + other, after


class Joined(Branches):
    """The channels of both."""

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        one, after = self.first(x, lengths)
        other, _ = self.second(x, lengths)
        return ops.concat((one, other), 1), after


class DualPath(Branches):
    """Some channels added, the others side by side."""

    def __init__(self, layer: values.DualPath, picture: Picture) -> None:
        super().__init__(layer, picture)
        self.shared = layer.shared

    def construct(self, x: Tensor, lengths: Tensor | None = None) -> Flow:
        one, after = self.first(x, lengths)
        other, _ = self.second(x, lengths)
        added = one[:, : self.shared] + other[:, : self.shared]
        return ops.concat((added, one[:, self.shared :], other[:, self.shared :]), 1), after


#: kind of layer -> its Cell
CELLS: dict[type[Layer], Callable[[Any, Picture], nn.Cell]] = {
    values.Conv: Conv,
    values.Norm: Norm,
    values.Relu: Relu,
    values.Swish: Swish,
    values.Drop: Drop,
    values.Pool: Pool,
    values.Widened: Widened,
    values.OverBins: OverBins,
    values.OverTime: OverTime,
    values.Chain: Chain,
    values.Sum: Sum,
    values.Joined: Joined,
    values.DualPath: DualPath,
}
