"""CNN + RNN: its parameters, clips alone and in batches, lengths."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import Crnn
from dfcnn_ms.training.trainer import count_parameters

pytestmark = pytest.mark.usefixtures("cpu")

SMALL = Crnn(channels=(3, 4), width=5)


def test_the_cell_has_the_parameters_that_are_counted() -> None:
    for value in (Crnn(), SMALL, Crnn(channels=(2,), width=3)):
        cell = value.build(num_bins=13, num_units=7)
        assert count_parameters(cell) == value.parameters(num_bins=13, num_units=7)
        assert cell.output_layer.weight.shape[0] == 7


def test_a_clip_is_the_same_alone_and_among_longer_ones() -> None:
    """The direction that comes from the end begins at the end of the clip and not in the padding."""
    cell, rng = SMALL.build(num_bins=12, num_units=6).set_train(False), np.random.default_rng(0)
    batch = 3 * rng.normal(size=(3, 1, 40, 12)).astype(np.float32)
    lengths = [40, 26, 21]
    together = cell(Tensor(batch), Tensor(lengths, ms.int32)).asnumpy()
    assert together.shape == (3, 1, 6)
    for row, length in enumerate(lengths):
        alone = cell(Tensor(batch[row : row + 1, :, :length]), Tensor([length], ms.int32)).asnumpy()
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)
    assert np.abs(cell(Tensor(batch)).asnumpy()[1] - together[1]).max() > 1e-3


def test_one_output_for_a_clip_of_four_frames_or_more() -> None:
    assert [int(SMALL.output_lengths(frames)) >= 1 for frames in (1, 3, 4, 100)] == [False, False, True, True]
    cell = SMALL.build(num_bins=12, num_units=6)
    assert cell.output_lengths(Tensor([1, 4, 100], ms.int32)).asnumpy().tolist() == [
        SMALL.output_lengths(frames) for frames in (1, 4, 100)
    ]
    assert SMALL.frames_per_step is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Crnn(channels=()), "must be at least 1"),
        (lambda: Crnn(dropout=1.0), "model.dropout: got 1.0"),
        (lambda: Crnn(channels=(1,) * 4).parameters(num_bins=10, num_units=3), "4 pools leave none of 10 bins"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(wrong: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wrong()
