"""Mixup against NumPy, and the loss of the dev set that classification measures."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import Dfcnn
from dfcnn_ms.models.cells.dropout import ROWS
from dfcnn_ms.models.table import Block
from dfcnn_ms.tasks import Classify
from dfcnn_ms.tasks.cells.mixup import MixupCell, shares
from dfcnn_ms.text.vocabulary import Vocabulary

pytestmark = pytest.mark.usefixtures("cpu")

VOCABULARY = Vocabulary(("no", "yes"))


class Flat(nn.Cell):
    """Logits that are the features themselves: (B, 1, 1, V) -> (B, 1, V)."""

    def output_lengths(self, lengths: Tensor) -> Tensor:
        return lengths

    def construct(self, features: Tensor, lengths: Tensor) -> Tensor:
        return features[:, 0]


def cross_entropy(logits: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> float:
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    rows = np.flatnonzero(counts == 1)
    return float(-log_probs[rows, labels[rows]].sum() / max(1, len(rows)))


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_the_loss_is_that_of_both_classes_by_their_shares(mode: int) -> None:
    """Three steps after another: the share of each is the next; a row that only fills the batch costs nothing."""
    ms.set_context(mode=mode)
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(5, 1, 1, 6)) * 3, rng.integers(2, 6, (5, 1))
    counts = np.array([1, 1, 1, 1, -1])
    cell = Classify(mixup=0.4).training_cell(Flat())
    assert isinstance(cell, MixupCell)
    arrays = (Tensor(features, ms.float32), *(Tensor(one, ms.int32) for one in (labels, np.ones(5), counts)))
    for share in shares(0.4)[:3].astype(float):
        logits = (share * features + (1 - share) * features[::-1])[:, 0, 0]
        own = cross_entropy(logits, labels[:, 0], counts)
        other = cross_entropy(logits, labels[::-1, 0], counts[::-1])
        assert float(cell(*arrays).asnumpy()) == pytest.approx(share * own + (1 - share) * other, rel=1e-4)
    assert int(cell.mixup_step.asnumpy()) == 3


def test_a_mixed_clip_is_as_long_as_the_longer_of_the_two() -> None:
    value = Dfcnn(blocks=(Block(2, convs=1, pool=(1, 1)),), hidden=(), over_time="mean")
    network = value.build(num_bins=4, num_units=3)
    x = np.random.default_rng(1).normal(size=(2, 1, 8, 4)).astype(np.float32)
    x[1, 0, 5:] = 0
    cell = Classify(mixup=1.0).training_cell(network).set_train(False)
    labels, counts = Tensor([[2], [2]], ms.int32), Tensor([1, 1], ms.int32)
    share = float(shares(1.0)[0])
    mixed = share * x + (1 - share) * x[::-1]
    logits = network(Tensor(mixed), Tensor([8, 8], ms.int32)).asnumpy()[:, 0].astype(np.float64)
    got = cell(Tensor(x), labels, Tensor([8, 5], ms.int32), counts)
    assert float(got.asnumpy()) == pytest.approx(cross_entropy(logits, np.array([2, 2]), np.array([1, 1])), rel=1e-4)


def test_shares_are_those_of_the_distribution() -> None:
    for alpha in (0.2, 1.0):
        drawn = shares(alpha)
        assert len(drawn) == ROWS and drawn.min() >= 0 and drawn.max() <= 1
        assert drawn.mean() == pytest.approx(0.5, abs=0.03)
        assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_without_mixup_nothing_is_mixed() -> None:
    assert not isinstance(Classify().training_cell(Flat()), MixupCell)
    with pytest.raises(ConfigError, match=r"task.mixup: got -0.1, wanted 0 to 100"):
        Classify(mixup=-0.1)


def test_the_loss_of_the_dev_set_is_the_mean_surprise() -> None:
    probabilities = np.array([[0.1, 0.1, 0.2, 0.6], [0.1, 0.1, 0.5, 0.3]])
    said = ["yes", "yes", "no"]
    sums = np.zeros(Classify.counts)
    for row, word in zip(probabilities, said, strict=False):
        sums += Classify().count(np.log(row[None]), (word,), VOCABULARY)
    sums += Classify().count(np.zeros((0, 4)), (said[2],), VOCABULARY)  # too short for a step: guessed
    figures = Classify().figures(sums.tolist(), "class")
    assert figures["dev_loss"] == pytest.approx(-(np.log(0.6) + np.log(0.3) + np.log(0.25)) / 3)
    assert figures["dev_accuracy"] == pytest.approx(1 / 3)
