"""The mean of networks: that of each number, and of one network only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, nn

from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.averaging import best_of, save_mean
from dfcnn_ms.training.run_folder import CHECKPOINTS

CONFIG = load_config("digits", ["model.hidden=[4]"])
META = Meta(CONFIG, Vocabulary(("ba1", "er4", "yi1")), metrics={"dev_syllable_error_rate": 0.5})


@pytest.fixture(scope="module")
def network(cpu: None) -> nn.Cell:
    return CONFIG.model.build(num_bins=40, num_units=len(META.vocabulary))


def saved(path: Path, network: nn.Cell, meta: Meta = META, add: float = 0.0) -> Path:
    """A checkpoint whose weights are those of a network and something."""
    weights = checkpoint.weights_of(network)
    others = {name: Parameter(ms.Tensor(value.asnumpy() + add), name=name) for name, value in weights.items()}
    checkpoint.save(path, others, meta)
    return path


def test_every_number_is_the_mean(tmp_path: Path, network: nn.Cell) -> None:
    sources = [saved(tmp_path / f"{add}.ckpt", network, add=add) for add in (0.0, 0.25, 1.0)]
    save_mean(tmp_path / "mean.ckpt", sources)
    mean = checkpoint.load(tmp_path / "mean.ckpt")
    expected = {name: value.asnumpy() + 1.25 / 3 for name, value in checkpoint.weights_of(network).items()}
    assert mean.weights.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(mean.weights[name].asnumpy(), values, rtol=1e-5, atol=1e-6)
    assert (mean.meta.vocabulary, mean.meta.metrics) == (META.vocabulary, {})


@pytest.mark.parametrize(
    "other",
    [
        replace(META, vocabulary=Vocabulary(("ba1", "yi1", "er4"))),  # as many units, in another order
        replace(META, config=load_config("digits", ["model.hidden=[4]", "model.dropout=0.5"])),
    ],
    ids=["vocabulary", "network"],
)
def test_another_network_is_named(tmp_path: Path, network: nn.Cell, other: Meta) -> None:
    sources = [saved(tmp_path / "one.ckpt", network), saved(tmp_path / "two.ckpt", network, other)]
    with pytest.raises(CheckpointError, match=r"two\.ckpt: is another network than .*one\.ckpt"):
        save_mean(tmp_path / "mean.ckpt", sources)
    assert not (tmp_path / "mean.ckpt").exists()


@pytest.mark.parametrize("errors", [(0.3, 0.1, 0.2), (0.2, 0.3, 0.1)])
def test_the_best_of_a_run_come_first(tmp_path: Path, network: nn.Cell, errors: Sequence[float]) -> None:
    (tmp_path / CHECKPOINTS).mkdir()
    for epoch, error in enumerate(errors, start=1):
        meta = replace(META, metrics={"dev_syllable_error_rate": error})
        saved(tmp_path / CHECKPOINTS / f"epoch{epoch:03}.ckpt", network, meta)
    wanted = sorted(range(1, 4), key=lambda epoch: errors[epoch - 1])[:2]
    assert [path.name for path in best_of(tmp_path, 2)] == [f"epoch{epoch:03}.ckpt" for epoch in wanted]
