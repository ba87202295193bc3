"""The coach: what it says about recorded trainings, each rule by itself, and that nothing can make it stumble."""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.training.coach import RULES, Action, advise, percent, rules_table

Records = Sequence[Mapping[str, Any]]
CURVES = {
    path.stem: [json.loads(line) for line in path.read_text().splitlines()]
    for path in sorted((Path(__file__).parents[1] / "data" / "curves").glob("*.jsonl"))
}
KEYS = sorted({key for records in CURVES.values() for record in records for key in record})
NAMES = [rule.name for rule in RULES]
GROWTH = {"blank plateau", "plateau ends", "improves", "nothing to say"}


def heard(curve: str) -> list[str]:
    """The rule that speaks after each epoch of a recorded training."""
    records = CURVES[curve]
    return [advise(records[:count]).rule for count in range(1, len(records) + 1)]


# Recorded trainings: what somebody who knows them would say.


def test_a_training_that_goes_well_gets_no_advice() -> None:
    rules = heard("normal")
    assert set(rules) <= GROWTH
    assert rules[:2] == ["blank plateau", "plateau ends"] and set(rules[2:]) == {"improves"}
    assert advise(CURVES["normal"]).sentence == "dev error still falls: 54 % better over the last 3 epochs"


def test_the_blank_plateau_is_normal_until_guessing_by_frequency_is_beaten() -> None:
    assert heard("plateau")[1:] == ["blank plateau"] * 7
    assert advise(CURVES["plateau"][:3]).sentence == (
        "blank plateau: it writes almost nothing yet, which is normal until the loss per syllable is at about 2.3 "
        "(now 3.0); 3 epochs so far"
    )


def test_the_plateau_ends_where_the_sentence_says() -> None:
    """In the recorded trainings that leave it, the loss is above the entropy of the labels before, and below after."""
    for curve in ("normal", "by_heart", "rate_jumps"):
        end = heard(curve).index("plateau ends")
        losses = [record["loss_per_syllable"] for record in CURVES[curve]]
        entropy = CURVES[curve][0]["label_entropy"]
        assert losses[end - 1] > 0.98 * entropy and losses[end] < 0.98 * entropy, curve


def test_a_plateau_without_end() -> None:
    assert heard("endless_plateau")[-1] == "endless plateau"
    assert "6 epochs, the loss stands still at 2.70" in advise(CURVES["endless_plateau"]).sentence


def test_a_rate_that_jumps_is_halved_in_that_epoch() -> None:
    rules = heard("rate_jumps")
    assert rules.index("explosion") == 5 and set(rules[:5]) <= GROWTH
    advice = advise(CURVES["rate_jumps"][:6])
    assert advice.action == Action(rate_factor=0.5)
    assert advice.sentence.startswith("loss rises (1.36 to 16.14) and gradients explode")


def test_a_rate_that_rises_too_far() -> None:
    rules = heard("rate_rises")
    assert rules[0] == "certain and wrong" and "loss rises" in rules
    assert advise(CURVES["rate_rises"][:1]).action == Action(rate_factor=0.1)


def test_a_rate_too_low() -> None:
    assert heard("rate_too_low")[-2:] == ["loss hardly moves"] * 2
    assert advise(CURVES["rate_too_low"]).sentence.endswith("raise train.rate")


def test_a_slow_loader_is_named_in_every_epoch() -> None:
    assert set(heard("slow_loader")) == {"loader"}
    assert "loader is the bottleneck" in advise(CURVES["slow_loader"]).sentence


def test_utterances_that_ctc_cannot_align_are_said_once() -> None:
    assert heard("infeasible").count("infeasible") == 1
    assert advise(CURVES["infeasible"][:1]).sentence.startswith("91 utterances have more syllables than output steps")


def test_sentences_learnt_by_heart() -> None:
    rules = heard("by_heart")
    assert set(rules[:16]) <= GROWTH  # the dev error still falls
    assert set(rules[19:]) <= {"by heart", "dev rises", "dev rises for long"}
    assert "by heart" in rules and "dev rises" in rules


