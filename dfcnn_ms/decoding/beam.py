"""Prefix beam search: the most probable texts, each summed over its paths, with a language model and hotwords.

The search itself (:mod:`dfcnn_ms.decoding.beam_kernel`) is loaded, and compiled by numba, when it is first called.
"""

from __future__ import annotations

import contextlib
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
FIRST_ROOM = 64  # steps of an utterance that comes in pieces
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
            "beam": choice.beam or max(BEAM, choice.hypotheses),
            "nbest": choice.hypotheses,
            "hotwords": Hotwords.load(choice.hotwords, vocabulary.symbols) if choice.hotwords else None,
        }
        if choice.nbest > 1:
            search["min_log_prob"] = NBEST_MIN_LOG_PROB
        bonus = choice.length_bonus
        # The checkpoint's length bonus was tuned beside a language model and means nothing without one.
        found = {"": cls(**search, length_bonus=LENGTH_BONUS if bonus is None or choice.lm else bonus)}
        if choice.lm:
            from dfcnn_ms.decoding.ngram import NgramModel

            # As wide as it was when the two weights were found.
            if not choice.beam:
                search["beam"] = max(int(stored.get("beam", BEAM)), choice.hypotheses)
            least = stored.get("min_log_prob", cls.min_log_prob)
            search["min_log_prob"] = min(least, search.get("min_log_prob", least))
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
        log_probs, lengths = check_batch(log_probs, lengths)
        self._check_units(log_probs.shape[2])
        threads = self.threads or (cores() if self._is_compiled else 1)
        with self._announced():
            return _each(self._decode, _utterances(log_probs, lengths), threads)

    def stream(self) -> BeamStream:
        """A search of one utterance whose outputs come piece by piece."""
        return BeamStream(self)

    def _decode(self, scores: Array) -> list[Hypothesis]:
        """The n-best list of one utterance (U, V)."""
        return _Search(self, *scores.shape)(scores, _peaks(scores))

    @property
    def _is_compiled(self) -> bool:
        """Whether the search asks nothing of Python."""
        from dfcnn_ms.decoding.ngram import LanguageScorer

        return self.language is None or isinstance(self.language, LanguageScorer)

    def _announced(self) -> contextlib.AbstractContextManager[None]:
        from dfcnn_ms.compiled import announced

        return announced("the beam search" + ("" if self.language is None else " with a language model"))

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


class BeamStream:
    """The search of one utterance whose outputs come piece by piece: each step is gone through once.

    Args:
        beam: how to search.
    """

    def __init__(self, beam: BeamSearch) -> None:
        self._beam = beam
        self._search: _Search | None = None
        self._log_probs = np.zeros((0, 0), np.float32)  # with room for more steps behind those that came, (most, V)
        self._peaks = np.zeros(0)
        self._steps = 0

    def add(self, log_probs: Array) -> list[Hypothesis]:
        """Takes log-probabilities (u, V) of the next steps; gives the n-best list of all that came."""
        (new,) = _utterances(*check_batch(np.asarray(log_probs)[None], [len(log_probs)]))
        if self._search is None:
            self._beam._check_units(new.shape[1])
            self._search = _Search(self._beam, FIRST_ROOM, new.shape[1])
            self._log_probs, self._peaks = np.empty((FIRST_ROOM, new.shape[1]), np.float32), np.empty(FIRST_ROOM)
        self._keep(new)
        with self._beam._announced():
            return self._search(self._log_probs[: self._steps], self._peaks[: self._steps])

    def _keep(self, new: Array) -> None:
        """Puts steps behind those that there are."""
        stop = self._steps + len(new)
        if stop > len(self._log_probs):
            log_probs, peaks = np.empty((2 * stop, new.shape[1]), np.float32), np.empty(2 * stop)
            log_probs[: self._steps], peaks[: self._steps] = self._log_probs[: self._steps], self._peaks[: self._steps]
            self._log_probs, self._peaks = log_probs, peaks
        self._log_probs[self._steps : stop], self._peaks[self._steps : stop] = new, _peaks(new)
        self._steps = stop


class _Search:
    """One utterance in the hands of compiled code.

    Args:
        beam: how to search.
        steps: so many there will be, or more.
        units: V.
    """

    def __init__(self, beam: BeamSearch, steps: int, units: int) -> None:
        from dfcnn_ms.decoding.beam_kernel import Options, workspace

        weight, bonus = float(beam.lm_weight), float(beam.length_bonus)
        self._counted = (0.0, 0.0) if beam.language is None else (weight, bonus)
        self._options = Options(beam.beam, beam.nbest, float(beam.min_log_prob), weight, bonus)
        self._trie = _no_hotwords(units) if beam.hotwords is None else beam.hotwords.trie
        self._talk = None if beam.language is None or beam._is_compiled else Conversation(beam.language)
        self._language: Any = beam.language if self._talk is None else self._talk.asked
        start = 0 if self._language is None else self._language.start
        self._work, self._steps = workspace(steps, units, beam.beam, self._trie, start), steps

    def __call__(self, scores: Array, peaks: Array) -> list[Hypothesis]:
        """The n-best list of all steps (U, V) by now; those of the call before, and more of them."""
        from dfcnn_ms.decoding.beam_kernel import searcher, with_room

        if len(scores) > self._steps:
            self._steps = 2 * len(scores)
            self._work = with_room(self._work, self._steps)
        found = searcher()(self._work, scores, peaks, self._trie, self._language, self._options)
        if self._talk is not None and self._talk.error is not None:
            raise self._talk.error
        return _hypotheses(found, *self._counted)


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
