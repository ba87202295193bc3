"""Dropout: its masks are those that NumPy draws from the same sheet, they look random, and gradients pass through."""

from __future__ import annotations

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.cells.dropout import MOVE, ROWS, WIDTH, Dropout, seed_dropout, sheet

SHAPE = (4, 8, 30, 1)


def reference(shape: tuple[int, ...], first_row: int, step: int, p: float) -> np.ndarray:
    """The factors of one step, element by element."""
    factors = np.empty(math.prod(shape), np.float32)
    for position in range(len(factors)):
        row = position // WIDTH % ROWS * (1 + step % (ROWS - 1)) + step * MOVE + first_row
        number = sheet()[row % ROWS, position % WIDTH]
        factors[position] = 0 if number < p else 1 / (1 - p)
    return factors.reshape(shape)


def layer(p: float, seed: int = 5, step: int = 0) -> Dropout:
    dropout = Dropout(p)
    seed_dropout(dropout, seed)
    dropout.set_train(True)
    dropout.dropout_step.set_data(Tensor(step, ms.int32))
    return dropout


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_masks_are_those_of_numpy(cpu, mode):
    ms.set_context(mode=mode)
    dropout = layer(0.3)  # one layer, which graph mode compiles once
    for step in (0, 3, 99_999, 2_000_000):
        dropout.dropout_step.set_data(Tensor(step, ms.int32))
        for now in range(step, step + 2):
            got = dropout(Tensor(np.ones(SHAPE, np.float32))).asnumpy()
            np.testing.assert_allclose(got, reference(SHAPE, dropout.first_row, now, 0.3), rtol=1e-6)
        assert int(dropout.dropout_step.asnumpy()) == step + 2


class Product(nn.Cell):
    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def construct(self, x: Tensor) -> Tensor:
        return (self.dropout(x) * x).sum()


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_a_gradient_passes_where_the_value_did_and_the_step_counts_once(cpu, mode):
    ms.set_context(mode=mode)
    dropout = layer(0.3, step=7)
    gradient = ms.grad(Product(dropout).set_train(True), 0)(Tensor(np.ones(SHAPE, np.float32)))
    np.testing.assert_allclose(gradient.asnumpy(), 2 * reference(SHAPE, dropout.first_row, 7, 0.3), rtol=1e-6)
    assert int(dropout.dropout_step.asnumpy()) == 8


def test_nothing_is_dropped_in_eval_mode_and_no_step_is_counted(cpu):
    dropout = layer(0.9)
    dropout.set_train(False)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_array_equal(dropout(Tensor(x)).asnumpy(), x)
    assert int(dropout.dropout_step.asnumpy()) == 0


def masks(p: float, steps: int, shape: tuple[int, ...]) -> np.ndarray:
    """1 where a value was kept: (steps, *shape)."""
    dropout = layer(p)
    ones = Tensor(np.ones(shape, np.float32))
    return np.stack([dropout(ones).asnumpy() > 0 for _ in range(steps)]).astype(np.float64)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.slow
def test_kept_values_are_as_many_as_asked_and_independent(cpu, p):
    kept = masks(p, 40, (8, 64, 61, 1))[..., 0]  # (step, B, C, U)
    error = math.sqrt(p * (1 - p) / kept.size)
    assert abs(kept.mean() - (1 - p)) < 5 * error
    centred = (kept - kept.mean()) / kept.std()
    for axis in range(4):
        first, second = np.delete(centred, -1, axis), np.delete(centred, 0, axis)
        assert abs((first * second).mean()) < 5 / math.sqrt(first.size), f"neighbours along axis {axis}"
    for axes in [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]:
        means = kept.mean(axis=axes)
        expected = math.sqrt(p * (1 - p) / (kept.size / len(means)))
        assert abs(means - kept.mean()).max() < 6 * expected
    rows = kept.reshape(-1, 61)
    assert len(np.unique(rows, axis=0)) > 0.99 * len(rows) or p < 0.2  # 61 values with p = 0.1 repeat by chance


def test_layers_and_seeds_differ(cpu):
    network = nn.SequentialCell([Dropout(0.5), Dropout(0.5)])
    seed_dropout(network, 1)
    rows = [cell.first_row for cell in network]
    seed_dropout(network, 2)
    rows += [cell.first_row for cell in network]
    assert len(set(rows)) == 4


def test_half_precision_stays_half_precision(cpu):
    assert layer(0.5)(Tensor(np.ones(SHAPE, np.float16))).dtype == ms.float16


@pytest.mark.parametrize("p", [1.0, -0.1])
def test_a_share_that_makes_no_sense_is_refused(p):
    with pytest.raises(ConfigError, match="wanted at least 0 and less than 1"):
        Dropout(p)
