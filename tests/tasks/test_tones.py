"""The tone head: what it is taught, what it adds to the loss, and that the network in use knows nothing of it."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from dfcnn_ms.config import parse_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.runtime.checkpoint import weights_of
from dfcnn_ms.tasks import Ctc
from dfcnn_ms.tasks.cells.losses import CTCLoss
from dfcnn_ms.tasks.cells.tones import WithToneLoss, second_layer, tones_said
from dfcnn_ms.tasks.cells.with_loss import WithLossCell
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.cells import TrainStep
from dfcnn_ms.training.trainer import train_step

pytestmark = pytest.mark.usefixtures("cpu")

BINS, WEIGHT = 8, 0.3
VOCABULARY = Vocabulary(("ba1", "ma5", "ma3", "er4", "qi1"))
TONES = (0, 0, 1, 5, 3, 4, 1)


def tiny(seed: int = 0) -> nn.Cell:
    """A network with the same weights for the same seed."""
    value = Dfcnn(blocks=(Block(4, convs=1, pool=(2, 4)),), hidden=(6,), dropout=0.2)
    network = value.build(num_bins=BINS, num_units=len(VOCABULARY))
    rng = np.random.default_rng(seed)
    for parameter in network.trainable_params():
        parameter.set_data(Tensor(rng.normal(scale=0.5, size=parameter.shape), ms.float32))
    return network


def batch(seed: int = 0, rows: int = 4) -> tuple[Tensor, ...]:
    """Features, labels, frames and label lengths, all different in length; the last row only fills the batch."""
    rng = np.random.default_rng(seed)
    lengths = np.array([3, 1, 4, -1])
    arrays = rng.integers(2, len(VOCABULARY), (rows, 4)), np.array([24, 16, 20, 22]), lengths
    return Tensor(rng.normal(size=(rows, 1, 24, BINS)), ms.float32), *(Tensor(array, ms.int32) for array in arrays)


def settings(**task: Any) -> Any:
    page = {"data": {"train": "a", "dev": "b"}, "task": {"kind": "ctc", **task}, "train": {"ema": 0.9}}
    return parse_config(page, "page")


def steps_of(network: nn.Cell, weight: float = WEIGHT) -> TrainStep:
    return train_step(settings(tone_weight=weight), network, 6, vocabulary=VOCABULARY).set_train(True)


@pytest.mark.parametrize("table", [TONES, (0, 0, 0, 5, 3, 0, 1)])
def test_the_tones_of_labels_one_by_one(table: tuple[int, ...]) -> None:
    """Units without a tone are left out; whatever stands behind a label is not looked at."""
    labels = np.random.default_rng(0).integers(-5, 99, (30, 5))
    lengths = np.random.default_rng(1).integers(-1, 6, 30)
    for row, count in zip(labels, lengths, strict=True):
        row[: max(count, 0)] = np.abs(row[: max(count, 0)]) % len(table)
    tones, counts = (
        one.asnumpy()
        for one in tones_said(Tensor(table, ms.int32), Tensor(labels, ms.int32), Tensor(lengths, ms.int32))
    )
    for label, length, said, count in zip(labels, lengths, tones, counts, strict=True):
        wanted = [table[id] for id in label[: max(length, 0)] if table[id]]
        assert count == (length if length < 0 else len(wanted))
        assert said[: max(count, 0)].tolist() == wanted


def test_a_length_out_of_range_stays_out_of_range() -> None:
    _, counts = tones_said(Tensor(TONES, ms.int32), Tensor([[2, 3]], ms.int32), Tensor([9], ms.int32))
    assert counts.asnumpy().tolist() == [9]


def test_the_loss_is_that_of_the_units_and_weighed_that_of_the_tones() -> None:
    """The tone layer by hand: its weights times what the output layer of the network read."""
    network = tiny()
    cell = Ctc(tone_weight=WEIGHT).training_cell(network, vocabulary=VOCABULARY).set_train(True)
    read: list[Tensor] = []
    layer = network.output_layer.layer
    layer.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    features, labels, frames, label_lengths = batch()
    value = float(cell(features, labels, frames, label_lengths))
    hidden = read[0].asnumpy()[..., 0]  # (B, C, U, 1) -> (B, C, U)

    def said(layer: nn.Cell) -> Tensor:
        product = np.einsum("vc,bcu->buv", layer.weight.asnumpy()[..., 0, 0], hidden) + layer.bias.asnumpy()
        return Tensor(product, ms.float32)

    steps = Tensor(network.output_lengths(frames.asnumpy()), ms.int32)
    tones = Tensor(np.array(TONES)[labels.asnumpy()], ms.int32)
    units = CTCLoss()(said(layer), steps, labels, label_lengths)
    toned = CTCLoss()(said(cell.tone_layer), steps, tones, label_lengths)
    assert said(cell.tone_layer).shape[2] == 6 and float(toned) > 0
    assert value == pytest.approx(float(units) + WEIGHT * float(toned), rel=1e-5)


def test_the_network_in_use_knows_nothing_of_it() -> None:
    """The same names, shapes, order and outputs as without, and so in what is stored; training trains 6 x 7 more."""
    plain, network = tiny(), tiny()
    without, cell = WithLossCell(plain, CTCLoss()), WithToneLoss(network, CTCLoss(), TONES, WEIGHT)
    assert {name: one.shape for name, one in weights_of(plain).items()} == {
        name: one.shape for name, one in weights_of(network).items()
    }
    features, labels, frames, label_lengths = batch()
    np.testing.assert_array_equal(cell.predict(features, frames).asnumpy(), without.predict(features, frames).asnumpy())
    values = [one.set_train(False)(features, labels, frames, label_lengths).asnumpy() for one in (cell, without)]
    assert values[0] == values[1]
    names, more = [one.name for one in without.trainable_params()], [one.name for one in cell.trainable_params()]
    assert more == [*names, "tone_layer.weight", "tone_layer.bias"]
    assert sum(one.size for one in cell.tone_layer.get_parameters()) == 6 * (6 + 1)


def test_the_tones_teach_the_trunk() -> None:
    """With a tone loss, the layers below get other gradients; the output layer of the units the same."""
    gradients = []
    for weight in (0.0, WEIGHT):
        cell = Ctc(tone_weight=weight).training_cell(tiny(), vocabulary=VOCABULARY).set_train(True)
        found = ms.value_and_grad(cell, None, cell.trainable_params())(*batch())[1]
        gradients.append({one.name: grad.asnumpy() for one, grad in zip(cell.trainable_params(), found, strict=True)})
    without, with_tones = gradients
    np.testing.assert_allclose(with_tones["head.3.weight"], without["head.3.weight"], rtol=1e-5, atol=1e-7)
    assert np.abs(with_tones["head.0.weight"] - without["head.0.weight"]).max() > 1e-4
    assert np.abs(with_tones["tone_layer.weight"]).max() > 1e-4


def test_a_sentence_with_too_few_steps_for_its_tones_teaches_its_units_alone() -> None:
    """ba1 qi1 fits into two steps, its tones do not: two equal ones need a blank between them. ba1 ma5 fits twice."""
    for second, is_toned in ((6, False), (3, True)):
        labels, frames, lengths = (Tensor(array, ms.int32) for array in ([[2, second]], [4], [2]))
        sentence = batch()[0][:1, :, :4], labels, frames, lengths
        assert tiny().output_lengths(4) == 2
        found = []
        for weight in (0.0, WEIGHT):
            cell = Ctc(tone_weight=weight).training_cell(tiny(), vocabulary=VOCABULARY).set_train(True)
            value, gradients = ms.value_and_grad(cell, None, cell.trainable_params())(*sentence)
            named = zip(cell.trainable_params(), gradients, strict=True)
            found.append({"value": float(value)} | {one.name: grad.asnumpy() for one, grad in named})
        without, toned = found
        assert without["value"] > 0
        assert (toned["value"] > without["value"] + 0.01) is is_toned
        assert bool(np.abs(toned.pop("tone_layer.weight")).max() > 1e-4) is is_toned
        if not is_toned:
            for name, one_of_both in without.items():
                np.testing.assert_allclose(toned[name], one_of_both, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("layer", [nn.Dense(3, 7), nn.Conv1d(3, 7, 1, has_bias=True)])
def test_any_kind_of_output_layer_can_have_a_second(layer: nn.Cell) -> None:
    class Owner(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.output_layer = layer

        def construct(self, x: Tensor) -> Tensor:
            return self.output_layer(x)

    owner = Owner()
    names = [one.name for one in owner.get_parameters()]
    second_layer(owner, 6)
    assert [one.name for one in owner.get_parameters()] == names
    axis = 1 if isinstance(layer, nn.Conv1d) else 2
    x = Tensor(np.ones((2, 3, 4) if axis == 1 else (2, 4, 3)), ms.float32)
    assert [owner.set_train(mode)(x).shape[axis] for mode in (True, False)] == [13, 7]


@pytest.mark.slow
def test_a_resumed_step_is_the_step_that_would_have_been() -> None:
    """The state holds the tone layer, its moments and its averages; put into new cells, they go on to the last bit."""
    step = steps_of(tiny())
    step(*batch(1))
    kept = {name: one.asnumpy().copy() for name, one in step.state().items()}
    assert "tone_layer.weight" in kept and "ema.tone_layer.weight" in kept
    step(*batch(2))
    other = steps_of(tiny(seed=1))
    for name, one in other.state().items():
        one.set_data(Tensor(kept[name]))
    other(*batch(2))
    for name, one in other.state().items():
        assert one.asnumpy().tobytes() == step.state()[name].asnumpy().tobytes(), name


@pytest.mark.long
@pytest.mark.slow
def test_graph_mode_takes_the_same_step() -> None:
    """Loss and norm of a step, and what the network then writes in use."""
    found = []
    for mode in (ms.PYNATIVE_MODE, ms.GRAPH_MODE):
        ms.set_context(mode=mode)
        step = steps_of(tiny())
        step.network.tone_layer.weight.set_data(Tensor(np.linspace(-1, 1, 36).reshape(6, 6, 1, 1), ms.float32))
        step.network.tone_layer.bias.set_data(Tensor(np.linspace(-1, 1, 6), ms.float32))
        loss, norm, applied, _ = step(*batch())
        logits = step.network.predict(*batch()[::2][:2])
        assert bool(applied) and logits.shape == (4, 12, len(VOCABULARY))
        found.append(np.array([float(loss), float(norm), *logits.asnumpy().ravel()]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_meant_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"tone_weight: got -1\.0, wanted 0 to 1000"):
        settings(tone_weight=-1)
    with pytest.raises(ConfigError, match=r"tone_weight: the unit 'yes' is no toned pinyin such as 'ba1'"):
        Ctc(tone_weight=1.0).training_cell(tiny(), vocabulary=Vocabulary(("ba1", "yes")))
    with pytest.raises(ConfigError, match=r"tone_weight: needs a network whose output layer is Dense, Conv1d or"):
        odd = nn.Cell()
        odd.output_layer = nn.Identity()
        second_layer(odd, 6)
