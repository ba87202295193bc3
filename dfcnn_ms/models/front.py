"""Networks that begin with a table of convolutions, which gives them their steps: what they share as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.network import Network
from dfcnn_ms.models.table import Block

#: Convolutional subsampling: an output step for every four frames.
SUBSAMPLING = (
    Block(64, convs=1, stride=(2, 2), pool=(1, 1)),
    Block(64, convs=1, stride=(2, 2), pool=(1, 1)),
)


@dataclass(frozen=True)
class Fronted(Network):
    """A table of convolutions and a dense layer per step, then layers that look at all steps of the utterance.

    Attributes:
        blocks: the table of blocks, as of a :class:`~dfcnn_ms.models.dfcnn.Dfcnn`.
        block_dropout: probability after each block.
        pad_mode: ``pad``, ``same`` or ``valid``, for every convolution.
        padding: frames and bins added on each side; only with ``pad``.
    """

    blocks: tuple[Block, ...] = SUBSAMPLING
    block_dropout: float = 0.0
    pad_mode: str = "pad"
    padding: int = 1

    def __post_init__(self) -> None:
        self.front.output_lengths(1)

    @property
    def front(self) -> Dfcnn:
        """The first part as a network of its own, whose units are what the later layers read."""
        return Dfcnn(
            blocks=self.blocks,
            hidden=(),
            block_dropout=self.block_dropout,
            pad_mode=self.pad_mode,
            padding=self.padding,
        )

    @property
    def frames_per_step(self) -> int | None:
        return self.front.frames_per_step

    @property
    def first_frame(self) -> float:
        return self.front.first_frame

    def output_lengths(self, frames: Any) -> Any:
        return self.front.output_lengths(frames)

    def layers(self) -> Iterator[str]:
        """The blocks of the table in words."""
        yield from self.front.layers()

    @property
    def cure_for_few_steps(self) -> str:
        return self.front.cure_for_few_steps

    def narrowed_blocks(self, width: int) -> tuple[Block, ...]:
        """The table with at most ``width`` channels in each block."""
        return tuple(replace(block, channels=min(block.channels, width)) for block in self.blocks)


def check_share(**shares: float) -> None:
    """Refuses probabilities of dropping that leave nothing, or are none.

    Raises:
        ConfigError: see above.
    """
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ConfigError(f"{name}: got {share}, wanted at least 0 and less than 1")


def check_count(least: int = 1, **counts: int) -> None:
    """Refuses widths and numbers of layers that are too small.

    Raises:
        ConfigError: see above.
    """
    for name, count in counts.items():
        if count < least:
            raise ConfigError(f"{name}: got {count}, wanted at least {least}")
