"""CTCLoss against two slow truths in float64, and notes on MindSpore's own operators.

The truths are the sum over all paths, for tiny cases, and forward-backward in log space; each gives the
value and the gradient with respect to the logits, and they must agree with each other first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import groupby, product
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from dfcnn_ms.errors import ConfigError
from dfcnn_ms.tasks.cells.losses import CTCLoss, adjacent_repeats

pytestmark = pytest.mark.usefixtures("cpu")

MODES = {"pynative": ms.PYNATIVE_MODE, "graph": ms.GRAPH_MODE}


class Batch(NamedTuple):
    """What the loss is called with, as NumPy arrays."""

    logits: np.ndarray  # (B, U, V)
    logit_lengths: np.ndarray  # (B,)
    labels: np.ndarray  # (B, L)
    label_lengths: np.ndarray  # (B,)

    def tensors(self, dtype: ms.Type = ms.float32) -> tuple[Tensor, ...]:
        return Tensor(self.logits, dtype), *(Tensor(array, ms.int32) for array in self[1:])

    def row(self, index: int) -> tuple[np.ndarray, list[int]]:
        """The logits (U, V) and the label of one utterance, without padding."""
        return self.logits[index, : self.logit_lengths[index]], self.labels[index][: self.label_lengths[index]].tolist()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def by_enumeration(logits: np.ndarray, label: list[int], blank: int = 0) -> tuple[float, np.ndarray]:
    """The CTC loss of one utterance (U, V) and its gradient, by writing down every path."""
    log_probs = log_softmax(logits)
    steps, units = log_probs.shape
    total, visits = 0.0, np.zeros_like(log_probs)
    for path in product(range(units), repeat=steps):
        if [unit for unit, _ in groupby(path) if unit != blank] == label:
            probability = np.exp(log_probs[range(steps), path].sum())
            total += probability
            visits[range(steps), path] += probability
    return -np.log(total), np.exp(log_probs) - visits / total


def scores_forward(scores: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """Log-sum over all ways to be in each state at each step, from emission scores (U, S)."""
    reached = np.full_like(scores, -np.inf)
    reached[0, :2] = scores[0, :2]
    for step in range(1, len(scores)):
        stay = np.pad(reached[step - 1], (2, 0), constant_values=-np.inf)  # (S + 2,)
        ways = [stay[2:], stay[1:-1], np.where(skips, stay[:-2], -np.inf)]
        reached[step] = scores[step] + np.logaddexp.reduce(ways)
    return reached


def by_forward_backward(logits: np.ndarray, label: list[int], blank: int = 0) -> tuple[float, np.ndarray]:
    """The CTC loss of one utterance (U, V) and its gradient, in log space and float64."""
    log_probs = log_softmax(logits)
    states = np.full(2 * len(label) + 1, blank)
    states[1::2] = label
    skips = np.zeros(len(states), bool)  # from the unit before, over the blank between
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    skips_back = np.append(skips[2:], [False, False])[: len(states)][::-1]
    scores = log_probs[:, states]  # (U, S)
    before = scores_forward(scores, skips)
    after = scores_forward(scores[::-1, ::-1], skips_back)[::-1, ::-1]
    total = np.logaddexp.reduce(before[-1, -2:])
    visits = np.zeros_like(log_probs)
    np.add.at(visits.T, states, np.exp(before + after - scores - total).T)  # a unit has many states
    return -total, np.exp(log_probs) - visits


def expected(batch: Batch, blank: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Losses (B,) and gradients (B, U, V) of the truth; zero on padded frames."""
    losses, gradients = np.zeros(len(batch.logits)), np.zeros(batch.logits.shape)
    for index, steps in enumerate(batch.logit_lengths):
        losses[index], gradients[index, :steps] = by_forward_backward(*batch.row(index), blank)
    return losses, gradients


