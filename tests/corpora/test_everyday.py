"""Everyday sentences: numbers that can be read back, phrases without holes, kinds of words in their order."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from dfcnn_ms.corpora import everyday, sentences
from dfcnn_ms.corpora.everyday import FIGURES, NEUTRAL, PHRASES, Chains, numeral, one_by_one, phrase
from dfcnn_ms.text.characters import is_hanzi
from dfcnn_ms.text.pinyin import from_hanzi

UNITS = {"十": 10, "百": 100, "千": 1000}


def value(said: str) -> int:
    """The number that a numeral says: a reader written the other way round, from left to right."""
    total = group = figure = 0
    for character in said:
        if character in "万亿":
            total += (group + figure) * (10_000 if character == "万" else 10**8)
            group = figure = 0
        elif character in UNITS:
            group += (figure or 1) * UNITS[character]
            figure = 0
        else:
            figure = 2 if character == "两" else FIGURES.index(character)
    return total + group + figure


def test_numerals_say_their_number():
    rng = np.random.default_rng(0)
    numbers = [*range(12_000), *(int(10**power) for power in rng.uniform(4, 12, size=3000))]
    said = [numeral(number) for number in numbers]
    assert [value(one) for one in said] == numbers
    assert len(set(said)) == len(set(numbers))
    assert all("零零" not in one and not one.endswith(("零万", "零亿")) for one in said)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (10, "十"), (12, "十二"), (20, "二十"), (110, "一百一十"), (105, "一百零五"), (200, "二百"), (2000, "两千"),
        (2013, "两千零一十三"), (20_000, "两万"), (100_000, "十万"), (120_005, "十二万零五"), (10_010, "一万零一十"),
        (200_000_000, "两亿"), (100_000_001, "一亿零一"),
    ],
)  # fmt: skip
def test_numerals_of_the_textbook(number, said):
    assert numeral(number) == said


def test_telephones_have_their_own_one():
    assert one_by_one("1908", one="幺") == "幺九零八" and from_hanzi("幺")[0] == "yao1"


def test_every_phrase_can_be_filled_and_read():
    """Each of them, from generators of their own: nothing is left open, and each character has a syllable."""
    for number, pattern in enumerate(PHRASES):
        text = everyday._filled(pattern, np.random.default_rng(number))
        assert is_hanzi(text), pattern
        assert len(from_hanzi(text)) == len(text), pattern


def test_phrases_have_many_beginnings_and_names_and_numbers():
    rng = np.random.default_rng(1)
    said = [phrase(rng) for _ in range(1000)]
    assert len(set(said)) > 850
    assert sum(any(figure in one for figure in FIGURES) for one in said) > 200
    assert all(1 < len(one) < 40 for one in said)


def test_every_place_of_a_phrase_has_a_filling():
    fields = {name for pattern in PHRASES for _, name, *_ in string.Formatter().parse(pattern) if name}
    assert fields <= set(everyday._fillings())


def test_words_that_lose_their_last_tone_are_words_of_two():
    assert all(len(word) == 2 and is_hanzi(word) for word in NEUTRAL)


# --- chains -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    pinyin: tuple[str, ...]
    tag: str


def test_kinds_of_words_follow_each_other_as_in_the_table(monkeypatch):
    """A table in which nouns are always followed by verbs and verbs by nouns gives n v n v, both ways."""
    monkeypatch.setattr(everyday, "_transitions", lambda: {"n": {"v": 1.0}, "v": {"n": 1.0}})
    words = {tag: Word((f"{tag}1",), tag) for tag in "nv"}
    chains = Chains({tag: lambda rng, word=word: word for tag, word in words.items()})
    for seed in range(20):
        chain = chains.around(words["n"], 8, np.random.default_rng(seed))
        assert "".join(word.tag for word in chain) in ("nvnvnvnv", "vnvnvnvn")


def test_a_chain_follows_the_chances_of_the_table(monkeypatch):
    """Counted over many chains, forwards: the share of each pair is that of the table."""
    table = {"n": {"n": 0.2, "v": 0.8}, "v": {"n": 0.5, "v": 0.5}}
    monkeypatch.setattr(everyday, "_transitions", lambda: table)
    words = {tag: Word((f"{tag}1",), tag) for tag in "nv"}
    chains = Chains({tag: lambda rng, word=word: word for tag, word in words.items()})
    rng, pairs = np.random.default_rng(0), Counter()
    for _ in range(4000):
        before = rng.random() < 0.5
        tag = "n" if before else "v"
        pairs[tag, chains._neighbour(tag, False, 1, rng).tag] += 1
    for tag, followers in table.items():
        total = sum(pairs[tag, other] for other in followers)
        for other, chance in followers.items():
            assert pairs[tag, other] / total == pytest.approx(chance, abs=0.04)


def test_the_table_of_jieba_knows_what_follows_what():
    """的 comes before nouns more often than before verbs, and adverbs before verbs more often than before nouns."""
    chances = everyday._transitions()
    assert chances["uj"]["n"] > 2 * chances["uj"]["v"]
    assert chances["d"]["v"] > 2 * chances["d"]["n"]


# --- what is spoken ---------------------------------------------------------------------------------------------------


def test_lost_tones_do_not_change_the_tone_before():
    """奶奶 is nai3 nai5 and not nai2; 很好 in the same sentence is hen2 hao3."""
    text = "奶奶很好"
    said = sentences._with_neutral_tones(text, from_hanzi(text, sandhi="yi_bu"), from_hanzi(text, sandhi="full"))
    assert said == ("nai3", "nai5", "hen2", "hao3")


def test_digits_are_labelled_as_written_and_spoken_with_sandhi():
    for sentence in sentences.sentences("digits", "train", 300):
        assert len(sentence.said) == len(sentence.pinyin)
        for place, (label, said) in enumerate(zip(sentence.pinyin, sentence.said, strict=True)):
            third = (
                label[-1] == "3" and sentence.pinyin[place + 1 : place + 2] and sentence.pinyin[place + 1][-1] == "3"
            )
            assert said == (f"{label[:-1]}2" if third and sentence.said[place + 1][-1] == "3" else label)


@pytest.mark.long
@pytest.mark.slow
def test_everyday_sentences_have_nearly_every_syllable():
    said = list(sentences.sentences("everyday", "train", 4000))
    labels = Counter(syllable for sentence in said for syllable in sentence.pinyin)
    assert len(labels) >= 1200
    assert all(len(sentence.text) == len(sentence.pinyin) == len(sentence.said) for sentence in said)
    changed = np.mean([sentence.said != sentence.pinyin for sentence in said])
    assert 0.2 < changed < 0.7
    same = [(a[:-1], b[:-1]) for one in said for a, b in zip(one.pinyin, one.said, strict=True)]
    assert all(label == spoken for label, spoken in same), "tones change and nothing else"
