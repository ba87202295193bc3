"""Dual path network (arXiv 1707.01629) for small pictures: some channels of a block are added, others put beside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.image.layers import (
    Chain,
    Conv,
    DualPath,
    Layer,
    Norm,
    Relu,
    check_width,
    conv_norm_relu,
    scaled,
)
from dfcnn_ms.models.image.network import ImageNetwork

FIRST = 64


class Stage(NamedTuple):
    """Channels of the grouped convolution, those that are added, and those that each block puts beside."""

    inner: int
    shared: int
    more: int


STAGES = (Stage(96, 256, 16), Stage(192, 512, 32), Stage(384, 1024, 24), Stage(768, 2048, 128))


@dataclass(frozen=True)
class DualPathNet(ImageNetwork):
    """Four stages; the default is DPN-92.

    Attributes:
        blocks: of each stage.
        groups: of the 3x3 convolutions.
        width: factor of all channels; 1 is that of the paper.

    Example:
        >>> DualPathNet().parameters(num_bins=32, num_units=12)
        34240604
    """

    blocks: tuple[int, int, int, int] = (3, 4, 20, 3)
    groups: int = 32
    width: float = 1.0

    def __post_init__(self) -> None:
        if min(self.blocks) < 1 or self.groups < 1:
            raise ConfigError(f"model.blocks: got {list(self.blocks)} and {self.groups} groups, wanted at least 1 each")
        check_width(self.width)

    @property
    def title(self) -> str:
        return f"DPN-{2 + 3 * sum(self.blocks)}"

    def body(self) -> tuple[Layer, ...]:
        layers: list[Layer] = [conv_norm_relu(scaled(FIRST, self.width), 3)]
        for number, (stage, blocks) in enumerate(zip(STAGES, self.blocks, strict=True)):
            for index in range(blocks):
                layers.append(self._block(stage, 2 if number and not index else 1, changes=not index))
        return tuple(layers)

    def _block(self, stage: Stage, stride: int, *, changes: bool) -> Layer:
        inner = scaled(stage.inner, self.width, self.groups)
        shared, more = scaled(stage.shared, self.width), scaled(stage.more, self.width)
        outer = shared + more
        middle = conv_norm_relu(inner, 3, stride, self.groups)
        way = Chain((conv_norm_relu(inner, 1), middle, Conv(outer, (1, 1)), Norm()))
        past = Chain((Conv(outer, (1, 1), (stride, stride)), Norm()) if changes else ())
        return Chain((DualPath((past, way), shared), Relu()))

    def narrowed(self, width: int) -> DualPathNet:
        return replace(self, blocks=(1, 1, min(self.blocks[2], 2), 1), width=width / STAGES[-1].shared)
