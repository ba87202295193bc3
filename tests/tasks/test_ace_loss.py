"""Aggregation cross-entropy against NumPy in float64, and what it leaves out; its combination with CTC."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.tasks import Ace, Ctc
from dfcnn_ms.tasks.cells.ace import ACELoss, CtcAndAce
from dfcnn_ms.tasks.cells.losses import CTCLoss

pytestmark = pytest.mark.usefixtures("cpu")


class Batch(NamedTuple):
    """What the loss is called with, as NumPy arrays."""

    logits: np.ndarray  # (B, U, V)
    logit_lengths: np.ndarray  # (B,)
    labels: np.ndarray  # (B, L)
    label_lengths: np.ndarray  # (B,)

    def tensors(self) -> tuple[Tensor, ...]:
        return Tensor(self.logits, ms.float32), *(Tensor(array, ms.int32) for array in self[1:])


def in_numpy(logits: np.ndarray, label: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient for one utterance (U, V), in float64, from the formula of the paper."""
    logits = logits.astype(np.float64)
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    steps, units = probabilities.shape
    counts = np.bincount(label, minlength=units).astype(np.float64)
    counts[0] = steps - len(label)
    means = probabilities.mean(axis=0)
    value = -(counts / steps) @ np.where(counts > 0, np.log(np.maximum(means, 1e-300)), 0.0)
    pull = np.where(counts > 0, counts / steps / np.maximum(means, 1e-300), 0.0) / steps  # -d value / d probabilities
    return value, probabilities * ((probabilities @ pull)[:, None] - pull)


def expected(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Losses (B,) and gradients (B, U, V); zero on padded steps."""
    losses, gradients = np.zeros(len(batch.logits)), np.zeros(batch.logits.shape)
    for row, (steps, count) in enumerate(zip(batch.logit_lengths, batch.label_lengths, strict=True)):
        label = batch.labels[row, :count]
        losses[row], gradients[row, :steps] = in_numpy(batch.logits[row, :steps], label)
    return losses, gradients


@cache
def value_and_gradient(loss: type[nn.Cell], reduction: str, mode: int) -> Callable[..., Any]:
    return ms.value_and_grad(loss(reduction), 0)


def measured(batch: Batch, loss: type[nn.Cell] = ACELoss, reduction: str = "none") -> tuple[np.ndarray, np.ndarray]:
    value, gradient = value_and_gradient(loss, reduction, ms.get_context("mode"))(*batch.tensors())
    return value.asnumpy(), gradient.asnumpy()


def random_batch(scale: float = 1.0) -> Batch:
    """Repeats, an empty label, and a label as long as its utterance: one that CTC could not spell."""
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 4, size=(5, 4))
    labels[2] = 2
    return Batch(scale * rng.normal(size=(5, 9, 6)), np.array([9, 5, 4, 1, 7]), labels, np.array([4, 3, 4, 1, 0]))


def test_the_gradient_of_the_truth_is_its_slope() -> None:
    """By differences in float64, so that it need not be believed."""
    batch = random_batch()
    logits, label = batch.logits[0], batch.labels[0, :4]
    _, gradient = in_numpy(logits, label)
    for place in np.ndindex(logits.shape):
        shift = np.zeros_like(logits)
        shift[place] = 1e-6
        slope = (in_numpy(logits + shift, label)[0] - in_numpy(logits - shift, label)[0]) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("scale", [1, 20])
def test_value_and_gradient(scale: float) -> None:
    batch = random_batch(scale)
    losses, gradients = measured(batch)
    truth, slopes = expected(batch)
    np.testing.assert_allclose(losses, truth, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients, slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
def test_value_and_gradient_in_graph_mode() -> None:
    test_value_and_gradient(1)


def test_what_is_too_small_for_a_number_still_has_a_loss() -> None:
    """A unit of the label that the network holds for impossible: y is 0 in float32, its logarithm is not."""
    logits = np.zeros((1, 2, 3))
    logits[0, :, 0] = 200.0
    losses, gradients = measured(Batch(logits, np.array([2]), np.array([[1]]), np.array([1])))
    assert losses[0] == pytest.approx(100, rel=1e-5) and np.isfinite(gradients).all()
    assert gradients[0, :, 1].max() < -0.1


def spoilt() -> tuple[Batch, list[int]]:
    """Rows that teach nothing beside two that do."""
    batch = random_batch()
    rows = [0, 0, 0, 0, 0, 1]
    batch = Batch(*(part[rows].copy() for part in batch))
    batch.logit_lengths[:] = [9, 3, 9, 12, 0, 5]
    batch.label_lengths[:] = [4, 4, -1, 4, 1, 3]
    return batch, [0, 5]


def test_a_label_with_more_units_than_steps_teaches_nothing() -> None:
    """As with CTC: nor does a row that only fills the batch, nor lengths out of range; no value, no gradient."""
    batch, good = spoilt()
    losses, gradients = measured(batch)
    bad = np.setdiff1d(np.arange(6), good)
    assert (losses[good] > 0).all() and (losses[bad] == 0).all() and (gradients[bad] == 0).all()
    mean, _ = measured(batch, reduction="mean")
    assert float(mean) == pytest.approx(losses[good].mean(), rel=1e-6)


def test_repeats_need_no_blank_between_them() -> None:
    """Two equal units in two steps: CTC has no path, ACE has a loss."""
    batch = Batch(np.zeros((1, 2, 4)), np.array([2]), np.array([[3, 3]]), np.array([2]))
    assert measured(batch)[0][0] == pytest.approx(np.log(4), rel=1e-5) and measured(batch, CTCLoss)[0][0] == 0


def test_padded_steps_do_nothing() -> None:
    batch = random_batch()
    garbage = batch.logits.copy()
    for row, steps in enumerate(batch.logit_lengths):
        garbage[row, steps:] = 1e4
    losses, gradients = measured(batch._replace(logits=garbage))
    np.testing.assert_allclose(losses, measured(batch)[0], rtol=1e-6)
    assert all((gradients[row, steps:] == 0).all() for row, steps in enumerate(batch.logit_lengths))


def test_both_losses_together_are_their_sum() -> None:
    batch = random_batch().tensors()
    ctc, ace = CTCLoss()(*batch), ACELoss()(*batch)
    assert float(CtcAndAce(0.5)(*batch)) == pytest.approx(float(ctc) + 0.5 * float(ace), rel=1e-6)


def test_the_pages_choose_the_loss() -> None:
    assert isinstance(load_config("digits_ace").task, Ace)
    both = load_config("digits", ["task={kind: ctc, ace_weight: 0.5}"]).task
    backbone = load_config("digits").model.narrowed(2).build(num_bins=40, num_units=4)
    losses = [type(task.training_cell(backbone)._loss_fn) for task in (Ctc(), both, Ace())]
    assert losses == [CTCLoss, CtcAndAce, ACELoss]
    with pytest.raises(ConfigError, match=r"ace_weight: got -1\.0, wanted 0 to 1000"):
        load_config("digits", ["task={kind: ctc, ace_weight: -1}"])
