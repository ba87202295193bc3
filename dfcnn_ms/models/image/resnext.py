"""ResNeXt (arXiv 1611.05431) for small pictures: bottlenecks whose 3x3 convolution is split into groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.models.image.layers import (
    Chain,
    Conv,
    Layer,
    Norm,
    Relu,
    Sum,
    check_depth,
    check_width,
    conv_norm_relu,
    scaled,
)
from dfcnn_ms.models.image.network import ImageNetwork

CHANNELS = (256, 512, 1024)
FIRST = 64


@dataclass(frozen=True)
class ResNext(ImageNetwork):
    """Three stages of bottlenecks.

    Attributes:
        depth: layers, 2 and a multiple of 9: 20, 29, 38.
        groups: of the 3x3 convolutions.
        group_width: channels of each group in the first stage; twice and four times as many in the others.
        width: factor of all channels; 1 is that of the paper.

    Example:
        >>> ResNext().parameters(num_bins=32, num_units=12)
        34427596
    """

    depth: int = 29
    groups: int = 8
    group_width: int = 64
    width: float = 1.0

    def __post_init__(self) -> None:
        check_depth(self.depth, 2, 9, 29)
        check_width(self.width)

    @property
    def title(self) -> str:
        return f"ResNeXt-{self.depth} {self.groups}x{self.group_width}"

    def body(self) -> tuple[Layer, ...]:
        blocks = check_depth(self.depth, 2, 9, 29)
        layers: list[Layer] = [conv_norm_relu(scaled(FIRST, self.width), 3)]
        for stage, channels in enumerate(CHANNELS):
            inner = scaled(self.groups * self.group_width * 2**stage, self.width, self.groups)
            outer = scaled(channels, self.width)
            for index in range(blocks):
                layers.append(self._block(inner, outer, 2 if stage and not index else 1, changes=not index))
        return tuple(layers)

    def _block(self, inner: int, outer: int, stride: int, *, changes: bool) -> Layer:
        middle = conv_norm_relu(inner, 3, stride, self.groups)
        way = Chain((conv_norm_relu(inner, 1), middle, Conv(outer, (1, 1)), Norm()))
        past = Chain((Conv(outer, (1, 1), (stride, stride)), Norm()) if changes else ())
        return Chain((Sum((way, past)), Relu()))

    def narrowed(self, width: int) -> ResNext:
        return replace(self, depth=11, width=width / CHANNELS[-1])
