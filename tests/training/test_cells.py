"""WithLossCell and TrainStep: the loss by hand, both modes, clipping, steps that must not happen, mixed precision."""

from __future__ import annotations

from typing import Any, get_args

import mindspore as ms
import numpy as np
import pytest
from mindspore import Model, Tensor, nn, ops

from dfcnn_ms.config import TrainConfig, parse_config
from dfcnn_ms.models.dfcnn import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.tasks.cells.losses import CTCLoss
from dfcnn_ms.tasks.cells.with_loss import WithLossCell
from dfcnn_ms.training.cells import TrainStep, squared_norms
from dfcnn_ms.training.trainer import train_step

pytestmark = pytest.mark.usefixtures("cpu")

UNITS, BINS = 5, 8


def tiny(dropout: float = 0.0, seed: int = 0) -> Dfcnn:
    """A network with the same weights for the same seed."""
    value = Dfcnn(blocks=(Block(4, convs=1, pool=(2, 4)),), hidden=(6,), dropout=dropout)
    network = value.build(num_bins=BINS, num_units=UNITS)
    rng = np.random.default_rng(seed)
    for parameter in network.trainable_params():
        parameter.set_data(Tensor(rng.normal(scale=0.5, size=parameter.shape), ms.float32))
    return network


def batch(seed: int = 0, rows: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, labels, frames and label lengths, all different in length; the last row only fills the batch."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 1, 24, BINS))
    frames = rng.integers(16, 25, rows)
    labels = rng.integers(1, UNITS, (rows, 4))
    lengths = rng.integers(1, 4, rows)
    lengths[-1] = -1
    return Tensor(features, ms.float32), *(Tensor(array, ms.int32) for array in (labels, frames, lengths))


def cell(network: nn.Cell | None = None) -> WithLossCell:
    return WithLossCell(network or tiny(), CTCLoss()).set_train(True)


def sgd(loss: nn.Cell, rate: float = 1.0) -> nn.Optimizer:
    return nn.Momentum(loss.trainable_params(), rate, momentum=0.0)


def weights(network: nn.Cell) -> dict[str, np.ndarray]:
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.trainable_params()}


def change(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> np.ndarray:
    """All differences in one vector."""
    return np.concatenate([(after[name] - before[name]).ravel() for name in before])


def scaler() -> ms.amp.DynamicLossScaler:
    """Multiplies the loss by 1024 to begin with; halves that after an overflow."""
    return ms.amp.DynamicLossScaler(2**10, 2, 1000)


def one_step(clip_norm: float = 0.0, scaler: Any = None, loss: WithLossCell | None = None) -> dict[str, Any]:
    """One step of plain gradient descent with rate 1: what it returns, and how the weights changed."""
    loss = loss or cell()
    step = TrainStep(loss, sgd(loss), clip_norm, scaler).set_train(True)
    before = weights(loss)
    value, norm, applied, _ = step(*batch())
    return {
        "loss": float(value.asnumpy()),
        "norm": float(norm.asnumpy()),
        "applied": bool(applied.asnumpy()),
        "change": change(before, weights(loss)),
    }


@pytest.fixture(scope="module")
def free(cpu: None) -> dict[str, Any]:
    """One step without clipping."""
    return one_step()


def test_the_loss_is_that_of_the_backbones_logits() -> None:
    loss = cell()
    features, labels, frames, label_lengths = batch()
    logits = loss.backbone_network(features, frames)
    steps = Tensor([loss.backbone_network.output_lengths(int(n)) for n in frames.asnumpy()], ms.int32)
    by_hand = CTCLoss()(logits, steps, labels, label_lengths)
    value = loss(features, labels, frames, label_lengths)
    assert value.shape == () and value.dtype == ms.float32
    assert float(value.asnumpy()) == pytest.approx(float(by_hand.asnumpy()), rel=1e-6)


def test_the_loss_does_not_see_the_padding() -> None:
    """In eval mode; in training the batch norms look at whatever is in the batch."""
    loss = cell().set_train(False)
    features, labels, frames, label_lengths = batch()
    beyond = np.arange(24).reshape(1, 1, -1, 1) >= frames.asnumpy().reshape(-1, 1, 1, 1)
    garbage = Tensor(np.where(beyond, 1e3, features.asnumpy()), ms.float32)
    value, other = (loss(x, labels, frames, label_lengths).asnumpy() for x in (features, garbage))
    assert value == pytest.approx(other, rel=1e-6)


def test_backbone_network_and_its_parameters() -> None:
    network = tiny()
    loss = cell(network)
    assert loss.backbone_network is network
    assert [p.name for p in loss.trainable_params()] == [p.name for p in network.trainable_params()]


@pytest.mark.parametrize("training", [True, False])
def test_predict_is_eval_mode_and_puts_the_flag_back(training: bool) -> None:
    loss = cell(tiny(dropout=0.5)).set_train(training)
    features, _, frames, _ = batch()
    statistics = [p.asnumpy().copy() for p in loss.backbone_network.get_parameters()]
    logits = loss.predict(features, frames).asnumpy()
    np.testing.assert_array_equal(loss.predict(features, frames).asnumpy(), logits)
    assert loss.backbone_network.training is training
    assert all(block.training is training for block in loss.backbone_network.blocks)
    for old, parameter in zip(statistics, loss.backbone_network.get_parameters(), strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), old)
    loss.backbone_network.set_train(False)
    np.testing.assert_array_equal(loss.backbone_network(features, frames).asnumpy(), logits)


