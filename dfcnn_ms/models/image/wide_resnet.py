"""Wide ResNet (arXiv 1605.07146): norm and ReLU before each convolution, few layers, many channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.image.layers import (
    Chain,
    Conv,
    Drop,
    Layer,
    Norm,
    Relu,
    Sum,
    check_depth,
    norm_relu_conv,
)
from dfcnn_ms.models.image.network import ImageNetwork

CHANNELS = (16, 32, 64)
FIRST = 16


@dataclass(frozen=True)
class WideResNet(ImageNetwork):
    """Three stages; where the channels change, the way past a block is a 1x1 convolution.

    Attributes:
        depth: layers, 4 and a multiple of 6: 16, 28, 40, 52.
        widen: factor of the channels 16, 32, 64.
        dropout: probability between the two convolutions of a block.

    Example:
        >>> WideResNet().parameters(num_bins=32, num_units=12)
        36480188
    """

    depth: int = 28
    widen: int = 10
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_depth(self.depth, 4, 6, 28)
        if not 1 <= self.widen <= 100:
            raise ConfigError(f"model.widen: got {self.widen}, wanted 1 to 100")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout: got {self.dropout}, wanted at least 0 and less than 1")

    @property
    def title(self) -> str:
        return f"WRN-{self.depth}-{self.widen}" + ("-dropout" if self.dropout else "")

    def body(self) -> tuple[Layer, ...]:
        blocks = check_depth(self.depth, 4, 6, 28)
        layers: list[Layer] = [Conv(FIRST)]
        for stage, channels in enumerate(CHANNELS):
            for index in range(blocks):
                changes = not index and (stage > 0 or self.widen > 1)
                stride = 2 if stage and not index else 1
                layers.append(self._block(channels * self.widen, stride, changes=changes))
        return (*layers, Norm(), Relu())

    def _block(self, channels: int, stride: int, *, changes: bool) -> Layer:
        drop = (Drop(self.dropout),) if self.dropout else ()
        rest = (Norm(), Relu(), *drop, Conv(channels))
        if not changes:
            return Sum((Chain((norm_relu_conv(channels, 3, stride), *rest)), Chain()))
        way = Chain((Conv(channels, stride=(stride, stride)), *rest))
        return Chain((Norm(), Relu(), Sum((way, Conv(channels, (1, 1), (stride, stride))))))

    def narrowed(self, width: int) -> WideResNet:
        return replace(self, depth=10, widen=1)
