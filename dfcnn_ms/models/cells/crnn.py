"""CNN + RNN: convolutions, an LSTM in both directions over what they leave, the mean of its steps, raw logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.dfcnn import ConvBlock, mean_over_time
from dfcnn_ms.models.cells.dfcnn_lstm import BiLstm
from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.table import Block, steps_of


class CrnnCell(nn.Cell):
    """The network of :class:`~dfcnn_ms.models.crnn.Crnn`.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F) float32.
        - **lengths** (Tensor or None) - (B,) int32, the frames of each clip; None: all of them count.

    Outputs:
        Tensor (B, 1, V), **raw logits** of the whole clip.
    """

    def __init__(self, blocks: Sequence[Block], bins: int, width: int, dropout: float, num_units: int) -> None:
        super().__init__()
        self.table = tuple(blocks)
        widths = [1, *(block.channels for block in blocks)]
        self.blocks = nn.CellList(
            [ConvBlock(one, block, "pad", 1, 0.0) for one, block in zip(widths, blocks, strict=False)]
        )
        self.lstm = BiLstm(widths[-1] * bins, width)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.output_layer = nn.Dense(2 * width, num_units)

    def output_lengths(self, lengths: Any) -> Any:
        """1 where a clip is long enough, else less: ints, NumPy arrays and tensors alike."""
        return steps_of(lengths, self.table, "pad", 1, "mean")

    def construct(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        x, steps = features, lengths
        for block in self.blocks:
            x, steps = block(x, steps)  # (B, C, T, F) -> (B, C', T // 2, F // 2)
        x = x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)  # (B, C, U, F') -> (B, U, C x F')
        own = ops.full((x.shape[0],), x.shape[1], dtype=ms.int32)
        if steps is not None:
            own = ops.clamp(steps.astype(ms.int32), 1, x.shape[1])
        x = self.lstm(x, own).swapaxes(1, 2).expand_dims(3)  # (B, U, H) -> (B, H, U, 1)
        x = mean_over_time(x, own).reshape(x.shape[0], 1, -1)  # (B, H, U, 1) -> (B, 1, H)
        return self.output_layer(self.dropout(x))  # (B, 1, H) -> (B, 1, V)
