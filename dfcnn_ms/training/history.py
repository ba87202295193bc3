"""What happened, epoch by epoch, and where training stands: the callbacks write it and read it.

``metrics.jsonl`` holds what is the same in every repetition of a run, ``timings.jsonl`` what is not.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from dfcnn_ms.files import write_text
from dfcnn_ms.tasks.task import TARGET

METRICS, TIMINGS = "metrics.jsonl", "timings.jsonl"
#: what a checkpoint keeps of a history
SAVED = ("unit", "target", "epochs", "timings", "step", "step_in_epoch", "sums", "counters", "points")


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def epochs_since_best(records: Sequence[Mapping[str, Any]], target: str = TARGET) -> int:
    """Epochs since the target was lowest; 0: the last one is the best (the first one of equals counts).

    Records without the target do not count. A target that is no finite number is never the lowest; if none is finite,
    the answer is 0.
    """
    targets = [record[target] if is_number(record[target]) else math.inf for record in records if target in record]
    best = min(targets, default=math.inf)
    return 0 if best == math.inf else len(targets) - 1 - targets.index(best)


@dataclass(frozen=True)
class StepOutputs:
    """What one training step gave: loss, norm of the gradients, and whether they were used."""

    loss: float = float("nan")
    norm: float = float("nan")
    applied: bool = True


@dataclass
class History:
    """The figures of every epoch, and the place in training.

    Attributes:
        folder: of ``metrics.jsonl`` and ``timings.jsonl``, or None.
        unit: in which errors are counted.
        target: the figure that decides: best checkpoints, early stopping and the plateau schedule all look at it.
        epochs: the figures of each epoch, oldest first; the last one may still be open.
        timings: seconds and speeds of each epoch.
        step: steps done in all.
        step_in_epoch: steps done of the epoch that is open; 0 between two epochs.
        sums: running sums of the epoch that is open.
        counters: what callbacks count from step to step or from epoch to epoch.
        points: steps of the open epoch and their figures, for curves.
        read: what the last steps gave, oldest first, if it was read after the step that has just ended; else nothing.
    """

    folder: Path | None = None
    unit: str = "syllable"
    target: str = TARGET
    epochs: list[dict[str, Any]] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    step_in_epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    points: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    read: Sequence[StepOutputs] = ()

    def start_epoch(self, epoch: int) -> None:
        """Opens the record of an epoch, unless it is the one in which training was interrupted."""
        if self.epochs and self.last["epoch"] == epoch:
            return
        self.epochs.append({"epoch": epoch})
        self.timings.append({"epoch": epoch})
        self.step_in_epoch = 0
        self.sums = {}

    def advance(self, steps: int, read: Sequence[StepOutputs]) -> None:
        """Counts steps that have been done, and what was read of those that nobody had looked at."""
        self.step += steps
        self.step_in_epoch += steps
        self.read = read

    def add(self, **values: float) -> None:
        """Adds to the running sums of the epoch."""
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def note(self, **figures: Any) -> None:
        """Adds figures to the record of the current epoch."""
        self.last.update(figures)

    def time(self, **figures: Any) -> None:
        """Adds seconds or speeds to the record of the current epoch."""
        self.timings[-1].update(figures)

    def finish_epoch(self) -> None:
        """Closes the record of the epoch."""
        self.step_in_epoch = 0
        self.write()

    def write(self) -> None:
        """Writes all finished epochs to the two files."""
        if self.folder is None:
            return
        for name, records in ((METRICS, self.epochs), (TIMINGS, self.timings)):
            lines = [json.dumps(record) + "\n" for record in records[: self.finished_epochs]]
            write_text(self.folder / name, "".join(lines))

    @property
    def finished_epochs(self) -> int:
        """Epochs that are complete."""
        return len(self.epochs) - (self.step_in_epoch > 0)

    @property
    def last(self) -> dict[str, Any]:
        """The record of the current epoch."""
        return self.epochs[-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        """Figures and timings of each epoch together."""
        return [{**figures, **seconds} for figures, seconds in zip(self.epochs, self.timings, strict=True)]

    def epochs_since_best(self) -> int:
        """Epochs since the target was lowest; 0: the current one is the best."""
        return epochs_since_best(self.epochs, self.target)

    def best(self) -> float:
        """The lowest target so far."""
        targets = [record.get(self.target) for record in self.epochs]
        return min((target for target in targets if is_number(target)), default=math.inf)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the folder, for a checkpoint."""
        return {key: getattr(self, key) for key in SAVED}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], folder: Path | None) -> History:
        """The inverse of :meth:`to_dict`; a history that names no target is of a version that knew but one."""
        return cls(folder, **copy.deepcopy(dict(stored)))
