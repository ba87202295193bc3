"""DFCNN + BiLSTM as a value: the table of convolutions, then recurrent layers in both directions of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfcnn_ms.models.front import Fronted, check_count, check_share
from dfcnn_ms.models.table import Block

if TYPE_CHECKING:
    from mindspore import nn

#: The table of the PyTorch predecessor: an output step for every eight frames.
PREDECESSOR = (
    Block(32, convs=2, pool=(2, 2)),
    Block(64, convs=2, pool=(2, 2)),
    Block(128, convs=2, pool=(2, 2)),
    Block(128, convs=3, pool=(1, 1)),
)


@dataclass(frozen=True)
class DfcnnLstm(Fronted):
    """Blocks of convolutions, a dense layer per step, bidirectional LSTM layers, the output layer.

    Attributes:
        blocks: the table of blocks; the default is that of the predecessor.
        block_dropout, pad_mode, padding: of the convolutions.
        dense: width of the dense layer that the LSTM layers read.
        lstm_layers: how many of them, one on the other.
        lstm_width: of each direction.
        dropout: probability after the dense layer.
        lstm_dropout: probability after each LSTM layer.

    Example:
        >>> network = DfcnnLstm()
        >>> network.output_lengths(1600), network.frames_per_step, network.first_frame
        (200, 8, 0.0)
    """

    blocks: tuple[Block, ...] = PREDECESSOR
    dense: int = 128
    lstm_layers: int = 4
    lstm_width: int = 128
    dropout: float = 0.2
    lstm_dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(dropout=self.dropout, lstm_dropout=self.lstm_dropout)
        check_count(dense=self.dense, lstm_layers=self.lstm_layers, lstm_width=self.lstm_width)

    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        from dfcnn_ms.models.cells.dfcnn_lstm import DfcnnLstmCell

        front = self.front.build(num_bins=num_bins, num_units=self.dense)
        widths = (self.dense, self.lstm_width, num_units)
        return DfcnnLstmCell(front, widths, self.lstm_layers, self.dropout, self.lstm_dropout)

    def layers(self) -> Iterator[str]:
        """The blocks, the dense layer and the recurrent ones."""
        yield from super().layers()
        yield f"dense {self.dense}"
        yield f"{self.lstm_layers} bidirectional LSTM {self.lstm_width}"

    def narrowed(self, width: int) -> DfcnnLstm:
        dense, lstm_width = min(self.dense, width), min(self.lstm_width, width)
        return replace(self, blocks=self.narrowed_blocks(width), dense=dense, lstm_width=lstm_width)

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        biases = 2 * 2 * 4 * self.lstm_width * self.lstm_layers
        front = self.front.parameters(num_bins=num_bins, num_units=self.dense)
        return front + self._recurrent_weights() + biases + (2 * self.lstm_width + 1) * num_units

    def multiply_adds(self, frames: int, *, num_bins: int, num_units: int) -> int:
        """Multiplications of one forward pass of T frames; normalising, pooling and activations are not counted."""
        front = self.front.multiply_adds(frames, num_bins=num_bins, num_units=self.dense)
        per_step = self._recurrent_weights() + 2 * self.lstm_width * num_units
        return front + max(0, self.output_lengths(frames)) * per_step

    def _recurrent_weights(self) -> int:
        """Of both directions of all layers: four gates read the layer below and the step before."""
        inputs = [self.dense, *[2 * self.lstm_width] * (self.lstm_layers - 1)]
        return sum(2 * 4 * self.lstm_width * (one + self.lstm_width) for one in inputs)
