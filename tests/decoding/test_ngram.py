"""The n-gram model: modified Kneser-Ney against a slow truth and against KenLM, and the scorer of the beam."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.decoding.ngram import NgramModel, kneser_ney, train
from dfcnn_ms.decoding.ngram import model as model_module
from dfcnn_ms.decoding.ngram import text as text_module
from dfcnn_ms.decoding.ngram.kernels import advance, finish
from dfcnn_ms.decoding.ngram.kneser_ney import FALLBACK, discounts
from dfcnn_ms.decoding.ngram.text import Text
from dfcnn_ms.errors import ConfigError, DataError

steady = settings(deadline=None, max_examples=60)  # a busy machine is not a fault
sentences = st.lists(st.lists(st.sampled_from("abcdef"), max_size=7), min_size=1, max_size=25)

Gram = tuple[str, ...]


class SlowKneserNey:
    """Interpolated modified Kneser-Ney as one writes it on a blackboard."""

    def __init__(self, text: list[list[str]], order: int, min_counts: tuple[int, ...] = (1,)) -> None:
        self.order = order
        self.vocabulary = {word for sentence in text for word in sentence} | {"</s>", "<unk>"}
        occurrences: Counter[Gram] = Counter()
        before: dict[Gram, set[str]] = defaultdict(set)
        for sentence in text:
            padded = ["<s>", *sentence, "</s>"]
            for length, start in product(range(1, order + 1), range(len(padded))):
                gram = tuple(padded[start : start + length])
                if len(gram) == length and gram != ("<s>",):
                    occurrences[gram] += 1
                    before[gram[1:]].add(gram[0])
        self.adjusted: dict[Gram, dict[str, int]] = defaultdict(dict)
        self.kept: dict[Gram, set[str]] = defaultdict(set)
        per_order: dict[int, list[int]] = defaultdict(list)
        for gram, count in occurrences.items():
            whole = len(gram) == order or gram[0] == "<s>"
            adjusted = count if whole else len(before[gram])
            self.adjusted[gram[:-1]][gram[-1]] = adjusted
            per_order[len(gram)].append(adjusted)
            least = 1 if len(gram) == 1 else min_counts[min(len(gram), len(min_counts)) - 1]
            if count >= least:
                self.kept[gram[:-1]].add(gram[-1])
        self.discounts = {length: slow_discounts(counts) for length, counts in per_order.items()}
        self.prob = cache(self._prob)

    def _prob(self, word: str, context: Gram) -> float:
        shorter = self.prob(word, context[1:]) if context else 1 / len(self.vocabulary)
        counts, kept = self.adjusted[context], self.kept[context]
        if not counts:
            return shorter
        total = sum(counts.values())
        taken = self.discounts[len(context) + 1]
        given = sum(taken[min(counts[word], 3)] if word in kept else counts[word] for word in counts)
        own = counts[word] - taken[min(counts[word], 3)] if word in kept else 0.0
        return own / total + given / total * shorter

    def log_prob(self, sentence: list[str]) -> float:
        padded = ["<s>", *(word if word in self.vocabulary else "<unk>" for word in sentence), "</s>"]
        contexts = [tuple(padded[max(0, end - self.order + 1) : end]) for end in range(1, len(padded))]
        return sum(math.log(self.prob(word, context)) for word, context in zip(padded[1:], contexts, strict=True))


def slow_discounts(counts: list[int]) -> list[float]:
    n1, n2, n3, n4 = (counts.count(number) for number in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return [0.0, *FALLBACK]
    y = n1 / (n1 + 2 * n2)
    found = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return found if min(found[1:]) > 0 else [0.0, *FALLBACK]


@steady
@given(sentences, st.integers(1, 5), st.sampled_from([(1,), (1, 1, 2), (1, 2), (1, 2, 3)]))
def test_equals_the_slow_truth(text, order, min_counts):
    min_counts = min_counts[:order]
    model, slow = train(text, order, min_counts), SlowKneserNey(text, order, min_counts)
    for sentence in [*text[:5], ["a", "zzz", "b"], [], ["f", "f", "f", "a"]]:
        assert model.log_prob(sentence) == pytest.approx(slow.log_prob(sentence), abs=1e-4)


def predictions(model: NgramModel, context: list[str]) -> np.ndarray:
    """Probability of every word and of the end after the beginning of a sentence."""
    words = [word for word in model.words if word not in ("<s>", "</s>")]
    scorer = model.scorer(words)
    state = scorer.start
    for word in context:
        state = advance(scorer, state, words.index(word) if word in words else 0)[1]
    log_probs = [advance(scorer, state, unit)[0] for unit in range(len(words))]
    return np.exp([*log_probs, finish(scorer, state)])


@steady
@given(sentences, st.integers(1, 5), st.integers(1, 3), st.lists(st.sampled_from("abcdez"), max_size=6))
def test_every_context_sums_to_one(text, order, least, context):
    text = [*text, ["a"]]
    model = train(text, order, (1, least) if order > 1 else (1,))
    assert predictions(model, context).sum() == pytest.approx(1, abs=1e-5)


# What lmplz of KenLM 0.3 made of these five lines: `lmplz -o 3 --discount_fallback`, every n-gram in it but some.
TINY = ["wo3 ai4 ni3", "wo3 ai4 bei3 jing1", "ni3 ai4 wo3 ma5", "wo3 ai4 ni3", "bei3 jing1 hao3"]
TINY_LMPLZ = {
    "<unk>": (-1.2852358, 0),
    "</s>": (-0.66051173, 0),
    "wo3": (-0.92621374, -0.30103),
    "ma5": (-1.0696359, -0.30103),
    "<s>": (0, -0.30103),
    "ni3 </s>": (-0.44459206, 0),
    "ma5 </s>": (-0.21519788, 0),
    "<s> wo3": (-0.444592, 0),
    "ai4 wo3": (-0.6460339, -0.14612803),
    "wo3 ai4": (-0.5096773, -0.26152146),
    "<s> ni3": (-0.7978953, -0.14612803),
    "ai4 ni3": (-0.6460339, -0.33321467),
    "bei3 jing1": (-0.26552615, -0.14612803),
    "jing1 hao3": (-0.5337367, -0.14612803),
    "ai4 ni3 </s>": (-0.15334551, 0),
    "wo3 ma5 </s>": (-0.14212531, 0),
    "ni3 ai4 wo3": (-0.3496051, 0),
    "<s> wo3 ai4": (-0.5096773, 0),
    "wo3 ai4 ni3": (-0.31797758, 0),
    "wo3 ai4 bei3": (-0.6596363, 0),
    "<s> bei3 jing1": (-0.17180403, 0),
    "bei3 jing1 hao3": (-0.4536402, 0),
}


def entries(model: NgramModel) -> dict[str, tuple[float, float]]:
    """Every n-gram of a model with its numbers."""
    found: dict[str, tuple[float, float]] = {}
    names = [""]
    for level in model.levels():
        names = [f"{names[parent]} {model.words[word]}".strip() for parent, word in zip(*level[:2], strict=True)]
        found |= dict(zip(names, zip(level.log10_prob, level.log10_backoff, strict=True), strict=True))
    return found


def test_a_tiny_text_gives_the_numbers_of_lmplz():
    model = train([line.split() for line in TINY], order=3)
    assert model.counts == (10, 15, 13)
    found = entries(model)
    for gram, numbers in TINY_LMPLZ.items():
        assert found[gram] == pytest.approx(numbers, abs=2e-6), gram


def drawn(seed: int, count: int) -> list[list[str]]:
    """Sentences that are the same everywhere: few frequent words and many rare ones."""
    random = Random(seed)
    words = [f"w{number}" for number in range(400)]

    def sentence() -> list[str]:
        return [words[int(400 * random.random() ** 6)] for _ in range(int(1 + 9 * random.random()))]

    return [sentence() for _ in range(count)]


# What KenLM 0.3 said: `lmplz -o ORDER [--prune 0 0 1]` of drawn(1, 800), then `query` on drawn(2, 100).
KENLM = {
    (2, (1,)): ((380, 2092), 49.32203224332612, 46.17975006803604),
    (3, (1,)): ((380, 2092, 3006), 49.97147223554722, 46.73557781221888),
    (4, (1,)): ((380, 2092, 3006, 2914), 50.65422326310352, 47.42165471550394),
    (5, (1,)): ((380, 2092, 3006, 2914, 2420), 50.9010382980576, 47.65610664150012),
    (3, (1, 1, 2)): ((380, 2092, 295), 49.145292446934306, 46.01181127026242),
    (3, (1, 2, 3)): ((380, 534, 120), 47.33686577818368, 44.41848619360735),
}


@pytest.mark.parametrize(("order", "min_counts"), KENLM)
def test_perplexities_equal_those_of_kenlm(order, min_counts):
    counts, with_unknown, without = KENLM[order, min_counts]
    model = train(drawn(1, 800), order, min_counts)
    score = model.score(drawn(2, 100))
    assert (model.counts, score.tokens, score.unknown, score.sentences) == (counts, 622, 9, 100)
    assert score.perplexity == pytest.approx(with_unknown, rel=1e-6)
    assert score.perplexity_of_known == pytest.approx(without, rel=1e-6)


def test_discounts_equal_those_that_lmplz_prints():
    counts = Counter(
        (left, right) for s in drawn(1, 800) for left, right in zip(["<s>", *s], [*s, "</s>"], strict=True)
    )
    printed = [0, 0.750482, 1.05248, 1.40264]  # of the 2-grams, by `lmplz -o 2`
    assert discounts(np.array(list(counts.values()))) == pytest.approx(printed, abs=1e-5)


@pytest.mark.parametrize("counts", [[1], [2, 2], [1, 2, 4], [1, 1, 1, 3, 3], [1] + [2] * 10 + [3] * 200])
def test_counts_that_tell_no_discounts_get_the_fallback(counts):
    assert discounts(np.array(counts)).tolist() == [0, *FALLBACK]


@pytest.mark.parametrize("text", [[["a"]], [[], ["a"], []], [["a", "a", "a"]], [["a"], ["a"], ["a"]]])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_the_smallest_texts_make_models(text, order):
    model = train(text, order)
    assert predictions(model, []).sum() == pytest.approx(1, abs=1e-5)
    assert math.isfinite(model.log_prob(["a", "b"]))


def test_more_pairs_of_number_and_word_than_32_bits_can_tell():
    """A context's number times the vocabulary exceeds 2**32."""
    words = [f"w{number}" for number in np.random.default_rng(0).permutation(70_000)]
    model = train([words, words[:9]], order=3)
    assert model.counts == (70_003, 70_002, 70_001)
    found = [last_log_prob(model, words[place : place + 3]) for place in (0, 50_000, 69_997)]
    assert found == pytest.approx([math.log(0.75)] * 3, abs=1e-4)  # half of each count, the rest from the 2-gram


