"""The language model as a value: load it, ask it, store it, hand it to the beam."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.ngram.assembly import assemble, take_apart
from dfcnn_ms.decoding.ngram.kneser_ney import estimate
from dfcnn_ms.decoding.ngram.pruning import prune
from dfcnn_ms.decoding.ngram.text import BOS_ID, EOS_ID, SPECIALS, UNK_ID, Text, encode, known_ids
from dfcnn_ms.decoding.ngram.trie import LanguageScorer, Level, Trie, level_starts, scorer
from dfcnn_ms.errors import ConfigError

MAX_ORDER = 5


@dataclass(frozen=True)
class TextScore:
    """What a model thinks of a text; counted first, divided last.

    Attributes:
        log_prob: of the text, natural.
        unknown_log_prob: the part of it that words unknown to the model have.
        tokens: words and sentence ends.
        sentences: how many.
        unknown: words that the model does not know.
    """

    log_prob: float
    unknown_log_prob: float
    tokens: int
    sentences: int
    unknown: int

    @property
    def perplexity(self) -> float:
        """Unknown words included, at the probability of `<unk>`."""
        return _perplexity(self.log_prob, self.tokens)

    @property
    def perplexity_of_known(self) -> float:
        """Unknown words left out."""
        return _perplexity(self.log_prob - self.unknown_log_prob, self.tokens - self.unknown)


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off n-gram model.

    Attributes:
        words: what each id stands for; `<unk>`, `<s>` and `</s>` come first.
        trie: the n-grams; its arrays may lie in a file that is mapped into memory.

    Example:
        >>> model = train([["ni3", "hao3"], ["ni3", "men5", "hao3"]], order=2)
        >>> round(model.log_prob(["ni3", "hao3"]), 2)
        -1.94
    """

    words: tuple[str, ...]
    trie: Trie

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NgramModel:
        """Opens an ARPA file (also gzipped) or another one of :meth:`save`, whichever it is.

        Raises:
            DataError: the file is missing, truncated, corrupt or something else.
        """
        from dfcnn_ms.decoding.ngram.formats import load

        return cls(*load(Path(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes ARPA, or the compact form, which rounds, or else the binary that is mapped into memory.

        Args:
            path: `.arpa` and `.lmz` at its end stand for the first two.
        """
        from dfcnn_ms.decoding.ngram.formats import save

        save(Path(path), self.words, self.trie)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First node of each order in the trie, beginning with order 0, and the end."""
        return level_starts(self.trie)

    @property
    def order(self) -> int:
        """Length of the longest n-gram."""
        return len(self.starts) - 2

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams of each length there are, from 1."""
        return tuple(int(count) for count in np.diff(self.starts[1:]))

    def levels(self) -> list[Level]:
        """The n-grams by length."""
        return take_apart(self.trie)

    def scorer(self, symbols: Sequence[str]) -> LanguageScorer:
        """The model for the units of a network, to be asked inside a beam.

        Args:
            symbols: what each unit stands for (V,); the blank is never asked for.

        Raises:
            ConfigError: the model knows none of them.
        """
        ids = known_ids(self.words)
        unit_words = np.array([ids[symbol] for symbol in symbols], np.int32)
        if (unit_words <= max(UNK_ID, BOS_ID, EOS_ID)).all():
            named = [word for word in self.words if word not in SPECIALS][:3]
            raise ConfigError(
                f"the language model knows no unit of the network: it has {', '.join(named) or 'no words'}, "
                f"the network {', '.join(symbols[-3:])}; train one on text in the units of the network"
            )
        return scorer(self.trie, unit_words)

    def log_prob(self, sentence: Sequence[str], bos: bool = True, eos: bool = True) -> float:
        """Natural log-probability of one sentence.

        Args:
            sentence: its tokens.
            bos: it begins here; without, the first token stands alone.
            eos: it ends here.
        """
        return float(self._log_probs(encode([sentence], self._ids)[0 if bos else 1 : None if eos else -1]).sum())

    def score(self, sentences: Iterable[Sequence[str]]) -> TextScore:
        """What the model thinks of a text."""
        ids = encode(sentences, self._ids)
        log_probs, unknown = self._log_probs(ids), ids == UNK_ID
        sentence_count = int((ids == EOS_ID).sum())
        return TextScore(
            log_prob=float(log_probs.sum()),
            unknown_log_prob=float(log_probs[unknown].sum()),
            tokens=len(ids) - sentence_count,
            sentences=sentence_count,
            unknown=int(unknown.sum()),
        )

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """Perplexity of a text, its unknown words included."""
        return self.score(sentences).perplexity

    def pruned(self, threshold: float) -> NgramModel:
        """The model without what matters least; see :func:`dfcnn_ms.decoding.ngram.pruning.prune`."""
        return NgramModel(self.words, prune(self.trie, threshold))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return known_ids(self.words)

    def _log_probs(self, ids: np.ndarray) -> np.ndarray:
        from dfcnn_ms.compiled import announced
        from dfcnn_ms.decoding.ngram.kernels import score

        with announced("the language model"):
            return score(scorer(self.trie, np.zeros(0, np.int32)), ids)


def train(sentences: Iterable[Sequence[str]], order: int = 3, min_counts: Sequence[int] = (1,)) -> NgramModel:
    """A modified Kneser-Ney model of sentences of tokens; see :func:`dfcnn_ms.decoding.ngram.kneser_ney.estimate`.

    Args:
        sentences: each a sequence of tokens, of whatever kind.
        order: the longest n-gram, 1 to 5.
        min_counts: how often an n-gram of each length must occur to be kept; the last also serves the longer ones.

    Raises:
        ConfigError: the order or the counts make no sense.
        DataError: there is no sentence, or a token that cannot be one.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError(f"the order of a language model is 1 to {MAX_ORDER}; got {order}")
    _check_min_counts(min_counts, order)
    text = Text.of(sentences)
    return NgramModel(text.words, assemble(estimate(text, order, min_counts)))


def _check_min_counts(min_counts: Sequence[int], order: int) -> None:
    got = " ".join(map(str, min_counts)) or "nothing"
    if not 1 <= len(min_counts) <= order:
        raise ConfigError(f"give 1 to {order} smallest counts, one for each length of n-gram; got {got}")
    if min(min_counts) < 1 or list(min_counts) != sorted(min_counts):
        raise ConfigError(f"smallest counts must be at least 1 and not fall, such as 1 1 2; got {got}")
    if order > 1 and len(min_counts) > 1 and min_counts[0] != 1:
        raise ConfigError(f"every word stays in the model: the first smallest count must be 1; got {got}")


def _perplexity(log_prob: float, tokens: int) -> float:
    try:
        return math.exp(-log_prob / tokens) if tokens else math.nan
    except OverflowError:  # of a text that the model holds for impossible
        return math.inf
