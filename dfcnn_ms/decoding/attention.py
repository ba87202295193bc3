"""Decoding of networks with a decoder: a beam search over what it writes, and CTC's hypotheses in its order.

What these decoders are given remembers what the network's decoder looks at (:mod:`dfcnn_ms.decoding.memory`). Plain
log-probabilities are read as those of CTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dfcnn_ms.decoding.beam import BEAM, NBEST_MIN_LOG_PROB, WIDEST, BeamSearch
from dfcnn_ms.decoding.greedy import decode_greedy
from dfcnn_ms.decoding.hypothesis import Array, BaseDecoder, Hypothesis
from dfcnn_ms.decoding.memory import Page, page_of
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.text.vocabulary import BLANK_ID

if TYPE_CHECKING:
    from dfcnn_ms.decoding.choice import Choice
    from dfcnn_ms.text.vocabulary import Vocabulary

#: before the first unit of a text and after its last
END = BLANK_ID


@dataclass(frozen=True)
class AttentionBeam(BaseDecoder):
    """Writes an utterance unit by unit and keeps the `beam` best beginnings at each.

    A text scores `log_prob + length_bonus * len(ids)`, where `log_prob` is what the decoder thinks of its units and of
    its end. Units only take probability away, so that the search knows when it has ended: no beginning that is left can
    become better than the `nbest` texts that it has. A text that CTC could not spell in the steps of the sound is not
    written; so its units can be placed in time.

    Attributes:
        beam: how many beginnings to keep.
        nbest: how many texts to return; fewer where there are fewer.
        length_bonus: added for each unit.
    """

    reads: ClassVar[str] = "attention"
    hears: ClassVar[frozenset[str]] = frozenset({"beam", "nbest", "length_bonus"})

    beam: int = BEAM
    nbest: int = 1
    length_bonus: float = 0.0

    def __post_init__(self) -> None:
        for name, number in (("beam", self.beam), ("nbest", self.nbest)):
            if not isinstance(number, int) or not 1 <= number <= WIDEST:
                raise ConfigError(f"{name} must be a whole number from 1 to {WIDEST}; got {number!r}")
        if self.nbest > self.beam:
            raise ConfigError(f"nbest must be at most beam; got {self.nbest} of a beam of {self.beam}; widen the beam")

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, AttentionBeam]:
        """As wide as it is asked for."""
        return {"": cls(choice.beam or max(BEAM, choice.nbest), choice.nbest, choice.length_bonus or 0.0)}

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance of outputs (B, U, V) that remember; never empty."""
        return [self.written(log_probs[row, :length]) for row, length in enumerate(lengths)]

    def written(self, log_probs: Array) -> list[Hypothesis]:
        """The n-best list of one utterance (U, V)."""
        page = page_of(log_probs)
        if page is None or not len(log_probs):
            return [decode_greedy(np.asarray(log_probs))]
        search = _Search(page, len(log_probs), self)
        while not search.has_ended:
            search.go_on()
        return search.found[: self.nbest]


class _Search:
    """The beginnings that a beam search keeps, and the texts that it has.

    Args:
        page: where they are written.
        steps: of the sound.
        options: beam, nbest and length bonus.
    """

    def __init__(self, page: Page, steps: int, options: AttentionBeam) -> None:
        self.page, self.steps, self.options = page, steps, options
        self.texts: list[tuple[int, ...]] = [()]
        self.parents = [0]
        self.log_probs = np.zeros(1)
        self.found: list[Hypothesis] = []

    @property
    def has_ended(self) -> bool:
        """Whether nothing that is left can become better than what there is."""
        if not self.texts:
            return True
        if len(self.found) < self.options.nbest:
            return False
        bonus = self.options.length_bonus
        longest = self.steps if bonus > 0 else len(self.texts[0])
        return self.found[self.options.nbest - 1].score >= self.log_probs.max() + bonus * longest

    def go_on(self) -> None:
        """One unit more for the best beginnings, and the end for all."""
        last = [text[-1] if text else END for text in self.texts]
        scores = self.log_probs[:, None] + self.page.write(last, self.parents)  # (N, V)
        bonus = self.options.length_bonus * len(self.texts[0])
        ended = zip(self.texts, scores[:, END].tolist(), strict=True)
        self.found += [Hypothesis(text, score, score=score + bonus) for text, score in ended]
        self.found = sorted(self.found, key=lambda one: -one.score)[: self.options.nbest]
        scores = np.where(self._spellable(last, scores.shape[1]), scores, -np.inf)
        scores[:, END] = -np.inf
        places = np.argsort(-scores, axis=None, kind="stable")[: self.options.beam]
        places = places[np.isfinite(scores.flat[places])]
        self.parents, units = (part.tolist() for part in np.unravel_index(places, scores.shape))
        self.texts = [(*self.texts[parent], unit) for parent, unit in zip(self.parents, units, strict=True)]
        self.log_probs = scores.flat[places]

    def _spellable(self, last: Sequence[int], units: int) -> Array:
        """Which units may follow each text, so that CTC could spell it (N, V): a repeat wants a blank before it."""
        needed = np.array([len(text) + _repeats(text) + 1 for text in self.texts])[:, None]
        return np.asarray(needed + (np.arange(units) == np.array(last)[:, None]) <= self.steps)


