"""CNN + RNN as a value: convolutions look at the picture, recurrent layers read it, one output says what is in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.network import Network
from dfcnn_ms.models.table import Block, bins_before, steps_of

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Crnn(Network):
    """The small network of the notebook ``03_cnn_rnn``: a few convolutions with pooling, one LSTM in both directions.

    Attributes:
        channels: of each convolution; a max-pool of two frames and two bins follows each.
        width: of each direction of the LSTM.
        dropout: probability before the output layer.

    Example:
        >>> Crnn().output_lengths(100), Crnn().parameters(num_bins=40, num_units=12)
        (1, 148092)
    """

    channels: tuple[int, ...] = (16, 32)
    width: int = 48
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min((self.width, *self.channels)) < 1 or not self.channels:
            raise ConfigError(f"model: channels {list(self.channels)} and width {self.width} must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout: got {self.dropout}, wanted at least 0 and less than 1")

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The convolutions as rows of the table that DFCNN is made of."""
        return tuple(Block(channels, convs=1, pool=(2, 2)) for channels in self.channels)

    def bins(self, num_bins: int) -> int:
        """Frequency bins that are left for the LSTM."""
        *_, left = bins_before(num_bins, self.blocks, "pad", 1)
        if left < 1:
            raise ConfigError(f"model.channels: {len(self.channels)} pools leave none of {num_bins} bins; give fewer")
        return int(left)

    @property
    def frames_per_step(self) -> None:
        return None

    def output_lengths(self, frames: Any) -> Any:
        return steps_of(frames, self.blocks, "pad", 1, "mean")

    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        from dfcnn_ms.models.cells.crnn import CrnnCell

        return CrnnCell(self.blocks, self.bins(num_bins), self.width, self.dropout, num_units)

    def layers(self) -> Iterator[str]:
        yield from (f"{channels} (3x3, pool 2x2)" for channels in self.channels)
        yield f"bidirectional LSTM {self.width}"
        yield "mean over time"

    def narrowed(self, width: int) -> Crnn:
        return replace(self, channels=tuple(min(one, width) for one in self.channels), width=min(self.width, width))

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        convs = sum(9 * one * other + 2 * other for one, other in itertools.pairwise((1, *self.channels)))
        biases = 2 * 2 * 4 * self.width
        return convs + self._recurrent_weights(num_bins) + biases + (2 * self.width + 1) * num_units

    def multiply_adds(self, frames: int, *, num_bins: int, num_units: int) -> int:
        """Multiplications of one forward pass of T frames; normalising, pooling and activations are not counted."""
        count, sides = 0, (frames, num_bins)
        for one, other in itertools.pairwise((1, *self.channels)):
            count += 9 * one * other * sides[0] * sides[1]
            sides = (sides[0] // 2, sides[1] // 2)
        return count + sides[0] * self._recurrent_weights(num_bins) + 2 * self.width * num_units

    def _recurrent_weights(self, num_bins: int) -> int:
        """Of both directions: four gates read the convolutions and the step before."""
        return 2 * 4 * self.width * (self.channels[-1] * self.bins(num_bins) + self.width)