def last_log_prob(model: NgramModel, words: list[str]) -> float:
    return model.log_prob(words, bos=False, eos=False) - model.log_prob(words[:2], bos=False, eos=False)


@pytest.mark.parametrize("order", [1, 3])
def test_a_sentence_without_words_is_a_text_too(order):
    model = train([[]], order)
    assert model.counts[0] == 3
    assert -1.0 < model.log_prob([]) < 0.0


def test_advance_and_finish_sum_to_the_sentence():
    model = train(drawn(1, 200), order=4)
    symbols = ("<blank>", "<unk>", *sorted(model.words[3:]))
    scorer = model.scorer(symbols)
    for sentence in drawn(3, 50):
        state, total = scorer.start, 0.0
        for word in sentence:
            log_prob, state = advance(scorer, state, symbols.index(word) if word in symbols else 1)
            assert log_prob <= 0
            total += log_prob
        assert total + finish(scorer, state) == pytest.approx(model.log_prob(sentence))


def test_without_boundaries_a_sentence_stands_alone():
    model = train([["a", "b"], ["b", "a"], ["a"]], order=2)
    found = entries(model)
    alone = found["a"][0] + found["a b"][0]
    assert model.log_prob(["a", "b"], bos=False, eos=False) == pytest.approx(math.log(10) * alone)
    assert model.log_prob([], bos=False, eos=False) == 0
    assert model.log_prob(["a"], eos=False) == pytest.approx(math.log(10) * found["<s> a"][0])


