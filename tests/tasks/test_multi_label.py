"""Several labels a clip: the loss against NumPy, what is read out of the outputs, figures beside another library."""

from __future__ import annotations

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from sklearn.metrics import average_precision_score, f1_score

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding import DECODERS
from dfcnn_ms.decoding.presence import Presence, presence, present
from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.evaluation.results import Heard, by_label
from dfcnn_ms.metrics import Edits, edits, f1, mean_average_precision
from dfcnn_ms.tasks import MultiLabel
from dfcnn_ms.tasks.cells.multi_label import BinaryCrossEntropy
from dfcnn_ms.text.vocabulary import Vocabulary

pytestmark = pytest.mark.usefixtures("cpu")


def in_numpy(logits: np.ndarray, truth: np.ndarray, rows: list[int]) -> tuple[float, np.ndarray]:
    """Mean loss and its gradient in float64; column 0 is the logit of "no", column 1 takes no part."""
    share = 1 / (1 + np.exp(logits[:, 0, :1] - logits[:, 0, 2:]))
    losses = -np.log(np.where(truth, share, 1 - share)).mean(axis=1)
    gradient = np.zeros_like(logits)
    gradient[rows, 0, 2:] = (share - truth)[rows] / truth.shape[1] / len(rows)
    gradient[:, 0, 0] = -gradient[:, 0, 2:].sum(axis=1)
    return float(losses[rows].mean()), gradient


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_value_and_gradient_are_those_of_numpy(mode: int) -> None:
    """Two labels, one twice, none at all, and a row that only fills the batch."""
    ms.set_context(mode=mode)
    logits = np.random.default_rng(0).normal(size=(4, 1, 6)) * 4
    labels, counts = np.array([[2, 5, 3], [4, 4, 2], [3, 3, 3], [2, 2, 2]]), np.array([2, 2, 0, -1])
    truth = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    given = (Tensor(np.ones(4), ms.int32), Tensor(labels, ms.int32), Tensor(counts, ms.int32))
    value, gradient = ms.value_and_grad(BinaryCrossEntropy(), 0)(Tensor(logits, ms.float32), *given)
    wanted = in_numpy(logits, truth, [0, 1, 2])
    assert float(value.asnumpy()) == pytest.approx(wanted[0], rel=1e-5)
    np.testing.assert_allclose(gradient.asnumpy(), wanted[1], atol=1e-6)


def test_logits_that_are_far_apart_stay_finite() -> None:
    logits = Tensor(np.array([[[0, 0, 90, -90]]]), ms.float32)
    given = (Tensor([1], ms.int32), Tensor([[3]], ms.int32), Tensor([1], ms.int32))
    value, gradient = ms.value_and_grad(BinaryCrossEntropy(), 0)(logits, *given)
    assert float(value.asnumpy()) == pytest.approx(90, rel=1e-6)  # both labels are wrong by 90 nats
    np.testing.assert_allclose(gradient.asnumpy()[0, 0], [0, 0, 0.5, -0.5], atol=1e-6)


def test_a_label_is_there_with_its_own_probability_whatever_the_others_are() -> None:
    """The softmax over all outputs, which every network in use applies, takes nothing away."""
    logits = np.array([[0.5, 9.0, 2.5, -3.0, 0.6]])
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    np.testing.assert_allclose(presence(log_probs)[0, 2:], 1 / (1 + np.exp(0.5 - logits[0, 2:])), rtol=1e-6)
    assert present(log_probs) == MultiLabel().spell(log_probs) == (2, 4)
    found = MultiLabel().align(log_probs, (2, 4))
    assert found.scores == pytest.approx(presence(log_probs)[0, [2, 4]].tolist())
    with pytest.raises(DataError, match="too short has no labels, got 1"):
        MultiLabel().align(log_probs[:0], (2,))


