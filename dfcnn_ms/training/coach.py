"""The coach: one sentence an epoch about how training goes, by rules that are written down.

    advice = advise(records)  # the records of metrics.jsonl so far
    advice.sentence           # 'blank plateau: it writes almost nothing yet, which is normal at first; 3 epochs so far'

What the rules read of a record, each key optional: ``epoch``, ``step`` (steps so far), ``train_loss`` (mean per
utterance), ``loss_per_syllable``, ``label_entropy`` (nats per syllable of the training labels), ``gradient_norm``,
``skipped_steps``, ``infeasible`` (utterances that CTC cannot align), ``learning_rate``, ``train_seconds`` and
``wait_seconds`` (how much of it went by waiting for data), ``train_syllable_error_rate``; and of the dev set
``dev_syllable_error_rate``, ``blank_fraction`` (share of output steps whose best unit is the blank), ``emitted_ratio``
(syllables written over syllables said), ``entropy`` (mean nats of an output step's distribution).

Where a task counts in other units, the keys have their name in place of the syllable's. A rule without the figures that
it needs does not fire. The coach only speaks; whoever wants it to act does what ``Advice.action`` says.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dfcnn_ms.tasks.task import TARGET
from dfcnn_ms.training.history import epochs_since_best, is_number
from dfcnn_ms.wording import plural

#: on the blank plateau nearly all steps are blank and hardly a syllable is written
PLATEAU_BLANKS, PLATEAU_EMITTED = 0.97, 0.1
#: epochs on the plateau, and the fall of the loss over the last two, from which on it is no longer normal
PLATEAU_PATIENCE, PLATEAU_FALL = 4, 0.02
#: a loss that rises: by this share and by so much, over the lowest; and by this share over the epoch before
RISE, RISE_NATS, RISE_AGAIN = 0.1, 0.1, 0.03
EXPLOSION = 2.0
SKIPPED = 0.1
WAITING = 0.3
#: nats per output step below which a network is certain, and the error at which it must not be
CERTAIN, WRONG = 0.05, 0.9
#: epochs without a better dev error: before it is said, and before training had better end
PATIENCE, LAST_PATIENCE = 4, 8
#: dev rises when the mean of the last three is so much above its best, and surely so before training had better end;
#: training falls when it has lost so much since
DEV_RISE, DEV_SURE_RISE, TRAIN_FALL = 0.1, 0.2, 0.2
BY_HEART, BY_HEART_GAP, BY_HEART_DEV = 0.02, 0.2, 0.05
HARDLY = 0.05
TOO_MUCH = 1.2
SPAN = 3


@dataclass(frozen=True)
class Action:
    """What would help: ``rate_factor`` multiplies the learning rate from now on; ``stop`` ends training."""

    rate_factor: float | None = None
    stop: bool = False

    def __str__(self) -> str:
        return "ends training" if self.stop else f"rate x {self.rate_factor or 1:g}"


@dataclass(frozen=True)
class Advice:
    """One sentence, the rule that it comes from, and what would be done about it."""

    sentence: str
    rule: str
    action: Action | None = None


@dataclass(frozen=True)
class Curve:
    """The records of a training so far, oldest first.

    Attributes:
        records: of its epochs.
        unit: in which errors are counted.
        target: the figure of the dev set that decides.
    """

    records: Sequence[Mapping[str, Any]]
    unit: str = "syllable"
    target: str = TARGET

    @property
    def train(self) -> str:
        """The error of the training set, where that is known."""
        return f"train_{self.unit}_error_rate"

    def points(self, key: str) -> list[tuple[int, float]]:
        """(epoch, value) of every record that has a finite value."""
        return [
            (int(record["epoch"]) if is_number(record.get("epoch")) else number, float(record[key]))
            for number, record in enumerate(self.records, 1)
            if is_number(record.get(key))
        ]

    def values(self, key: str) -> list[float]:
        """The finite values of a figure, oldest first."""
        return [value for _, value in self.points(key)]

    def now(self, key: str) -> float | None:
        """The value in the last record, if it is there and finite."""
        value: object = self.records[-1].get(key) if self.records else None
        return float(value) if is_number(value) else None

    def losses(self) -> list[float]:
        """The loss per unit, or per utterance where that is not known; ends with that of the last record."""
        by_unit = f"loss_per_{self.unit}"
        key = by_unit if self.now(by_unit) is not None else "train_loss"
        return self.values(key) if self.now(key) is not None else []

    def best(self) -> tuple[int, float] | None:
        """The epoch of the lowest dev error, and that error; the first of equals."""
        return min(self.points(self.target), key=lambda point: point[1], default=None)

    def since_best(self) -> int:
        """Epochs since the dev error was lowest."""
        return epochs_since_best(self.records, self.target)

    def training_fell(self) -> bool:
        """Whether training has gone on getting better since the best dev error, by error or else by loss."""
        since = self.since_best()
        figures = self.values(self.train) if self.now(self.train) is not None else self.losses()
        return len(figures) > since and figures[-1] <= (1 - TRAIN_FALL) * figures[-1 - since]

    def epochs_on_plateau(self) -> int:
        """How many of the last records lie on the blank plateau."""
        count = 0
        for record in reversed(self.records):
            blanks, emitted = record.get("blank_fraction"), record.get("emitted_ratio")
            if not is_number(blanks) or blanks < PLATEAU_BLANKS:
                break
            if is_number(emitted) and emitted > PLATEAU_EMITTED:
                break
            count += 1
        return count


Facts = Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """One thing that the coach knows.

    Attributes:
        name: what :attr:`Advice.rule` says.
        when: when it fires, in words.
        facts: what the sentence needs to know, or None when the rule does not fire.
        sentence: with places for the facts.
        why: where the rule comes from.
        action: what would be done about it.
    """

    name: str
    when: str
    facts: Callable[[Curve], Facts | None]
    sentence: str
    why: str
    action: Action | None = None


def advise(records: Sequence[Mapping[str, Any]], unit: str = "syllable", target: str = TARGET) -> Advice:
    """The most urgent thing to be said about a training.

    Args:
        records: its epochs so far, as in ``metrics.jsonl``.
        unit: in which errors are counted.
        target: the figure of the dev set that decides.

    Example:
        >>> advise([{"epoch": 1, "train_loss": float("nan")}]).rule
        'not a number'
    """
    curve = Curve(records, unit, target)
    for rule in RULES:
        facts = rule.facts(curve)
        if facts is not None:
            words = {"unit": unit, "units": plural(unit), **facts}
            return Advice(rule.sentence.format(**words), rule.name, rule.action)
    return Advice("nothing is known of this training yet", "nothing known")


def rules_table() -> str:
    """The rules as a Markdown table, the most urgent first; the page about training shows it."""
    rows = [("Rule", "Fires when", "Says", "`train.coach=act`", "Why")]
    words = {"{unit}": "syllable", "{units}": "syllables"}
    for rule in RULES:
        sentence = re.sub(r"\{units?\}", lambda found: words[found[0]], rule.sentence)
        rows.append((rule.name, rule.when, sentence, str(rule.action or "-"), rule.why))
    rows.insert(1, ("---",) * 5)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def percent(share: float) -> str:
    """``12 %``, and one decimal below ten if it says anything."""
    return f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f}".removesuffix(".0") + " %"


def epochs(count: int) -> str:
    """``1 epoch``, ``3 epochs``."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def _not_a_number(curve: Curve) -> Facts | None:
    loss = curve.records[-1].get("train_loss") if curve.records else None
    return {} if isinstance(loss, float) and not math.isfinite(loss) else None


