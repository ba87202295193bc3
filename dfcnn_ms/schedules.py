"""Learning-rate schedules as values: a position in training -> the factor on the peak rate. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.errors import ConfigError

#: epochs that a schedule may speak of, and the shortest period: numbers beyond them overflow, or never end
MOST_EPOCHS, SHORTEST = 1e6, 1e-3


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuses a number that is not from ``low`` to ``high``, NaN included."""
    if not low <= value <= high:
        raise ConfigError(f"{name}: got {value}, wanted {low:g} to {high:g}")


@dataclass(frozen=True)
class Schedule:
    """A linear warm-up, then whatever :meth:`after_warmup` says.

    Attributes:
        warmup_epochs: epochs (fractions allowed) over which the rate rises from near zero to its peak.
    """

    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        check_range("warmup_epochs", self.warmup_epochs, 0, MOST_EPOCHS)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """The factor ``epoch`` epochs after warm-up, where the last step comes ``epochs`` epochs after it."""
        raise NotImplementedError

    def factors(self, epochs: int, steps_per_epoch: int) -> np.ndarray:
        """The factor at every step of the whole training: (epochs * steps_per_epoch,) float32."""
        total = epochs * steps_per_epoch
        warmup = min(round(self.warmup_epochs * steps_per_epoch), total)
        rise = [(step + 1) / warmup for step in range(warmup)]
        last = (total - warmup - 1) / steps_per_epoch
        rest = [self.after_warmup(step / steps_per_epoch, last) for step in range(total - warmup)]
        return np.array(rise + rest, np.float32)


@dataclass(frozen=True)
class Constant(Schedule):
    """The peak rate to the end."""

    def after_warmup(self, epoch: float, epochs: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the peak to ``final`` times the peak, reached at the last step."""

    warmup_epochs: float = 1.0
    final: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("final", self.final, 0, 1)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        share = epoch / epochs if epochs else 1.0
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half a cosine from the peak to ``final`` times the peak, again and again; each is ``growth`` times as long.

    Attributes:
        period_epochs: how long the first one is.
        growth: how much longer each next one is.
        final: the factor just before a restart.
    """

    period_epochs: float = 10.0
    growth: float = 1.0
    final: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("period_epochs", self.period_epochs, SHORTEST, MOST_EPOCHS)
        check_range("growth", self.growth, 1, 1000)
        check_range("final", self.final, 0, 1)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        period = self.period_epochs
        while epoch >= period:
            epoch -= period
            period *= self.growth
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * epoch / period)) / 2


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplied by ``factor`` after every ``every_epochs``."""

    every_epochs: float = 10.0
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("every_epochs", self.every_epochs, SHORTEST, MOST_EPOCHS)
        check_range("factor", self.factor, 0, 1)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        return self.factor ** math.floor(epoch / self.every_epochs)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """``1 / (1 + decay * t)`` with ``t`` in epochs, from step to step."""

    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("decay", self.decay, 0, MOST_EPOCHS)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        return 1.0 / (1.0 + self.decay * epoch)


@dataclass(frozen=True)
class Noam(Schedule):
    """After the warm-up one over the square root of the steps so far: half the peak after four times the warm-up.

    So it is with attention ("Attention Is All You Need"). Without a warm-up the rate stays at its peak.
    """

    warmup_epochs: float = 1.0

    def after_warmup(self, epoch: float, epochs: float) -> float:
        return math.sqrt(self.warmup_epochs / (self.warmup_epochs + epoch)) if self.warmup_epochs else 1.0


@dataclass(frozen=True)
class Plateau(Schedule):
    """The peak rate, multiplied by ``factor`` whenever the dev error has not improved for ``patience`` epochs."""

    patience: int = 3
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("patience", self.patience, 1, MOST_EPOCHS)
        check_range("factor", self.factor, 0, 1)

    def after_warmup(self, epoch: float, epochs: float) -> float:
        return 1.0


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "step": Step,
    "inverse_time": InverseTime,
    "noam": Noam,
    "plateau": Plateau,
}
