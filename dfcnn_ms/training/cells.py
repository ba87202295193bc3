"""The two cells that ``mindspore.Model`` trains: network with loss, and one step of the optimiser."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

MOVING_STATISTICS = ("moving_mean", "moving_variance")


class WithLossCell(nn.Cell):
    """A backbone and its loss as one network.

    Args:
        backbone: features and their lengths -> raw logits; has ``output_lengths``.
        loss_fn: a cell called with ``(logits, logit_lengths, labels, label_lengths)``.

    Inputs:
        - **features** (Tensor) - (B, 1, T, F).
        - **labels** (Tensor) - (B, L) int32.
        - **feature_lengths** (Tensor) - (B,) int32, frames.
        - **label_lengths** (Tensor) - (B,) int32.

    Outputs:
        Tensor, the loss, ().
    """

    def __init__(self, backbone: nn.Cell, loss_fn: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self._backbone = backbone
        self._loss_fn = loss_fn
        # Mixed precision wraps the network in a cell that knows nothing of lengths.
        self._ruler = next(cell for _, cell in backbone.cells_and_names() if hasattr(cell, "output_lengths"))

    @property
    def backbone_network(self) -> nn.Cell:
        """The network without its loss."""
        return self._backbone

    def predict(self, features: Tensor, feature_lengths: Tensor | None = None) -> Tensor:
        """Raw logits (B, U, V) in eval mode; the training flag is put back as it was."""
        training = self._backbone.training
        self._backbone.set_train(False)
        logits = self._backbone(features, feature_lengths)
        self._backbone.set_train(training)
        return logits

    def construct(self, features: Tensor, labels: Tensor, feature_lengths: Tensor, label_lengths: Tensor) -> Tensor:
        logits = self._backbone(features, feature_lengths)
        steps = self._ruler.output_lengths(feature_lengths)
        return self._loss_fn(logits, steps, labels, label_lengths)


class TrainStep(nn.TrainOneStepCell):
    """One step: gradients, unscaled, reduced over workers, checked, clipped by their global norm, applied.

    A step whose gradients are not finite changes no weight and no statistic of a batch norm, and says so.

    Args:
        network: a :class:`WithLossCell`.
        optimizer: the optimiser over its trainable parameters.
        clip_norm: largest global gradient norm; 0 leaves gradients alone.
        scaler: a ``mindspore.amp`` loss scaler for mixed precision, or None.

    Outputs:
        (loss (), gradient norm before clipping (), whether the step was applied ()).
    """

    def __init__(self, network: nn.Cell, optimizer: nn.Optimizer, clip_norm: float = 0.0, scaler: Any = None) -> None:
        super().__init__(network, optimizer)
        self.clip_norm = clip_norm
        self.scaler = scaler
        self.value_and_grad = ms.value_and_grad(self.scaled_loss, None, self.weights)
        # Batch norms move their statistics while the loss is computed, before anyone knows whether it is finite.
        self.statistics = tuple(
            parameter for parameter in network.get_parameters() if parameter.name.endswith(MOVING_STATISTICS)
        )
        self.good_statistics = tuple(
            Parameter(parameter.asnumpy(), name=f"good.{parameter.name}", requires_grad=False)
            for parameter in self.statistics
        )

    def scaled_loss(self, *batch: Tensor) -> Tensor:
        """The loss, multiplied by the scale of mixed precision if there is one."""
        loss = self.network(*batch)
        return loss if self.scaler is None else self.scaler.scale(loss)

    def construct(self, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, gradients = self.value_and_grad(*batch)
        if self.scaler is not None:
            loss = self.scaler.unscale(loss)
            gradients = self.scaler.unscale(gradients)
        gradients = self.grad_reducer(gradients)
        norm = global_norm(gradients)
        finite = ops.isfinite(norm)
        if self.scaler is not None:
            loss = ops.depend(loss, self.scaler.adjust(finite))
        if self.clip_norm > 0:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        if finite:
            loss = ops.depend(loss, self.optimizer(gradients))
            for good, statistic in zip(self.good_statistics, self.statistics):  # noqa: B905 (unknown to graph mode)
                ops.assign(good, statistic)
        else:
            for good, statistic in zip(self.good_statistics, self.statistics):  # noqa: B905 (unknown to graph mode)
                ops.assign(statistic, good)
        return loss, norm, finite


def global_norm(tensors: tuple[Tensor, ...]) -> Tensor:
    """Square root of the sum of all squares, in float32."""
    total = ops.zeros((), ms.float32)
    for tensor in tensors:
        total += ops.square(tensor.astype(ms.float32)).sum()
    return ops.sqrt(total)
