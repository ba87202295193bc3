"""Prefix beam search: the most probable texts, each summed over its paths, with a language model and hotwords.

The search itself (:mod:`dfcnn_ms.decoding.prefixes`) is loaded, and compiled by numba, when it is first called.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.hotwords import Hotwords, HotwordTrie, build_trie
from dfcnn_ms.decoding.hypothesis import Hypothesis, check_batch, check_peaks
from dfcnn_ms.errors import ConfigError

if TYPE_CHECKING:
    from dfcnn_ms.decoding.ngram import LanguageScorer

Array = NDArray[Any]
Decode = Callable[[Array], list[Hypothesis]]

ROUNDING = 1e-3  # how far above 0 the logarithm of a probability may come out
WIDEST = 10_000  # memory grows with it


@dataclass(frozen=True)
class BeamSearch:
    """Finds the best texts of each utterance.

    A text scores `log_prob + lm_weight * language_log_prob + length_bonus * len(ids) + hotwords`. The search goes
    through the steps once and keeps the `beam` best beginnings at each; the best texts of the last step are then scored
    over all their paths, and put in order by that. A beam wide enough, with `min_log_prob=-inf`, finds what going
    through all paths would.

    Attributes:
        beam: how many beginnings to keep.
        nbest: how many texts to return; fewer where the beam holds fewer.
        min_log_prob: units less probable than this are left out of a step, unless none is more probable.
        language: `NgramModel.scorer(vocabulary.symbols)`.
        lm_weight: how much the language model counts beside the sound; 0 or more.
        length_bonus: added for each unit, against the language model's liking for short texts.
        hotwords: phrases to listen for.
        threads: how many utterances of a batch are decoded at a time; by default as many as there are cores.

    Example:
        The best single path says unit 1 twice, but more paths, and together more probable ones, say it once.

        >>> log_probs = np.log([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]])
        >>> best, second = BeamSearch(nbest=2)(log_probs, [4])[0]
        >>> best.ids, best.steps, second.ids
        ((1,), (0,), (1, 1))
    """

    beam: int = 10
    nbest: int = 1
    min_log_prob: float = -5.0
    language: LanguageScorer | None = field(default=None, repr=False, compare=False)
    lm_weight: float = 0.5
    length_bonus: float = 0.0
    hotwords: Hotwords | None = field(default=None, repr=False)
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, number in (("beam", self.beam), ("nbest", self.nbest), ("threads", self.threads or 1)):
            if not isinstance(number, int) or not 1 <= number <= WIDEST:
                raise ConfigError(f"{name} must be a whole number from 1 to {WIDEST}; got {number!r}")
        if self.nbest > self.beam:
            raise ConfigError(f"nbest must be at most beam; got {self.nbest} of a beam of {self.beam}; widen the beam")
        if not 0 <= self.lm_weight < math.inf:
            raise ConfigError(f"lm_weight must be 0 or more; got {self.lm_weight}")
        if not math.isfinite(self.length_bonus):
            raise ConfigError(f"length_bonus must be a number; got {self.length_bonus}")
        if not self.min_log_prob <= 0:
            raise ConfigError(f"min_log_prob must be the logarithm of a probability; got {self.min_log_prob}")

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance, the best first, never empty.

        Args:
            log_probs: natural logarithms of probabilities (B, U, V).
            lengths: steps of each utterance (B,); what follows them is never looked at.
        """
        from dfcnn_ms.compiled import announced
        from dfcnn_ms.decoding.prefixes import Options, searcher

        log_probs, lengths = check_batch(log_probs, lengths)
        units = log_probs.shape[2]
        self._check_units(units)
        trie = _no_hotwords(units) if self.hotwords is None else self.hotwords.trie
        weight, bonus = float(self.lm_weight), float(self.length_bonus)
        options = Options(self.beam, self.nbest, float(self.min_log_prob), weight, bonus)
        search, counted = searcher(), (0.0, 0.0) if self.language is None else (weight, bonus)

        def decode(scores: Array) -> list[Hypothesis]:
            return _hypotheses(search(scores, _peaks(scores), trie, self.language, options), *counted)

        with announced("the beam search" + ("" if self.language is None else " with a language model")):
            return _each(decode, _utterances(log_probs, lengths), self.threads or _cores())

    def _check_units(self, units: int) -> None:
        """A table for another network would be read beyond its end."""
        made_for = {
            "hotwords": units if self.hotwords is None else len(self.hotwords.symbols),
            "language model": units if self.language is None else len(self.language.unit_words),
        }
        for name, number in made_for.items():
            if number != units:
                raise ConfigError(
                    f"{name}: made for a network of {number} units, this one has {units}; "
                    "make it with the vocabulary of this one"
                )


@lru_cache(maxsize=4)
def _no_hotwords(units: int) -> HotwordTrie:
    return build_trie({}, units)


def _utterances(log_probs: Array, lengths: Array) -> list[Array]:
    """The own steps (U, V) of each utterance in the one layout that the search is compiled for."""
    if log_probs.dtype != np.float32:
        with np.errstate(over="ignore"):  # what is too little for float32 is impossible
            log_probs = log_probs.astype(np.float32)
    batch = np.require(log_probs, None, ["C", "A", "W"])
    return [utterance[:length] for utterance, length in zip(batch, lengths.tolist(), strict=True)]


def _peaks(scores: Array) -> Array:
    """The highest of each step (U,)."""
    peaks = scores.max(axis=1).astype(np.float64)
    check_peaks(peaks)
    if peaks.max(initial=0.0) > ROUNDING:
        raise ValueError(f"scores must be logarithms of probabilities; got {peaks.max():g}, above 0; are they logits?")
    return peaks


def _each(decode: Decode, utterances: list[Array], threads: int) -> list[list[Hypothesis]]:
    threads = min(threads, len(utterances))
    if threads < 2:
        return [decode(scores) for scores in utterances]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(decode, utterances))


def _hypotheses(found: tuple[Array, ...], weight: float, bonus: float) -> list[Hypothesis]:
    """An n-best list of R texts.

    Args:
        found: scores (R, 3), lengths (R,), and of each unit (R, longest) the id, its step and its confidence.
        weight: of the language model.
        bonus: of each unit, beside the language model.
    """
    return [
        Hypothesis(
            tuple(ids[:n]), tuple(steps[:n]), acoustic, tuple(sure[:n]), language, whole, weight * language + bonus * n
        )
        for (acoustic, language, whole), n, ids, steps, sure in zip(*(part.tolist() for part in found), strict=True)
    ]


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
