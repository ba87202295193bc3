"""The cell that ``mindspore.Model`` trains: one step of the optimiser, over a network with its loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from dfcnn_ms.training.values import put
from dfcnn_ms.training.workers import Workers

MOVING_STATISTICS = ("moving_mean", "moving_variance")


class TrainStep(nn.TrainOneStepCell):
    """One step: gradients, unscaled, reduced over workers, checked, clipped by their global norm, applied.

    A step whose gradients are not finite changes no weight and no statistic of a batch norm, and says so.

    Args:
        network: a :class:`~dfcnn_ms.tasks.cells.with_loss.WithLossCell`.
        optimizer: the optimiser over its trainable parameters.
        clip_norm: largest global gradient norm; 0 leaves gradients alone.
        scaler: a ``mindspore.amp`` loss scaler for mixed precision, or None.
        accumulate: calls whose gradients are averaged before the optimiser takes a step.
        ema: decay of the moving averages of weights and statistics; 0: there are none.
        workers: processes that train together, each with its own rows of the batch.

    Outputs:
        (loss (), gradient norm before clipping (), whether the gradients were used (), squared norms (P,)), the last
        of each weight's gradient, in the order of ``weights``.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        clip_norm: float = 0.0,
        scaler: Any = None,
        *,
        accumulate: int = 1,
        ema: float = 0.0,
        workers: int = 1,
    ) -> None:
        super().__init__(network, optimizer)
        self.clip_norm = clip_norm
        self.scaler = scaler
        self.accumulate = accumulate
        self.ema = ema
        self.workers = workers
        self.all_reduce = ops.AllReduce() if workers > 1 else None
        self.value_and_grad = ms.value_and_grad(self.scaled_loss, None, self.weights)
        # Batch norms move their statistics while the loss is computed, before anyone knows whether it is finite.
        self.statistics = moving_statistics(network)
        self.good_statistics = copies(self.statistics, "good")
        self.gathered = copies(self.weights, "gathered", zeros=True) if accumulate > 1 else ()
        self.gathered_calls = Parameter(Tensor(0, ms.int32), name="gathered_calls", requires_grad=False)
        self.averaged = tuple(self.weights) + self.statistics
        self.averages = copies(self.averaged, "ema") if ema else ()

    def scaled_loss(self, *batch: Tensor) -> Tensor:
        """The loss, multiplied by the scale of mixed precision if there is one."""
        loss = self.network(*batch)
        return loss if self.scaler is None else self.scaler.scale(loss)

    def construct(self, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        loss, gradients = self.value_and_grad(*batch)
        if self.scaler is not None:
            loss = self.scaler.unscale(loss)
            gradients = self.scaler.unscale(gradients)
        gradients = self.grad_reducer(gradients)
        if self.all_reduce is not None:
            loss = self.all_reduce(loss) / self.workers
        squares = squared_norms(gradients)
        norm = ops.sqrt(squares.sum())
        finite = ops.isfinite(norm)
        if self.scaler is not None:
            loss = ops.depend(loss, self.scaler.adjust(finite))
        if finite:
            loss = ops.depend(loss, self.use(gradients, norm))
            if self.statistics:
                _each(_assigned, self.good_statistics, self.statistics)
        elif self.statistics:
            _each(_assigned, self.statistics, self.good_statistics)
        return loss, norm, finite, squares

    def use(self, gradients: tuple[Tensor, ...], norm: Tensor) -> Tensor:
        """Applies finite gradients, or gathers them until there are enough."""
        if self.accumulate == 1:
            return self.apply(gradients, norm)
        _each(_added, self.gathered, gradients)
        calls = ops.assign_add(self.gathered_calls, 1)
        if calls == self.accumulate:
            means = tuple(_each(ops.partial(_divided, self.accumulate), self.gathered))
            calls = ops.depend(calls, self.apply(means, ops.sqrt(squared_norms(means).sum())))
            _each(_emptied, self.gathered)
            ops.assign(self.gathered_calls, 0)
        return calls

    def apply(self, gradients: tuple[Tensor, ...], norm: Tensor) -> Tensor:
        """Clips, takes the step of the optimiser and moves the averages after the weights."""
        if self.clip_norm > 0:
            gradients = shrunk(gradients, self.clip_norm / ops.maximum(norm, self.clip_norm))
        done = self.optimizer(gradients)
        if self.ema > 0:
            # A young average follows quickly, so that it forgets where the weights began.
            updates = self.optimizer.global_step.astype(ms.float32).reshape(())
            decay = ops.minimum((1.0 + updates) / (10.0 + updates), self.ema)
            _each(ops.partial(_drawn_after, decay), self.averages, self.averaged)
        return done

    def state(self) -> dict[str, Parameter]:
        """Every number that the next step depends on, by name: network, optimiser, averages, loss scale."""
        held = [*self.good_statistics, *self.gathered, *self.averages]
        if self.scaler is not None:
            held += [self.scaler.scale_value, self.scaler.counter]
        return {**self.parameters_dict(), **{parameter.name: parameter for parameter in held}}

    def agree(self, workers: Workers) -> None:
        """Gives all workers the same statistics of batch norms: the mean of what each has seen."""
        moving = self.averages[len(self.weights) :]
        workers.mean_of([*self.statistics, *moving])
        if workers.count > 1:
            for good, statistic in zip(self.good_statistics, self.statistics, strict=True):
                put(good, statistic.value())

    def remember_statistics(self) -> None:
        """Takes the statistics of the batch norms as they are now for good; call it after loading weights."""
        for good, statistic in zip(self.good_statistics, self.statistics, strict=True):
            put(good, Tensor(statistic.asnumpy()))
        for average, value in zip(self.averages, self.averaged if self.ema else (), strict=True):
            put(average, Tensor(value.asnumpy()))

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Within it the network has the averaged weights, if there are any: those that are evaluated and kept."""
        held = [Tensor(value.asnumpy()) for value in self.averaged] if self.ema else []
        for value, average in zip(self.averaged, self.averages, strict=False):
            put(value, Tensor(average.asnumpy()))
        try:
            yield
        finally:
            for value, before in zip(self.averaged, held, strict=False):
                put(value, before)


def moving_statistics(network: nn.Cell) -> tuple[Parameter, ...]:
    """The statistics of the batch norms that move in training; those of frozen layers stay to the last bit."""
    still = {
        parameter.name
        for _, cell in network.cells_and_names()
        if getattr(cell, "use_batch_statistics", None) is False
        for parameter in cell.get_parameters()
    }
    return tuple(
        parameter
        for parameter in network.get_parameters()
        if parameter.name.endswith(MOVING_STATISTICS) and parameter.name not in still
    )


def copies(parameters: Sequence[Parameter], prefix: str, *, zeros: bool = False) -> tuple[Parameter, ...]:
    """Parameters with the values of others, or zeros, called ``prefix.name``; the optimiser does not touch them."""
    return tuple(
        Parameter(
            np.zeros_like(parameter.asnumpy()) if zeros else parameter.asnumpy(),
            name=f"{prefix}.{parameter.name}",
            requires_grad=False,
        )
        for parameter in parameters
    )


# A loop over the tensors would be unrolled one by one: a step of 100 weights compiled 5 s longer with it, and one of
# some hundreds exceeded the depth of calls that MindSpore allows.
_each = ops.HyperMap()


def shrunk(tensors: tuple[Tensor, ...], factor: Tensor) -> tuple[Tensor, ...]:
    """Each tensor times a number, in its own precision."""
    return tuple(_each(ops.partial(_times, factor), tensors))


def squared_norms(tensors: tuple[Tensor, ...]) -> Tensor:
    """The sum of squares of each of P tensors: (P,) float32."""
    return ops.concat(_each(_squared_norm, tensors))


def _times(factor: Tensor, tensor: Tensor) -> Tensor:
    return tensor * factor.astype(tensor.dtype)


def _squared_norm(tensor: Tensor) -> Tensor:
    return ops.square(tensor.astype(ms.float32)).sum().reshape(1)


def _divided(count: int, tensor: Tensor) -> Tensor:
    return tensor / count


def _assigned(parameter: Parameter, value: Tensor) -> Tensor:
    return ops.assign(parameter, value)


def _added(parameter: Parameter, value: Tensor) -> Tensor:
    return ops.assign_add(parameter, value)


def _emptied(parameter: Parameter) -> Tensor:
    return ops.assign(parameter, ops.zeros_like(parameter))


def _drawn_after(decay: Tensor, average: Parameter, value: Tensor) -> Tensor:
    return ops.assign(average, average * decay + value * (1.0 - decay))
