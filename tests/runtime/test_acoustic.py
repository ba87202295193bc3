"""A network in use: what is no number goes no further, even where a layer would hide it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.runtime import checkpoint, onnx
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

CONFIG = load_config("digits", ["model.hidden=[4]"])
VOCABULARY = Vocabulary(("ba1", "er4", "yi1"))
PLACES = ["blocks.0.convs.0.conv.weight", "norm.gamma", "norm.moving_variance", "head.0.bias", "head.3.weight"]


@pytest.fixture
def network(cpu: None) -> nn.Cell:
    return CONFIG.model.build(num_bins=40, num_units=len(VOCABULARY))


def batch() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(2, 1, 64, 40)).astype(np.float32), np.array([64, 40], np.int32)


def damage(network: nn.Cell, name: str, value: float) -> None:
    """Writes a value over the last number of a parameter."""
    parameter = network.parameters_dict()[name]
    numbers = parameter.asnumpy().copy()
    numbers.flat[-1] = value
    parameter.set_data(Tensor(numbers))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_named(network: nn.Cell, name: str, value: float) -> None:
    damage(network, name, value)
    with pytest.raises(CheckpointError, match=f"{name} holds NaN or infinity; use an earlier checkpoint"):
        Acoustic(network)


def test_a_variance_below_nothing_is_named(network: nn.Cell) -> None:
    """In MindSpore, and in the graph that is written of the same numbers."""
    name = next(name for name in network.parameters_dict() if name.endswith("moving_variance"))
    damage(network, name, -1e-9)
    with pytest.raises(CheckpointError, match=f"{name} holds a negative variance; use an earlier checkpoint"):
        Acoustic(network)
    with pytest.raises(CheckpointError, match=f"{name} holds a negative variance"):
        onnx.of_weights(Meta(CONFIG, VOCABULARY), checkpoint.numbers_of(network), Path("a.npz"), "CPU")


def test_a_checkpoint_that_holds_nan_is_not_used(network: nn.Cell, tmp_path) -> None:
    damage(network, PLACES[0], np.nan)
    checkpoint.save(tmp_path / "a.ckpt", network, Meta(CONFIG, VOCABULARY))
    with pytest.raises(CheckpointError, match="holds NaN or infinity") as caught:
        checkpoint.for_use(tmp_path / "a.ckpt", "CPU")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_no_number_is_refused(network: nn.Cell, value: float) -> None:
    features, lengths = batch()
    features[1, 0, 7, 3] = value
    with pytest.raises(DataError, match="features of an utterance are NaN or infinite"):
        Acoustic(network)(features, lengths)


def test_a_sound_network_gives_numbers_and_keeps_its_mode(network: nn.Cell) -> None:
    network.set_train(True)
    log_probs, steps = Acoustic(network)(*batch())
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1.0, rtol=1e-5)
    assert network.training and steps.tolist() == network.output_lengths(np.array([64, 40])).tolist()
