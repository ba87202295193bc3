"""The decoder of a Transformer: it writes a text unit by unit, looking at all that was heard."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.common.initializer import Normal

from dfcnn_ms.models.cells.attention import Attention, FeedForward, norm_of, sinusoids, waves
from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.writer import Writer


class DecoderLayer(nn.Cell):
    """A unit looks at those before it, then at what was heard, then a feed-forward part; a norm before each.

    Inputs:
        - **x** (Tensor) - (B, L, D).
        - **memory** (Tensor) - (B, U, D).
        - **before** (Tensor) - (1, 1, L, L), 1 where a unit may look: at itself and those before it.
        - **inside** (Tensor or None) - (B, 1, 1, U), 1 for a step of the utterance and 0 after its end.

    Outputs:
        Tensor (B, L, D).
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.own_norm, self.own = norm_of(width), Attention(width, heads, dropout)
        self.heard_norm, self.heard = norm_of(width), Attention(width, heads, dropout)
        self.dense_norm, self.dense = norm_of(width), FeedForward(width, feed_forward, dropout)
        self.drops = nn.CellList([Dropout(dropout) if dropout else nn.Identity() for _ in range(3)])

    def construct(self, x: Tensor, memory: Tensor, before: Tensor, inside: Tensor | None = None) -> Tensor:
        own = self.own_norm(x)
        x = x + self.drops[0](self.own(own, own, before))
        x = x + self.drops[1](self.heard(self.heard_norm(x), memory, inside))
        return x + self.drops[2](self.dense(self.dense_norm(x)))


class Decoder(nn.Cell):
    """What may come after each beginning of a text.

    Args:
        num_units: V; unit 0, the blank of CTC, is here what comes before the first unit and after the last.
        depth: layers.
        sizes: width D, heads, width of the feed-forward parts.
        dropout: probability after every part.

    Inputs:
        - **tokens** (Tensor) - (B, L) int32; the first is 0, and what follows a text is never looked at by it.
        - **memory** (Tensor) - (B, U, D), what the encoder made of the sound.
        - **inside** (Tensor or None) - (B, U), 1 for a step of the utterance and 0 after its end; None: all are.

    Outputs:
        Tensor (B, L, V), **raw logits** of what follows each token and those before it.
    """

    def __init__(self, num_units: int, depth: int, sizes: tuple[int, int, int], dropout: float) -> None:
        super().__init__()
        width, self.heads, feed_forward = sizes
        self.root = width**0.5
        self.speeds = waves(width)
        self.embedding = nn.Embedding(num_units, width, embedding_table=Normal(width**-0.5))
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.layers = nn.CellList([DecoderLayer(width, self.heads, feed_forward, dropout) for _ in range(depth)])
        self.norm, self.output_layer = norm_of(width), nn.Dense(width, num_units)

    def construct(self, tokens: Tensor, memory: Tensor, inside: Tensor | None = None) -> Tensor:
        places = ops.arange(tokens.shape[1])
        before = (places.reshape(1, 1, 1, -1) <= places.reshape(1, 1, -1, 1)).astype(ms.float32)
        x = self.embedding(tokens) * self.root + sinusoids(places.astype(ms.float32), self.speeds)
        x = self.dropout(x)  # (B, L) -> (B, L, D)
        if inside is not None:
            inside = inside.reshape(inside.shape[0], 1, 1, -1)
        for layer in self.layers:
            x = layer(x, memory, before, inside)
        return self.output_layer(self.norm(x))  # (B, L, D) -> (B, L, V)

    def writer(self) -> Writer:
        """The same decoder in NumPy, with the weights as they are now."""
        weights = {name: np.array(value.asnumpy()) for name, value in self.parameters_and_names()}
        return Writer(weights, len(self.layers), self.heads)
