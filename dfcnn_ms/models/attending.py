"""Networks of self-attention as values: what Transformer and Conformer share, and the decoder that both may have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.front import Fronted, check_count, check_share

if TYPE_CHECKING:
    from mindspore import nn


@dataclass(frozen=True)
class Attending(Fronted):
    """Convolutional subsampling, layers of self-attention, the output layer; and, where it is wanted, a decoder.

    Without a decoder it is read step by step, as by CTC. With one it also writes unit by unit, looking at all that
    the encoder has made of the sound (``task: {kind: attention}``).

    Attributes:
        blocks, block_dropout, pad_mode, padding: of the convolutional subsampling.
        depth: layers of the encoder.
        width: of every layer, a multiple of ``heads``.
        heads: of every attention.
        feed_forward: width of the dense layers between attentions.
        dropout: probability after every part of a layer, and of the weights of attention.
        decoder_depth: layers of the decoder; 0: there is none.
    """

    #: fewer are refused
    least_heads: ClassVar[int] = 1

    depth: int = 6
    width: int = 512
    heads: int = 8
    feed_forward: int = 2048
    dropout: float = 0.1
    decoder_depth: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(dropout=self.dropout)
        check_count(depth=self.depth, width=self.width, feed_forward=self.feed_forward)
        check_count(0, decoder_depth=self.decoder_depth)
        check_count(1 if self.has_decoder else self.least_heads, heads=self.heads)
        if self.width % max(1, self.heads) or self.width % 2:
            raise ConfigError(f"width: got {self.width}, wanted an even multiple of heads, {self.heads}")

    @property
    def has_decoder(self) -> bool:
        return self.decoder_depth > 0

    @abstractmethod
    def encoder_layer(self) -> nn.Cell:
        """One layer: steps (B, U, width) and which of them are sound (B, U) or None -> (B, U, width)."""

    @abstractmethod
    def layer_parameters(self) -> int:
        """Trainable numbers of one encoder layer."""

    @abstractmethod
    def layer_multiply_adds(self, steps: int) -> int:
        """Multiplications of one encoder layer over U steps."""

    def build(self, *, num_bins: int, num_units: int) -> nn.Cell:
        from dfcnn_ms.models.cells.attending import AttendingCell
        from dfcnn_ms.models.cells.decoder import Decoder

        front = self.front.build(num_bins=num_bins, num_units=self.width)
        layers = [self.encoder_layer() for _ in range(self.depth)]
        sizes = (self.width, self.heads, self.feed_forward)
        decoder = Decoder(num_units, self.decoder_depth, sizes, self.dropout) if self.has_decoder else None
        return AttendingCell(front, layers, num_units, self.width, self.dropout, decoder)

    def layers(self) -> Iterator[str]:
        """The blocks of the subsampling, the encoder, the decoder."""
        yield from super().layers()
        heads = f"{self.heads} heads" if self.heads else "no attention"
        size = f"width {self.width}, {heads}, feed-forward {self.feed_forward}"
        yield f"{self.depth} {type(self).__name__} layers ({size})"
        if self.has_decoder:
            yield f"decoder of {self.decoder_depth} layers"

    def narrowed(self, width: int) -> Attending:
        """The same network with two heads, so that it stays one with several."""
        width = max(2, width - width % 2)
        sizes: dict[str, Any] = {"width": width, "heads": min(self.heads, 2), "feed_forward": width}
        return replace(self, blocks=self.narrowed_blocks(width), **sizes)

    def parameters(self, *, num_bins: int, num_units: int) -> int:
        front = self.front.parameters(num_bins=num_bins, num_units=self.width)
        encoder = self.depth * self.layer_parameters() + 2 * self.width + (self.width + 1) * num_units
        return front + encoder + self._decoder_parameters(num_units)

    def multiply_adds(self, frames: int, *, num_bins: int, num_units: int) -> int:
        """Multiplications of one forward pass of T frames, as it is read step by step: the decoder is not in it.

        Normalising, pooling and activations are not counted.
        """
        steps = max(0, self.output_lengths(frames))
        front = self.front.multiply_adds(frames, num_bins=num_bins, num_units=self.width)
        return front + self.depth * self.layer_multiply_adds(steps) + steps * self.width * num_units

    def relative_attention(self) -> int:
        """Trainable numbers of a self-attention that knows distances, with the layer norm before it."""
        return 4 * (self.width + 1) * self.width + self.width * self.width + 2 * self.width + 2 * self.width

    def attention_multiply_adds(self, steps: int) -> int:
        """Multiplications of such a self-attention over U steps, which are 2U - 1 distances."""
        distances = max(0, 2 * steps - 1)
        projected = (4 * steps + distances) * self.width * self.width
        return projected + (2 * steps + distances) * steps * self.width

    def dense_pair(self) -> int:
        """Trainable numbers of a feed-forward part with the layer norm before it."""
        return 2 * self.width * self.feed_forward + self.feed_forward + self.width + 2 * self.width

    def _decoder_parameters(self, num_units: int) -> int:
        """Of the table of units, the layers, the last norm and the output layer."""
        if not self.has_decoder:
            return 0
        attention = 4 * (self.width + 1) * self.width + 2 * self.width
        layers = self.decoder_depth * (2 * attention + self.dense_pair())
        return num_units * self.width + layers + 2 * self.width + (self.width + 1) * num_units
