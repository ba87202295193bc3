"""Prefix beam search: the most probable texts, each summed over its paths, with a language model and hotwords.

The search itself (:mod:`dfcnn_ms.decoding.beam_kernel`) is loaded, and compiled by numba, when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.decoding.hotwords import Hotwords, HotwordTrie, build_trie
from dfcnn_ms.decoding.hypothesis import BaseDecoder, Hypothesis, check_batch, check_peaks
from dfcnn_ms.decoding.language import Conversation, LanguageModel
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.machine import cores

if TYPE_CHECKING:
    from dfcnn_ms.decoding.choice import Choice
    from dfcnn_ms.text.vocabulary import Vocabulary

Array = NDArray[Any]
Decode = Callable[[Array], list[Hypothesis]]

ROUNDING = 1e-3  # how far above 0 the logarithm of a probability may come out
WIDEST = 10_000  # memory grows with it
LARGEST = 1e6  # of a weight or a bonus: far more than any sound says of a syllable
BEAM = 10
#: used where neither a flag nor the checkpoint says how much a language model counts
LM_WEIGHT, LENGTH_BONUS = 0.5, 0.0
#: a list of alternatives needs units that the search for the best text may leave out
NBEST_MIN_LOG_PROB = -15.0


@dataclass(frozen=True)
class BeamSearch(BaseDecoder):
    """Finds the best texts of each utterance.

    A text scores `log_prob + lm_weight * language_log_prob + length_bonus * len(ids) + hotwords`. The search goes
    through the steps once and keeps the `beam` best beginnings at each; the best texts of the last step are then scored
    over all their paths, and put in order by that. A beam wide enough, with `min_log_prob=-inf`, finds what going
    through all paths would.

    Attributes:
        beam: how many beginnings to keep.
        nbest: how many texts to return; fewer where the beam holds fewer.
        min_log_prob: units less probable than this are left out of a step, unless none is more probable.
        language: `NgramModel.scorer(vocabulary.symbols)`, or any other model for the units of the network.
        lm_weight: how much the language model counts beside the sound; 0 or more.
        length_bonus: added for each unit, against the language model's liking for short texts.
        hotwords: phrases to listen for.
        threads: how many utterances of a batch are decoded at a time; by default as many as there are cores.

    Example:
        The best single path says unit 1 twice, but more paths, and together more probable ones, say it once.

        >>> log_probs = np.log([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]])
        >>> best, second = BeamSearch(nbest=2)(log_probs, [4])[0]
        >>> best.ids, second.ids
        ((1,), (1, 1))
    """

    hears: ClassVar[frozenset[str]] = frozenset({"beam", "nbest", "lm", "lm_weight", "length_bonus", "hotwords"})

    beam: int = BEAM
    nbest: int = 1
    min_log_prob: float = -5.0
    language: LanguageModel | None = field(default=None, repr=False, compare=False)
    lm_weight: float = LM_WEIGHT
    length_bonus: float = LENGTH_BONUS
    hotwords: Hotwords | None = field(default=None, repr=False)
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, number in (("beam", self.beam), ("nbest", self.nbest), ("threads", self.threads or 1)):
            if not isinstance(number, int) or not 1 <= number <= WIDEST:
                raise ConfigError(f"{name} must be a whole number from 1 to {WIDEST}; got {number!r}")
        if self.nbest > self.beam:
            raise ConfigError(f"nbest must be at most beam; got {self.nbest} of a beam of {self.beam}; widen the beam")
        if not 0 <= self.lm_weight <= LARGEST:
            wanted = f"at most {LARGEST:g}" if self.lm_weight > 0 else "0 or more"
            raise ConfigError(f"lm_weight must be {wanted}; got {self.lm_weight}")
        if not abs(self.length_bonus) <= LARGEST:
            raise ConfigError(
                f"length_bonus must be a number from -{LARGEST:g} to {LARGEST:g}; got {self.length_bonus}"
            )
        if not self.min_log_prob <= 0:
            raise ConfigError(f"min_log_prob must be the logarithm of a probability; got {self.min_log_prob}")

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, BeamSearch]:
        """Without a language model, and with one where there is one."""
        search: dict[str, Any] = {
            "beam": choice.beam or max(BEAM, choice.nbest),
            "nbest": choice.nbest,
            "hotwords": Hotwords.load(choice.hotwords, vocabulary.symbols) if choice.hotwords else None,
        }
        if choice.nbest > 1:
            search["min_log_prob"] = NBEST_MIN_LOG_PROB
        bonus = choice.length_bonus
        # The checkpoint's length bonus was tuned beside a language model and means nothing without one.
        found = {"": cls(**search, length_bonus=LENGTH_BONUS if bonus is None or choice.lm else bonus)}
        if choice.lm:
            from dfcnn_ms.decoding.ngram import NgramModel

            found["lm"] = cls(
                **search,
                language=NgramModel.load(choice.lm).scorer(vocabulary.symbols),
                lm_weight=_first(choice.lm_weight, stored.get("lm_weight"), LM_WEIGHT),
                length_bonus=_first(bonus, stored.get("length_bonus"), LENGTH_BONUS),
            )
        return found

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance, the best first, never empty.

        Args:
            log_probs: natural logarithms of probabilities (B, U, V).
            lengths: steps of each utterance (B,); what follows them is never looked at.
        """
        from dfcnn_ms.compiled import announced
        from dfcnn_ms.decoding.beam_kernel import Options, searcher
        from dfcnn_ms.decoding.ngram import LanguageScorer

        log_probs, lengths = check_batch(log_probs, lengths)
        units = log_probs.shape[2]
        self._check_units(units)
        trie = _no_hotwords(units) if self.hotwords is None else self.hotwords.trie
        weight, bonus = float(self.lm_weight), float(self.length_bonus)
        options = Options(self.beam, self.nbest, float(self.min_log_prob), weight, bonus)
        is_compiled = isinstance(self.language, LanguageScorer)
        search, counted = searcher(), (0.0, 0.0) if self.language is None else (weight, bonus)

        def decode(scores: Array) -> list[Hypothesis]:
            talk = None if self.language is None or is_compiled else Conversation(self.language)
            found = search(scores, _peaks(scores), trie, self.language if talk is None else talk.asked, options)
            if talk is not None and talk.error is not None:
                raise talk.error
            return _hypotheses(found, *counted)

        threads = self.threads or (cores() if self.language is None or is_compiled else 1)
        with announced("the beam search" + ("" if self.language is None else " with a language model")):
            return _each(decode, _utterances(log_probs, lengths), threads)

    def _check_units(self, units: int) -> None:
        """A table for another network would be read beyond its end."""
        made_for = {
            "hotwords": units if self.hotwords is None else len(self.hotwords.symbols),
            "language model": units if self.language is None else self.language.units,
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
        found: scores (R, 3), lengths (R,), and the ids (R, longest).
        weight: of the language model.
        bonus: of each unit, beside the language model.
    """
    return [
        Hypothesis(tuple(ids[:n]), acoustic, language, whole, weight * language + bonus * n)
        for (acoustic, language, whole), n, ids in zip(*(part.tolist() for part in found), strict=True)
    ]


def _first(*values: float | None) -> float:
    """The first that somebody gave."""
    return next(value for value in values if value is not None)
