"""How much a language model should count: weight and length bonus with the fewest errors on a development set.

A coarse grid first, then smaller and smaller steps along each of the two from the best point found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from dfcnn_ms.decoding.hypothesis import Decoder
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.metrics import Edits, edits

#: utterances decoded in one call: enough for all cores, and little padding to hold
BATCH_SIZE = 64
#: what a decoder must be made with to be tuned
TUNED = {"lm_weight", "length_bonus"}


@dataclass(frozen=True)
class Trial:
    """What one weight and one length bonus make of the development set."""

    lm_weight: float
    length_bonus: float
    edits: Edits

    @property
    def _order(self) -> tuple[int, float, float]:
        """Fewer errors are better, and among equals the gentler values."""
        return self.edits.total, self.lm_weight, abs(self.length_bonus)


@dataclass(frozen=True)
class Grid:
    """Where to look.

    Attributes:
        lm_weights, length_bonuses: the coarse grid; every pair of them is tried.
        halvings: how often the steps are halved afterwards.
    """

    lm_weights: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    length_bonuses: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 4.0)
    halvings: int = 2

    def __post_init__(self) -> None:
        if not self.lm_weights or not self.length_bonuses:
            raise ConfigError("tuning needs at least one weight and one length bonus to try")
        if not all(0 <= weight < math.inf for weight in self.lm_weights):
            raise ConfigError(f"weights of a language model must be 0 or more; got {_listed(self.lm_weights)}")
        if not all(map(math.isfinite, self.length_bonuses)):
            raise ConfigError(f"length bonuses must be numbers; got {_listed(self.length_bonuses)}")

    @property
    def steps(self) -> tuple[float, float]:
        """The smallest distance on each side of the grid; 0 where it has one value, which then stays."""
        return _step(self.lm_weights), _step(self.length_bonuses)


def tune(
    search: Decoder,
    log_probs: Sequence[np.ndarray],
    references: Sequence[Sequence[int]],
    grid: Grid | None = None,
    watch: Callable[[Trial], None] | None = None,
) -> Trial:
    """Finds the weight and the length bonus with the fewest errors.

    Args:
        search: a dataclass with a `language` model, `lm_weight` and `length_bonus`; its other options are kept.
        log_probs: of each utterance (U, V).
        references: the units that were said in each.
        grid: where to look.
        watch: called with every trial, in the order in which they are made.

    Raises:
        ConfigError: the search has no language model, or cannot be told how much it counts.
        DataError: there is no utterance, or not one reference for each.
    """
    if not set(getattr(search, "__dataclass_fields__", ())) >= TUNED:
        raise ConfigError(f"{type(search).__name__} has nothing to tune: it takes no lm_weight and no length_bonus")
    if getattr(search, "language", None) is None:
        raise ConfigError("there is nothing to tune without a language model; give the search one")
    if not log_probs or len(log_probs) != len(references):
        raise DataError(f"tuning needs a reference for each utterance; got {len(references)} for {len(log_probs)}")
    grid = grid or Grid()
    trials: dict[tuple[float, float], Trial] = {}

    def tried(lm_weight: float, length_bonus: float) -> Trial:
        point = (round(lm_weight, 6), round(length_bonus, 6))
        if point not in trials:
            chosen: Decoder = replace(cast(Any, search), lm_weight=point[0], length_bonus=point[1])
            trials[point] = Trial(*point, _errors(chosen, log_probs, references))
            if watch:
                watch(trials[point])
        return trials[point]

    best = _best(tried(weight, bonus) for weight in grid.lm_weights for bonus in grid.length_bonuses)
    for halving in range(1, grid.halvings + 1):
        best = _descend(tried, best, *(step / 2**halving for step in grid.steps))
    return best


def _descend(tried: Callable[[float, float], Trial], best: Trial, weight_step: float, bonus_step: float) -> Trial:
    """Steps along one axis, then the other, as long as that takes errors away."""
    while True:
        weights = [best.lm_weight - weight_step, best.lm_weight + weight_step] if weight_step else []
        found = _best([best, *(tried(weight, best.length_bonus) for weight in weights if weight >= 0)])
        bonuses = [found.length_bonus - bonus_step, found.length_bonus + bonus_step] if bonus_step else []
        found = _best([found, *(tried(found.lm_weight, bonus) for bonus in bonuses)])
        if found.edits.total == best.edits.total:
            return found
        best = found


def _best(trials: Iterator[Trial] | Sequence[Trial]) -> Trial:
    return min(trials, key=lambda trial: trial._order)


def _errors(search: Decoder, log_probs: Sequence[np.ndarray], references: Sequence[Sequence[int]]) -> Edits:
    total = Edits()
    for start in range(0, len(log_probs), BATCH_SIZE):
        here = slice(start, start + BATCH_SIZE)
        found = search(*_padded(log_probs[here]))
        for nbest, reference in zip(found, references[here], strict=True):
            total += edits([*map(str, reference)], [*map(str, nbest[0].ids)])
    return total


def _padded(log_probs: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Utterances (U, V) as one batch (B, U, V), and their lengths."""
    lengths = [len(one) for one in log_probs]
    batch = np.zeros((len(log_probs), max(lengths), log_probs[0].shape[1]), np.float32)
    for row, one in enumerate(log_probs):
        batch[row, : len(one)] = one
    return batch, lengths


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _step(values: Sequence[float]) -> float:
    return float(np.diff(sorted(set(values))).min()) if len(set(values)) > 1 else 0.0
