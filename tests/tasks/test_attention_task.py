"""The attention task: its cross-entropy against NumPy, what the decoder is given, and which networks it takes."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from dfcnn_ms.config import parse_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import Transformer
from dfcnn_ms.models.table import Block
from dfcnn_ms.tasks import Attention
from dfcnn_ms.tasks.cells.attention import WritingLoss, following, preceding
from dfcnn_ms.tasks.cells.losses import CTCLoss

pytestmark = pytest.mark.usefixtures("cpu")

LABELS = np.array([[3, 2, 2], [4, 9, 9], [9, 9, 9], [2, 3, 4]])
LENGTHS = np.array([3, 1, 0, -1])
SMALL = {"depth": 1, "width": 8, "heads": 2, "feed_forward": 8}
BLOCKS = (Block(2, convs=1, stride=(2, 2), pool=(1, 1)), Block(2, convs=1, stride=(2, 2), pool=(1, 1)))


def in_numpy(logits: np.ndarray, smoothing: float) -> float:
    """Unit by unit in float64, of the three texts that count."""
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    total = 0.0
    for row, length in enumerate(LENGTHS[:3]):
        for place, unit in enumerate([*LABELS[row, :length], 0]):
            target = np.full(logits.shape[2], smoothing / logits.shape[2])
            target[unit] += 1 - smoothing
            total -= target @ log_probs[row, place]
    return total / 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_cross_entropy_of_the_next_unit_is_that_of_numpy(smoothing: float) -> None:
    logits = 3 * np.random.default_rng(0).normal(size=(4, 4, 6))
    labels, lengths = Tensor(LABELS, ms.int32), Tensor(LENGTHS, ms.int32)
    loss, gradient = ms.value_and_grad(WritingLoss(smoothing), 0)(Tensor(logits, ms.float32), labels, lengths)
    assert float(loss) == pytest.approx(in_numpy(logits, smoothing), rel=1e-5)
    slopes = gradient.asnumpy()
    for place in [(0, 0, 3), (0, 3, 0), (1, 1, 5), (2, 0, 0)]:
        shift = np.zeros_like(logits)
        shift[place] = 1e-6
        slope = (in_numpy(logits + shift, smoothing) - in_numpy(logits - shift, smoothing)) / 2e-6
        assert slopes[place] == pytest.approx(slope, abs=1e-5)
    assert (slopes[3] == 0).all() and (slopes[1, 2:] == 0).all() and (slopes[2, 1:] == 0).all()


def test_what_is_written_is_what_comes_next() -> None:
    labels, lengths = Tensor(LABELS, ms.int32), Tensor(LENGTHS, ms.int32)
    assert preceding(labels, lengths).asnumpy().tolist() == [[0, 3, 2, 2], [0, 4, 0, 0], [0] * 4, [0] * 4]
    assert following(labels, lengths).asnumpy().tolist() == [[3, 2, 2, 0], [4, 0, 0, 0], [0] * 4, [0] * 4]


def test_the_loss_of_the_task_is_that_of_both() -> None:
    network = Transformer(blocks=BLOCKS, decoder_depth=1, dropout=0.0, **SMALL).build(num_bins=8, num_units=6)
    features = np.random.default_rng(0).normal(size=(4, 1, 32, 8))
    labels = np.where(LABELS > 5, 1, LABELS)
    batch = (Tensor(features, ms.float32), *(Tensor(one, ms.int32) for one in (labels, [32, 20, 32, 32], LENGTHS)))
    cell = Attention(ctc_weight=0.25, smoothing=0.1).training_cell(network.set_train(False))
    logits, written = network(batch[0], batch[2], preceding(batch[1], batch[3]))
    ctc = CTCLoss()(logits, Tensor([8, 5, 8, 8], ms.int32), batch[1], batch[3])
    writing = WritingLoss(0.1)(written, batch[1], batch[3])
    assert float(cell(*batch)) == pytest.approx(0.25 * float(ctc) + 0.75 * float(writing), rel=1e-6)
    np.testing.assert_array_equal(cell.predict(batch[0], batch[2]).asnumpy(), logits.asnumpy())


def page(task: dict[str, Any], **model: Any) -> object:
    network = {"kind": "transformer", **SMALL, **model}
    return parse_config({"data": {"train": "a", "dev": "b"}, "task": task, "model": network}, where="page")


@pytest.mark.parametrize(
    ("task", "model", "complaint"),
    [
        ({"kind": "attention"}, {}, "page: task: attention needs a network with a decoder, and this one has none"),
        (
            {"kind": "ctc"},
            {"decoder_depth": 1},
            "task: ctc would leave the decoder of this network untaught; set model",
        ),
        ({"kind": "ace"}, {"decoder_depth": 1}, "task: ace would leave the decoder"),
        ({"kind": "classify"}, {}, "task: classify needs a network with a single output"),
        ({"kind": "attention", "ctc_weight": 0}, {}, "ctc_weight: got 0.0, wanted more than 0, for CTC says when"),
        ({"kind": "attention", "ctc_weight": 1}, {}, "less than 1; for CTC alone set task.kind=ctc"),
        ({"kind": "attention", "smoothing": 1}, {}, "smoothing: got 1.0, wanted at least 0 and less than 1"),
        ({"kind": "attention", "weight": 1}, {}, "unknown key 'weight' for kind 'attention'"),
    ],
)
def test_what_does_not_go_together_is_refused(task: dict[str, Any], model: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        page(task, **model)
