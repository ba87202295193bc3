"""Callbacks of ``mindspore.Model.train``, one job each. They talk to each other through the :class:`History`."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn
from mindspore.train import Callback, RunContext
from tqdm import tqdm

from dfcnn_ms.errors import DfcnnError, Interrupted
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.coach import advise
from dfcnn_ms.training.history import History, StepOutputs, epochs_since_best
from dfcnn_ms.training.optimizers import RateTable

log = logging.getLogger(__name__)

#: the figure of the dev set that decides which network has the best loss
LOSS = "dev_loss"


def current_rate(optimizer: nn.Optimizer) -> float:
    """The learning rate that the optimiser itself would use next."""
    rate = optimizer.get_lr()
    return float((rate[0] if isinstance(rate, tuple) else rate).asnumpy())


class Bookkeeper(Callback):
    """Reads what each step gave, and closes each epoch with mean loss, rate and speed. Comes first.

    Args:
        history: where it is written.
        optimizer: whose rate is noted.
        source: the batches of training.
        infeasible: utterances of an epoch that contribute nothing.
        read_at: steps are read when their number is divisible by one of these, and at the end of an epoch.
    """

    def __init__(
        self,
        history: History,
        optimizer: nn.Optimizer,
        source: BatchSource,
        infeasible: int,
        read_at: Sequence[int] = (1,),
    ) -> None:
        super().__init__()
        self.history = history
        self.optimizer = optimizer
        self.source = source
        self.infeasible = infeasible
        self.read_at = [every for every in read_at if every]
        self.unread: list[Sequence[Tensor]] = []
        labels, weights = source.corpus.labels, source.plan.weights
        self.units = float(np.average([len(label) for label in labels], weights=weights))
        self.label_entropy = entropy(labels, weights)

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        """Opens the record and starts the clocks."""
        self.history.start_epoch(run_context.original_args().cur_epoch_num)
        self.before = {key: float(value) for key, value in self.history.timings[-1].items()}
        self.started = self.idle_since = time.monotonic()
        self.waited = 0.0

    def on_train_step_begin(self, run_context: RunContext) -> None:
        """Counts how long the step had to wait for its batch."""
        self.waited += time.monotonic() - self.idle_since

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Keeps the figures of the step, or leaves them on the device for a while."""
        self.unread.append(run_context.original_args().net_outputs[:3])
        # On devices that have it, sink mode does a whole epoch between two calls.
        steps = len(self.source) if run_context.original_args().dataset_sink_mode else 1
        self.history.advance(steps, self.read() if self.is_due(steps) else ())
        for outputs in self.history.read:
            if outputs.applied and np.isfinite(outputs.loss):
                self.history.add(steps=1, loss=outputs.loss, norm=outputs.norm)
            else:
                self.history.add(skipped=1)
        if self.history.read:  # it may be saved now, and what goes on from there goes on counting
            self.note_time()
        self.idle_since = time.monotonic()

    def is_due(self, steps: int) -> bool:
        """Whether somebody needs figures after so many steps more."""
        step, step_in_epoch = self.history.step + steps, self.history.step_in_epoch + steps
        first_or_last = step == 1 or step_in_epoch >= len(self.source.plan)
        return first_or_last or any(step % every == 0 for every in self.read_at)

    def read(self) -> list[StepOutputs]:
        """Brings what no one has looked at from the device; waits for the last of them."""
        unread, self.unread = self.unread, []
        return [
            StepOutputs(float(loss.asnumpy()), float(norm.asnumpy()), bool(applied.asnumpy()))
            for loss, norm, applied in unread
        ]

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Notes the figures of the epoch."""
        sums = self.history.sums
        steps = max(1.0, sums.get("steps", 0.0))
        self.history.note(
            step=self.history.step,
            train_loss=sums.get("loss", float("nan")) / steps,
            **{f"loss_per_{self.history.unit}": sums.get("loss", float("nan")) / steps / self.units},
            gradient_norm=sums.get("norm", float("nan")) / steps,
            skipped_steps=int(sums.get("skipped", 0)),
            infeasible=self.infeasible,
            label_entropy=self.label_entropy,
            learning_rate=current_rate(self.optimizer),
        )
        seconds = self.note_time()
        self.history.time(utterances_per_second=round(len(self.source.corpus) / seconds, 1))

    def note_time(self) -> float:
        """Notes how long the epoch has taken so far, and how long of that it waited; returns the former."""
        seconds = self.before.get("train_seconds", 0.0) + time.monotonic() - self.started
        waited = self.before.get("wait_seconds", 0.0) + self.waited
        self.history.time(train_seconds=round(seconds, 3), wait_seconds=round(waited, 3))
        return seconds


def entropy(labels: Sequence[Sequence[int]], weights: np.ndarray | None = None) -> float:
    """Nats per unit of the labels: what a network loses that knows how frequent each is, and nothing else.

    Args:
        labels: of each utterance.
        weights: (utterances,) how often each comes in comparison with others; None: all alike.
    """
    units = np.fromiter(itertools.chain(*labels), int)
    counts = np.bincount(units, None if weights is None else np.repeat(weights, [len(label) for label in labels]))
    shares = counts[counts > 0] / max(counts.sum(), np.finfo(float).tiny)
    return float(-(shares * np.log(shares)).sum())


class StopOnNan(Callback):
    """Ends training at the first loss that is not finite and says which utterances were in the batch."""

    def __init__(self, history: History, source: BatchSource, tolerate: int = 0) -> None:
        super().__init__()
        self.history = history
        self.source = source
        self.tolerate = tolerate

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Looks at the losses, and at steps that were skipped because of their gradients."""
        counters = self.history.counters
        for back, outputs in zip(reversed(range(len(self.history.read))), self.history.read, strict=True):
            counters["skipped_in_a_row"] = 0 if outputs.applied else counters.get("skipped_in_a_row", 0) + 1
            if not np.isfinite(outputs.loss) or counters["skipped_in_a_row"] > self.tolerate:
                self.complain(run_context.original_args().cur_epoch_num, back, outputs)

    def complain(self, epoch: int, back: int, outputs: StepOutputs) -> None:
        """Names the step, which was done so many steps ago, and its utterances."""
        batch = self.source.plan(epoch - 1)[self.history.step_in_epoch - back - 1]
        ids = ", ".join(self.source.corpus.utterances[index].id for index in batch.indices)
        raise DfcnnError(
            f"step {self.history.step - back} (epoch {epoch}): loss {outputs.loss} and gradient norm {outputs.norm} "
            "are not finite; the step was not applied; lower train.rate or train.clip_norm, or look at its utterances: "
            f"{ids}"
        )


