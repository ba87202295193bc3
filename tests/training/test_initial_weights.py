"""How a network begins: what it takes from another one, row by row; the bias of the blank; frozen layers."""

from __future__ import annotations

import dataclasses
import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError, ConfigError
from dfcnn_ms.models import Conformer, Transformer
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.tasks.cells.losses import CTCLoss
from dfcnn_ms.tasks.cells.with_loss import WithLossCell
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training import trainer
from dfcnn_ms.training.cells import TrainStep
from dfcnn_ms.training.initial_weights import freeze, layers_to_freeze, set_blank_bias, start_from, statistics_of

pytestmark = pytest.mark.usefixtures("cpu")

CONFIG = load_config("digits", ["model.hidden=[4]"])
OLD, NEW = Vocabulary(("ba1", "er4", "yi1")), Vocabulary(("er4", "san1", "yi1", "yi2"))


def network(vocabulary: Vocabulary, hidden: int = 4, seed: int = 0) -> nn.Cell:
    model = load_config("digits", [f"model.hidden=[{hidden}]"]).model
    built = model.build(num_bins=40, num_units=len(vocabulary))
    rng = np.random.default_rng(seed)
    for parameter in built.get_parameters():
        if parameter.dtype == ms.float32:
            parameter.set_data(Tensor(rng.random(parameter.shape), ms.float32))
    return built


def stored(tmp_path, cell: nn.Cell, vocabulary: Vocabulary) -> checkpoint.Checkpoint:
    checkpoint.save(tmp_path / "old.ckpt", cell, Meta(CONFIG, vocabulary))
    return checkpoint.load(tmp_path / "old.ckpt")


def test_units_in_common_keep_their_rows_and_all_else_fits(tmp_path, caplog):
    theirs, ours = network(OLD), network(NEW, seed=1)
    before = ours.output_layer.weight.asnumpy().copy()
    with caplog.at_level(logging.INFO, logger="dfcnn_ms"):
        start_from(stored(tmp_path, theirs, OLD), ours, NEW)
    rows = {unit: row for row, unit in enumerate(OLD.symbols)}
    for layer in ("weight", "bias"):
        got, had = (getattr(cell.output_layer, layer).asnumpy() for cell in (ours, theirs))
        for row, unit in enumerate(NEW.symbols):
            if unit in rows:
                np.testing.assert_array_equal(got[row], had[rows[unit]])
    np.testing.assert_array_equal(ours.output_layer.weight.asnumpy()[NEW.symbols.index("yi2")], before[-1])
    outputs = {ours.output_layer.weight.name, ours.output_layer.bias.name}
    for name, parameter in checkpoint.weights_of(ours).items():
        if name not in outputs:
            np.testing.assert_array_equal(parameter.asnumpy(), theirs.parameters_dict()[name].asnumpy())
    assert "4 of 6 units" in caplog.text  # blank, unknown, er4, yi1


def test_a_table_of_convolutions_is_taken_from_a_network_that_is_nothing_else(tmp_path, caplog):
    theirs, page = network(OLD), load_config("digits")
    model = Conformer(page.model.blocks[:2], depth=1, width=8, heads=0, feed_forward=8, padding=page.model.padding)
    ours = model.build(num_bins=40, num_units=len(NEW))
    before = {name: value.asnumpy().copy() for name, value in ours.parameters_dict().items()}
    with caplog.at_level(logging.INFO, logger="dfcnn_ms"):
        start_from(stored(tmp_path, theirs, OLD), ours, NEW)
    had = {f"front.{name}": value.asnumpy() for name, value in theirs.parameters_dict().items() if "blocks" in name}
    taken = [name for name in checkpoint.weights_of(ours) if name in had]
    assert taken and all("front.blocks" in name for name in taken)
    for name, value in checkpoint.weights_of(ours).items():
        np.testing.assert_array_equal(value.asnumpy(), had.get(name, before[name]))
    assert f"beginning with {len(taken)} of" in caplog.text


