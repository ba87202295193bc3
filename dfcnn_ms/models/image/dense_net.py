"""DenseNet-BC (arXiv 1608.06993) for small pictures: every layer reads what all before it in its stage have written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.image.layers import Chain, Conv, Joined, Layer, Norm, Pool, Relu, check_depth, norm_relu_conv
from dfcnn_ms.models.image.network import ImageNetwork

STAGES = 3
#: channels of a bottleneck, in growths
BOTTLENECK = 4


@dataclass(frozen=True)
class DenseNet(ImageNetwork):
    """Three stages of bottlenecks; half of the channels go on between two of them.

    Attributes:
        depth: layers, 4 and a multiple of 6: 100, 190.
        growth: channels that each layer adds.

    Example:
        >>> DenseNet().parameters(num_bins=32, num_units=12)
        769416
    """

    depth: int = 100
    growth: int = 12

    def __post_init__(self) -> None:
        check_depth(self.depth, 4, 6, 100)
        if not 1 <= self.growth <= 1000:
            raise ConfigError(f"model.growth: got {self.growth}, wanted 1 to 1000")

    @property
    def title(self) -> str:
        return f"DenseNet-BC {self.depth}-{self.growth}"

    def body(self) -> tuple[Layer, ...]:
        channels = 2 * self.growth
        layers: list[Layer] = [Conv(channels)]
        count = check_depth(self.depth, 4, 6, 100)
        for stage in range(STAGES):
            layers += [Joined((Chain(), self._layer()))] * count
            channels += count * self.growth
            if stage < STAGES - 1:
                channels //= 2
                layers += [norm_relu_conv(channels, 1), Pool(largest=False)]
        return (*layers, Norm(), Relu())

    def _layer(self) -> Layer:
        return Chain((norm_relu_conv(BOTTLENECK * self.growth, 1), norm_relu_conv(self.growth, 3)))

    def narrowed(self, width: int) -> DenseNet:
        return replace(self, depth=min(self.depth, 16), growth=min(self.growth, width))