def _skipped(curve: Curve) -> Facts | None:
    skipped, steps = curve.now("skipped_steps"), curve.values("step")
    if not skipped or not steps:
        return None
    taken = steps[-1] - (steps[-2] if len(steps) > 1 else 0)
    return {"skipped": f"{skipped:.0f} of {taken:.0f}"} if skipped > SKIPPED * taken else None


def _certain(curve: Curve) -> Facts | None:
    entropy, error = curve.now("entropy"), curve.now(curve.target)
    if entropy is None or error is None or entropy >= CERTAIN or error < WRONG:
        return None
    return {"entropy": f"{entropy:.3f}", "error": percent(error)}


def _rises(curve: Curve) -> Facts | None:
    *before, now = curve.losses() or [0.0]
    if (
        not before
        or now < (1 + RISE_AGAIN) * before[-1]
        or now < max((1 + RISE) * min(before), min(before) + RISE_NATS)
    ):
        return None
    return {"lowest": f"{min(before):.2f}", "now": f"{now:.2f}"}


def _explodes(curve: Curve) -> Facts | None:
    rise, norms = _rises(curve), curve.values("gradient_norm")
    if rise is None or curve.now("gradient_norm") is None or len(norms) < 2:
        return None
    times = norms[-1] / max(statistics.median(norms[:-1]), 1e-9)
    return {**rise, "times": f"{times:.1f}"} if times >= EXPLOSION else None


