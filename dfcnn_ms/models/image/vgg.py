"""VGG with batch norm (arXiv 1409.1556): 3x3 convolutions and max-pools, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.image.layers import Conv, Drop, Layer, Pool, Relu, check_width, conv_norm_relu, scaled
from dfcnn_ms.models.image.network import ImageNetwork

CHANNELS = (64, 128, 256, 512, 512)
#: depth -> convolutions of each of the five blocks
CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class Vgg(ImageNetwork):
    """Five blocks of convolutions, each with a max-pool behind it, so 32 frames and bins become 1.

    Attributes:
        depth: 11, 13, 16 or 19.
        width: factor of the channels; 1 is that of the paper.
        hidden: widths of dense layers before the output layer: none as for CIFAR, or (4096, 4096) as in the paper.
        dropout: probability after each dense layer.

    Example:
        >>> Vgg().parameters(num_bins=32, num_units=12)
        20034892
    """

    depth: int = 19
    width: float = 1.0
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.depth not in CONVS:
            raise ConfigError(f"model.depth: got {self.depth}, wanted one of {', '.join(map(str, CONVS))}")
        check_width(self.width)

    @property
    def title(self) -> str:
        return f"VGG{self.depth}-BN"

    def body(self) -> tuple[Layer, ...]:
        layers: list[Layer] = []
        for channels, convs in zip(CHANNELS, CONVS[self.depth], strict=True):
            layers += [conv_norm_relu(scaled(channels, self.width), 3)] * convs + [Pool()]
        return tuple(layers)

    def head(self) -> tuple[Layer, ...]:
        drop = (Drop(self.dropout),) if self.dropout else ()
        dense = [(Conv(scaled(width, self.width), (1, 1), bias=True), Relu(), *drop) for width in self.hidden]
        return tuple(layer for layers in dense for layer in layers)

    def narrowed(self, width: int) -> Vgg:
        return replace(self, width=width / CHANNELS[-1])
