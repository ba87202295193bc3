"""Relative entropy pruning: against the divergence computed the long way, and what must hold whatever is left out."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from dfcnn_ms.decoding.ngram import NgramModel, train
from dfcnn_ms.decoding.ngram.pruning import losses
from dfcnn_ms.decoding.ngram.trie import level_starts, parents
from dfcnn_ms.errors import ConfigError


def text(seed: int, count: int = 300) -> list[list[str]]:
    """Sentences in which what follows a word depends on it."""
    random = Random(seed)
    sentences = []
    for _ in range(count):
        word, sentence = random.randrange(12), []
        for _ in range(random.randrange(1, 9)):
            word = (3 * word + int(12 * random.random() ** 3)) % 12
            sentence.append(f"w{word}")
        sentences.append(sentence)
    return sentences


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return train(text(1), order=3)


def grams_of(model: NgramModel) -> list[tuple[str, ...]]:
    """The words of every node of the trie."""
    grams: list[tuple[str, ...]] = [()]
    for parent, word in zip(parents(model.trie)[1:], model.trie.word[1:], strict=True):
        grams.append((*grams[parent], model.words[word]))
    return grams


class SlowBackoff:
    """A back-off model as a dictionary, whose back-off weights are made from its probabilities."""

    def __init__(self, probs: dict[tuple[str, ...], float]) -> None:
        self.probs = probs
        self.vocabulary = [gram[0] for gram in probs if len(gram) == 1 and gram != ("<s>",)]

    def prob(self, word: str, context: tuple[str, ...]) -> float:
        if (*context, word) in self.probs:
            return self.probs[(*context, word)]
        named = [other for other in self.vocabulary if (*context, other) in self.probs]
        left = 1 - sum(self.probs[(*context, other)] for other in named)
        left_shorter = 1 - sum(self.prob(other, context[1:]) for other in named)
        return left / left_shorter * self.prob(word, context[1:])


def slow_losses(model: NgramModel) -> dict[tuple[str, ...], float]:
    """exp(P(h) times the divergence of p(.|h) without the n-gram from p(.|h)) - 1, for each n-gram that is no word."""
    grams = grams_of(model)
    probs = dict(zip(grams[1:], 10 ** model.trie.log10_prob[1:].astype(float), strict=True))
    slow = SlowBackoff(probs)
    found = {}
    for gram in (gram for gram in grams if len(gram) > 1):
        context = gram[:-1]
        marginal = math.prod(probs[context[:end]] if context[:end] != ("<s>",) else probs[("</s>",)]
                             for end in range(1, len(context) + 1))  # fmt: skip
        cut = SlowBackoff({other: prob for other, prob in probs.items() if other != gram})
        divergence = 0.0
        for word in slow.vocabulary:
            before, after = slow.prob(word, context), cut.prob(word, context)
            divergence += before * math.log(before / after)
        found[gram] = math.expm1(marginal * divergence)
    return found


def test_losses_equal_the_divergence_computed_the_long_way():
    model = train(text(2, count=12), order=3)
    fast = dict(zip(grams_of(model), losses(model.trie), strict=True))
    slow = slow_losses(model)
    assert len(slow) > 60
    for gram, loss in slow.items():
        assert fast[gram] == pytest.approx(loss, rel=1e-3, abs=2e-7), gram


@pytest.mark.parametrize("threshold", [1e-7, 1e-5, 1e-4, 1e-3, 1.0])
def test_what_stays_is_as_it_was_and_every_context_sums_to_one(model, threshold):
    pruned = model.pruned(threshold)
    before = dict(zip(grams_of(model), model.trie.log10_prob, strict=True))
    after = dict(zip(grams_of(pruned), pruned.trie.log10_prob, strict=True))
    assert all(before[gram] == prob for gram, prob in after.items())
    assert all(gram[:-1] in after for gram in after if gram)  # contexts stay
    contexts = [gram for gram in after if len(gram) < pruned.order and gram[-1:] != ("</s>",)]
    for context in [*contexts, ("w1", "w1", "w1"), ("<s>", "w5", "w0")]:
        assert sums(pruned, context) == pytest.approx(1, abs=1e-4), context


def sums(model: NgramModel, context: tuple[str, ...]) -> float:
    """Of the probabilities of every word after a context, the end included."""
    bos, words = context[:1] == ("<s>",), [word for word in context if word != "<s>"]
    vocabulary = [word for word in model.words if word not in ("<s>", "</s>")]
    so_far = model.log_prob(words, bos=bos, eos=False)
    log_probs = [model.log_prob([*words, word], bos=bos, eos=False) for word in vocabulary]
    return float(np.exp([*log_probs, model.log_prob(words, bos=bos)] - np.float64(so_far)).sum())


def test_pruning_takes_what_costs_less_than_the_threshold(model):
    threshold = 1e-4
    kept, before = set(grams_of(model.pruned(threshold))), grams_of(model)
    needed = {gram[:-1] for gram in kept}
    for gram, loss in zip(before, losses(model.trie), strict=True):
        if len(gram) > 1:
            assert (gram in kept) == (loss >= threshold or gram in needed), gram


def test_more_pruning_leaves_less_and_costs_more(model):
    own = [model.pruned(threshold) for threshold in (0, 1e-6, 1e-4, 1e-2)]
    sizes = [sum(one.counts) for one in own]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]
    perplexities = [one.perplexity(text(1)) for one in own]
    assert perplexities == sorted(perplexities)


def test_pruning_everything_leaves_the_words():
    model = train(text(1), order=3)
    bare = model.pruned(math.inf)
    assert (bare.order, bare.counts) == (1, model.counts[:1])
    assert sums(bare, ("w1",)) == pytest.approx(1, abs=1e-5)


def test_a_pruned_model_is_stored_like_any_other(model, tmp_path):
    pruned = model.pruned(1e-4)
    for name in ("pruned.arpa", "pruned.bin"):
        pruned.save(tmp_path / name)
        assert NgramModel.load(tmp_path / name).perplexity(text(3)) == pruned.perplexity(text(3))


def test_pruning_twice_with_one_threshold_is_nearly_pruning_once(model):
    once = model.pruned(1e-4)
    assert sum(once.pruned(1e-4).counts) >= 0.9 * sum(once.counts)


def test_the_trie_knows_its_orders(model):
    starts = level_starts(model.trie)
    lengths = [len(gram) for gram in grams_of(model)]
    assert [lengths.index(order) for order in range(4)] == list(starts[:-1])


@pytest.mark.parametrize("threshold", [-1e-9, math.nan])
def test_thresholds_without_sense_are_refused(model, threshold):
    with pytest.raises(ConfigError, match="a threshold of pruning is 0 or"):
        model.pruned(threshold)