def _repeats(text: Sequence[int]) -> int:
    return sum(a == b for a, b in pairwise(text))


@dataclass(frozen=True)
class Rescoring(BaseDecoder):
    """CTC's hypotheses, put in order by what the decoder thinks of each as well.

    A text scores `log_prob + ctc_weight * score`, where `log_prob` is what the decoder thinks of it and `score` is that
    of the CTC search, with everything that a language model and hotwords add.

    Attributes:
        nbest: how many texts to return; fewer where the search has fewer.
        ctc_weight: how much the score of the CTC search counts.
        search: for the hypotheses; it gives as many as it keeps.
    """

    reads: ClassVar[str] = "attention"
    hears: ClassVar[frozenset[str]] = BeamSearch.hears

    nbest: int = 1
    ctc_weight: float = 0.5
    search: BeamSearch = field(default=BeamSearch(nbest=BEAM, min_log_prob=NBEST_MIN_LOG_PROB))

    @classmethod
    def chosen(cls, choice: Choice, vocabulary: Vocabulary, stored: Mapping[str, float]) -> dict[str, Rescoring]:
        """Over the same searches as there are for CTC."""
        searches = BeamSearch.chosen(choice, vocabulary, stored)
        return {
            name: cls(choice.hypotheses, search=replace(one, nbest=one.beam, min_log_prob=NBEST_MIN_LOG_PROB))
            for name, one in searches.items()
        }

    def __call__(self, log_probs: Array, lengths: Sequence[int] | Array) -> list[list[Hypothesis]]:
        """The n-best list of each utterance of outputs (B, U, V) that remember; never empty."""
        heard = self.search(np.asarray(log_probs), lengths)
        return [
            self.ordered(log_probs[row, :length], nbest)[: self.nbest]
            for row, (length, nbest) in enumerate(zip(lengths, heard, strict=True))
        ]

    def ordered(self, log_probs: Array, nbest: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Hypotheses of one utterance (U, V), the best of both opinions first."""
        page = page_of(log_probs)
        if page is None or not len(log_probs):
            return [*nbest]
        thought = thought_of(page, [one.ids for one in nbest])
        weight = self.ctc_weight
        both = [
            Hypothesis(
                one.ids,
                log_prob + weight * one.log_prob,
                one.language_log_prob,
                log_prob + weight * one.score,
                weight * one.language_score,
            )
            for one, log_prob in zip(nbest, thought, strict=True)
        ]
        return sorted(both, key=lambda one: -one.score)


def thought_of(page: Page, texts: Sequence[Sequence[int]]) -> list[float]:
    """The log-probability of each text with its end, by the decoder."""
    longest = max(map(len, texts))
    padded = np.full((len(texts), longest + 2), END)
    for row, text in enumerate(texts):
        padded[row, 1 : len(text) + 1] = text
    rows, total = np.arange(len(texts)), np.zeros(len(texts))
    lengths = np.array([len(text) for text in texts])
    for place in range(longest + 1):
        scores = page.write(padded[:, place], rows if place else np.zeros(len(texts), int))
        total += np.where(place <= lengths, scores[rows, padded[:, place + 1]], 0.0)
    return [float(one) for one in total]


def spelled(log_probs: Array) -> tuple[int, ...]:
    """What the decoder writes of one utterance (U, V) when it keeps one beginning."""
    return AttentionBeam(beam=1).written(log_probs)[0].ids
