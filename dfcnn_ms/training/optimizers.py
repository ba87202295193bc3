"""Optimisers and the table of rates that they read."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.nn.learning_rate_schedule import LearningRateSchedule

from dfcnn_ms.config import TrainConfig
from dfcnn_ms.training.values import put


class RateTable(LearningRateSchedule):
    """The rate of every step, looked up by the optimiser's own step count; sink mode needs nothing more.

    ``scale`` multiplies all rates; the plateau schedule lowers it between epochs.

    Args:
        rates: (steps,) the rate at each step; steps beyond the table use the last.
    """

    def __init__(self, rates: np.ndarray) -> None:
        super().__init__()
        self.last = len(rates) - 1
        self.rates = Tensor(rates, ms.float32)
        self.scale = Parameter(Tensor(1.0, ms.float32), name="rate_scale", requires_grad=False)

    def multiply(self, factor: float) -> None:
        """Multiplies all rates from now on."""
        put(self.scale, Tensor(self.scale.asnumpy() * np.float32(factor)))

    def construct(self, global_step: Tensor) -> Tensor:
        step = ops.minimum(global_step.reshape(()), self.last)
        return ops.gather(self.rates, step, 0) * self.scale


class AdamW(nn.Adam):
    """Adam with bias correction and decoupled weight decay; batch norms and biases do not decay.

    MindSpore's ``nn.AdamWeightDecay`` leaves the bias correction out, which triples the first steps.
    """

    def __init__(self, params: list[Parameter], learning_rate: RateTable, weight_decay: float = 0.01) -> None:
        super().__init__(params, learning_rate)
        self.decay = weight_decay
        # Chosen here: a condition inside the loop would nest it, and a network of 250 weights be too deep to compile.
        self.decaying = tuple(parameter for parameter in self._parameters if decays(parameter))

    def decay_weight(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Shrinks the weights themselves where Adam would add the decay to their gradients.

        Adam's own ``construct`` calls this first. To override ``construct`` would go wrong: in pynative mode the
        inherited one is compiled by name, finds the override instead of itself and applies it a second time.
        """
        shrink = 1.0 - self.get_lr() * self.decay
        for parameter in self.decaying:
            ops.assign(parameter, parameter * shrink)
        return gradients


def decays(parameter: Parameter) -> bool:
    """Weights decay; the scales and shifts of batch norm and the biases, which are vectors, do not."""
    return len(parameter.shape) > 1


def build_optimizer(config: TrainConfig, parameters: list[Parameter], rates: np.ndarray) -> nn.Optimizer:
    """Builds the optimiser that the page names, over ``parameters``, with the rate of every step."""
    table = RateTable(rates)
    if config.optimizer == "adamw":
        return AdamW(parameters, table, config.weight_decay)
    groups = [
        {"params": [p for p in parameters if decays(p)], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adam":
        return nn.Adam(groups, table)
    return nn.Momentum(groups, table, config.momentum)
