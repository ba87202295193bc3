"""How sure a recognition is, as probabilities that hold: of the syllables said to be 90 % sure, 90 % are right.

A network is surer of itself than it should be, or less. One number, the temperature, cures much of that: the
log-probabilities are divided by it and made to sum to one again. What is decoded stays as it is. The temperature is
fitted on recordings that the network was not trained on, and holds for recordings like them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.align import Alignment

Array = NDArray[Any]

#: equal slices of 0..1 in which confidence and truth are compared
BINS = 10
#: The fit looks between these temperatures.
COLDEST, HOTTEST = 0.05, 20.0
#: Spread of the logarithm of a temperature before anything is known: it decides where there are hardly any errors.
PRIOR_SPREAD = 0.5
#: keeps a probability of 0 or 1 from being infinitely wrong
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Peaks:
    """Recognised units of a set, each where the network was surest of it, and whether it was right.

    Attributes:
        log_probs: of all units at the step of each peak (M, V).
        ids: the recognised units (M,).
        correct: whether each was said (M,).
    """

    log_probs: Array
    ids: Array
    correct: Array

    def confidences(self, temperature: float = 1.0) -> Array:
        """Probabilities (M,) of the recognised units."""
        return np.exp(tempered(self.log_probs, temperature)[np.arange(len(self.ids)), self.ids])


def joined(parts: Sequence[Peaks]) -> Peaks:
    """The peaks of several utterances in one."""
    return Peaks(
        np.concatenate([part.log_probs for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.correct for part in parts]),
    )


def tempered(log_probs: Array, temperature: float) -> Array:
    """Log-probabilities (..., V) at another temperature: above 1 less sure, below 1 surer, the order is the same."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"a temperature is a positive number; got {temperature}")
    scaled = np.asarray(log_probs, np.float64) / temperature
    return scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)


def confidences(log_probs: Array, alignment: Alignment, temperature: float = 1.0) -> tuple[float, ...]:
    """Probability of each unit of an aligned text at its peak, 0 to 1.

    Args:
        log_probs: of one utterance (U, V).
        alignment: of what was recognised, or of any text that fits (L units).
        temperature: as :func:`fit_temperature` found it.
    """
    rows = tempered(np.asarray(log_probs)[list(alignment.peaks)], temperature)  # (L, V)
    return tuple(np.exp(rows[np.arange(len(alignment.ids)), list(alignment.ids)]).tolist())


def sentence_confidence(syllables: Sequence[float] | Array) -> float:
    """Probability that every syllable is right, as if each were right or wrong by itself; 1 for an empty sentence."""
    return float(np.prod(np.asarray(syllables, np.float64)))


def negative_log_likelihood(confidences: Array, correct: Array) -> float:
    """Mean surprise, in nats, at what was right and what was wrong; the lower, the better the confidences."""
    confidences = np.clip(np.asarray(confidences, np.float64), _SMALLEST, 1 - _SMALLEST)
    return float(-np.log(np.where(correct, confidences, 1 - confidences)).mean())


def fit_temperature(peaks: Peaks) -> float:
    """The temperature at which the confidences are least surprised by what was right and what was wrong.

    Where a set has next to no errors, many temperatures explain it as well; a weak belief in 1 then decides.
    """
    if not len(peaks.ids):
        raise ValueError("a temperature cannot be fitted without a single recognised unit")
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        surprise = negative_log_likelihood(peaks.confidences(math.exp(log_temperature)), peaks.correct)
        return surprise + (log_temperature / PRIOR_SPREAD) ** 2 / 2 / len(peaks.ids)

    found = minimize_scalar(cost, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return float(math.exp(found.x))


@dataclass(frozen=True)
class Reliability:
    """Confidence against truth, bin by bin over 0..1.

    Attributes:
        counts: how many units fell into each bin (K,).
        confidences: their mean confidence (K,); 0 in an empty bin.
        accuracies: the share of them that was right (K,); 0 in an empty bin.
    """

    counts: Array
    confidences: Array
    accuracies: Array

    @property
    def expected_calibration_error(self) -> float:
        """How far confidence and truth lie apart on the average, bins weighted by their counts; 0 is perfect."""
        gaps = np.abs(self.confidences - self.accuracies)
        return float((gaps * self.counts).sum() / max(1, self.counts.sum()))

    @property
    def accuracy(self) -> float:
        """The share of all units that was right."""
        return float((self.accuracies * self.counts).sum() / max(1, self.counts.sum()))


def reliability(confidences: Array | Sequence[float], correct: Array | Sequence[bool], bins: int = BINS) -> Reliability:
    """Sorts units by confidence into `bins` equal slices of 0..1 and compares; a confidence of 1 is in the last."""
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if confidences.shape != correct.shape or confidences.ndim != 1:
        raise ValueError(f"one truth for each confidence; got shapes {confidences.shape} and {correct.shape}")
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError("confidences are probabilities between 0 and 1")
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    counts = np.bincount(places, minlength=bins)
    each = np.maximum(counts, 1)
    sums = np.bincount(places, confidences, bins), np.bincount(places, correct, bins)
    return Reliability(counts, sums[0] / each, sums[1] / each)