def _infeasible(curve: Curve) -> Facts | None:
    lost = curve.now("infeasible")
    return {"lost": f"{lost:.0f}"} if lost and len(curve.records) == 1 else None


def _waits(curve: Curve) -> Facts | None:
    waited, seconds = curve.now("wait_seconds"), curve.now("train_seconds")
    if waited is None or not seconds or waited <= WAITING * seconds:
        return None
    return {"share": percent(waited / seconds)}


def _plateau(curve: Curve) -> Facts | None:
    count, loss, end = curve.epochs_on_plateau(), curve.now(f"loss_per_{curve.unit}"), curve.now("label_entropy")
    if not count:
        return None
    until = "at first" if end is None else f"until the loss per {curve.unit} is at about {end:.1f}"
    return {
        "until": until + (f" (now {loss:.1f})" if end is not None and loss is not None else ""),
        "epochs": epochs(count),
    }


def _endless_plateau(curve: Curve) -> Facts | None:
    count, losses = curve.epochs_on_plateau(), curve.losses()
    if count < PLATEAU_PATIENCE or len(losses) < 3 or losses[-1] < (1 - PLATEAU_FALL) * losses[-3]:
        return None
    return {"epochs": epochs(count), "loss": f"{losses[-1]:.2f}"}


def _dev_rises(curve: Curve, patience: int = PATIENCE, rise: float = DEV_RISE) -> Facts | None:
    best, since = curve.best(), curve.since_best()
    if best is None or since < patience or not curve.training_fell():
        return None
    epoch, error = best
    lately = statistics.mean(curve.values(curve.target)[-SPAN:])
    if lately <= (1 + rise) * error:  # equal where both are zero
        return None
    return {"epoch": str(epoch), "best": percent(error), "lately": percent(lately)}


def _dev_rises_for_long(curve: Curve) -> Facts | None:
    return _dev_rises(curve, LAST_PATIENCE, DEV_SURE_RISE)


def _by_heart(curve: Curve) -> Facts | None:
    train, dev = curve.now(curve.train), curve.now(curve.target)
    if train is None or dev is None or dev < BY_HEART_DEV or train > min(BY_HEART, BY_HEART_GAP * dev):
        return None
    return {"train": percent(train), "dev": percent(dev)}


def _hardly_moves(curve: Curve) -> Facts | None:
    losses, error = curve.losses(), curve.now(curve.target)
    if len(losses) <= SPAN or error is None or error < WRONG or losses[-1] < (1 - HARDLY) * losses[-1 - SPAN]:
        return None
    return {"before": f"{losses[-1 - SPAN]:.1f}", "now": f"{losses[-1]:.1f}"}


