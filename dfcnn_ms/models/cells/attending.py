"""Networks of self-attention: subsampling, encoder, output layer and, where it is wanted, a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.attention import norm_of
from dfcnn_ms.models.cells.decoder import Decoder
from dfcnn_ms.models.cells.dfcnn import DfcnnCell
from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.writer import Writer


class AttendingCell(nn.Cell):
    """The encoder of a Transformer or Conformer, read step by step or by its decoder.

    Args:
        front: features -> a vector for each step (B, U, D).
        layers: of the encoder: (B, U, D) and (B, U) or None -> (B, U, D).
        num_units: V, the output units with the blank.
        width: D.
        dropout: probability of what comes from ``front``.
        decoder: or None.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F) float32.
        - **lengths** (Tensor or None) - (B,) int32, the frames of each utterance. With them, an utterance's logits
          depend on nothing but itself in eval mode; None: every row is T frames long.
        - **tokens** (Tensor or None) - (B, L) int32, for the decoder: 0, then the units of each text.

    Outputs:
        **Raw logits** of the steps (B, U, V). With a decoder, a pair: these, and without ``tokens`` what the decoder
        looks at (B, U, D), with them the raw logits of what follows each token (B, L, V).

    Examples:
        >>> network = Transformer(depth=2, width=64, heads=4).build(num_bins=80, num_units=1215)
        >>> network.output_lengths(1600)
        400
    """

    def __init__(
        self,
        front: DfcnnCell,
        layers: Sequence[nn.Cell],
        num_units: int,
        width: int,
        dropout: float,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.front = front
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.layers = nn.CellList(layers)
        self.norm, self.output_layer = norm_of(width), nn.Dense(width, num_units)
        self.decoder = decoder

    def output_lengths(self, lengths: Any) -> Any:
        """Output steps U for T frames: ints, NumPy arrays and tensors alike; below 1 means too short for one step."""
        return self.front.output_lengths(lengths)

    def writer(self) -> Writer | None:
        """The decoder in NumPy, with the weights as they are now; None without one."""
        return None if self.decoder is None else self.decoder.writer()

    def inside(self, lengths: Tensor, steps: int) -> Tensor:
        """1 for a step of an utterance and 0 after its end: (B,) frames -> (B, U) float32."""
        own = ops.clamp(
            self.output_lengths(lengths), 1, None
        )  # one step at least: the weights of none add up to nothing
        return (ops.arange(steps).reshape(1, -1) < own.reshape(-1, 1)).astype(ms.float32)

    def construct(
        self, features: Tensor, lengths: Tensor | None = None, tokens: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        x = self.dropout(self.front(features, lengths))  # (B, 1, T, F) -> (B, U, D)
        inside = None if lengths is None else self.inside(lengths, x.shape[1])
        for layer in self.layers:
            x = layer(x, inside)
        memory = self.norm(x)
        logits = self.output_layer(memory)  # (B, U, D) -> (B, U, V)
        if self.decoder is None:
            return logits
        if tokens is None:
            return logits, memory
        return logits, self.decoder(tokens, memory, inside)
