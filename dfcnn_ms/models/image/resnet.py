"""ResNet for small pictures (arXiv 1512.03385, section 4.2): pairs of 3x3 convolutions with a way past each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.models.image.layers import (
    Chain,
    Conv,
    Layer,
    Norm,
    Relu,
    Sum,
    Widened,
    check_depth,
    check_width,
    conv_norm_relu,
    scaled,
)
from dfcnn_ms.models.image.network import ImageNetwork

CHANNELS = (16, 32, 64)


@dataclass(frozen=True)
class ResNet(ImageNetwork):
    """Three stages; the ways past the blocks have no parameters.

    Attributes:
        depth: layers, 2 and a multiple of 6: 20, 32, 44, 56.
        width: factor of the channels; 1 is that of the paper.

    Example:
        >>> ResNet().parameters(num_bins=32, num_units=12)
        463996
    """

    depth: int = 32
    width: float = 1.0

    def __post_init__(self) -> None:
        check_depth(self.depth, 2, 6, 32)
        check_width(self.width)

    @property
    def title(self) -> str:
        return f"ResNet-{self.depth}"

    def body(self) -> tuple[Layer, ...]:
        blocks = check_depth(self.depth, 2, 6, 32)
        widths = [scaled(channels, self.width) for channels in CHANNELS]
        layers: list[Layer] = [conv_norm_relu(widths[0], 3)]
        for stage, width in enumerate(widths):
            layers += [_block(width, 2 if stage and not index else 1) for index in range(blocks)]
        return tuple(layers)

    def narrowed(self, width: int) -> ResNet:
        return replace(self, depth=8, width=width / CHANNELS[-1])


def _block(channels: int, stride: int) -> Layer:
    way = Chain((conv_norm_relu(channels, 3, stride), Conv(channels), Norm()))
    return Chain((Sum((way, Widened(channels, stride) if stride > 1 else Chain())), Relu()))
