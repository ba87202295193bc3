"""The Conformer as a value: a Transformer whose layers also convolve over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.attending import Attending

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Conformer(Attending):
    """Half a feed-forward part, self-attention with relative positions, a convolution over time, the other half.

    Attributes:
        blocks, block_dropout, pad_mode, padding: of the convolutional subsampling.
        depth, width, feed_forward, dropout, decoder_depth: see :class:`~dfcnn_ms.models.attending.Attending`.
        heads: of every attention; 0 leaves attention out, so that a step sees no further than the convolutions do, and
            sound can be heard in pieces.
        kernel: steps that the convolution over time sees, odd. What is normalised after it is each step by itself
            (layer norm), so that nothing depends on the batch, in training either.

    Example:
        >>> Conformer(depth=2, width=64, heads=4, kernel=7).output_lengths(101)
        26
    """

    least_heads: ClassVar[int] = 0

    kernel: int = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(f"kernel: got {self.kernel}, wanted an odd number, so that every step has a middle")

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        field, frames = self.front.receptive_field, self.frames_per_step
        if self.heads or field is None or frames is None:
            return None
        around = self.depth * (self.kernel // 2) * frames
        return field[0] - around, field[1] + around

    def encoder_layer(self) -> nn.Cell:
        from dfcnn_ms.models.cells.conformer import ConformerLayer

        return ConformerLayer(self.width, self.heads, self.feed_forward, self.dropout, self.kernel)

    def layer_parameters(self) -> int:
        norms = 3 * 2 * self.width  # before the convolution, inside it and at the end
        convolution = 3 * (self.width + 1) * self.width + (self.kernel + 1) * self.width
        attention = self.relative_attention() if self.heads else 0
        return attention + 2 * self.dense_pair() + convolution + norms

    def layer_multiply_adds(self, steps: int) -> int:
        dense = 4 * steps * self.width * self.feed_forward
        convolution = steps * self.width * (3 * self.width + self.kernel)
        return (self.attention_multiply_adds(steps) if self.heads else 0) + dense + convolution
