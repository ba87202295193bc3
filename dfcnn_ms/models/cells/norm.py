"""Batch norm over the batches of all workers together, from operators that every device has."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops


class SynchronisedBatchNorm2d(nn.Cell):
    """``nn.BatchNorm2d`` whose mean and variance are those of the rows of all workers.

    MindSpore's ``nn.SyncBatchNorm`` exists for Ascend alone. This one takes over the parameters of the batch norm that
    it replaces, and needs nothing but sums over workers; each worker must have as many rows.

    Inputs:
        - **x** (Tensor) - (B, C, H, W).

    Outputs:
        Tensor (B, C, H, W).
    """

    def __init__(self, replaced: nn.BatchNorm2d, workers: int) -> None:
        super().__init__(auto_prefix=False)
        self.workers = workers
        self.epsilon, self.share = replaced.eps, replaced.momentum
        self.gamma, self.beta = replaced.gamma, replaced.beta
        self.moving_mean, self.moving_variance = replaced.moving_mean, replaced.moving_variance
        self.all_reduce = ops.AllReduce()

    def over_workers(self, values: Tensor) -> Tensor:
        """The mean over rows, columns and workers: (B, C, H, W) -> (1, C, 1, 1)."""
        return self.all_reduce(values.mean(axis=(0, 2, 3), keep_dims=True)) / self.workers

    def construct(self, x: Tensor) -> Tensor:
        wide = x.astype(ms.float32)
        if self.training:
            mean = self.over_workers(wide)
            centred = wide - mean
            variance = self.over_workers(ops.square(centred))
            count = self.workers * x.shape[0] * x.shape[2] * x.shape[3]
            self.move(self.moving_mean, mean)
            self.move(self.moving_variance, variance * (count / max(1, count - 1)))
        else:
            centred = wide - self.moving_mean.reshape(1, -1, 1, 1)
            variance = self.moving_variance.reshape(1, -1, 1, 1)
        scale = self.gamma.reshape(1, -1, 1, 1) * ops.rsqrt(variance + self.epsilon)
        return (centred * scale + self.beta.reshape(1, -1, 1, 1)).astype(x.dtype)

    def move(self, statistic: Tensor, value: Tensor) -> None:
        """Moves a moving statistic a little towards the value of this batch."""
        value = ops.stop_gradient(value).reshape(-1)
        ops.assign(statistic, (1.0 - self.share) * statistic + self.share * value)


def synchronise(network: nn.Cell, workers: int) -> None:
    """Replaces every batch norm of ``network``; names and values of its parameters stay."""
    for cell in [cell for _, cell in network.cells_and_names()]:
        for name, child in list(cell.name_cells().items()):
            if isinstance(child, nn.BatchNorm2d):
                cell.insert_child_to_cell(name, SynchronisedBatchNorm2d(child, workers))
