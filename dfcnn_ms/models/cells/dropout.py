"""Dropout whose masks can be drawn again: a resumed training drops exactly what an uninterrupted one would have.

MindSpore's own dropout draws from a state that no checkpoint holds; on CPU it does not even repeat itself under one
seed. Here the random numbers stand on a fixed sheet. A mask is some rows of it, chosen by seed, layer and step: where
they begin and how far apart they lie. The sheet has a prime number of rows, so every such choice visits all of them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from dfcnn_ms.errors import ConfigError

#: a prime number of rows; two million numbers, which only very wide layers see twice in one step
ROWS, WIDTH = 4099, 512
#: rows by which the beginning moves from one step to the next
MOVE = 617
#: how the parameter is called that counts a layer's steps; only a resumed training needs it
COUNTER = "dropout_step"


@lru_cache(maxsize=1)
def sheet() -> np.ndarray:
    """Numbers (ROWS, WIDTH) float32, uniformly distributed from 0 to 1."""
    return np.random.default_rng(0).random((ROWS, WIDTH), np.float32)


class Dropout(nn.Cell):
    """Sets a share of the values to zero in training and scales up the others.

    Args:
        p: the share that is dropped.

    Inputs:
        - **x** (Tensor) - any shape.

    Outputs:
        Tensor of the same shape; ``x`` itself in eval mode.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"dropout: got {p}, wanted at least 0 and less than 1")
        self.share = p
        self.first_row = 0
        self.factors = Tensor((sheet() >= p) / np.float32(1 - p))  # (ROWS, WIDTH): 0, or what keeps the mean
        self.dropout_step = Parameter(Tensor(0, ms.int32), name=COUNTER, requires_grad=False)

    def extend_repr(self) -> str:
        return f"p={self.share}"

    def construct(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        step = self.dropout_step + 0
        step = ops.depend(step, ops.assign_add(self.dropout_step, 1))
        size = math.prod(x.shape)
        distance = 1 + step % (ROWS - 1)
        rows = ops.arange(-(-size // WIDTH)) % ROWS * distance + (step % ROWS * MOVE + self.first_row)
        factors = ops.gather(self.factors, rows % ROWS, 0).reshape(-1)
        if size % WIDTH:  # a slice that takes everything costs more than all the rest
            factors = factors[:size]
        return x * factors.reshape(x.shape).astype(x.dtype)


def seed_dropout(network: nn.Cell, seed: int) -> None:
    """Gives each dropout layer of ``network`` masks of its own, which ``seed`` decides."""
    layers = [cell for _, cell in network.cells_and_names() if isinstance(cell, Dropout)]
    for number, layer in enumerate(layers):
        layer.first_row = int(np.random.default_rng((seed, number)).integers(ROWS))