def _stands_still(curve: Curve) -> Facts | None:
    since, rates = curve.since_best(), curve.values("learning_rate")[-SPAN - 1 :]
    if since < PATIENCE or curve.training_fell() or (rates and rates[-1] < 0.7 * max(rates)):
        return None
    return {"epochs": epochs(since), "error": percent(min(curve.values(curve.target)))}


def _writes_too_much(curve: Curve) -> Facts | None:
    emitted = curve.now("emitted_ratio")
    return {"emitted": f"{emitted:.1f}"} if emitted is not None and emitted > TOO_MUCH else None


def _plateau_ends(curve: Curve) -> Facts | None:
    emitted, error = curve.values("emitted_ratio"), curve.now(curve.target)
    if len(emitted) < 2 or error is None or not emitted[-2] <= 0.5 or not emitted[-1] > PLATEAU_EMITTED:
        return None
    return {"emitted": percent(emitted[-1]), "error": percent(error)}


def _improves(curve: Curve) -> Facts | None:
    errors = curve.values(curve.target)
    span = min(SPAN, len(errors) - 1)
    if span < 1 or not 0 <= errors[-1] < errors[-1 - span]:
        return None
    return {"better": percent(1 - errors[-1] / errors[-1 - span]), "epochs": "epoch" if span == 1 else epochs(span)}


def _nothing_to_say(curve: Curve) -> Facts | None:
    error = curve.now(curve.target)
    if error is None:
        return None
    count = len(curve.values(curve.target))
    return {"error": percent(error), "so_far": "the first epoch" if count == 1 else f"no trend within {epochs(count)}"}


