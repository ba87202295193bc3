"""BC-ResNet (arXiv 2106.04140), made for spoken commands: what is learnt over time is broadcast over frequency."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.image.layers import (
    Chain,
    Conv,
    Drop,
    Layer,
    Norm,
    OverBins,
    Relu,
    Sum,
    Swish,
    scaled,
)
from dfcnn_ms.models.image.network import ImageNetwork

#: of BC-ResNet-1; a first layer, four stages, a last layer
FIRST, CHANNELS, LAST = 16, (8, 12, 16, 20), 32
#: of each stage: blocks, and the stride over frequency
STAGES = ((2, 1), (2, 2), (4, 2), (4, 1))
#: bands of frequency that are normalised by themselves
BANDS = 5


@dataclass(frozen=True)
class BcResNet(ImageNetwork):
    """Two-dimensional features over frequency, one-dimensional ones over time; reads 40 bins.

    Attributes:
        scale: 1, 3 or 8 in the paper, or any other factor of the channels.
        dropout: probability behind the 1x1 convolution of each block.

    Example:
        >>> [BcResNet(scale).parameters(num_bins=40, num_units=12) for scale in (1, 3, 8)]
        [9232, 54168, 321068]
    """

    scale: float = 1.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 100:
            raise ConfigError(f"model.scale: got {self.scale}, wanted a factor above 0 and at most 100")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout: got {self.dropout}, wanted at least 0 and less than 1")

    @property
    def title(self) -> str:
        return f"BC-ResNet-{self.scale:g}"

    def body(self) -> tuple[Layer, ...]:
        layers: list[Layer] = [Conv(scaled(FIRST, self.scale), (5, 5), (1, 2)), Norm(), Relu()]
        for number, (channels, (blocks, stride)) in enumerate(zip(CHANNELS, STAGES, strict=True)):
            width = scaled(channels, self.scale)
            layers.append(self._block(width, stride, 2**number, changes=True))
            layers += [self._block(width, 1, 2**number, changes=False)] * (blocks - 1)
        deep = Conv(width, (5, 5), groups=width, within_bins=True)
        return (*layers, deep, Conv(scaled(LAST, self.scale), (1, 1)), Norm(), Relu())

    def _block(self, width: int, stride: int, dilation: int, *, changes: bool) -> Layer:
        """Over frequency; then its mean over frequency, over time, and added to all frequencies."""
        entry = (Conv(width, (1, 1)), Norm(), Relu()) if changes else ()
        over_bins = Chain((*entry, Conv(width, (1, 3), (1, stride), groups=width), Norm(BANDS)))
        drop = (Drop(self.dropout),) if self.dropout else ()
        time = (Conv(width, (3, 1), dilation=(dilation, 1), groups=width), Norm(), Swish(), Conv(width, (1, 1)), *drop)
        both = Chain((over_bins, Sum((Chain(), Chain((OverBins(), *time))))))
        return Chain((both if changes else Sum((both, Chain())), Relu()))

    def narrowed(self, width: int) -> BcResNet:
        return replace(self, scale=width / CHANNELS[0])
