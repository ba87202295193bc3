"""The loss of several labels a clip."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from dfcnn_ms.text.vocabulary import BLANK_ID, UNKNOWN_ID


class BinaryCrossEntropy(nn.Cell):
    """Yes or no for each label of a single output step; its logit less that of the blank goes into a sigmoid.

    A row of label length -1, which only fills a batch, contributes nothing; an empty label says no to all.

    Args:
        workers: processes that train together; the mean is then taken over the clips of all of them.

    Inputs:
        - **logits** (Tensor) - (B, 1, V), raw.
        - **logit_lengths** (Tensor) - (B,) int32, the output steps of each clip: 0 where it is too short.
        - **labels** (Tensor) - (B, L) int32, padded with anything.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, () float32, the mean over the clips of the mean over the labels.
    """

    def __init__(self, workers: int = 1) -> None:
        super().__init__()
        self.workers = workers
        self.all_reduce = ops.AllReduce() if workers > 1 else None

    def construct(self, logits: Tensor, logit_lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        scores = logits[:, 0].astype(ms.float32)  # (B, 1, V) -> (B, V)
        margins = scores[:, UNKNOWN_ID + 1 :] - scores[:, BLANK_ID : BLANK_ID + 1]  # (B, K)
        inside = ops.arange(labels.shape[1]).reshape(1, -1) < label_lengths.reshape(-1, 1)  # (B, L)
        marked = ops.one_hot(labels.astype(ms.int32), scores.shape[1]).astype(ms.float32)  # (B, L, V)
        truth = (marked * inside.astype(ms.float32).expand_dims(2)).sum(axis=1)[:, UNKNOWN_ID + 1 :]
        truth = ops.minimum(truth, 1.0)  # a label that is named twice is there once
        # -log sigmoid of the margin, and of its opposite, written so that neither overflows.
        losses = ops.relu(margins) - truth * margins - ops.log(ops.sigmoid(ops.abs(margins)))
        counts = ops.logical_and(label_lengths >= 0, logit_lengths > 0).astype(ms.float32)  # (B,)
        count = counts.sum()
        if self.all_reduce is not None:  # the mean of the workers' losses is then the mean over all their clips
            count = self.all_reduce(count)
        return (losses.mean(axis=1) * counts).sum() * self.workers / ops.clamp(count, 1.0, None)
