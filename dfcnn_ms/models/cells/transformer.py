"""A layer of the Transformer's encoder."""

from __future__ import annotations

from mindspore import Tensor, nn

from dfcnn_ms.models.cells.attention import FeedForward, RelativeAttention, norm_of, silence
from dfcnn_ms.models.cells.dropout import Dropout


class TransformerLayer(nn.Cell):
    """Self-attention, then a feed-forward part; the norm stands before each, so that the shortcut stays clean.

    Inputs:
        - **x** (Tensor) - (B, U, D).
        - **inside** (Tensor or None) - (B, U), 1 for a step of the utterance and 0 after its end; None: all are.

    Outputs:
        Tensor (B, U, D). What lies after an utterance's end is undefined.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm_of(width), RelativeAttention(width, heads, dropout)
        self.dense_norm, self.dense = norm_of(width), FeedForward(width, feed_forward, dropout)
        self.drops = nn.CellList([Dropout(dropout) if dropout else nn.Identity() for _ in range(2)])

    def begin_at_nothing(self) -> None:
        """Lets the layer add nothing to what it reads, as a new one on top of layers that have learnt."""
        silence(self.attention.out, self.dense.narrow)

    def construct(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        x = x + self.drops[0](self.attention(self.attention_norm(x), inside))
        return x + self.drops[1](self.dense(self.dense_norm(x)))
