"""What image networks are made of, as values: what picture a layer leaves, its parameters, its multiplications.

Layers lie inside others: a :class:`Chain` one after the other, a :class:`Sum` side by side. The same tree is counted
here and built by ``models/cells/image/layers.py``.

>>> block = Sum((conv_norm_relu(8, 3), Conv(8, (1, 1))))
>>> block.after(Picture(4, 32, 32)), block.parameters(Picture(4, 32, 32))
(Picture(channels=8, frames=32, bins=32), 336)
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dfcnn_ms.errors import ConfigError

Pair = tuple[int, int]
#: kernel, stride, padding and dilation of one layer over time
Reach = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """The shape (C, T, F) between two layers."""

    channels: int
    frames: int
    bins: int


class Layer(ABC):
    """One layer, or several of them, of which all know these things."""

    @abstractmethod
    def after(self, picture: Picture) -> Picture:
        """What it makes of a picture."""

    def parameters(self, picture: Picture) -> int:
        """Its trainable numbers, where it reads such a picture."""
        return 0

    def multiply_adds(self, picture: Picture) -> int:
        """Multiplications of its convolutions."""
        return 0

    @property
    def clock(self) -> tuple[Reach, ...]:
        """What it does to the number of frames, step by step."""
        return ()


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution that keeps the size of the picture, but for its stride; (time, frequency) everywhere.

    Attributes:
        channels: of the output.
        kernel, stride, dilation: as usual; kernels are odd.
        groups: parts of the channels that do not see each other; as many as channels: depthwise.
        bias: whether it adds one; before a batch norm it would do nothing.
        within_bins: not padded over frequency, so that fewer bins are left.
    """

    channels: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False
    within_bins: bool = False

    @property
    def padding(self) -> Pair:
        """Frames and bins added on each side."""
        over_time, over_bins = (self.dilation[axis] * (self.kernel[axis] // 2) for axis in (0, 1))
        return over_time, 0 if self.within_bins else over_bins

    @property
    def clock(self) -> tuple[Reach, ...]:
        reach = self._reach(0)
        return () if is_neutral(*reach) else (reach,)

    def _reach(self, axis: int) -> Reach:
        return self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis]

    def after(self, picture: Picture) -> Picture:
        frames, bins = (after_reach(n, *self._reach(axis)) for axis, n in enumerate((picture.frames, picture.bins)))
        return Picture(self.channels, frames, bins)

    def parameters(self, picture: Picture) -> int:
        weights = math.prod(self.kernel) * picture.channels // self.groups * self.channels
        return weights + self.channels * self.bias

    def multiply_adds(self, picture: Picture) -> int:
        after = self.after(picture)
        return after.frames * after.bins * (self.parameters(picture) - self.channels * self.bias)


@dataclass(frozen=True)
class Norm(Layer):
    """Batch norm; with ``bands`` above 1 each of so many bands of frequency by itself."""

    bands: int = 1

    def after(self, picture: Picture) -> Picture:
        if picture.bins % self.bands:
            raise ConfigError(f"model: {picture.bins} bins do not make {self.bands} equal bands; use 40 feature bins")
        return picture

    def parameters(self, picture: Picture) -> int:
        return 2 * picture.channels * self.bands


@dataclass(frozen=True)
class Relu(Layer):
    """max(x, 0)."""

    def after(self, picture: Picture) -> Picture:
        return picture


@dataclass(frozen=True)
class Swish(Layer):
    """x times its sigmoid."""

    def after(self, picture: Picture) -> Picture:
        return picture


@dataclass(frozen=True)
class Drop(Layer):
    """Dropout."""

    share: float

    def after(self, picture: Picture) -> Picture:
        return picture


@dataclass(frozen=True)
class Pool(Layer):
    """The ``largest`` or the mean of each square of ``side`` frames and bins."""

    side: int = 2
    largest: bool = True

    @property
    def clock(self) -> tuple[Reach, ...]:
        return ((self.side, self.side, 0, 1),)

    def after(self, picture: Picture) -> Picture:
        return Picture(picture.channels, picture.frames // self.side, picture.bins // self.side)


@dataclass(frozen=True)
class Widened(Layer):
    """Every ``stride``-th frame and bin, with channels of zeros behind: a way past a block without parameters."""

    channels: int
    stride: int = 1

    @property
    def clock(self) -> tuple[Reach, ...]:
        return ((1, self.stride, 0, 1),)

    def after(self, picture: Picture) -> Picture:
        return Picture(self.channels, -(-picture.frames // self.stride), -(-picture.bins // self.stride))


@dataclass(frozen=True)
class OverBins(Layer):
    """The mean over frequency: one bin is left."""

    def after(self, picture: Picture) -> Picture:
        return replace(picture, bins=1)


@dataclass(frozen=True)
class OverTime(Layer):
    """The mean over the frames of the utterance itself: one frame is left."""

    def after(self, picture: Picture) -> Picture:
        return replace(picture, frames=1)


@dataclass(frozen=True)
class Chain(Layer):
    """One after the other; none of them: the picture itself."""

    layers: tuple[Layer, ...] = ()

    def each(self, picture: Picture) -> Iterator[tuple[Layer, Picture]]:
        """Every layer with the picture that it reads.

        Raises:
            ConfigError: a layer leaves no bins.
        """
        for layer in self.layers:
            yield layer, picture
            before, picture = picture, layer.after(picture)
            if picture.bins < 1:
                raise ConfigError(f"model: a layer leaves none of {before.bins} bins; use more feature bins")

    def after(self, picture: Picture) -> Picture:
        for layer, before in self.each(picture):
            picture = layer.after(before)
        return picture

    def parameters(self, picture: Picture) -> int:
        return sum(layer.parameters(before) for layer, before in self.each(picture))

    def multiply_adds(self, picture: Picture) -> int:
        return sum(layer.multiply_adds(before) for layer, before in self.each(picture))

    @property
    def clock(self) -> tuple[Reach, ...]:
        return tuple(itertools.chain.from_iterable(layer.clock for layer in self.layers))


@dataclass(frozen=True)
class Branches(Layer):
    """What those share that read the same picture side by side; the first branch says what becomes of its frames."""

    branches: tuple[Layer, ...]

    def parameters(self, picture: Picture) -> int:
        return sum(branch.parameters(picture) for branch in self.branches)

    def multiply_adds(self, picture: Picture) -> int:
        return sum(branch.multiply_adds(picture) for branch in self.branches)

    @property
    def clock(self) -> tuple[Reach, ...]:
        return self.branches[0].clock


@dataclass(frozen=True)
class Sum(Branches):
    """The sum of the branches; one with a single bin is added to all bins."""

    def after(self, picture: Picture) -> Picture:
        pictures = [branch.after(picture) for branch in self.branches]
        return replace(pictures[0], bins=max(one.bins for one in pictures))


@dataclass(frozen=True)
class Joined(Branches):
    """The channels of all branches."""

    def after(self, picture: Picture) -> Picture:
        pictures = [branch.after(picture) for branch in self.branches]
        return replace(pictures[0], channels=sum(one.channels for one in pictures))


@dataclass(frozen=True)
class DualPath(Branches):
    """The first ``shared`` channels of two branches are added, what they have besides stands side by side."""

    shared: int = 1

    def after(self, picture: Picture) -> Picture:
        pictures = [branch.after(picture) for branch in self.branches]
        return replace(pictures[0], channels=sum(one.channels for one in pictures) - self.shared)


def after_reach(length: Any, kernel: int, stride: int, padding: int, dilation: int) -> Any:
    """The length that a window leaves of another; works on ints, NumPy arrays and tensors alike."""
    return (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def is_neutral(kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether a window leaves every length as it is."""
    return stride == 1 and 2 * padding == dilation * (kernel - 1)


def one_step(length: Any, clock: tuple[Reach, ...]) -> Any:
    """1 where so many frames are enough for all layers, else less; for ints, NumPy arrays and tensors alike."""
    for reach in clock:
        length = after_reach(length, *reach)
    return 1 - (1 - length + abs(1 - length)) // 2  # the smaller of the length and 1


def conv_norm_relu(channels: int, side: int, stride: int = 1, groups: int = 1) -> Chain:
    """A square convolution, batch norm, ReLU."""
    return Chain((Conv(channels, (side, side), (stride, stride), groups=groups), Norm(), Relu()))


def norm_relu_conv(channels: int, side: int, stride: int = 1) -> Chain:
    """The same in the other order."""
    return Chain((Norm(), Relu(), Conv(channels, (side, side), (stride, stride))))


def scaled(channels: int, width: float, multiple_of: int = 1) -> int:
    """So many channels times ``width``, at least one, as a multiple of a number of groups."""
    return multiple_of * max(1, round(channels * width / multiple_of))


def check_depth(depth: int, over: int, per_block: int, example: int) -> int:
    """How many blocks each of three stages has in a network of ``depth`` layers, ``over`` of them outside."""
    blocks, rest = divmod(depth - over, per_block)
    if rest or blocks < 1:
        raise ConfigError(f"model.depth: got {depth}, wanted {over} and a multiple of {per_block}, such as {example}")
    return blocks


def check_width(width: float) -> None:
    """Refuses a factor of the channels that leaves none, or more than memory."""
    if not 0 < width <= 100:
        raise ConfigError(f"model.width: got {width}, wanted a factor above 0 and at most 100")
