"""What follows what in a sentence: classes of words first, and pairs of words or characters that a text had.

    p(w | v) = sum of weight_s * seen_s(w | v) over sources s
               + kept(v) * p(class of w | class of v) * p(w | its class)

`seen_s` is what a Kneser-Ney model of that source gives to the pair beyond what its back-off would give; what is left
of the probability, `kept(v)`, goes by classes. A dictionary alone has no sentences: then the class of a word depends on
what precedes it only in numbers and names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dfcnn_ms.decoding.hanzi.arrays import Language
from dfcnn_ms.decoding.hanzi.lexicon import (
    FOREIGN,
    FOREIGN_TAGS,
    GIVEN,
    LAST,
    NAME_TAGS,
    NUMBER,
    NUMBER_SHARE,
    SPECIAL_CLASSES,
    SURNAME,
    USER,
    Lexicon,
)
from dfcnn_ms.decoding.ngram import NgramModel, train

#: how much the pairs of words and of characters count
WORD_WEIGHT, CHARACTER_WEIGHT = 0.1, 0.2
#: as how many words the coarser distribution counts in a finer one: dictionary in the tags of a text, tags in
#: classes, all words after a tag, and the tag of a word after its class
TAGS_PRIOR, CLASSES_PRIOR, AFTER_TAG_PRIOR, AFTER_CLASS_PRIOR = 50.0, 1000.0, 600.0, 200.0
#: words in a sentence, as long as no text has said it
SENTENCE_WORDS = 12.0
#: how often a spoken number goes on with another part
NUMBER_GOES_ON = 0.6
#: names that no dictionary has, for each one that it has; and how often they go on with another character
UNKNOWN_NAMES, UNKNOWN_FOREIGN_NAMES, GIVEN_GOES_ON, FOREIGN_GOES_ON = 0.6, 0.5, 0.7, 0.65
#: of a syllable that no word is read as
UNKNOWN_LOG_PROB = -30.0
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Statistics:
    """What texts taught; C classes, then beginning and end of a sentence.

    Attributes:
        class_counts: (C + 2, C + 2) how often a class followed a class; zeros without a text.
        firsts: (P,) first word of a pair; the number of words for the beginning of a sentence.
        seconds: (P,) second word, sorted within the first.
        seen: (P, 2) what the models of words and of characters give to a pair beyond their back-off.
        given: (W + 1, 2) how much of the probability after a word that is in all.
    """

    class_counts: np.ndarray
    firsts: np.ndarray
    seconds: np.ndarray
    seen: np.ndarray
    given: np.ndarray


def learn(lexicon: Lexicon, sentences: Sequence[Sequence[str]] = ()) -> Statistics:
    """What sentences of words teach; the words of the lexicon themselves teach pairs of characters.

    Args:
        lexicon: its words.
        sentences: words that it has; others are boundaries.
    """
    known = [[lexicon.ids.get(word, -1) for word in words] for words in sentences]
    spelt = _spelt_words(lexicon)
    spelt += [list("".join(words)) for words in sentences]
    by_word = _pairs([words for words in sentences if len(words)], lexicon) if sentences else _Pairs.none(lexicon)
    by_character = _pairs(spelt, lexicon, boundaries=False) if spelt else _Pairs.none(lexicon)
    firsts, seconds, seen = _merged(by_word, by_character, len(lexicon.words))
    given = np.stack([by_word.given, by_character.given], axis=1)
    return Statistics(_class_counts(lexicon, known), firsts, seconds, seen, given)


def language(lexicon: Lexicon, statistics: Statistics) -> Language:
    """The probabilities that the search asks for."""
    shares = _class_shares(lexicon)
    transition = _with_names(lexicon, _with_numbers(lexicon, _transitions(lexicon, statistics.class_counts, shares)))
    words = len(lexicon.words)
    user, ends = lexicon.class_id(USER), len(transition)
    word_class = np.concatenate([lexicon.classes, [user, ends - 2]]).astype(np.int64)
    emission = np.concatenate([_emissions(lexicon), [UNKNOWN_LOG_PROB, 0.0]])
    weights = np.array([WORD_WEIGHT, CHARACTER_WEIGHT])
    kept = np.zeros(words + 2)
    known = np.concatenate([np.arange(len(statistics.given) - 1), [words + 1]])
    kept[known] = np.log1p(-(statistics.given @ weights))
    firsts = np.where(statistics.firsts == len(statistics.given) - 1, words + 1, statistics.firsts)
    log_transition = np.log(np.maximum(transition, TINY))
    by_class = log_transition[word_class[firsts], word_class[statistics.seconds]] + emission[statistics.seconds]
    pair_log_prob = np.log(statistics.seen @ weights + np.exp(kept[firsts] + by_class))
    gain = np.full(words + 2, -np.inf)
    np.maximum.at(gain, firsts, pair_log_prob - emission[statistics.seconds])
    return Language(
        word_class=word_class,
        emission=emission,
        transition=log_transition,
        kept=kept,
        first_pair=np.concatenate([[0], np.cumsum(np.bincount(firsts, minlength=words + 2))]),
        pair_word=statistics.seconds.astype(np.int64),
        pair_log_prob=pair_log_prob,
        gain=gain,
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of one source: first and second word, what the pair gives, and what each first word gives in all."""

    firsts: np.ndarray
    seconds: np.ndarray
    seen: np.ndarray
    given: np.ndarray

    @classmethod
    def none(cls, lexicon: Lexicon) -> _Pairs:
        """No pairs at all."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, np.zeros(0), np.zeros(len(lexicon.words) + 1))


def _spelt_words(lexicon: Lexicon) -> list[list[str]]:
    plain = ~np.isin(lexicon.classes, [lexicon.class_id(name) for name in SPECIAL_CLASSES])
    return [list(word) for word in lexicon.words[plain].tolist() if len(word) > 1]


def _pairs(sentences: Sequence[Sequence[str]], lexicon: Lexicon, boundaries: bool = True) -> _Pairs:
    """The pairs of a Kneser-Ney model of order 2 whose words the lexicon has."""
    model: NgramModel = train(sentences, order=2)
    unigrams, bigrams = model.levels()
    numbers = np.array([lexicon.ids.get(word, -1) for word in model.words])
    if boundaries:
        numbers[model.words.index("<s>")] = len(lexicon.words)
    backoff = 10.0 ** unigrams.log10_backoff.astype(np.float64)
    seen = 10.0 ** bigrams.log10_prob.astype(np.float64)
    seen -= backoff[bigrams.parent] * 10.0 ** unigrams.log10_prob.astype(np.float64)[bigrams.word]
    firsts, seconds = numbers[bigrams.parent], numbers[bigrams.word]
    use = (firsts >= 0) & (seconds >= 0) & (seconds < len(lexicon.words)) & (seen > 0)
    order = np.lexsort((seconds[use], firsts[use]))
    firsts, seconds, seen = firsts[use][order], seconds[use][order], seen[use][order]
    given = np.bincount(firsts, weights=seen, minlength=len(lexicon.words) + 1)
    return _Pairs(firsts, seconds, seen, given)


def _merged(one: _Pairs, other: _Pairs, words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of both, each once, with a column for each source."""
    keys = [source.firsts.astype(np.int64) * (words + 1) + source.seconds for source in (one, other)]
    every = np.union1d(*keys)
    seen = np.zeros((len(every), 2))
    for column, (key, source) in enumerate(zip(keys, (one, other), strict=True)):
        seen[np.searchsorted(every, key), column] = source.seen
    return every // (words + 1), every % (words + 1), seen


