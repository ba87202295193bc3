"""DFCNN + BiLSTM: both directions equal NumPy's, padding reaches neither, and the value counts what the Cell has."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from scrambling import check_alone_equals_batched, scrambled

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import DfcnnLstm
from dfcnn_ms.models.cells.dfcnn_lstm import BiLstm
from dfcnn_ms.models.table import Block
from dfcnn_ms.training.trainer import count_parameters, train_step

pytestmark = pytest.mark.usefixtures("cpu")

UNITS, BINS = 5, 18
BLOCKS = (Block(3, convs=1, stride=(2, 2), pool=(1, 1)), Block(2, convs=2, pool=(2, 1)))
SMALL = DfcnnLstm(blocks=BLOCKS, dense=6, lstm_layers=2, lstm_width=4)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_in_numpy(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """One direction of one utterance (U, C), gate by gate in float64: (U, width)."""
    width = weights["weight_hh_l0"].shape[1]
    hidden, memory, said = np.zeros(width), np.zeros(width), []
    for step in x.astype(np.float64):
        gates = weights["weight_ih_l0"] @ step + weights["weight_hh_l0"] @ hidden
        gates += weights["bias_ih_l0"] + weights["bias_hh_l0"]
        enter, forget, new, leave = np.split(gates, 4)
        memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(memory)
        said.append(hidden)
    return np.array(said)


def weights_of(direction: nn.Cell) -> dict[str, np.ndarray]:
    return {name.split(".")[-1]: value.asnumpy().astype(np.float64) for name, value in direction.parameters_and_names()}


def test_both_directions_are_those_of_numpy_on_each_utterance_alone() -> None:
    layer = scrambled(BiLstm(3, 4))
    rng = np.random.default_rng(0)
    x, steps = rng.normal(size=(4, 9, 3)).astype(np.float32), [9, 1, 5, 8]
    said = layer(Tensor(x), Tensor(steps, ms.int32)).asnumpy()
    ahead, back = weights_of(layer.ahead), weights_of(layer.back)
    for row, count in enumerate(steps):
        own = x[row, :count]
        expected = np.concatenate([lstm_in_numpy(own, ahead), lstm_in_numpy(own[::-1], back)[::-1]], axis=1)
        np.testing.assert_allclose(said[row, :count], expected, rtol=1e-5, atol=1e-5)


def test_alone_equals_batched() -> None:
    check_alone_equals_batched(scrambled(SMALL.build(num_bins=BINS, num_units=UNITS)), BINS, UNITS)


def test_lengths_are_those_of_its_table() -> None:
    network = SMALL.build(num_bins=BINS, num_units=UNITS).set_train(False)
    for frames in (4, 5, 8, 11, 40):
        steps = network(Tensor(np.ones((1, 1, frames, BINS)), ms.float32)).shape[1]
        assert network.output_lengths(frames) == SMALL.output_lengths(frames) == steps
    assert (SMALL.frames_per_step, SMALL.first_frame) == (4, -0.5)


def test_what_is_counted_from_the_value_is_in_the_cell() -> None:
    """Multiply-adds: by the shape of what each layer gives, and of an LSTM by its matrices, one step at a time."""
    network = SMALL.build(num_bins=BINS, num_units=UNITS).set_train(False)
    assert count_parameters(network) == SMALL.parameters(num_bins=BINS, num_units=UNITS)
    counted = []

    def count(layer: Any, inputs: Any, output: Any) -> None:
        if isinstance(layer, nn.LSTM):
            places, matrices = output[0].shape[0] * output[0].shape[1], layer.trainable_params()
            counted.append(places * sum(int(np.prod(one.shape)) for one in matrices if len(one.shape) == 2))
        elif isinstance(layer, nn.Conv2d):
            counted.append(int(np.prod(layer.weight.shape[1:])) * int(np.prod(output.shape)))
        else:
            counted.append(layer.weight.shape[1] * int(np.prod(output.shape)))

    for _, layer in network.cells_and_names():
        if isinstance(layer, nn.Conv2d | nn.LSTM | nn.Dense):
            layer.register_forward_hook(count)
    network(Tensor(np.ones((1, 1, 64, BINS)), ms.float32))
    assert sum(counted) == SMALL.multiply_adds(64, num_bins=BINS, num_units=UNITS)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"lstm_layers": 0}, "lstm_layers: got 0, wanted at least 1"),
        ({"lstm_width": -4}, "lstm_width: got -4"),
        ({"dense": 0}, "dense: got 0"),
        ({"lstm_dropout": 1.0}, "lstm_dropout: got 1.0, wanted at least 0 and less than 1"),
        ({"pad_mode": "same"}, "padding: got 1 with pad_mode 'same'"),
    ],
)
def test_values_without_sense_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        DfcnnLstm(**options)


def test_the_page_of_the_predecessor_has_its_layers() -> None:
    model = load_config("thchs30_dfcnn_lstm").model
    assert [(block.channels, block.convs, block.pool) for block in model.blocks] == [
        (32, 2, (2, 2)), (64, 2, (2, 2)), (128, 2, (2, 2)), (128, 3, (1, 1)),
    ]  # fmt: skip
    assert (model.dense, model.lstm_layers, model.lstm_width) == (128, 4, 128)
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 3 * 128 * 128)
    norms = 2 * (2 * 32 + 2 * 64 + 5 * 128 + 128)
    dense = (128 * 25 + 1) * 128
    lstm = 2 * 4 * 128 * ((128 + 128 + 2) + 3 * (256 + 128 + 2))
    assert (
        model.parameters(num_bins=200, num_units=1215) == convolutions + norms + dense + lstm + 257 * 1215 == 2_902_239
    )


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
def test_the_page_of_the_predecessor_takes_a_step_at_full_size() -> None:
    """1,215 units and a second and a half of sound; every weight moves."""
    config = load_config("thchs30_dfcnn_lstm", ["train.batch_size=2"])
    network = config.model.build(num_bins=config.features.num_bins, num_units=1215)
    assert count_parameters(network) == config.model.parameters(num_bins=200, num_units=1215)
    step = train_step(config, network, 1).set_train(True)
    rng = np.random.default_rng(0)
    features = Tensor(rng.normal(size=(2, 1, 160, 200)), ms.float32)
    labels, lengths = rng.integers(2, 1215, size=(2, 4)), ([160, 136], [4, 3])
    before = {one.name: one.asnumpy().copy() for one in network.trainable_params()}
    loss, _, finite, _ = step(features, *(Tensor(one, ms.int32) for one in (labels, *lengths)))
    assert bool(finite) and np.isfinite(float(loss))
    assert all((one.asnumpy() != before[one.name]).any() for one in network.trainable_params())