class GradientReport(Callback):
    """Writes the norm of each layer's gradient to ``gradients.jsonl``, every so many steps."""

    def __init__(self, history: History, path: Path, names: list[str], every: int) -> None:
        super().__init__()
        self.history = history
        self.path = path
        self.names = names
        self.every = every

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Adds one line: the step, and name -> norm."""
        if self.history.step % self.every:
            return
        squares = run_context.original_args().net_outputs[3].asnumpy()
        norms = {name: float(np.sqrt(square)) for name, square in zip(self.names, squares, strict=True)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.history.step, "norms": norms}) + "\n")


class Evaluate(Callback):
    """Measures the dev set after each epoch: the figure that decides, and what else the task makes of it."""

    def __init__(self, history: History, measure: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self.history = history
        self.measure = measure

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Decodes the dev set and notes its error."""
        started = time.monotonic()
        self.history.note(**self.measure())
        self.history.time(dev_seconds=round(time.monotonic() - started, 3))


class Coach(Callback):
    """Says in one sentence how training goes; changes the rate or stops only if it was asked to."""

    def __init__(self, history: History, rates: RateTable, *, act: bool) -> None:
        super().__init__()
        self.history = history
        self.rates = rates
        self.act = act

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Looks at all epochs so far."""
        advice = advise(self.history.records, self.history.unit, self.history.target)
        self.history.note(coach=advice.rule)
        self.sentence = advice.sentence
        if not (self.act and advice.action):
            return
        if advice.action.stop:
            stop(run_context, self.history)
        if advice.action.rate_factor is not None:
            self.rates.multiply(advice.action.rate_factor)


class KeepNetworks(Callback):
    """Keeps the best network as ``best.ckpt``, the best few and those of every N epochs as ``epochNNN.ckpt``.

    Where a task measures the loss of the dev set, the network of the lowest is ``best_loss.ckpt``.
    """

    def __init__(self, history: History, save: Callable[[str], None], folder: Path, best: int, every: int) -> None:
        super().__init__()
        self.history = history
        self.save = save
        self.folder = folder
        self.best = best
        self.every = every

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Saves what deserves it and removes what no longer does."""
        epoch = self.history.last["epoch"]
        if self.history.epochs_since_best() == 0:
            self.save("best.ckpt")
        if epochs_since_best(self.history.epochs, LOSS) == 0 and LOSS in self.history.last:
            self.save("best_loss.ckpt")
        if epoch in self.kept():
            self.save(name(epoch))
        for path in self.folder.glob("epoch*.ckpt"):
            if path.name not in {name(epoch) for epoch in self.kept()}:
                path.unlink()

    def kept(self) -> set[int]:
        """The epochs whose networks stay."""
        ranked = sorted(self.history.epochs, key=lambda record: (record[self.history.target], record["epoch"]))
        best = {record["epoch"] for record in ranked[: self.best]} if self.best > 1 else set()
        return best | {record["epoch"] for record in ranked if self.every and record["epoch"] % self.every == 0}