def measured(batch: Batch, reduction: str = "none", blank: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The value of the loss under test, and the gradient of its sum with respect to the logits."""
    value, gradient = value_and_gradient(reduction, blank, ms.get_context("mode"))(*batch.tensors())
    return value.asnumpy(), gradient.asnumpy()


@cache
def value_and_gradient(reduction: str, blank: int, mode: int) -> Callable[..., Any]:
    """One function for each mode, so that GRAPH_MODE compiles once per shape."""
    return ms.value_and_grad(CTCLoss(reduction, blank), 0)


def leave_sevens_in_memory(shape: tuple[int, ...]) -> None:
    """Memory that the next operator gets for an output of this shape is free, and full of sevens."""
    sevens = [Tensor(np.full(shape, -7), ms.float32).abs() for _ in range(100)]
    assert sevens[-1].asnumpy().min() == 7


def needed_steps(label: np.ndarray) -> int:
    return len(label) + int((label[1:] == label[:-1]).sum())


def random_batch(rng: np.random.Generator, rows: int, steps: int, units: int, labels: int, scale: float) -> Batch:
    """Feasible utterances of all lengths with many repeats; some have no label, some no step to spare."""
    batch = Batch(
        (scale * rng.normal(size=(rows, steps, units))).astype(np.float32),
        np.zeros(rows, np.int64),
        rng.integers(1, min(units, 4), size=(rows, labels)),
        rng.integers(0, labels + 1, size=rows),
    )
    for row in range(rows):
        needed = needed_steps(batch.labels[row, : batch.label_lengths[row]])
        batch.logit_lengths[row] = rng.integers(max(1, needed), steps + 1)
        if row % 4 == 0:
            batch.logit_lengths[row] = max(1, needed)
    return batch


@pytest.mark.parametrize("label", [[], [1], [2], [1, 2], [1, 1], [2, 1, 2], [1, 2, 1, 2, 1], [2, 2, 2]])
@pytest.mark.parametrize("blank", [0, 3])
def test_the_two_truths_agree(label: list[int], blank: int) -> None:
    logits = 3 * np.random.default_rng(len(label)).normal(size=(5, 4))
    value, gradient = by_enumeration(logits, label, blank)
    fast_value, fast_gradient = by_forward_backward(logits, label, blank)
    assert fast_value == pytest.approx(value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(fast_gradient, gradient, atol=1e-12)


def test_equals_the_sum_over_all_paths() -> None:
    rng = np.random.default_rng(1)
    labels = [[], [1], [2, 1], [1, 1], [2, 2], [1, 2, 1], [1, 2, 2], [1, 2, 1, 2]]
    lengths = [4, 1, 2, 3, 4, 4, 4, 4]
    padded = np.array([label + [1] * (4 - len(label)) for label in labels])
    batch = Batch(2 * rng.normal(size=(8, 4, 3)), np.array(lengths), padded, np.array([len(x) for x in labels]))
    losses, gradients = measured(batch)
    for index, steps in enumerate(lengths):
        value, gradient = by_enumeration(*batch.row(index))
        assert losses[index] == pytest.approx(value, rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(gradients[index, :steps], gradient, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)  # GRAPH_MODE compiles once, for the first scale
@pytest.mark.parametrize("scale", [1, 30, 200])
def test_value_and_gradient(scale: float, mode: str) -> None:
    ms.set_context(mode=MODES[mode])
    batch = random_batch(np.random.default_rng(2), rows=64, steps=50, units=12, labels=16, scale=scale)
    losses, gradients = measured(batch)
    true_losses, true_gradients = expected(batch)
    # MindSpore's log-softmax on CPU is right to 2e-6, whatever the precision; a loss near 0 cannot do better.
    np.testing.assert_allclose(losses, true_losses, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradients, true_gradients, atol=1e-4)


def test_padded_frames_do_nothing_and_get_no_gradient() -> None:
    rng = np.random.default_rng(3)
    batch = random_batch(rng, rows=32, steps=30, units=7, labels=6, scale=5)
    padding = np.arange(30) >= batch.logit_lengths[:, None]
    garbage = batch._replace(logits=np.where(padding[..., None], 1e4 * rng.normal(size=(32, 30, 7)), batch.logits))
    losses, gradients = measured(batch)
    losses_with_garbage, gradients_with_garbage = measured(garbage)
    np.testing.assert_array_equal(losses_with_garbage, losses)
    np.testing.assert_array_equal(gradients_with_garbage, gradients)
    assert not gradients[padding].any()


def test_padding_of_the_labels_does_nothing() -> None:
    batch = random_batch(np.random.default_rng(4), rows=16, steps=20, units=7, labels=6, scale=3)
    padding = np.arange(6) >= batch.label_lengths[:, None]
    for filler in (-1, 0, 10_000):
        other = batch._replace(labels=np.where(padding, filler, batch.labels))
        np.testing.assert_array_equal(measured(other)[0], measured(batch)[0])


@pytest.mark.parametrize("labels", [0, 1])
def test_narrow_label_arrays(labels: int) -> None:
    batch = random_batch(np.random.default_rng(5), rows=4, steps=6, units=5, labels=labels, scale=1)
    leave_sevens_in_memory((4,))  # MindSpore leaves its output alone when an input has no elements
    np.testing.assert_allclose(measured(batch)[0], expected(batch)[0], rtol=1e-5)


def test_blank_may_be_the_last_unit() -> None:
    batch = random_batch(np.random.default_rng(6), rows=16, steps=20, units=7, labels=6, scale=3)
    batch = batch._replace(labels=batch.labels - 1)  # 0 is a unit like any other now
    losses, gradients = measured(batch, blank=6)
    true_losses, true_gradients = expected(batch, blank=6)
    np.testing.assert_allclose(losses, true_losses, rtol=1e-4)
    np.testing.assert_allclose(gradients, true_gradients, atol=1e-5)


INFEASIBLE = {
    "more labels than steps": ([1, 2, 3], 2, 3),
    "repeats need a blank between": ([1, 1, 2], 3, 3),
    "only repeats": ([2, 2, 2], 4, 3),
    "label out of range": ([1, 5, 2], 8, 3),
    "label negative": ([1, -1, 2], 8, 3),
    "label equals blank": ([1, 0, 2], 8, 3),
    "filler row": ([1, 1, 1], 8, -1),
    "filler row without steps": ([1, 1, 1], 0, -1),
    "label length beyond the array": ([1, 2, 3], 8, 4),
    "no steps": ([1, 1, 1], 0, 1),
    "negative steps": ([1, 1, 1], -3, 0),
    "more steps than there are": ([1, 2, 3], 9, 3),
}


def with_infeasible_rows() -> tuple[Batch, Batch]:
    """Good utterances, and the same with one infeasible row after each."""
    rng = np.random.default_rng(7)
    good = random_batch(rng, rows=len(INFEASIBLE), steps=8, units=5, labels=3, scale=2)
    labels, steps, lengths = (np.array(column) for column in zip(*INFEASIBLE.values(), strict=True))
    bad = Batch(50 * rng.normal(size=good.logits.shape), steps, labels, lengths)
    rows = [np.stack([one, other], axis=1).reshape(-1, *one.shape[1:]) for one, other in zip(good, bad, strict=True)]
    return good, Batch(*rows)


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
def test_infeasible_rows_contribute_exactly_nothing(mode: str) -> None:
    ms.set_context(mode=MODES[mode])
    good, batch = with_infeasible_rows()
    losses, gradients = measured(batch)
    for index, complaint in enumerate(INFEASIBLE):
        assert losses[2 * index + 1] == 0, complaint
        assert not gradients[2 * index + 1].any(), complaint
    # Each good row twice: the same shape, which graph mode does not compile again.
    alone_losses, alone_gradients = measured(Batch(*(np.repeat(rows, 2, axis=0) for rows in good)))
    np.testing.assert_array_equal(losses[::2], alone_losses[::2])
    np.testing.assert_array_equal(gradients[::2], alone_gradients[::2])


def test_the_mean_is_over_the_feasible_only() -> None:
    good, batch = with_infeasible_rows()
    mean, gradients = measured(batch, "mean")
    good_mean, good_gradients = measured(good, "mean")
    assert mean == pytest.approx(good_mean, rel=1e-6)
    np.testing.assert_allclose(gradients[::2], good_gradients, atol=1e-7)
    assert not gradients[1::2].any()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_batch_without_any_feasible_row_is_zero(reduction: str) -> None:
    logits = np.random.default_rng(9).normal(size=(3, 4, 5))
    batch = Batch(logits, np.array([1, 4, 4]), np.array([[1, 2], [1, 1], [0, 1]]), np.array([2, -1, 2]))
    value, gradient = measured(batch, reduction)
    np.testing.assert_array_equal(value, np.zeros(3) if reduction == "none" else 0)
    assert not gradient.any()


def test_no_steps_and_no_labels_is_a_certainty() -> None:
    batch = Batch(np.ones((1, 4, 5)), np.array([0]), np.array([[1]]), np.array([0]))
    loss, gradient = measured(batch)
    assert loss == [0] and not gradient.any()


def test_reductions() -> None:
    batch = random_batch(np.random.default_rng(10), rows=6, steps=12, units=5, labels=4, scale=2)
    losses, gradients = measured(batch, "none")
    assert losses.shape == (6,)
    for reduction, divisor in (("sum", 1), ("mean", 6)):
        value, gradient = measured(batch, reduction)
        assert value.shape == ()
        assert value == pytest.approx(losses.sum() / divisor, rel=1e-6)
        np.testing.assert_allclose(gradient, gradients / divisor, atol=1e-6)


def test_mean_is_the_default_and_other_reductions_are_refused() -> None:
    assert CTCLoss().reduction == "mean"
    with pytest.raises(ConfigError, match="reduction: got 'average', wanted one of mean, sum, none"):
        CTCLoss("average")


def test_float16_logits_give_a_float32_loss() -> None:
    batch = random_batch(np.random.default_rng(11), rows=8, steps=40, units=12, labels=6, scale=8)
    rounded = batch._replace(logits=batch.logits.astype(np.float16).astype(np.float32))
    value, gradient = ms.value_and_grad(CTCLoss("none"), 0)(*rounded.tensors(ms.float16))
    true_losses, true_gradients = expected(rounded)
    assert value.dtype == ms.float32 and gradient.dtype == ms.float16
    np.testing.assert_allclose(value.asnumpy(), true_losses, rtol=1e-4)
    np.testing.assert_allclose(gradient.asnumpy(), true_gradients, atol=1e-3)  # a float16 has three digits


def test_a_constant_added_to_a_step_changes_nothing() -> None:
    """The softmax is inside: only differences between the units of one step count."""
    rng = np.random.default_rng(12)
    batch = random_batch(rng, rows=16, steps=20, units=7, labels=5, scale=3)
    shifted = batch._replace(logits=batch.logits + 20 * rng.normal(size=(16, 20, 1)).astype(np.float32))
    for left, right in zip(measured(shifted), measured(batch), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=2e-5)


def test_log_softmax_before_the_loss_does_no_harm_but_a_softmax_does() -> None:
    """Normalised logits are a fixed point of log-softmax; probabilities are not, so the bug would show."""
    batch = random_batch(np.random.default_rng(13), rows=16, steps=20, units=7, labels=5, scale=3)
    normalised = log_softmax(batch.logits)
    losses, _ = measured(batch)
    np.testing.assert_allclose(measured(batch._replace(logits=normalised))[0], losses, rtol=1e-5)
    twice = measured(batch._replace(logits=np.exp(normalised)))[0]
    assert (np.abs(twice - losses) > 0.05 * losses).all()


def test_two_softmaxes_cannot_learn() -> None:
    """With probabilities as logits even a certain and right network has a high loss."""
    certain = np.full((1, 6, 5), -100.0)
    certain[0, range(6), [0, 1, 0, 2, 0, 0]] = 100.0
    batch = Batch(certain, np.array([6]), np.array([[1, 2]]), np.array([2]))
    assert measured(batch)[0] == pytest.approx(0, abs=1e-5)
    assert measured(batch._replace(logits=np.exp(log_softmax(certain))))[0] > 3


def test_adjacent_repeats_are_counted_inside_the_label_only() -> None:
    labels = Tensor([[1, 1, 1], [1, 2, 2], [1, 2, 2], [3, 3, 3], [3, 3, 3]], ms.int32)
    lengths = Tensor([3, 3, 2, 1, 0], ms.int32)
    assert adjacent_repeats(labels, lengths).asnumpy().tolist() == [2, 1, 0, 0, 0]


# Notes to readers: what MindSpore's own operators do today. A note fails when MindSpore mends its fault; then
# drop it here and in docs/mindspore_pitfalls.md, and see whether the loss can become simpler.


def classic_primitive(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """`ops.CTCLoss` on raw logits, with blank V-1: losses (B,) and gradients (B, U, V)."""
    rows = np.arange(len(batch.labels))
    places = [(row, index) for row in rows for index in range(batch.label_lengths[row])]
    values = [batch.labels[place] for place in places]
    losses, gradients = ops.CTCLoss()(
        Tensor(batch.logits.swapaxes(0, 1), ms.float32),
        Tensor(np.array(places), ms.int64),
        Tensor(np.array(values), ms.int32),
        Tensor(batch.logit_lengths, ms.int32),
    )
    return losses.asnumpy(), gradients.asnumpy().swapaxes(0, 1)


def log_space_operator(batch: Batch, log_probs: np.ndarray, **options: Any) -> np.ndarray:
    """`ops.ctc_loss`: log-probabilities (B, U, V), dense labels, the blank is unit 0. Losses (B,)."""
    arrays = (
        Tensor(log_probs.swapaxes(0, 1), ms.float32),
        *(Tensor(array, ms.int32) for array in (batch.labels, batch.logit_lengths, batch.label_lengths)),
    )
    return ops.ctc_loss(*arrays, reduction="none", **options)[0].asnumpy()


def full_batch(seed: int, scale: float, rows: int = 8, steps: int = 30) -> Batch:
    """Every utterance has three labels and all its steps."""
    batch = random_batch(np.random.default_rng(seed), rows, steps, units=7, labels=3, scale=scale)
    return batch._replace(label_lengths=np.full(rows, 3), logit_lengths=np.full(rows, steps))


def test_note_the_classic_primitive_is_right_for_small_logits() -> None:
    batch = full_batch(seed=14, scale=1)
    np.testing.assert_allclose(classic_primitive(batch)[0], expected(batch, blank=6)[0], rtol=1e-4)


def test_note_the_classic_primitive_overflows_on_large_logits() -> None:
    """Infinity and no gradient where the truth is finite. Fails once MindSpore mends it."""
    batch = full_batch(seed=15, scale=200)
    true_losses, true_gradients = expected(batch, blank=6)
    losses, gradients = classic_primitive(batch)
    lost = np.isinf(losses)
    assert lost.any() and np.isfinite(true_losses).all()
    assert not gradients[lost].any() and np.abs(true_gradients[lost]).max() > 0.5
    np.testing.assert_allclose(measured(batch, blank=6)[0], true_losses, rtol=1e-4)


def test_note_the_classic_primitive_leaves_garbage_on_padded_frames() -> None:
    """The gradient there is what the memory held before, here a 7. Fails once MindSpore mends it."""
    short = full_batch(seed=16, scale=1)._replace(logit_lengths=np.full(8, 8))
    leave_sevens_in_memory((30, 8, 7))
    assert np.abs(classic_primitive(short)[1][:, 8:]).max() > 0.1
    assert not measured(short, blank=6)[1][:, 8:].any()


def test_note_the_classic_primitive_is_wrong_for_an_empty_label() -> None:
    """An empty label costs the probability of all blanks. Fails once MindSpore mends it."""
    batch = full_batch(seed=17, scale=1)._replace(label_lengths=np.array([3, 0, 3, 3, 3, 3, 3, 3]))
    true_losses = expected(batch, blank=6)[0]
    assert abs(classic_primitive(batch)[0][1] - true_losses[1]) > 1
    assert measured(batch, blank=6)[0][1] == pytest.approx(true_losses[1], rel=1e-5)


def test_note_the_log_space_operator_takes_raw_logits_without_a_word() -> None:
    """It wants log-probabilities; logits give a number, even a negative one. `nn.CTCLoss` is the same."""
    batch = full_batch(seed=18, scale=3)
    true_losses = expected(batch)[0]
    np.testing.assert_allclose(log_space_operator(batch, log_softmax(batch.logits)), true_losses, rtol=1e-4)
    nonsense = log_space_operator(batch, batch.logits)
    assert np.isfinite(nonsense).all() and (nonsense < 0).any()
    assert (np.abs(nonsense - true_losses) > 1).all()
    cell = nn.CTCLoss(reduction="none")(
        Tensor(batch.logits.swapaxes(0, 1), ms.float32),
        *(Tensor(array, ms.int32) for array in (batch.labels, batch.logit_lengths, batch.label_lengths)),
    )
    np.testing.assert_array_equal(cell.asnumpy(), nonsense)


def test_note_zero_infinity_does_not_zero_the_infinity_of_repeats() -> None:
    """Three equal labels need five steps; with four it says inf. Fails once MindSpore mends it."""
    batch = full_batch(seed=19, scale=1, rows=1, steps=5)
    batch = batch._replace(labels=np.array([[2, 2, 2]]), logit_lengths=np.array([4]))
    assert np.isinf(log_space_operator(batch, log_softmax(batch.logits), zero_infinity=True)).all()
    assert measured(batch)[0] == [0]


def test_note_zero_infinity_crashes_on_a_label_longer_than_its_frames() -> None:
    """Asked for zero, the operator raises. Fails once MindSpore mends it."""
    batch = full_batch(seed=20, scale=1, rows=1, steps=5)
    batch = batch._replace(labels=np.array([[1, 2, 3]]), logit_lengths=np.array([2]))
    with pytest.raises(RuntimeError, match="CTCLossV2"):
        log_space_operator(batch, log_softmax(batch.logits), zero_infinity=True)
    assert measured(batch)[0] == [0]


def test_note_the_log_space_operator_refuses_half_precision() -> None:
    """So the loss casts to float32 whatever the network ran in. Fails once MindSpore mends it."""
    batch = full_batch(seed=21, scale=1)
    log_probs = Tensor(log_softmax(batch.logits).swapaxes(0, 1), ms.float16)
    with pytest.raises(TypeError, match=r"float16|Float16"):
        ops.ctc_loss(log_probs, *(Tensor(a, ms.int32) for a in (batch.labels, *batch[1::2])), reduction="none")