@pytest.mark.parametrize("kind", [Transformer, Conformer])
def test_a_layer_more_changes_nothing_at_first(kind, tmp_path):
    """But for a Conformer's last norm: what it reads is normed once more."""
    x = Tensor(np.random.default_rng(0).normal(size=(2, 1, 40, 40)), ms.float32)
    value = kind(depth=1, width=8, heads=2, feed_forward=12, dropout=0.0)
    theirs = value.build(num_bins=40, num_units=len(OLD))
    ours = dataclasses.replace(value, depth=3).build(num_bins=40, num_units=len(OLD))
    start_from(stored(tmp_path, theirs, OLD), ours, OLD)
    for cell in (theirs, ours):
        cell.set_train(False)
    np.testing.assert_allclose(ours(x).asnumpy(), theirs(x).asnumpy(), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_said_and_left(tmp_path, caplog):
    ours = network(NEW, hidden=5, seed=1)
    before = {name: value.asnumpy().copy() for name, value in ours.parameters_dict().items()}
    with caplog.at_level(logging.INFO, logger="dfcnn_ms"):
        start_from(stored(tmp_path, network(OLD), OLD), ours, NEW)
    for name in ("head.0.weight", "head.3.weight"):
        assert name in caplog.text
        np.testing.assert_array_equal(ours.parameters_dict()[name].asnumpy(), before[name])


@pytest.mark.parametrize(
    ("overrides", "taken"), [([], True), (["cmvn=running"], False), (["features.n_mels=30"], False)]
)
def test_statistics_are_taken_by_a_page_that_hears_the_same(overrides, taken):
    statistics = GlobalCmvn(np.arange(40), np.full(40, 2.0))
    meta = Meta(load_config("digits", ["cmvn=global"]), OLD, statistics)
    page = load_config("digits", ["cmvn=global", "train.epochs=1", *overrides])
    assert statistics_of(meta, page) is (statistics if taken else None)


def test_training_begins_with_the_statistics_of_its_first_weights(tmp_path, monkeypatch):
    class AskedError(Exception):
        pass

    def asked(config, *, statistics, **others):
        raise AskedError(statistics)

    page, statistics = load_config("digits", ["cmvn=global"]), GlobalCmvn(np.arange(40), np.full(40, 2.0))
    checkpoint.save(tmp_path / "old.ckpt", network(OLD), Meta(page, OLD, statistics))
    monkeypatch.setattr(trainer, "load_datasets", asked)
    for init, wanted in ((None, None), (tmp_path / "old.ckpt", statistics.to_dict())):
        with pytest.raises(AskedError) as found:
            trainer.train(page, device_target="CPU", run=tmp_path / "run", init=init)
        (got,) = found.value.args
        assert (got and got.to_dict()) == wanted


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    other = nn.Dense(3, 2)
    with pytest.raises(CheckpointError, match="no weight of the checkpoint fits"):
        start_from(stored(tmp_path, other, OLD), network(NEW), NEW)


def test_the_blank_begins_with_its_bias_and_nothing_else_changes():
    cell = network(NEW)
    before = cell.output_layer.bias.asnumpy().copy()
    set_blank_bias(cell, -3.0)
    after = cell.output_layer.bias.asnumpy()
    assert after[0] == -3
    np.testing.assert_array_equal(after[1:], before[1:])


def test_frozen_layers_and_their_statistics_stay_as_they_are():
    cell = network(NEW)
    freeze(cell, ["blocks.0", "blocks.1"])
    before = {name: value.asnumpy().copy() for name, value in cell.parameters_dict().items()}
    loss = WithLossCell(cell, CTCLoss())
    step = TrainStep(loss, nn.Momentum(loss.trainable_params(), 0.1, 0.9)).set_train(True)
    features = Tensor(np.random.default_rng(0).random((2, 1, 48, 40)), ms.float32)
    labels, lengths = Tensor([[2, 3], [3, 4]], ms.int32), Tensor([48, 40], ms.int32)
    assert step(features, labels, lengths, Tensor([2, 2], ms.int32))[2].asnumpy()
    moved = {name for name, value in cell.parameters_dict().items() if (value.asnumpy() != before[name]).any()}
    assert not {name for name in moved if name.startswith(("blocks.0.", "blocks.1."))}
    assert {"blocks.2.convs.0.conv.weight", "blocks.2.convs.0.norm.moving_mean", "head.3.bias"} <= moved


def test_averages_leave_frozen_statistics_as_they_are():
    """To the last bit: their average would be themselves, and rounding it would not."""
    cell = network(NEW)
    freeze(cell, ["blocks.0"])
    before = {name: value.asnumpy().copy() for name, value in cell.parameters_dict().items()}
    loss = WithLossCell(cell, CTCLoss())
    step = TrainStep(loss, nn.Momentum(loss.trainable_params(), 0.1, 0.9), ema=0.9).set_train(True)
    features = Tensor(np.random.default_rng(0).random((2, 1, 48, 40)), ms.float32)
    labels, lengths = Tensor([[2, 3], [3, 4]], ms.int32), Tensor([48, 40], ms.int32)
    for _ in range(3):
        step(features, labels, lengths, Tensor([2, 2], ms.int32))
    with step.in_use():
        moved = {name for name, value in cell.parameters_dict().items() if (value.asnumpy() != before[name]).any()}
    assert not {name for name in moved if name.startswith("blocks.0.")}
    assert "blocks.1.convs.0.norm.moving_variance" in moved


@pytest.mark.parametrize("kind", ["dfcnn", "conformer"])
def test_what_learns_when_only_some_layers_do(kind):
    """Norms and nothing else; or everything from the middle on; the output layer unless there are only norms."""
    more = [] if kind == "dfcnn" else ["model={kind: conformer}"]
    model = load_config("digits", more).model.narrowed(8)
    learning = {}
    for which in ("all", "upper", "norms"):
        cell = model.build(num_bins=40, num_units=len(NEW))
        freeze(cell, layers_to_freeze(cell, which))
        learning[which] = [parameter.name for parameter in cell.trainable_params()]
    cells = dict(cell.cells_and_names())
    norms = [
        name for name in learning["all"] if isinstance(cells[name.rpartition(".")[0]], nn.BatchNorm2d | nn.LayerNorm)
    ]
    assert learning["norms"] == norms != []
    count = len(learning["upper"])
    assert learning["upper"] == learning["all"][-count:] and 0 < count < len(learning["all"])
    weights = [name for name in learning["all"] if name.endswith("weight")]
    assert abs(sum(name in learning["upper"] for name in weights) - len(weights) / 2) <= len(weights) / 4
    assert {cell.output_layer.weight.name, cell.output_layer.bias.name} <= set(learning["upper"])


def test_only_norms_of_a_network_without_any_cannot_learn():
    with pytest.raises(ConfigError, match="norms: this network has none"):
        layers_to_freeze(nn.SequentialCell(nn.Dense(3, 2)), "norms")


def test_layers_that_are_not_there_are_named():
    with pytest.raises(ConfigError, match=r"no layer 'block\.0' in the network; did you mean 'blocks\.0'\?"):
        freeze(network(NEW), ["block.0"])
    with pytest.raises(ConfigError, match="nothing is left to train"):
        freeze(network(NEW), ["blocks", "norm", "head"])