def _class_counts(lexicon: Lexicon, sentences: Iterable[Sequence[int]]) -> np.ndarray:
    """Which class followed which, unknown words left out (C + 2, C + 2)."""
    classes = len(lexicon.class_names)
    counts = np.zeros((classes + 2, classes + 2))
    for words in sentences:
        kinds = [classes, *(lexicon.classes[word] for word in words if word >= 0), classes + 1]
        np.add.at(counts, (kinds[:-1], kinds[1:]), 1.0)
    return counts


def _ordinary(lexicon: Lexicon) -> np.ndarray:
    """Which classes a dictionary counts (C,)."""
    return ~np.isin(lexicon.class_names, SPECIAL_CLASSES)


def _class_shares(lexicon: Lexicon) -> np.ndarray:
    """How common the classes are in the dictionary, and the end of a sentence (C + 2,)."""
    counts = np.bincount(lexicon.classes, weights=lexicon.counts, minlength=len(lexicon.class_names))
    counts *= _ordinary(lexicon)
    whole = counts.sum() or 1.0
    return np.concatenate([counts / whole, [0.0, 1 / SENTENCE_WORDS]]) / (1 + 1 / SENTENCE_WORDS)


def _tags(lexicon: Lexicon) -> np.ndarray:
    """A number for each class: the same for classes of one tag (C + 2,)."""
    names = [name.rstrip("0123456789") for name in lexicon.class_names]
    return np.unique([*names, "<s>", "</s>"], return_inverse=True)[1]


