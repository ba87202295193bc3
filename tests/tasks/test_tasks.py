"""Tasks: what they teach, what they count, and that every one of them keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest

from dfcnn_ms.config import parse_config
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.decoding.boundaries import Sound
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import Edits
from dfcnn_ms.tasks import TASKS, Classify, Ctc, Task
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("ba1", "er4", "san1"))
SOUND = Sound(np.zeros((100, 8), np.float32), 0.01, 0.025, 4)

every = pytest.mark.parametrize("task", [kind() for kind in TASKS.values()], ids=TASKS)
#: of the others, tests/tasks/test_parts_task.py says what is known of a unit
whole_units = pytest.mark.parametrize("task", [kind() for kind in TASKS.values() if kind.id_is_unit], ids=repr)


def certain(*ids: int) -> np.ndarray:
    """Log-probabilities (U, V) that nearly spell a path."""
    probabilities = np.full((len(ids), len(VOCABULARY)), 0.02)
    probabilities[np.arange(len(ids)), ids] = 1 - 0.02 * (len(VOCABULARY) - 1)
    return np.log(probabilities)


def page(**sections: object) -> object:
    return parse_config({"data": {"train": "a.jsonl", "dev": "b.jsonl"}, **sections}, where="page")


@every
def test_a_task_is_a_value(task: Task) -> None:
    assert eval(repr(task), {type(task).__name__: type(task)}) == task


@every
@pytest.mark.parametrize("labels", ["pinyin", "as_written"])
def test_the_deciding_figure_has_the_name_of_the_unit_and_comes_first(task: Task, labels: str) -> None:
    unit = task.unit_of(labels)
    sums = task.count(certain(2), ("ba1",), VOCABULARY)
    assert len(sums) == task.counts
    figures = task.figures(sums, unit)
    assert next(iter(figures)) == task.figure(unit) == f"dev_{unit}_error_rate"
    assert figures[task.figure(unit)] == 0.0


@every
def test_counts_of_a_set_are_the_sums_of_its_utterances(task: Task) -> None:
    """One right, one substituted, which in a set is one that lacks and one too many, and one not heard at all."""
    heard = [(certain(2), ("ba1",)), (certain(3), ("ba1",)), (certain(2)[:0], ("san1",))]
    sums = np.sum([task.count(log_probs, said, VOCABULARY) for log_probs, said in heard], axis=0)
    figures = task.figures(sums.tolist(), "syllable")
    wrong = [1, 1, 0] if task.ordered else [0, 2, 1]
    assert figures["dev_syllable_error_rate"] == pytest.approx(sum(wrong) / 3)
    assert [figures[f"dev_{kind}"] for kind in ("substitutions", "deletions", "insertions")] == wrong
    assert all(isinstance(figures[f"dev_{kind}"], int) for kind in ("substitutions", "deletions", "insertions"))


@whole_units
def test_the_likeliest_text_can_be_aligned_and_has_times_inside_the_sound(task: Task) -> None:
    log_probs = certain(2, 0, 3) if task.outputs == "ctc" else certain(2)
    ids = task.spell(log_probs)
    alignment = task.align(log_probs, ids)
    starts, ends = task.times(alignment, SOUND)
    assert alignment.ids == ids and len(starts) == len(ends) == len(ids)
    assert all(0 <= start < end <= SOUND.seconds for start, end in zip(starts, ends, strict=True))
    # Of labels without an order each is beside its own "no" alone, which has 0.02.
    likely = 0.92 / 0.94 if task.outputs == "labels" else 0.92
    assert alignment.scores == pytest.approx([likely] * len(ids))
    assert task.confidences(log_probs, alignment) == pytest.approx([likely] * len(ids))


def test_words_are_counted_as_words_and_syllables_as_syllables() -> None:
    assert [Ctc().unit_of(labels) for labels in ("pinyin", "as_written")] == ["syllable", "word"]
    assert page(data={"train": "a", "dev": "b", "labels": "as_written"}).target == "dev_word_error_rate"
    assert page().target == "dev_syllable_error_rate"


def test_ctc_counts_blanks_and_what_is_written() -> None:
    figures = Ctc().figures(Ctc().count(certain(0, 2, 0, 0), ("ba1", "er4"), VOCABULARY), "syllable")
    assert (figures["blank_fraction"], figures["emitted_ratio"]) == (0.75, 0.5)


def test_the_classes_are_the_units_alone() -> None:
    """Blank and unknown are outputs of the network, and never the answer."""
    log_probs = np.log(np.array([[0.5, 0.3, 0.05, 0.1, 0.05]]))
    assert Classify().spell(log_probs) == (3,)
    assert Classify().spell(log_probs[:0]) == ()
    with pytest.raises(DataError, match="a clip has one class, got 2"):
        Classify().align(log_probs, [2, 3])


def test_accuracy_is_what_is_left_of_the_errors() -> None:
    assert Classify().also(Edits(3, 1, 0, 16, 16)) == {"accuracy": 0.75}
    assert Ctc().also(Edits(3, 1, 0, 16, 16)) == {}


@pytest.mark.parametrize("label", [(), ("ba1", "er4")])
def test_a_clip_has_one_class(label: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=rf"a.jsonl:3: task classify wants one label a clip; got {len(label)}"):
        Classify().target(label, VOCABULARY, "a.jsonl:3")
    assert Classify().target(("er4",), VOCABULARY) == [3]
    assert Ctc().target(("er4", "ba1"), VOCABULARY) == [3, 2]


def test_a_task_says_what_is_written_of_an_utterance() -> None:
    assert Ctc().label(Utterance("a", "a.wav", 1.0, ("ba1", "er4"))) == ("ba1", "er4")


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ({"task": {"kind": "classify"}}, r"page: task: classify needs a network with a single output"),
        ({"model": {"over_time": "mean"}}, r"page: task: ctc needs a network with an output for each step"),
        (
            {"task": {"kind": "classify"}, "model": {"over_time": "mean"}, "train": {"blank_bias": -1}},
            r"page: train.blank_bias: this task has no blank",
        ),
        ({"task": {"kind": "clasify"}}, r"page: task: unknown kind 'clasify'; did you mean 'classify'\?"),
        ({"task": {"kind": "ace", "units": 3}}, r"page: task: unknown key 'units' for kind 'ace'; it has none"),
        ({"task": {"kind": "ctc", "ace": 1}}, r"unknown key 'ace' for kind 'ctc'; known: ace_weight"),
    ],
)
def test_a_page_whose_sections_do_not_go_together_is_refused(sections: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        page(**sections)