def test_a_step_goes_down_the_gradient(free: dict[str, Any]) -> None:
    loss = cell()
    value, gradients = ms.value_and_grad(loss, None, loss.trainable_params())(*batch())
    gradient = np.concatenate([g.asnumpy().ravel() for g in gradients])
    assert free["applied"]
    assert free["loss"] == pytest.approx(float(value.asnumpy()), rel=1e-6)
    assert free["norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    np.testing.assert_allclose(free["change"], -gradient, atol=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_clipping_makes_the_change_exactly_as_long_as_allowed(share: float, free: dict[str, Any]) -> None:
    limit = share * free["norm"]
    clipped = one_step(clip_norm=limit)
    assert clipped["norm"] == pytest.approx(free["norm"], rel=1e-6)  # reported as it was before clipping
    assert np.linalg.norm(clipped["change"]) == pytest.approx(limit, rel=1e-4)
    np.testing.assert_allclose(clipped["change"], share * free["change"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("share", [1.01, 100.0])
def test_clipping_leaves_shorter_gradients_alone(share: float, free: dict[str, Any]) -> None:
    np.testing.assert_allclose(one_step(clip_norm=share * free["norm"])["change"], free["change"], atol=1e-7)


def test_squared_norms_are_those_of_each_tensor_in_float32() -> None:
    tensors = (Tensor([3.0, 4.0]), Tensor([[300.0]], ms.float16), Tensor([[0.0, 12.0]]))
    assert squared_norms(tensors).asnumpy().tolist() == [25, 90_000, 144]


def test_the_norm_is_that_of_all_gradients_together_and_each_is_reported() -> None:
    loss = cell()
    step = TrainStep(loss, sgd(loss)).set_train(True)
    before = weights(loss)
    _, norm, _, squares = step(*batch())
    after = weights(loss)
    lengths = [float(np.square(after[p.name] - before[p.name]).sum()) for p in step.weights]  # rate 1: the gradient
    np.testing.assert_allclose(squares.asnumpy(), lengths, rtol=1e-3, atol=1e-9)
    assert float(norm.asnumpy()) == pytest.approx(np.sqrt(sum(lengths)), rel=1e-4)


@pytest.fixture(scope="module")
def gradients_alone(cpu: None) -> dict[int, np.ndarray]:
    """Seed -> the gradient of that batch by itself, as one vector."""
    loss = cell()
    gradients = ms.value_and_grad(loss, None, loss.trainable_params())
    return {seed: np.concatenate([g.asnumpy().ravel() for g in gradients(*batch(seed))[1]]) for seed in (1, 2, 3)}


@pytest.mark.parametrize("mode", [pytest.param(ms.GRAPH_MODE, marks=pytest.mark.slow), ms.PYNATIVE_MODE])
def test_gathered_gradients_are_the_mean_of_those_of_the_batches(
    mode: int, gradients_alone: dict[int, np.ndarray]
) -> None:
    ms.set_context(mode=mode)
    loss = cell()
    before = weights(loss)
    step = TrainStep(loss, sgd(loss), accumulate=3).set_train(True)
    for seed in (1, 2):
        step(*batch(seed))
        assert not change(before, weights(loss)).any()
    step(*batch(3))  # rate 1: the change is minus the gradient
    mean = np.mean([gradients_alone[seed] for seed in (1, 2, 3)], axis=0)
    np.testing.assert_allclose(change(before, weights(loss)), -mean, rtol=1e-4, atol=1e-6)
    middle = weights(loss)
    for seed in (1, 2, 3):  # and it begins anew
        step(*batch(seed))
    assert change(middle, weights(loss)).any()
    assert int(step.gathered_calls.asnumpy()) == 0


@pytest.mark.slow
def test_a_batch_that_is_not_finite_is_not_gathered() -> None:
    loss = cell()
    before = weights(loss)
    step = TrainStep(loss, sgd(loss, 0.1), accumulate=2).set_train(True)
    step(*batch(1))
    step(*spoilt_batch(np.nan))
    assert not change(before, weights(loss)).any()
    step(*batch(2))
    assert np.isfinite(change(before, weights(loss))).all() and change(before, weights(loss)).any()


@pytest.mark.slow
def test_averages_follow_the_weights_and_are_used_only_inside() -> None:
    loss = cell()
    step = TrainStep(loss, sgd(loss, 0.05), ema=0.5).set_train(True)
    names = [parameter.name for parameter in step.averaged]
    expected = {p.name: p.asnumpy().astype(np.float64) for p in step.averaged}
    for update in range(1, 5):
        step(*batch(update))
        decay = min(0.5, (1 + update) / (10 + update))
        now = {p.name: p.asnumpy() for p in step.averaged}
        expected = {name: decay * expected[name] + (1 - decay) * now[name] for name in names}
    outside = [p.asnumpy().copy() for p in step.averaged]
    with step.in_use():
        for name, parameter in zip(names, step.averaged, strict=True):
            np.testing.assert_allclose(parameter.asnumpy(), expected[name], rtol=1e-4, atol=1e-6)
    for before, parameter in zip(outside, step.averaged, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), before)


@pytest.mark.slow
def test_the_state_is_enough_to_go_on_from() -> None:
    """Three steps, then two more by another cell that got the state of the first: the same as five."""

    def engine(seed: int) -> TrainStep:
        loss = WithLossCell(tiny(dropout=0.3, seed=seed), CTCLoss()).set_train(True)
        optimizer = nn.Adam(loss.trainable_params(), 0.05)
        return TrainStep(loss, optimizer, 5.0, scaler(), accumulate=2, ema=0.9).set_train(True)

    first, second = engine(0), engine(1)
    for seed in range(3):
        first(*batch(seed))
    for name, parameter in second.state().items():
        parameter.set_data(Tensor(first.state()[name].asnumpy()))
    for seed in range(3, 5):
        outcomes = [step(*batch(seed))[0].asnumpy().tobytes() for step in (first, second)]
        assert outcomes[0] == outcomes[1]
    for name, parameter in first.state().items():
        assert parameter.asnumpy().tobytes() == second.state()[name].asnumpy().tobytes(), name


def spoilt_batch(value: float) -> tuple[Tensor, ...]:
    features, *rest = batch()
    array = features.asnumpy().copy()
    array[0, 0, 3, 2] = value
    return Tensor(array), *rest


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("clip_norm", [0.0, 5.0])
def test_a_step_that_is_not_finite_changes_no_weight_and_says_so(value: float, clip_norm: float) -> None:
    loss = cell()
    optimizer = nn.Adam(loss.trainable_params(), 0.1)
    step = TrainStep(loss, optimizer, clip_norm).set_train(True)
    before = weights(loss) | weights_of(optimizer)
    _, norm, applied, _ = step(*spoilt_batch(value))
    assert not applied.asnumpy() and not np.isfinite(norm.asnumpy())
    assert not change(before, weights(loss) | weights_of(optimizer)).any()


def weights_of(optimizer: nn.Optimizer) -> dict[str, np.ndarray]:
    """What an optimiser remembers from step to step."""
    remembered = [*optimizer.moment1, *optimizer.moment2, optimizer.global_step]
    return {f"remembered {i}": parameter.asnumpy().copy() for i, parameter in enumerate(remembered)}


def statistics(network: nn.Cell) -> dict[str, np.ndarray]:
    """Means and variances that the batch norms have seen; evaluation uses them."""
    return {p.name: p.asnumpy().copy() for p in network.get_parameters() if "moving" in p.name}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_step_that_is_not_finite_leaves_the_batch_norms_alone(value: float) -> None:
    """With a NaN in them evaluation goes wrong for good, and without a sign.

    `ops.relu` of NaN is 0 on CPU, so neither the loss of this very step nor later logits show it.
    """
    loss = cell()
    step = TrainStep(loss, sgd(loss, 0.01)).set_train(True)
    first = statistics(loss)
    assert not step(*spoilt_batch(value))[2].asnumpy()
    assert not change(first, statistics(loss)).any()
    assert step(*batch())[2].asnumpy()
    second = statistics(loss)
    assert change(first, second).any()
    assert not step(*spoilt_batch(value))[2].asnumpy()
    assert not change(second, statistics(loss)).any()


def test_training_goes_on_after_a_step_that_was_not_applied() -> None:
    loss = cell()
    step = TrainStep(loss, sgd(loss, 0.1), clip_norm=5.0).set_train(True)
    outcomes = [bool(step(*data)[2].asnumpy()) for data in (batch(), spoilt_batch(np.nan), batch())]
    assert outcomes == [True, False, True]


def test_a_batch_of_fillers_changes_nothing() -> None:
    loss = cell()
    step = TrainStep(loss, sgd(loss), clip_norm=5.0).set_train(True)
    before = weights(loss)
    *data, label_lengths = batch()
    value, norm, applied, _ = step(*data, Tensor(np.full(label_lengths.shape, -1), ms.int32))
    assert (float(value.asnumpy()), float(norm.asnumpy()), bool(applied.asnumpy())) == (0, 0, True)
    assert not change(before, weights(loss)).any()


def test_a_scaler_changes_neither_loss_nor_step(free: dict[str, Any]) -> None:
    scaled = one_step(scaler=scaler())
    assert scaled["loss"] == pytest.approx(free["loss"], rel=1e-5)
    assert scaled["norm"] == pytest.approx(free["norm"], rel=1e-5)
    np.testing.assert_allclose(scaled["change"], free["change"], atol=1e-6)


def test_an_overflow_lowers_the_scale() -> None:
    loss, scale = cell(), scaler()
    step = TrainStep(loss, sgd(loss), 5.0, scale).set_train(True)
    step(*batch())
    assert float(scale.scale_value.asnumpy()) == 2**10
    assert not step(*spoilt_batch(np.inf))[2].asnumpy()
    assert float(scale.scale_value.asnumpy()) == 2**9


def mixed_precision(level: str) -> WithLossCell:
    """Seed, weights and batch of `cell()`, in the precision that the configuration calls `level`."""
    return cell(ms.amp.auto_mixed_precision(tiny(), level))


@pytest.mark.parametrize("level", ["auto", "O2", "O3"])
def test_mixed_precision_keeps_the_loss_in_float32_and_close(level: str, free: dict[str, Any]) -> None:
    features, labels, frames, label_lengths = batch()
    assert mixed_precision(level)(features, labels, frames, label_lengths).dtype == ms.float32
    step = one_step(scaler=scaler(), loss=mixed_precision(level))
    assert step["applied"]
    assert step["loss"] == pytest.approx(free["loss"], rel=1e-2)
    cosine = step["change"] @ free["change"] / np.linalg.norm(step["change"]) / np.linalg.norm(free["change"])
    assert cosine > 0.99


@pytest.mark.parametrize("amp", get_args(TrainConfig.model_fields["amp"].annotation))
@pytest.mark.slow
def test_every_precision_of_the_page_makes_a_step(amp: str) -> None:
    """The step as training builds it; the first ones may overflow, until the loss scale has settled."""
    page = {"data": {"train": "a", "dev": "b"}, "train": {"amp": amp}}
    step = train_step(parse_config(page, "page"), tiny(), steps_per_epoch=6).set_train(True)
    used = []
    while not any(used) and len(used) < (1 if amp == "off" else 6):
        loss, _, applied, _ = step(*batch())
        assert np.isfinite(loss.asnumpy())
        used.append(bool(applied.asnumpy()))
    assert used[-1]


@pytest.mark.slow
def test_graph_mode_equals_pynative_mode() -> None:
    """Loss, norm and weights of one clipped step."""
    step = one_step(clip_norm=1.0)
    ms.set_context(mode=ms.GRAPH_MODE)
    graph_step = one_step(clip_norm=1.0)
    for figure in ("loss", "norm", "applied"):
        assert graph_step[figure] == pytest.approx(step[figure], rel=1e-5)
    np.testing.assert_allclose(graph_step["change"], step["change"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
def test_mixed_precision_in_graph_mode_learns_and_survives_a_step_that_is_not_finite() -> None:
    loss = mixed_precision("O3")
    optimizer = nn.Adam(loss.trainable_params(), 0.02)
    step = TrainStep(loss, optimizer, 5.0, scaler()).set_train(True)
    first = statistics(loss)
    losses = [float(step(*batch())[0].asnumpy()) for _ in range(5)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    before = weights(loss) | weights_of(optimizer) | statistics(loss)
    assert change(first, before).any()
    assert not step(*spoilt_batch(np.nan))[2].asnumpy()
    assert not change(before, weights(loss) | weights_of(optimizer) | statistics(loss)).any()
    assert step(*batch())[2].asnumpy()


@pytest.mark.slow
@pytest.mark.usefixtures("graph_mode")
def test_the_step_is_what_model_train_runs() -> None:
    """Twenty steps through `Model.train` learn four sentences; the callbacks get loss, norm and applied."""
    data = [array.asnumpy() for array in batch()]
    rows = ms.dataset.GeneratorDataset(
        lambda: (tuple(data) for _ in range(20)), ["features", "labels", "frames", "label_lengths"], shuffle=False
    )
    outputs = []

    class Keep(ms.train.Callback):
        def on_train_step_end(self, run_context: ms.train.RunContext) -> None:
            outputs.append([float(x.asnumpy()) for x in run_context.original_args().net_outputs[:3]])

    loss = cell()
    Model(TrainStep(loss, nn.Adam(loss.trainable_params(), 0.02), 5.0)).train(
        1, rows, callbacks=[Keep()], dataset_sink_mode=False
    )
    assert len(outputs) == 20 and all(applied == 1 for *_, applied in outputs)
    assert outputs[-1][0] < 0.6 * outputs[0][0]
    assert ops.isfinite(loss.predict(*(Tensor(data[i]) for i in (0, 2)))).all()