def _transitions(lexicon: Lexicon, counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Probability of each class after each (C + 2, C + 2), numbers and names left out."""
    tags = _tags(lexicon)
    ordinary = np.concatenate([_ordinary(lexicon), [False, True]])
    counts = counts * ordinary
    alone = counts.sum(axis=0)
    tag_shares = np.bincount(tags, weights=shares)
    by_tag = np.bincount(tags, weights=alone) + TAGS_PRIOR * tag_shares
    expected = by_tag[tags] / by_tag.sum() * np.divide(shares, tag_shares[tags], where=shares > 0, out=shares * 0)
    expected = (alone + CLASSES_PRIOR * expected) / (alone.sum() + CLASSES_PRIOR * expected.sum())
    after_tag = np.zeros((tags.max() + 1, len(shares)))
    np.add.at(after_tag, tags, counts)
    after_tag = _smoothed(after_tag, expected, AFTER_TAG_PRIOR)
    return _smoothed(counts, after_tag[tags], AFTER_CLASS_PRIOR)


def _smoothed(counts: np.ndarray, expected: np.ndarray, prior: float) -> np.ndarray:
    return (counts + prior * expected) / (counts.sum(axis=1, keepdims=True) + prior)


def _with_numbers(lexicon: Lexicon, transition: np.ndarray) -> np.ndarray:
    """Numbers have a fixed share, and go on: spoken ones are long, and what they count is not in texts."""
    number = lexicon.class_id(NUMBER)
    transition = transition * (1 - NUMBER_SHARE)
    transition[:, number] = NUMBER_SHARE
    transition[number] *= (1 - NUMBER_GOES_ON) / (1 - NUMBER_SHARE)
    transition[number, number] = NUMBER_GOES_ON
    return transition


def _with_names(lexicon: Lexicon, transition: np.ndarray) -> np.ndarray:
    """Names of persons, surname and one or two characters, and foreign names, where known names would stand."""
    tags = np.array([name.rstrip("0123456789") for name in lexicon.class_names])
    names, foreign = np.flatnonzero(np.isin(tags, list(NAME_TAGS))), np.flatnonzero(np.isin(tags, list(FOREIGN_TAGS)))
    surname, given, last, abroad = (lexicon.class_id(name) for name in (SURNAME, GIVEN, LAST, FOREIGN))
    every = transition.mean(axis=0)
    after_name = transition[names].mean(axis=0) if len(names) else every
    after_foreign = transition[foreign].mean(axis=0) if len(foreign) else every
    found = transition.copy()
    found[:, surname] = UNKNOWN_NAMES * transition[:, names].sum(axis=1)
    found[:, abroad] = UNKNOWN_FOREIGN_NAMES * transition[:, foreign].sum(axis=1)
    found[surname], found[surname, given] = 0.0, 1.0
    found[given], found[given, last] = (1 - GIVEN_GOES_ON) * after_name, GIVEN_GOES_ON
    found[last] = after_name
    found[abroad], found[abroad, abroad] = (1 - FOREIGN_GOES_ON) * after_foreign, FOREIGN_GOES_ON
    found[:, lexicon.class_id(USER)] = 1.0  # the emission alone says how probable such a word is
    return found


def _emissions(lexicon: Lexicon) -> np.ndarray:
    """Natural log-probability of each word in its class (W,)."""
    sums = np.bincount(lexicon.classes, weights=lexicon.counts, minlength=len(lexicon.class_names))
    sums[lexicon.class_id(USER)] = sums[: len(lexicon.class_names)][_ordinary(lexicon)].sum() or 1.0
    return np.log(lexicon.counts / sums[lexicon.classes])