def name(epoch: int) -> str:
    """``epoch007.ckpt``."""
    return f"epoch{epoch:03d}.ckpt"


class SaveState(Callback):
    """Saves the whole state of training after each epoch, every so many steps, and when it is told to stop. Last.

    Args:
        history: closed here at the end of each epoch.
        save: writes the state.
        steps_per_epoch: of a whole epoch.
        every: steps between two states inside an epoch; 0: none.
        asked: says whether somebody wants training to end.
        again: how to go on, for people.
    """

    def __init__(
        self,
        history: History,
        save: Callable[[], None],
        *,
        steps_per_epoch: int,
        every: int,
        asked: Callable[[], bool],
        again: str,
    ) -> None:
        super().__init__()
        self.history = history
        self.save = save
        self.steps_per_epoch = steps_per_epoch
        self.every = every
        self.asked = asked
        self.again = again

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Saves in the middle of an epoch; its last step is left to the end of the epoch."""
        if not self.history.read or self.history.step_in_epoch >= self.steps_per_epoch:
            return  # what was not read yet would be missing from the figures of the epoch
        end = self.asked()
        if end or (self.every and self.history.step % self.every == 0):
            self.save()
        if end:
            self.leave()

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Closes the epoch and saves."""
        self.history.finish_epoch()
        self.save()
        if self.asked() and not run_context.get_stop_requested():
            self.leave()

    def leave(self) -> None:
        """Ends training from within."""
        place = f"step {self.history.step} (epoch {self.history.last['epoch']})"
        raise Interrupted(f"everything up to {place} is saved; go on with: {self.again}")


class ReduceOnPlateau(Callback):
    """Lowers the rate when the target has not improved for a while."""

    def __init__(self, history: History, rates: RateTable, patience: int, factor: float) -> None:
        super().__init__()
        self.history = history
        self.rates = rates
        self.patience = patience
        self.factor = factor

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Counts the epochs without improvement since the last reduction."""
        counters = self.history.counters
        best = self.history.epochs_since_best() == 0
        counters["plateau"] = 0 if best else counters.get("plateau", 0) + 1
        if counters["plateau"] >= self.patience:
            counters["plateau"] = 0
            self.rates.multiply(self.factor)
            log.info("the dev error has not improved for %d epochs: rate x %g", self.patience, self.factor)


class EarlyStopping(Callback):
    """Ends training when the target has not improved for ``patience`` epochs."""

    def __init__(self, history: History, patience: int) -> None:
        super().__init__()
        self.history = history
        self.patience = patience

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Asks the model to stop."""
        if self.history.epochs_since_best() >= self.patience:
            log.info("stopping early: no better dev error for %d epochs", self.patience)
            stop(run_context, self.history)


def stop(run_context: RunContext, history: History) -> None:
    """Ends training after this epoch, for good: a resumed run would find it finished."""
    history.counters["finished"] = 1
    run_context.request_stop()


class Progress(Callback):
    """A bar over the steps of an epoch, and one line for each epoch that has ended."""

    def __init__(
        self, history: History, optimizer: nn.Optimizer, epochs: int, source: BatchSource, coach: Coach | None
    ) -> None:
        super().__init__()
        self.history = history
        self.optimizer = optimizer
        self.epochs = epochs
        self.source = source
        self.coach = coach

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        """Opens the bar (a terminal only)."""
        self.bar = tqdm(
            total=len(self.source.plan) * self.source.plan.batch_size,
            initial=self.history.step_in_epoch * self.source.plan.batch_size,
            desc=f"epoch {run_context.original_args().cur_epoch_num}/{self.epochs}",
            unit="utt", disable=None, leave=False,
        )  # fmt: skip

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Moves the bar."""
        if self.bar.disable or not self.history.read:
            return
        rate = current_rate(self.optimizer)
        self.bar.set_postfix_str(f"loss {self.history.read[-1].loss:.3f}, rate {rate:.1e}", refresh=False)
        self.bar.update(self.source.plan.batch_size * len(self.history.read))

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Says how the epoch went and how long the rest will take."""
        self.bar.close()
        last = self.history.records[-1]
        seconds = np.mean([record["train_seconds"] + record["dev_seconds"] for record in self.history.records])
        log.info(
            "epoch %*d/%d  loss %7.3f  dev %s error %6.2f %%  rate %.1e  %4.0f utt/s  %3.0f s left",
            len(str(self.epochs)), last["epoch"], self.epochs, last["train_loss"], self.history.unit,
            100 * last[self.history.target],
            last["learning_rate"], last["utterances_per_second"], seconds * (self.epochs - last["epoch"]),
        )  # fmt: skip
        if self.coach is not None:
            log.info("  coach: %s", self.coach.sentence)

    def on_train_end(self, run_context: RunContext) -> None:
        """Leaves no bar behind."""
        self.bar.close()
