"""Mixup (arXiv 1710.09412): pairs of clips are laid over each other, and the loss asks for both of their classes."""

from __future__ import annotations

from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from dfcnn_ms.models.cells.dropout import ROWS
from dfcnn_ms.tasks.cells.with_loss import WithLossCell


@lru_cache(maxsize=4)
def shares(alpha: float) -> np.ndarray:
    """Shares (ROWS,) of the first clip of each pair, drawn from Beta(alpha, alpha): step s takes that of its number."""
    return np.random.default_rng(0).beta(alpha, alpha, ROWS).astype(np.float32)


class MixupCell(WithLossCell):
    """A network and its loss on mixed clips; batches are shuffled, so each clip is paired with its mirror image.

    ``share * clip + (1 - share) * other`` costs ``share * loss(its class) + (1 - share) * loss(the other's class)``.
    The share is one for the whole batch and depends on the step alone, which is saved, so that a resumed training draws
    what an uninterrupted one would have.

    Args:
        backbone: as of a :class:`~dfcnn_ms.tasks.cells.with_loss.WithLossCell`.
        loss_fn: as there.
        alpha: of the distribution of shares: 1 is even, below it most pairs are nearly unmixed.

    Inputs:
        As of a :class:`~dfcnn_ms.tasks.cells.with_loss.WithLossCell`.
    """

    def __init__(self, backbone: nn.Cell, loss_fn: nn.Cell, alpha: float) -> None:
        super().__init__(backbone, loss_fn)
        self.shares = Tensor(shares(alpha))
        self.mixup_step = Parameter(Tensor(0, ms.int32), name="mixup_step", requires_grad=False)

    def construct(self, features: Tensor, labels: Tensor, feature_lengths: Tensor, label_lengths: Tensor) -> Tensor:
        step = self.mixup_step + 0
        step = ops.depend(step, ops.assign_add(self.mixup_step, 1))
        share = ops.gather(self.shares, step % ROWS, 0)
        mixed = share * features + (1.0 - share) * features.flip((0,))
        lengths = ops.maximum(feature_lengths, feature_lengths.flip((0,)))
        logits = self._backbone(mixed, lengths)
        steps = self._ruler.output_lengths(lengths)
        own = self._loss_fn(logits, steps, labels, label_lengths)
        other = self._loss_fn(logits, steps, labels.flip((0,)), label_lengths.flip((0,)))
        return share * own + (1.0 - share) * other