def test_wrong_labels_are_learnt_and_dev_rises() -> None:
    rules = heard("wrong_labels")
    errors = [record["dev_syllable_error_rate"] for record in CURVES["wrong_labels"]]
    best = errors.index(min(errors))
    assert min(errors[best + 8 :]) > 1.2 * min(errors)  # that is what was recorded
    assert set(rules[: best + 1]) <= GROWTH | {"dev rises"}
    stop = rules.index("dev rises for long")
    assert best + 8 <= stop <= best + 10
    advice = advise(CURVES["wrong_labels"][: stop + 1])
    assert advice.action == Action(stop=True) and f"since epoch {best + 1} " in advice.sentence


def test_a_rise_that_may_be_noise_ends_no_training() -> None:
    """Forty sentences: the dev error rose for a while, and was a fifth lower in the end."""
    errors = [record["dev_syllable_error_rate"] for record in CURVES["forty_sentences"]]
    assert min(errors[:35]) > 0.22 and min(errors) < 0.2
    rules = heard("forty_sentences")
    assert "dev rises" in rules and "dev rises for long" not in rules


# Each rule by itself, with no more than it needs.


def epochs(count: int, **figures: Any) -> list[dict[str, Any]]:
    """Records of some epochs; a list gives each its own value, anything else is the same in all."""
    return [
        {"epoch": n + 1, **{key: value[n] if isinstance(value, list) else value for key, value in figures.items()}}
        for n in range(count)
    ]


FALL = [4.0, 2.0, 1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.01, 0.005]
RISE = [0.3, 0.2, 0.25, 0.25, 0.26, 0.26, 0.27, 0.28, 0.29, 0.3]
SMALLEST = {
    "not a number": epochs(1, train_loss=math.nan),
    "skipped steps": epochs(2, step=[10, 20], skipped_steps=[0, 2]),
    "explosion": epochs(3, train_loss=[9.0, 5.0, 6.0], gradient_norm=[4.0, 6.0, 11.0]),
    "certain and wrong": epochs(1, entropy=0.01, dev_syllable_error_rate=1.0),
    "loss rises": epochs(3, train_loss=[9.0, 5.0, 6.0], gradient_norm=[4.0, 6.0, 9.0]),
    "infeasible": epochs(1, infeasible=3, dev_syllable_error_rate=0.5),
    "loader": epochs(1, train_seconds=10.0, wait_seconds=3.1),
    "endless plateau": epochs(4, blank_fraction=0.99, emitted_ratio=0.01, train_loss=[9.0, 8.0, 8.0, 7.9]),
    "blank plateau": epochs(4, blank_fraction=0.99, emitted_ratio=0.01, train_loss=[9.0, 8.0, 7.0, 6.0]),
    "dev rises for long": epochs(10, train_loss=FALL, dev_syllable_error_rate=RISE),
    "dev rises": epochs(6, train_loss=FALL, dev_syllable_error_rate=RISE),
    "by heart": epochs(1, train_syllable_error_rate=0.0, dev_syllable_error_rate=0.1),
    "loss hardly moves": epochs(4, train_loss=[9.0, 8.9, 8.8, 8.7], dev_syllable_error_rate=1.1),
    "standstill": epochs(6, train_loss=1.0, dev_syllable_error_rate=[0.3, 0.2, 0.2, 0.21, 0.2, 0.2]),
    "writes too much": epochs(1, emitted_ratio=1.3, dev_syllable_error_rate=0.5),
    "plateau ends": epochs(2, emitted_ratio=[0.0, 0.6], dev_syllable_error_rate=[1.0, 0.7]),
    "improves": epochs(2, dev_syllable_error_rate=[0.4, 0.3]),
    "nothing to say": epochs(1, dev_syllable_error_rate=0.5),
}


def test_every_rule_has_its_example() -> None:
    assert list(SMALLEST) == NAMES and len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", SMALLEST)
def test_a_rule_fires_on_the_least_that_it_needs(rule: str) -> None:
    assert advise(SMALLEST[rule]).rule == rule


