"""The Transformer as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfcnn_ms.models.attending import Attending

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Transformer(Attending):
    """Self-attention with relative positions and feed-forward parts, each after a layer norm and beside a shortcut.

    Attributes:
        blocks, block_dropout, pad_mode, padding: of the convolutional subsampling.
        depth, width, heads, feed_forward, dropout, decoder_depth: see :class:`~dfcnn_ms.models.attending.Attending`.

    Example:
        >>> network = Transformer()
        >>> network.output_lengths(1600), network.frames_per_step, network.first_frame
        (400, 4, -1.5)
    """

    def encoder_layer(self) -> nn.Cell:
        from dfcnn_ms.models.cells.transformer import TransformerLayer

        return TransformerLayer(self.width, self.heads, self.feed_forward, self.dropout)

    def layer_parameters(self) -> int:
        return self.relative_attention() + self.dense_pair()

    def layer_multiply_adds(self, steps: int) -> int:
        return self.attention_multiply_adds(steps) + 2 * steps * self.width * self.feed_forward
