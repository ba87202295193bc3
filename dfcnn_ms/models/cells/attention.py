"""Attention: self-attention that knows how far apart steps lie, and attention to anything else."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from dfcnn_ms.models.cells.dropout import Dropout
from dfcnn_ms.models.cells.spread import spread
from dfcnn_ms.models.writer import EPSILON, wave_speeds

#: what is added to the score of a place that must not be seen; its weight then comes out as exactly 0
FAR_BELOW = 1e9


def waves(width: int) -> Tensor:
    """The angular speeds (width / 2,) of the sinusoids that stand for a place."""
    return Tensor(wave_speeds(width), ms.float32)


def sinusoids(places: Tensor, speeds: Tensor) -> Tensor:
    """Places (P,), as float32, as vectors: (P,) -> (P, width)."""
    angles = places.reshape(-1, 1) * speeds.reshape(1, -1)
    return ops.concat((ops.sin(angles), ops.cos(angles)), -1)


def parted(x: Tensor, heads: int) -> Tensor:
    """The heads of each step: (B, U, D) -> (B, H, U, D / H)."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(0, 2, 1, 3)


def joined(x: Tensor) -> Tensor:
    """The heads of each step side by side: (B, H, U, K) -> (B, U, H x K)."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def by_key(x: Tensor) -> Tensor:
    """From a column for each distance to one for each key: (B, H, U, 2U - 1) -> (B, H, U, U).

    Column m of row i stands for the distance U - 1 - m, and key j lies i - j away: in column U - 1 - i + j. One more
    column on the left, read in rows that are one shorter, moves each row by one more than the row above.
    """
    rows, heads, steps, distances = x.shape
    wider = ops.concat((ops.zeros_like(x[:, :, :, :1]), x), -1)  # (B, H, U, 2U)
    moved = wider.reshape(rows, heads, distances + 1, steps)[:, :, 1:]
    return moved.reshape(rows, heads, steps, distances)[:, :, :, :steps]


class Looking(nn.Cell):
    """What both kinds of attention have: who looks asks, what is seen offers, and what fits counts the more.

    Args:
        width: D of everything that comes in and goes out.
        heads: that look independently.
        dropout: probability of the weights.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.query, self.key, self.value, self.out = (nn.Dense(width, width) for _ in range(4))
        self.softmax = nn.Softmax(-1)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()

    def mixed(self, scores: Tensor, seen: Tensor, visible: Tensor | None) -> Tensor:
        """What is seen (B, U, D), by the scores (B, H, L, U) of who looks: (B, L, D). The softmax is in float32."""
        scores = scores.astype(ms.float32) * self.scale
        if visible is not None:
            scores = scores + spread((visible - 1.0) * FAR_BELOW, scores)
        weights = self.dropout(self.softmax(scores)).astype(seen.dtype)
        return self.out(joined(ops.matmul(weights, parted(self.value(seen), self.heads))))


class Attention(Looking):
    """Each place looks at all the places that it may see.

    Inputs:
        - **x** (Tensor) - (B, L, D), who looks.
        - **seen** (Tensor) - (B, U, D), what is looked at.
        - **visible** (Tensor or None) - 1 or 0, in a shape that broadcasts to (B, 1, L, U); None: all.

    Outputs:
        Tensor (B, L, D).
    """

    def construct(self, x: Tensor, seen: Tensor, visible: Tensor | None = None) -> Tensor:
        keys = parted(self.key(seen), self.heads).swapaxes(2, 3)  # (B, H, K, U)
        scores = ops.matmul(parted(self.query(x), self.heads), keys)  # (B, H, L, U)
        return self.mixed(scores, seen, visible)


class RelativeAttention(Looking):
    """Self-attention that also asks how far a step lies away, before or after; it knows no absolute places.

    The score of step j for step i is ``(q_i + a) k_j + (q_i + b) p_(i-j)``, where p are sinusoids of the distance after
    a dense layer, and a and b are learnt. So an utterance is the same wherever it stands, in a batch of any length.

    Inputs:
        - **x** (Tensor) - (B, U, D).
        - **inside** (Tensor or None) - (B, U), 1 for a step of the utterance and 0 after its end; None: all are.

    Outputs:
        Tensor (B, U, D). What lies after an utterance's end is undefined.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, dropout)
        self.distance = nn.Dense(width, width, has_bias=False)
        self.of_content = Parameter(Tensor(np.zeros((1, heads, 1, width // heads)), ms.float32), name="of_content")
        self.of_distance = Parameter(Tensor(np.zeros((1, heads, 1, width // heads)), ms.float32), name="of_distance")
        self.speeds = waves(width)

    def construct(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        rows, steps = x.shape[:2]
        asked = self.query(x)
        keys = parted(self.key(x), self.heads).swapaxes(2, 3)  # (B, H, K, U)
        content = ops.matmul(self.leaning(asked, self.of_content), keys)  # (B, H, U, U)
        places = ops.arange(steps - 1, -steps, -1).astype(ms.float32)  # the distances (2U - 1,)
        vectors = self.distance(sinusoids(places, self.speeds).astype(x.dtype))  # (2U - 1, D)
        vectors = vectors.reshape(2 * steps - 1, self.heads, -1).transpose(1, 2, 0)  # (H, K, 2U - 1)
        distant = ops.matmul(self.leaning(asked, self.of_distance), vectors)  # (B, H, U, 2U - 1)
        scores = content + by_key(distant)  # (B, H, U, U)
        return self.mixed(scores, x, None if inside is None else inside.reshape(rows, 1, 1, steps))

    def leaning(self, asked: Tensor, towards: Parameter) -> Tensor:
        """What each head of each step asks, and what it always does: (B, U, D) -> (B, H, U, K).

        ``bias_add`` sums up the gradient of what is always asked in a quarter of the time of ``+``, on a CPU.
        """
        flat = ops.bias_add(asked.reshape(-1, asked.shape[-1]), towards.reshape(-1).astype(asked.dtype))
        return parted(flat.reshape(asked.shape), self.heads)


class FeedForward(nn.Cell):
    """Two dense layers for each step by itself: (B, U, D) -> (B, U, D).

    Args:
        width, inner: D, and the width between the two.
        dropout: probability between the two.
        swish: ``x * sigmoid(x)`` between the two; otherwise ReLU.
    """

    def __init__(self, width: int, inner: int, dropout: float = 0.0, *, swish: bool = False) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Dense(width, inner), nn.Dense(inner, width)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.swish = swish

    def construct(self, x: Tensor) -> Tensor:
        x = self.wide(x)
        x = x * ops.sigmoid(x) if self.swish else ops.relu(x)
        return self.narrow(self.dropout(x))


def silence(*layers: nn.Dense) -> None:
    """Lets dense layers say nothing until they are taught to: what is beside a shortcut then changes nothing."""
    for layer in layers:
        for parameter in (layer.weight, layer.bias):
            parameter.set_data(ops.zeros_like(parameter))


def norm_of(width: int) -> nn.Cell:
    """A layer norm over the last axis, of which the whole package has one kind."""
    return nn.LayerNorm((width,), epsilon=EPSILON)