def test_states_are_equal_where_the_future_is():
    """Only what the model can tell apart are two states: the beam merges by them."""
    model = train([["a", "b", "c"], ["d", "b", "c"]], order=2)
    scorer = model.scorer(model.words)
    states = set()
    for path in ("ab", "db", "cb", "b"):
        state = scorer.start
        for word in path:
            _, state = advance(scorer, state, model.words.index(word))
        states.add(state)
    assert len(states) == 1


def test_units_that_the_model_does_not_know_cost_unk():
    model = train([["ni3", "hao3"]], order=2)
    scorer = model.scorer(("<blank>", "<unk>", "hao3", "ma5"))
    assert advance(scorer, scorer.start, 3) == advance(scorer, scorer.start, 1)
    assert advance(scorer, scorer.start, 3)[0] == pytest.approx(model.log_prob(["ma5"], eos=False))


def test_the_specials_are_no_words_that_one_can_say():
    model = train([["a"], ["b", "a"]], order=2)
    for special in ("<s>", "</s>", "<unk>"):
        assert model.log_prob([special, "a"]) == model.log_prob(["zzz", "a"])


def test_a_model_of_other_units_is_refused():
    with pytest.raises(ConfigError, match=r"knows no unit of the network: it has ni3, hao3, the network .*你, 好"):
        train([["ni3", "hao3"]]).scorer(("<blank>", "<unk>", "你", "好"))


