"""What happened, epoch by epoch: the callbacks write it and read it, and ``metrics.jsonl`` keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

#: what is minimised: best checkpoints, early stopping and the plateau schedule all look at it
TARGET = "dev_syllable_error_rate"


@dataclass
class History:
    """The figures of every finished epoch.

    Attributes:
        path: where each epoch is appended as one line of JSON, or None.
        epochs: one dictionary an epoch, oldest first.
    """

    path: Path | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)

    def start_epoch(self, epoch: int) -> None:
        """Opens the record of an epoch."""
        self.epochs.append({"epoch": epoch})

    def note(self, **figures: float) -> None:
        """Adds figures to the record of the current epoch."""
        self.epochs[-1].update(figures)

    def finish_epoch(self) -> None:
        """Writes the current record to ``metrics.jsonl``."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.epochs[-1]) + "\n")

    @property
    def last(self) -> dict[str, float]:
        """The record of the current epoch."""
        return self.epochs[-1]

    def epochs_since_best(self) -> int:
        """Epochs since the target was lowest; 0: the current one is the best (the first one of equals counts)."""
        values = [record[TARGET] for record in self.epochs if TARGET in record]
        return len(values) - 1 - values.index(min(values)) if values else 0
