"""A layer of the Conformer's encoder."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.attention import FeedForward, RelativeAttention, norm_of, silence
from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.cells.spread import spread


class OverTime(nn.Conv1d):
    """A convolution over time of each channel by itself.

    Inputs:
        - **x** (Tensor) - (B, U, D).

    Outputs:
        Tensor (B, U, D).
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, pad_mode="pad", padding=kernel // 2, group=width, has_bias=True)

    def construct(self, x: Tensor) -> Tensor:
        return super().construct(x.swapaxes(1, 2)).swapaxes(1, 2)


class TimeConvolution(nn.Cell):
    """A gate, a convolution over time of each channel by itself, and a dense layer.

    Inputs:
        - **x** (Tensor) - (B, U, D).
        - **inside** (Tensor or None) - (B, U), 1 for a step of the utterance and 0 after its end; None: all are.

    Outputs:
        Tensor (B, U, D). What lies after an utterance's end is undefined.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.gated, self.out = nn.Dense(width, 2 * width), nn.Dense(width, width)
        self.conv = OverTime(width, kernel)
        self.norm = norm_of(width)

    def construct(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        x, gate = ops.chunk(self.gated(x), 2, -1)
        x = x * ops.sigmoid(gate)
        if inside is not None:  # as if the padding of the convolution began at the end of each utterance
            x = x * spread(inside.expand_dims(-1).astype(x.dtype), x)
        x = self.norm(self.conv(x))
        return self.out(x * ops.sigmoid(x))


class ConformerLayer(nn.Cell):
    """Half a feed-forward part, self-attention, the convolution over time, the other half, a last norm.

    Args:
        width, feed_forward: of its dense layers.
        heads: of the attention; 0: there is none.
        dropout: probability after every part.
        kernel: steps that the convolution sees.

    Inputs:
        - **x** (Tensor) - (B, U, D).
        - **inside** (Tensor or None) - (B, U), 1 for a step of the utterance and 0 after its end; None: all are.

    Outputs:
        Tensor (B, U, D). What lies after an utterance's end is undefined.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float, kernel: int) -> None:
        super().__init__()
        self.has_attention = heads > 0
        self.norms = nn.CellList([norm_of(width) if heads or part != 1 else nn.Identity() for part in range(5)])
        self.drops = nn.CellList([Dropout(dropout) if dropout else nn.Identity() for _ in range(4)])
        self.before = FeedForward(width, feed_forward, dropout, swish=True)
        self.attention = RelativeAttention(width, heads, dropout) if heads else nn.Identity()
        self.convolution = TimeConvolution(width, kernel)
        self.after = FeedForward(width, feed_forward, dropout, swish=True)

    def begin_at_nothing(self) -> None:
        """Lets the layer add nothing to what it reads, as a new one on top of layers that have learnt."""
        silence(self.before.narrow, self.convolution.out, self.after.narrow)
        if self.has_attention:
            silence(self.attention.out)

    def construct(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        x = x + 0.5 * self.drops[0](self.before(self.norms[0](x)))
        if self.has_attention:
            x = x + self.drops[1](self.attention(self.norms[1](x), inside))
        x = x + self.drops[2](self.convolution(self.norms[2](x), inside))
        x = x + 0.5 * self.drops[3](self.after(self.norms[3](x)))
        return self.norms[4](x)
