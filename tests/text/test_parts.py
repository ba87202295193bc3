"""Syllables in parts: what is split and joined again, whatever comes between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.parts import FINALS, FIRST_FINAL, INITIALS, SyllableParts, joined, parts_of, spans, tones_of
from dfcnn_ms.text.pinyin import SYLLABLES
from dfcnn_ms.text.vocabulary import Vocabulary

ALL = [
    f"{initial}{rhyme}{tone}"
    for initial, rhymes in SYLLABLES.items()
    for rhyme in rhymes.split()
    for tone in range(1, 6)
]
steady = settings(deadline=None)  # a busy machine is not a fault
sentences = st.lists(st.sampled_from(ALL), max_size=12)


def test_every_syllable_that_exists_comes_back() -> None:
    assert [joined(parts_of(syllable)) for syllable in ALL] == ALL
    assert len({parts_of(syllable) for syllable in ALL}) == len(ALL)
    assert {part for syllable in ALL for part in parts_of(syllable)} == {*INITIALS, *FINALS}


def test_the_parts_are_those_that_sound() -> None:
    """By hand: what a dictionary of phonology says."""
    assert parts_of("zhong1") == ("zh", "ong1") and parts_of("guo2") == ("g", "uo2")
    assert parts_of("you3") == ("iou3",) and parts_of("liu4") == ("l", "iou4")
    assert parts_of("yu2")[-1] == parts_of("ju2")[-1] == parts_of("lv2")[-1] == "v2"
    assert parts_of("er5") == ("er5",) and parts_of("wu3") == ("u3",)
    assert len(INITIALS) == 21


@steady
@given(sentences)
def test_every_sentence_comes_back(sentence: list[str]) -> None:
    vocabulary = SyllableParts()
    ids = vocabulary.encode(sentence)
    assert vocabulary.decode(ids) == sentence
    assert [vocabulary.symbols[id] for id in ids] == [part for one in sentence for part in parts_of(one)]


@steady
@given(st.lists(st.integers(1, len(SyllableParts()) - 1), max_size=12))
def test_any_text_of_parts_is_read(ids: list[int]) -> None:
    """Every final ends one syllable; only an initial without a final is left out; nothing overlaps."""
    vocabulary = SyllableParts()
    found, written = spans(ids), vocabulary.decode(ids)
    assert len(found) == len(written) == sum(not 1 < id < FIRST_FINAL for id in ids)
    covered = [place for start, end in found for place in range(start, end)]
    assert covered == sorted(set(covered))
    for (start, end), syllable in zip(found, written, strict=True):
        parts = [vocabulary.symbols[id] for id in ids[start:end]]
        assert syllable == (joined(parts) or "<unk>") and (syllable == "<unk>" or [*parts_of(syllable)] == parts)
    left_out = {*range(len(ids))} - {*covered}
    assert all(1 < ids[place] < FIRST_FINAL for place in left_out)
    assert all(place + 1 == len(ids) or ids[place + 1] < FIRST_FINAL for place in left_out)


def test_what_nobody_says_is_unknown_and_an_initial_alone_nothing() -> None:
    vocabulary = SyllableParts()
    ids = [vocabulary.symbols.index(part) for part in ("g", "iong1", "zh", "b", "a1", "an4", "sh")]
    assert vocabulary.decode(ids) == ["<unk>", "ba1", "an4"]
    assert vocabulary.decode([1, ids[0], 1]) == ["<unk>", "<unk>"]


def test_the_vocabulary_travels_as_json() -> None:
    vocabulary = SyllableParts()
    back = Vocabulary.from_json(vocabulary.to_json())
    assert back == vocabulary and isinstance(back, SyllableParts)
    assert len(vocabulary) == 2 + len(INITIALS) + len(FINALS)
    with pytest.raises(DataError, match="not those of this version"):
        Vocabulary.from_json('{"units": ["b"], "kind": "syllable_parts"}')
    for odd in ('{"units": ["b"], "kind": "other"}', '{"kind": "syllable_parts"}'):
        with pytest.raises(DataError, match="a vocabulary must be JSON such as"):
            Vocabulary.from_json(odd)


def test_a_label_that_is_no_toned_pinyin_is_refused() -> None:
    vocabulary = SyllableParts()
    assert "ba1" in vocabulary and not {"ba", "yes", "BA1", "ong1"} & {
        one for one in vocabulary.units if one in vocabulary
    }
    for wrong in ("yes", "ba", "LV4"):
        with pytest.raises(DataError, match=rf"^a\.jsonl:3: unit '{wrong}' is no toned pinyin"):
            vocabulary.encode(["ba1", wrong], where="a.jsonl:3")
    assert vocabulary.encode(["yes"], allow_unknown=True) == [1]


def test_tones() -> None:
    """Of each id; the digit of a syllable, that of a final, nothing of an initial."""
    assert tones_of(Vocabulary(("ba1", "de5", "lv4"))) == (0, 0, 1, 5, 4)
    vocabulary = SyllableParts()
    tones = tones_of(vocabulary)
    assert len(tones) == len(vocabulary)
    assert [tones[id] for id in vocabulary.encode(["zhong1", "an4"])] == [0, 1, 4]
    with pytest.raises(ConfigError, match=r"the unit 'ba' is no toned pinyin"):
        tones_of(Vocabulary(("ba",)))
