"""Callbacks of ``mindspore.Model.train``, one job each. They talk to each other through the :class:`History`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn
from mindspore.train import Callback, RunContext
from tqdm import tqdm

from dfcnn_ms.errors import DfcnnError
from dfcnn_ms.metrics import Edits
from dfcnn_ms.training.batches import BatchSource
from dfcnn_ms.training.history import TARGET, History
from dfcnn_ms.training.optimizers import RateTable

log = logging.getLogger(__name__)


def step_outputs(context: RunContext) -> tuple[float, float, bool]:
    """Loss, gradient norm and whether the step was applied, of the step that has just ended."""
    loss, norm, applied = context.original_args().net_outputs
    return float(loss.asnumpy()), float(norm.asnumpy()), bool(applied.asnumpy())


def current_rate(optimizer: nn.Optimizer) -> float:
    """The learning rate that the optimiser itself would use next."""
    rate = optimizer.get_lr()
    return float((rate[0] if isinstance(rate, tuple) else rate).asnumpy())


class Bookkeeper(Callback):
    """Opens the record of each epoch and closes it with the mean loss, the rate and the speed. Comes first."""

    def __init__(self, history: History, optimizer: nn.Optimizer, utterances: int) -> None:
        super().__init__()
        self.history = history
        self.optimizer = optimizer
        self.utterances = utterances

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        """Starts the clock."""
        self.history.start_epoch(run_context.original_args().cur_epoch_num)
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.skipped = 0
        self.started = time.monotonic()

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Keeps the figures of the step."""
        loss, norm, applied = step_outputs(run_context)
        self.losses.append(loss)
        self.norms.append(norm)
        self.skipped += not applied

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Notes the figures of the epoch."""
        seconds = time.monotonic() - self.started
        self.history.note(
            step=run_context.original_args().cur_step_num,
            train_loss=float(np.mean(self.losses)),
            gradient_norm=float(np.mean(self.norms)),
            skipped_steps=self.skipped,
            learning_rate=current_rate(self.optimizer),
            train_seconds=round(seconds, 3),
            utterances_per_second=round(self.utterances / seconds, 1),
        )


class StopOnNan(Callback):
    """Ends training at the first loss that is not finite and says which utterances were in the batch."""

    def __init__(self, source: BatchSource, tolerate: int = 0) -> None:
        super().__init__()
        self.source = source
        self.tolerate = tolerate
        self.in_a_row = 0

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Looks at the loss, and at steps that were skipped because of their gradients."""
        loss, norm, applied = step_outputs(run_context)
        self.in_a_row = 0 if applied else self.in_a_row + 1
        if np.isfinite(loss) and self.in_a_row <= self.tolerate:
            return
        arguments = run_context.original_args()
        epoch = arguments.cur_epoch_num - 1
        batch = self.source.plan(epoch)[(arguments.cur_step_num - 1) % len(self.source.plan)]
        ids = ", ".join(self.source.corpus.utterances[index].id for index in batch.indices)
        raise DfcnnError(
            f"step {arguments.cur_step_num} (epoch {epoch + 1}): loss {loss} and gradient norm {norm} are not finite; "
            f"the step was not applied; lower train.rate or train.clip_norm, or look at its utterances: {ids}"
        )


class Evaluate(Callback):
    """Measures the dev set after each epoch: the corpus-level syllable error rate."""

    def __init__(self, history: History, measure: Callable[[], Edits]) -> None:
        super().__init__()
        self.history = history
        self.measure = measure

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Decodes the dev set and notes its error."""
        started = time.monotonic()
        edits = self.measure()
        self.history.note(
            **{TARGET: edits.rate},
            dev_substitutions=edits.substitutions,
            dev_deletions=edits.deletions,
            dev_insertions=edits.insertions,
            dev_seconds=round(time.monotonic() - started, 3),
        )


class Checkpoints(Callback):
    """Keeps the last state, the best state and, if asked, the state of every N epochs."""

    def __init__(self, history: History, save: Callable[[Path, int, int], None], folder: Path, every: int = 0) -> None:
        super().__init__()
        self.history = history
        self.save = save
        self.folder = folder
        self.every = every

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Saves ``last.ckpt``, and ``best.ckpt`` when the target has never been lower."""
        arguments = run_context.original_args()
        place = arguments.cur_epoch_num, arguments.cur_step_num
        self.save(self.folder / "last.ckpt", *place)
        if self.history.epochs_since_best() == 0:
            self.save(self.folder / "best.ckpt", *place)
        if self.every and place[0] % self.every == 0:
            self.save(self.folder / f"epoch{place[0]:03d}.ckpt", *place)


class ReduceOnPlateau(Callback):
    """Lowers the rate when the target has not improved for a while."""

    def __init__(self, history: History, rates: RateTable, patience: int, factor: float) -> None:
        super().__init__()
        self.history = history
        self.rates = rates
        self.patience = patience
        self.factor = factor
        self.waited = 0

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Counts the epochs without improvement since the last reduction."""
        self.waited = 0 if self.history.epochs_since_best() == 0 else self.waited + 1
        if self.waited >= self.patience:
            self.waited = 0
            self.rates.scale.set_data(Tensor(self.rates.scale.asnumpy() * np.float32(self.factor)))
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
            run_context.request_stop()


class Progress(Callback):
    """A bar over the steps of an epoch, and one line for each epoch that has ended. Comes last."""

    def __init__(self, history: History, optimizer: nn.Optimizer, epochs: int, batch_size: int) -> None:
        super().__init__()
        self.history = history
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size

    def on_train_begin(self, run_context: RunContext) -> None:
        """Starts the clock of the whole training."""
        self.started = time.monotonic()

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        """Opens the bar (a terminal only)."""
        arguments = run_context.original_args()
        title = f"epoch {arguments.cur_epoch_num}/{self.epochs}"
        self.bar = tqdm(total=arguments.batch_num * self.batch_size, desc=title, unit="utt", disable=None, leave=False)

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Moves the bar."""
        if self.bar.disable:
            return
        loss, _, _ = step_outputs(run_context)
        self.bar.set_postfix_str(f"loss {loss:.3f}, rate {current_rate(self.optimizer):.1e}", refresh=False)
        self.bar.update(self.batch_size)

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Says how the epoch went and how long the rest will take."""
        self.bar.close()
        epoch, last = run_context.original_args().cur_epoch_num, self.history.last
        elapsed = time.monotonic() - self.started
        left = elapsed / epoch * (self.epochs - epoch)
        log.info(
            "epoch %*d/%d  loss %7.3f  dev syllable error %6.2f %%  rate %.1e  %4.0f utt/s  %3.0f s left",
            len(str(self.epochs)), epoch, self.epochs, last["train_loss"], 100 * last[TARGET],
            last["learning_rate"], last["utterances_per_second"], left,
        )  # fmt: skip
        self.history.finish_epoch()
