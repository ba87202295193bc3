"""What teaches an attention decoder: cross-entropy of the next unit, with CTC of the encoder beside it."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.tasks.cells.losses import CTCLoss
from dfcnn_ms.tasks.cells.with_loss import WithLossCell


class WritingLoss(nn.Cell):
    """Cross-entropy of **raw logits** of the next unit, summed over a text and averaged over the texts, in float32.

    After the last unit comes unit 0. A text that only fills a batch, or is longer than its row, contributes nothing.

    Args:
        smoothing: share of the target that is spread over all units alike.
        workers: processes that train together; the mean is then taken over the texts of all of them.

    Inputs:
        - **logits** (Tensor) - (B, L + 1, V), raw: what follows the beginning, and each unit.
        - **labels** (Tensor) - (B, L) int32, padded with anything.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, () float32.
    """

    def __init__(self, smoothing: float = 0.0, workers: int = 1) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.workers = workers
        self.all_reduce = ops.AllReduce() if workers > 1 else None

    def construct(self, logits: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        label_lengths = label_lengths.astype(ms.int32)
        counted = ops.logical_and(label_lengths >= 0, label_lengths <= labels.shape[1])  # (B,)
        log_probs = ops.log_softmax(logits.astype(ms.float32), -1)  # (B, L + 1, V)
        targets = following(labels, label_lengths)  # (B, L + 1)
        chosen = (log_probs * ops.one_hot(targets, logits.shape[2]).astype(ms.float32)).sum(axis=-1)
        losses = -(1.0 - self.smoothing) * chosen - self.smoothing * log_probs.mean(axis=-1)  # (B, L + 1)
        inside = ops.arange(logits.shape[1]).reshape(1, -1) <= label_lengths.reshape(-1, 1)
        inside = ops.logical_and(inside, counted.reshape(-1, 1)).astype(ms.float32)
        count = counted.astype(ms.float32).sum()
        if self.all_reduce is not None:  # the mean of the workers' losses is then the mean over all their texts
            count = self.all_reduce(count)
        return (losses * inside).sum() * self.workers / ops.clamp(count, 1.0, None)


def only_units(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """Labels (B, L) int32 with zeros after each end."""
    inside = ops.arange(labels.shape[1]).reshape(1, -1) < label_lengths.reshape(-1, 1)
    return labels.astype(ms.int32) * inside.astype(ms.int32)


def following(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """What is to be written after the beginning and after each unit: (B, L) -> (B, L + 1)."""
    units = only_units(labels, label_lengths)
    return ops.concat((units, ops.zeros((units.shape[0], 1), ms.int32)), 1)


def preceding(labels: Tensor, label_lengths: Tensor) -> Tensor:
    """What has been written before that: a zero for the beginning, then the units, (B, L) -> (B, L + 1)."""
    units = only_units(labels, label_lengths)
    return ops.concat((ops.zeros((units.shape[0], 1), ms.int32), units), 1)


class WithWritingLoss(WithLossCell):
    """A network with a decoder, and both of its losses.

    Args:
        backbone: features, their lengths and texts -> raw logits of the steps and of the texts; has ``output_lengths``.
        ctc_weight: of the CTC loss of the steps; the cross-entropy of the texts has the rest of 1.
        smoothing: see :class:`WritingLoss`.
        workers: processes that train together.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F).
        - **labels** (Tensor) - (B, L) int32.
        - **feature_lengths** (Tensor) - (B,) int32, frames.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, the loss, ().
    """

    def __init__(self, backbone: nn.Cell, ctc_weight: float, smoothing: float, workers: int = 1) -> None:
        super().__init__(backbone, CTCLoss(workers=workers))
        self.ctc_weight = ctc_weight
        self.writing = WritingLoss(smoothing, workers)

    def predict(self, features: Tensor, feature_lengths: Tensor | None = None) -> Tensor:
        """Raw logits (B, U, V) of the steps in eval mode; the training flag is put back as it was."""
        logits, _ = super().predict(features, feature_lengths)
        return logits

    def construct(self, features: Tensor, labels: Tensor, feature_lengths: Tensor, label_lengths: Tensor) -> Tensor:
        logits, written = self._backbone(features, feature_lengths, preceding(labels, label_lengths))
        steps = self._ruler.output_lengths(feature_lengths)
        heard = self._loss_fn(logits, steps, labels, label_lengths)
        return self.ctc_weight * heard + (1.0 - self.ctc_weight) * self.writing(written, labels, label_lengths)