def test_the_decoder_gives_the_likeliest_set_of_labels() -> None:
    """Beside all sets: the one of the highest probability has it, and no other set a higher one."""
    logits = np.random.default_rng(3).normal(size=(5, 1, 6)) * 2
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    for row, (hypothesis,) in zip(log_probs, Presence()(log_probs, np.ones(5, int)), strict=True):
        share = presence(row)[0, 2:]
        sets = [[bool(number >> bit & 1) for bit in range(4)] for number in range(16)]
        chances = [np.log(np.where(one, share, 1 - share)).sum() for one in sets]
        best = sets[int(np.argmax(chances))]
        assert hypothesis.ids == tuple(2 + place for place, there in enumerate(best) if there)
        assert hypothesis.log_prob == pytest.approx(max(chances))
    assert Presence()(log_probs[:1], [0])[0][0].ids == ()
    assert DECODERS["labels"] is Presence
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        Presence()(np.full((1, 1, 4), np.nan), [1])


def test_a_label_is_what_is_said_each_once_in_the_order_of_the_vocabulary() -> None:
    said = Utterance("a", "a.wav", 1.0, ("er4", "yi1", "ba1", "er4"))
    label = MultiLabel().label(said)
    assert label == ("ba1", "er4", "yi1")
    ids = Vocabulary.build([said.pinyin]).encode(label)
    assert ids == sorted(ids)
    assert MultiLabel().target((), Vocabulary(("ba1",))) == []


def test_f1_of_edits_is_that_of_sets() -> None:
    """Of 40 clips with six labels; an alignment in order would let fewer be right."""
    rng, names = np.random.default_rng(0), np.array(list("abcdef"))
    truth, chosen = rng.random((40, 6)) < 0.4, rng.random((40, 6)) < 0.4
    clips = [
        Heard(Utterance("a", "a.wav", 1.0, tuple(names[a])), tuple(names[b]), ordered=MultiLabel.ordered)
        for a, b in zip(truth, chosen, strict=True)
    ]
    counted = sum((one.edits for one in clips), Edits())
    assert (counted.substitutions, counted.deletions) == (0, int((truth & ~chosen).sum()))
    assert (counted.insertions, counted.reference_length) == (int((chosen & ~truth).sum()), int(truth.sum()))
    assert MultiLabel().also(counted)["micro_f1"] == pytest.approx(f1_score(truth, chosen, average="micro"))
    assert edits(["a", "b"], ["b", "c"]).substitutions == 2  # in order


def test_what_eval_measures_label_by_label() -> None:
    """Of 40 clips with five labels, and of one that is too short to be heard; of sequences there is nothing."""
    rng, vocabulary = np.random.default_rng(2), Vocabulary(tuple("abcde"))
    truth, logits = rng.random((41, 5)) < 0.4, rng.normal(size=(41, 1, 7))
    truth[:, 4] = False
    rows = [one[: index < 40] for index, one in enumerate(logits)]
    clips = [
        Heard(
            Utterance("a", "a.wav", 1.0, tuple(np.array(vocabulary.units)[said])),
            tuple(vocabulary.decode(MultiLabel().spell(row))),
            ordered=False,
            chances=MultiLabel().chances(row, vocabulary),
        )
        for said, row in zip(truth, rows, strict=True)
    ]
    scores = 1 / (1 + np.exp(logits[:, 0, :1] - logits[:, 0, 2:]))
    scores[40] = 0
    found = by_label(clips)
    assert found["macro_f1"] == pytest.approx(f1_score(truth, scores > 0.5, average="macro", zero_division=0))
    wanted = average_precision_score(truth[:, :4], scores[:, :4], average="macro")
    assert found["average_precision"] == pytest.approx(wanted)
    assert by_label([replace(one, chances={}) for one in clips]) == by_label([]) == {}


def test_the_figures_are_those_of_another_library() -> None:
    rng = np.random.default_rng(1)
    truth, scores = rng.random((60, 5)) < 0.3, rng.random((60, 5)).round(1)  # with equal scores
    truth[:, 4], chosen = False, scores > 0.6
    micro, macro = f1(truth, chosen)
    assert micro == pytest.approx(f1_score(truth, chosen, average="micro"))
    assert macro == pytest.approx(f1_score(truth, chosen, average="macro"))
    wanted = average_precision_score(truth[:, :4], scores[:, :4], average="macro")
    assert mean_average_precision(truth, scores) == pytest.approx(wanted)
    for nothing in (lambda: f1(truth[:, 4:], truth[:, 4:]), lambda: mean_average_precision(truth[:, 4:], scores)):
        with pytest.raises(DataError, match="at least one"):
            nothing()
