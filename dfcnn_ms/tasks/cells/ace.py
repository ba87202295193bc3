"""Aggregation cross-entropy of raw logits, alone and beside CTC."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.models.cells.spread import spread
from dfcnn_ms.tasks.cells.losses import CTCLoss

#: stands for the logarithm of zero; its exponential is exactly 0
NEVER = -1e30


class ACELoss(CTCLoss):
    """Aggregation cross-entropy of **raw logits**; the softmax is applied here, in float32.

    With T, the steps of an utterance, and y_k, the mean over these of the probability of unit k: the cross-entropy of
    y against the share of each unit in T, where the blank has what the label leaves. So a label must not have more
    units than there are steps; such an utterance, and one whose lengths or labels are out of range, contributes
    nothing: its loss and its gradient are zero, and the mean is taken over the others.

    Args, inputs and outputs are those of :class:`~dfcnn_ms.tasks.cells.losses.CTCLoss`.
    """

    def needed(self, labels: Tensor, label_lengths: Tensor) -> Tensor:
        return label_lengths

    def construct(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        logit_lengths = logit_lengths.astype(ms.int32)
        label_lengths = label_lengths.astype(ms.int32)
        labels = labels.astype(ms.int32)
        if labels.shape[1] == 0:  # a batch without a single label
            labels = ops.ones((labels.shape[0], 1), ms.int32)
            label_lengths = ops.where(label_lengths > 0, -1, label_lengths)  # longer than there were columns
        feasible = self.feasible(logits, logit_lengths, labels, label_lengths)
        computable = ops.logical_and(feasible, logit_lengths > 0)
        steps = ops.where(computable, logit_lengths, logits.shape[1]).astype(ms.float32)  # (B,)
        means = mean_log_probs(ops.log_softmax(logits.astype(ms.float32), -1), steps)  # (B, V)
        wanted = self.counts(labels, ops.where(computable, label_lengths, 0), steps, logits.shape[2])
        losses = -(wanted * means).sum(axis=1) / steps
        return self.reduced(ops.where(computable, losses, ops.zeros_like(losses)), feasible)

    def counts(self, labels: Tensor, label_lengths: Tensor, steps: Tensor, units: int) -> Tensor:
        """How many steps each unit should have: (B, V) float32, of which a row adds up to the steps (B,)."""
        inside = ops.arange(labels.shape[1]).reshape(1, -1) < label_lengths.reshape(-1, 1)
        said = ops.one_hot(ops.where(inside, labels, self.blank), units).astype(ms.float32)  # (B, L, V)
        said = (said * inside.expand_dims(-1).astype(ms.float32)).sum(axis=1)
        blank = (ops.arange(units) == self.blank).astype(ms.float32).reshape(1, -1)
        return said + blank * (steps - label_lengths.astype(ms.float32)).reshape(-1, 1)


def mean_log_probs(log_probs: Tensor, steps: Tensor) -> Tensor:
    """The logarithm of the mean probability of each unit over an utterance's own steps: (B, U, V), (B,) -> (B, V).

    It never becomes a probability in between, which might be too small for a number.
    """
    beyond = ops.arange(log_probs.shape[1]).astype(ms.float32).reshape(1, -1, 1) >= steps.reshape(-1, 1, 1)
    own = log_probs + spread(beyond.astype(ms.float32) * NEVER, log_probs)
    highest = ops.stop_gradient(own.max(axis=1, keepdims=True))  # (B, 1, V)
    total = ops.exp(own - spread(highest, own)).sum(axis=1)
    return ops.log(total) + highest.squeeze(1) - ops.log(steps).reshape(-1, 1)


class CtcAndAce(nn.Cell):
    """The loss of CTC and, with a weight, that of aggregation cross-entropy.

    Inputs and outputs are those of :class:`~dfcnn_ms.tasks.cells.losses.CTCLoss`, which leaves out more utterances.
    """

    def __init__(self, weight: float, workers: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.ctc, self.ace = CTCLoss(workers=workers), ACELoss(workers=workers)

    def construct(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        batch = (logits, logit_lengths, labels, label_lengths)
        return self.ctc(*batch) + self.weight * self.ace(*batch)