#: the most urgent first; the first that fires speaks
RULES = (
    Rule(
        "not a number",
        "the mean loss of the epoch is not finite",
        _not_a_number,
        "the loss is not a number: begin again with a lower train.rate, or with train.clip_norm=5",
        "no later step can mend weights or averages that are not finite",
        Action(stop=True),
    ),
    Rule(
        "skipped steps",
        f"more than {percent(SKIPPED)} of the epoch's steps were skipped",
        _skipped,
        "{skipped} steps were skipped because their gradients were not finite: halve the rate",
        "a skipped step teaches nothing; a few at the beginning of mixed precision are normal",
        Action(rate_factor=0.5),
    ),
    Rule(
        "explosion",
        f"the loss rises and the gradient norm is {EXPLOSION:g} times the median of the epochs before",
        _explodes,
        "loss rises ({lowest} to {now}) and gradients explode ({times} times their usual norm): halve the rate",
        "steps that are too long leave the valley, where gradients are larger still",
        Action(rate_factor=0.5),
    ),
    Rule(
        "certain and wrong",
        f"entropy below {CERTAIN} nats a step and dev error of {percent(WRONG)} or more",
        _certain,
        "it is certain of its answers (entropy {entropy}) and wrong ({error}): the rate is far too high, take a tenth",
        "recorded with rates fifty times too high; a network that begins to learn is uncertain (0.3 nats and more)",
        Action(rate_factor=0.1),
    ),
    Rule(
        "loss rises",
        f"the loss is {percent(RISE)} and {RISE_NATS} above its lowest, {percent(RISE_AGAIN)} above the epoch before",
        _rises,
        "loss rises ({lowest} to {now}): halve the rate, or warm up longer",
        "the training loss of a whole epoch rises only when steps are too long",
        Action(rate_factor=0.5),
    ),
    Rule(
        "infeasible",
        "in the first epoch, when utterances have more syllables than output steps",
        _infeasible,
        "{lost} utterances have more {units} than output steps and teach nothing: pool less over time",
        "CTC needs one step for each syllable, and one more between equal neighbours",
    ),
    Rule(
        "loader",
        f"more than {percent(WAITING)} of the epoch went by waiting for data",
        _waits,
        "the loader is the bottleneck ({share} of the epoch was spent waiting): data.cache=true, or less augmentation",
        "the network cannot be faster than its data",
    ),
    Rule(
        "endless plateau",
        f"{PLATEAU_PATIENCE} epochs on the blank plateau, the loss fell by less than {percent(PLATEAU_FALL)} in two",
        _endless_plateau,
        "blank plateau for {epochs}, the loss stands still at {loss}: more sentences, longer warm-up, another rate",
        "the plateau ends by the loss falling; where it does not, waiting does not help",
    ),
    Rule(
        "blank plateau",
        f"{percent(PLATEAU_BLANKS)} of the steps are blank, under {percent(PLATEAU_EMITTED)} of the syllables written",
        _plateau,
        "blank plateau: it writes almost nothing yet, which is normal {until}; {epochs} so far",
        "a network first learns that the blank is right most of the time; it leaves where the loss is what guessing by "
        "frequency would cost (2.3 for ten digits)",
    ),
    Rule(
        "dev rises for long",
        f"as below, but the best epoch is {LAST_PATIENCE} epochs ago and the rise {percent(DEV_SURE_RISE)}",
        _dev_rises_for_long,
        "training error falls, dev error rises since epoch {epoch} ({best}, lately {lately}): stop here",
        "only the training set is learnt from here on; a smaller rise may be noise (recorded: 24 %, for four epochs "
        "28 %, in the end 19 %)",
        Action(stop=True),
    ),
    Rule(
        "dev rises",
        f"the best epoch is {PATIENCE} epochs ago, the last {SPAN} dev errors are {percent(DEV_RISE)} above it, "
        f"and training fell by {percent(TRAIN_FALL)} since",
        _dev_rises,
        "training error falls, dev error rises since epoch {epoch} ({best}, lately {lately}): more data, dropout",
        "the network begins to learn its speakers by heart",
    ),
    Rule(
        "by heart",
        f"training error at most {percent(BY_HEART)} and a fifth of a dev error of {percent(BY_HEART_DEV)} or more",
        _by_heart,
        "it knows its training sentences by heart ({train} wrong) and not those of dev ({dev}): augment more",
        "there is nothing left to learn from the training set",
    ),
    Rule(
        "loss hardly moves",
        f"dev error of {percent(WRONG)} or more, and the loss fell by less than {percent(HARDLY)} in {SPAN} epochs",
        _hardly_moves,
        "the loss hardly moves ({before} to {now} in 3 epochs): raise train.rate",
        "recorded with a rate four hundred times too low",
    ),
    Rule(
        "standstill",
        f"no better dev error for {PATIENCE} epochs, training does not fall either, and neither does the rate",
        _stands_still,
        "dev error has stood at {error} for {epochs}, and training does not fall either: halve the rate, or finish",
        "around a minimum only shorter steps come closer",
        Action(rate_factor=0.5),
    ),
    Rule(
        "writes too much",
        f"more than {TOO_MUCH:g} times as many syllables written as were said",
        _writes_too_much,
        "it writes {emitted} times as many {units} as were said: normal at first, later look at the labels",
        "an untrained network chatters: recorded were five times as many, with a rate that was too low to end it",
    ),
    Rule(
        "plateau ends",
        f"at most half of the syllables were written before, and now more than {percent(PLATEAU_EMITTED)}",
        _plateau_ends,
        "the blank plateau ends: it writes {emitted} of the {units} now, dev error {error}",
        "the sudden fall that one waits for",
    ),
    Rule(
        "improves",
        f"the dev error is lower than {SPAN} epochs ago",
        _improves,
        "dev error still falls: {better} better over the last {epochs}",
        "all is well",
    ),
    Rule(
        "nothing to say",
        "none of the above",
        _nothing_to_say,
        "nothing to worry about: dev error {error}, {so_far}",
        "all is well, as far as one can tell",
    ),
)