def test_perplexity_of_a_uniform_model():
    """Ten digits, each as often as the other and sentences without end in sight: nearly ten."""
    text = [[str(digit) for digit in np.random.default_rng(0).permutation(np.arange(2000) % 10)]]
    assert train(text, order=1).perplexity(text) == pytest.approx(10, abs=0.1)


def test_the_perplexity_of_nothing_is_not_a_number():
    score = train([["a"]]).score([])
    assert (score.tokens, score.sentences) == (0, 0)
    assert math.isnan(score.perplexity)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 0}, "the order of a language model is 1 to 5; got 0"),
        ({"order": 6}, "the order of a language model is 1 to 5; got 6"),
        ({"min_counts": ()}, "give 1 to 3 smallest counts.*got nothing"),
        ({"min_counts": (1, 1, 1, 1)}, "give 1 to 3 smallest counts"),
        ({"min_counts": (0,)}, "at least 1"),
        ({"min_counts": (1, 3, 2)}, "not fall"),
        ({"min_counts": (2, 2)}, "the first smallest count must be 1"),
    ],
)
def test_orders_and_counts_without_sense_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        train([["a"]], **arguments)


@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>", "", "a b", " a", "a\n"])
def test_tokens_that_cannot_be_are_refused(token):
    with pytest.raises(DataError, match="leave it out of the text"):
        train([["a", token]])


def test_no_sentence_is_refused():
    with pytest.raises(DataError, match="at least one sentence"):
        train([])


def test_a_text_in_place_of_tokens_is_a_fault_of_the_program():
    with pytest.raises(TypeError, match="a sequence of tokens; got the text 'ni3 hao3'"):
        train(["ni3 hao3"])


@steady
@given(sentences)
def test_text_keeps_every_token(text):
    coded = Text.of(text)
    words = " ".join(coded.words[id] for id in coded.ids)
    assert words == " ".join(" ".join(["<s>", *sentence, "</s>"]) for sentence in text)


@pytest.mark.parametrize("module", [model_module, text_module, kneser_ney])
def test_the_examples_of_the_docstrings_are_true(module):
    done = doctest.testmod(module)
    assert done.attempted and not done.failed


def test_importing_the_model_does_not_load_numba():
    program = (
        "import sys, dfcnn_ms.decoding.ngram, dfcnn_ms.decoding.tune, dfcnn_ms.ngram; print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