#: the same with one thing changed, so that the rule must be silent
HARMLESS = {
    "skipped steps": epochs(2, step=[10, 20], skipped_steps=[0, 1]),
    "explosion": epochs(3, train_loss=[9.0, 5.0, 5.0], gradient_norm=[4.0, 6.0, 50.0]),
    "certain and wrong": epochs(1, entropy=0.01, dev_syllable_error_rate=0.02),
    "loss rises": epochs(3, train_loss=[0.03, 0.01, 0.05]),  # noise around nothing
    "infeasible": epochs(1, infeasible=0),
    "loader": epochs(1, train_seconds=10.0, wait_seconds=2.9),
    "blank plateau": epochs(1, blank_fraction=0.85, emitted_ratio=1.0),  # most steps are blank in a good network too
    "dev rises for long": epochs(10, train_loss=FALL, dev_syllable_error_rate=[0.3, 0.2, *[0.23] * 8]),
    "dev rises": epochs(6, train_loss=1.0, dev_syllable_error_rate=RISE),
    "by heart": epochs(1, train_syllable_error_rate=0.0, dev_syllable_error_rate=0.01),
    "standstill": epochs(6, learning_rate=FALL, train_loss=1.0, dev_syllable_error_rate=0.2),  # the rate falls already
    "improves": epochs(2, dev_syllable_error_rate=[0.3, 0.3]),
}


@pytest.mark.parametrize("rule", HARMLESS)
def test_a_rule_is_silent_when_its_reason_is_not_there(rule: str) -> None:
    assert advise(HARMLESS[rule]).rule != rule


def test_no_error_at_all_is_no_rise() -> None:
    records = epochs(11, train_loss=[*FALL, 0.004], dev_syllable_error_rate=[0.3, *[0.0] * 10])
    assert advise(records).action is None
    assert not advise(records).rule.startswith("dev rises")


def test_the_most_urgent_speaks() -> None:
    """A record in which everything is wrong, mended from the top: the rules come in the order of the table."""
    last: dict[str, Any] = {"step": 10, "skipped_steps": 9, "train_seconds": 1.0, "wait_seconds": 0.9, "entropy": 0.0}
    last |= {"train_loss": math.nan, "dev_syllable_error_rate": 1.0, "blank_fraction": 1.0, "emitted_ratio": 0.0}
    spoke = [advise([{"infeasible": 1, **last}]).rule]
    for key in ("train_loss", "skipped_steps", "entropy", "wait_seconds", "blank_fraction", "emitted_ratio"):
        del last[key]
        spoke.append(advise([last]).rule)
    assert sorted(set(spoke), key=NAMES.index) == list(dict.fromkeys(spoke))
    assert spoke[:3] == ["not a number", "skipped steps", "certain and wrong"] and spoke[-1] == "nothing to say"


# Nothing makes it stumble.

VALUES = st.one_of(st.floats(), st.integers(-5, 1000), st.none())
SOME_RECORDS = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=12)


@given(SOME_RECORDS)
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_any_figures_get_one_sentence(records: Records) -> None:
    before = copy.deepcopy(records)
    advice = advise(records)
    assert advice == advise(records) and repr(records) == repr(before)
    assert advice.rule in {*NAMES, "nothing known"}
    assert advice.sentence and "\n" not in advice.sentence and not re.search(r"[{}]|\bnan\b", advice.sentence)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("key", KEYS)
def test_any_figure_may_be_missing(curve: str, key: str) -> None:
    for count in range(len(CURVES[curve]) + 1):
        records = [{name: value for name, value in record.items() if name != key} for record in CURVES[curve][:count]]
        assert len(advise(records).sentence.splitlines()) == 1


def test_sentences_fit_on_a_line() -> None:
    for records in [*SMALLEST.values(), *CURVES.values()]:
        for count in range(1, len(records) + 1):
            assert len(advise(records[:count]).sentence) <= 150


def test_it_needs_no_mindspore() -> None:
    program = "import sys, dfcnn_ms.training.coach; assert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# The small things.


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.1234, "12 %"), (0.0995, "10 %"), (0.056, "5.6 %"), (0.02, "2 %"), (0.0, "0 %"), (2.1, "210 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_table_has_a_row_for_each_rule_and_no_broken_cell() -> None:
    header, line, *rows = rules_table().splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == NAMES
    assert {row.count("|") for row in (header, line, *rows)} == {6}
    assert "| rate x 0.5 |" in rules_table() and "| ends training |" in rules_table()


def test_the_page_about_training_shows_the_rules() -> None:
    page = Path(__file__).parents[2] / "docs" / "training.md"
    assert rules_table().strip() in page.read_text(encoding="utf-8")
