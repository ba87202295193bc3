"""What a run keeps on disk: networks to listen with, and the whole state of training to go on from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindspore import nn

from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError, ConfigError
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.training.cells import TrainStep
from dfcnn_ms.training.datasets import Datasets
from dfcnn_ms.training.history import History
from dfcnn_ms.training.run_folder import CHECKPOINTS, LAST, states, tidy
from dfcnn_ms.training.values import put
from dfcnn_ms.training.workers import Workers

#: several workers ask each other only so often whether one of them was told to stop
STEPS_BETWEEN_QUESTIONS = 10


@dataclass(frozen=True)
class Training:
    """What is trained, and by whom.

    Attributes:
        config: the page.
        datasets: its data.
        network: the Cell.
        step: one step of it.
        workers: only the first of them writes.
        run: the folder of the run.
    """

    config: Config
    datasets: Datasets
    network: nn.Cell
    step: TrainStep
    workers: Workers
    run: Path


class RunState:
    """Saves and restores one run.

    Args:
        training: what is trained.
        state: where an interrupted training of it stood; its numbers are put back where they were.

    Attributes:
        history: of this run: a new one, or that of ``state``.
    """

    def __init__(self, training: Training, state: checkpoint.Checkpoint | None = None) -> None:
        self.config, self.datasets, self.run = training.config, training.datasets, training.run
        self.network, self.step, self.workers = training.network, training.step, training.workers
        self.folder = training.run / CHECKPOINTS
        self.history = self._begun(state)

    def _begun(self, state: checkpoint.Checkpoint | None) -> History:
        folder = self.run if self.workers.is_first else None
        if state is None or state.meta.training is None:
            self.step.remember_statistics()
            return History(folder, self.config.unit, self.config.target)
        stored = state.meta.training
        self._check_same(stored)
        try:
            history = History.from_dict(stored["history"], folder)
        except TypeError as error:
            raise CheckpointError(f"--resume {self.run}: its history is damaged ({error}); start it anew") from None
        for name, parameter in self.step.state().items():
            if name not in state.parameters or state.parameters[name].shape != parameter.shape:
                raise CheckpointError(f"--resume {self.run}: its state has no {name} {parameter.shape}; start it anew")
            put(parameter, state.parameters[name])
        if self.workers.is_first:
            tidy(self.run, history.step, history.finished_epochs)
            history.write()
        return history

    def _check_same(self, stored: Mapping[str, Any]) -> None:
        if stored["workers"] != self.workers.count:
            raise ConfigError(
                f"--resume {self.run}: was trained by {stored['workers']} workers, now there are {self.workers.count}; "
                "start as many"
            )
        if stored["fingerprint"] != self.datasets.fingerprint:
            raise ConfigError(
                f"--resume {self.run}: the training set {self.config.data.train} is not the one that this run began "
                "with; put it back, or begin a new run with --init"
            )

    def meta(self, *, training: bool) -> Meta:
        """What stands beside the weights in a checkpoint."""
        history = self.history
        last = history.last if history.epochs else {}
        figures = {key: value for key, value in last.items() if key.startswith(("dev_", "train_loss"))}
        state = {
            "history": history.to_dict(),
            "network": list(checkpoint.weights_of(self.network)),
            "workers": self.workers.count,
            "fingerprint": self.datasets.fingerprint,
        }
        return Meta(
            self.config,
            self.datasets.vocabulary,
            self.datasets.frontend.statistics,
            absolute_manifests(self.config),
            epoch=last.get("epoch", 0),
            step=history.step,
            metrics=figures,
            training=state if training else None,
        )

    def save_network(self, name: str) -> None:
        """Writes the network as it is used: a checkpoint that is enough by itself."""
        with self.step.in_use():
            checkpoint.save(self.folder / name, self.network, self.meta(training=False))

    def save_state(self) -> None:
        """Writes ``last.ckpt`` with everything that the next step depends on; the one before: ``last-2.ckpt``."""
        self.step.agree(self.workers)
        if not self.workers.is_first:
            return
        part = self.folder / "next.part.ckpt"
        checkpoint.save(part, self.step.state(), self.meta(training=True))
        kept = states(self.run)[: self.config.train.keep_last - 1]
        for number in range(len(kept), 0, -1):
            _rename(kept[number - 1], self.folder / f"last-{number + 1}.ckpt")
        os.replace(part, self.folder / LAST)
        for old in states(self.run)[self.config.train.keep_last :]:
            old.unlink()

    def all_asked(self, asked: bool) -> bool:
        """Whether any of the workers was told to stop; they look at the same steps, so that all stop at the same."""
        if self.workers.count == 1:
            return asked
        if self.history.step_in_epoch and self.history.step % STEPS_BETWEEN_QUESTIONS:
            return False
        return self.workers.sum([float(asked)])[0] > 0


def _rename(old: Path, new: Path) -> None:
    """Gives a file another name and keeps the old one where the disk allows two, so that no moment is without it."""
    with contextlib.suppress(OSError):
        new.unlink(missing_ok=True)
        os.link(old, new)
        return
    os.replace(old, new)


def absolute_manifests(config: Config) -> dict[str, str]:
    """LabelledSet -> manifest, so that a checkpoint finds its test set from any folder."""
    splits = {"train": config.data.train, "dev": config.data.dev, "test": config.data.test}
    return {split: str(path.absolute()) for split, path in splits.items() if path is not None}
