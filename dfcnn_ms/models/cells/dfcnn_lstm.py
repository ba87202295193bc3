"""DFCNN + BiLSTM: convolutions over the picture, then recurrent layers over its steps, forward and backward."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.dfcnn import DfcnnCell
from dfcnn_ms.models.cells.dropout import Dropout


def reversed_in_time(x: Tensor, steps: Tensor) -> Tensor:
    """Each utterance of (B, U, C) from its own end (B,) to its beginning; what lies after the end stays there."""
    return ops.reverse_sequence(x, steps, seq_dim=1, batch_dim=0)


class BiLstm(nn.Cell):
    """One LSTM layer in both directions, of which neither sees what lies after an utterance's end.

    The backward direction begins at the end of each utterance: its steps are reversed among themselves, and the
    padding stays behind them, where a direction of time arrives last.

    Inputs:
        - **x** (Tensor) - (B, U, C).
        - **steps** (Tensor) - (B,) int32, from 1 to U.

    Outputs:
        Tensor (B, U, 2 x width). What lies after an utterance's end is undefined.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.ahead = nn.LSTM(inputs, width, batch_first=True)
        self.back = nn.LSTM(inputs, width, batch_first=True)

    def construct(self, x: Tensor, steps: Tensor) -> Tensor:
        ahead, _ = self.ahead(x)
        back, _ = self.back(reversed_in_time(x, steps))
        return ops.concat((ahead, reversed_in_time(back, steps)), -1)


class DfcnnLstmCell(nn.Cell):
    """Convolution blocks, a dense layer per step, bidirectional LSTM layers, raw logits.

    Args:
        front: features -> the dense layer per step (B, U, dense).
        widths: of the dense layer, of each direction of an LSTM layer, and V, the output units with the blank.
        layers: of LSTM.
        dropout, lstm_dropout: see :class:`~dfcnn_ms.models.dfcnn_lstm.DfcnnLstm`.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F) float32.
        - **lengths** (Tensor or None) - (B,) int32, the frames of each utterance. With them, an utterance's logits
          depend on nothing but itself in eval mode; None: every row is T frames long.

    Outputs:
        Tensor (B, U, V), **raw logits**.

    Examples:
        >>> network = DfcnnLstm().build(num_bins=200, num_units=1215)
        >>> network.output_lengths(1600)
        200
    """

    def __init__(
        self, front: DfcnnCell, widths: tuple[int, int, int], layers: int, dropout: float, lstm_dropout: float
    ) -> None:
        super().__init__()
        dense, width, num_units = widths
        self.front = front
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        inputs = [dense, *[2 * width] * (layers - 1)]
        self.lstms = nn.CellList([BiLstm(one, width) for one in inputs])
        self.drops = nn.CellList([Dropout(lstm_dropout) if lstm_dropout else nn.Identity() for _ in inputs])
        self.output_layer = nn.Dense(2 * width, num_units)

    def output_lengths(self, lengths: Any) -> Any:
        """Output steps U for T frames: ints, NumPy arrays and tensors alike; below 1 means too short for one step."""
        return self.front.output_lengths(lengths)

    def construct(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        x = self.dropout(ops.relu(self.front(features, lengths)))  # (B, 1, T, F) -> (B, U, dense)
        steps = ops.full((x.shape[0],), x.shape[1], dtype=ms.int32)
        if lengths is not None:
            steps = ops.clamp(self.output_lengths(lengths).astype(ms.int32), 1, x.shape[1])
        for lstm, drop in zip(self.lstms, self.drops):  # noqa: B905 (unknown to graph mode)
            x = drop(lstm(x, steps))  # (B, U, C) -> (B, U, 2 x width)
        return self.output_layer(x)  # (B, U, 2 x width) -> (B, U, V)
