"""Decoding with a decoder against the enumeration of all texts, with a decoder that is a table of random opinions."""

from __future__ import annotations

import zlib
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest

from dfcnn_ms.decoding import AttentionBeam, BeamSearch, Rescoring
from dfcnn_ms.decoding.attention import spelled, thought_of
from dfcnn_ms.decoding.memory import Remembering, page_of
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.tasks import Attention

UNITS, STEPS = 4, 4
Text = tuple[int, ...]


def normalised(scores: np.ndarray) -> np.ndarray:
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


def opinion(memory: np.ndarray, text: Text, ending: float = 1.0) -> np.ndarray:
    """What may follow a text (V,): random, and always the same for the same text and memory."""
    seed = zlib.crc32(repr((memory.round(6).tolist(), text)).encode())
    scores = 2 * np.random.default_rng(seed).normal(size=UNITS)
    scores[0] += ending
    return normalised(scores)


class Table:
    """A decoder as a table; it notes how many units were asked for."""

    def __init__(self, ending: float = 1.0) -> None:
        self.ending, self.asked = ending, 0

    def listen(self, memory: np.ndarray) -> TablePage:
        return TablePage(self, memory)


class TablePage:
    def __init__(self, table: Table, memory: np.ndarray) -> None:
        self.table, self.memory = table, memory
        self.texts: list[Text] = [()]

    def write(self, tokens: Any, parents: Any) -> np.ndarray:
        self.table.asked += 1
        self.texts = [(*self.texts[parent], int(token)) for token, parent in zip(tokens, parents, strict=True)]
        return np.stack([opinion(self.memory, text[1:], self.table.ending) for text in self.texts])


def outputs(seed: int = 0, rows: int = 1, ending: float = 1.0) -> Remembering:
    rng = np.random.default_rng(seed)
    log_probs = normalised(2 * rng.normal(size=(rows, STEPS, UNITS))).astype(np.float32)
    return Remembering.of(log_probs, rng.normal(size=(rows, STEPS, 3)), Table(ending))


def texts(steps: int) -> list[Text]:
    """All that CTC can spell in so many steps."""
    paths = product(range(UNITS), repeat=steps)
    return sorted({tuple(unit for unit, _ in groupby(path) if unit) for path in paths})


def thought(memory: np.ndarray, text: Text) -> float:
    return float(sum(opinion(memory, text[:place])[unit] for place, unit in enumerate((*text, 0))))


def by_ctc(log_probs: np.ndarray, text: Text) -> float:
    """The sum over all paths."""
    steps = len(log_probs)
    paths = [path for path in product(range(UNITS), repeat=steps) if tuple(u for u, _ in groupby(path) if u) == text]
    return float(np.logaddexp.reduce([log_probs[np.arange(steps), list(path)].sum() for path in paths]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bonus", [0.0, 1.5, -1.0])
def test_a_beam_wide_enough_finds_what_enumeration_finds(seed: int, bonus: float) -> None:
    said = outputs(seed)
    memory = said[0].memory
    ranked = sorted(texts(STEPS), key=lambda text: -thought(memory, text) - bonus * len(text))[:5]
    found = AttentionBeam(beam=200, nbest=5, length_bonus=bonus)(said, [STEPS])[0]
    assert [one.ids for one in found] == ranked
    for one in found:
        assert one.log_prob == pytest.approx(thought(memory, one.ids))
        assert one.score == pytest.approx(one.log_prob + bonus * len(one.ids))


def test_the_search_ends_when_nothing_can_become_better() -> None:
    """An end that is nearly certain at once; without looking for one, four units would be asked for."""
    sure = outputs(ending=12.0)
    assert AttentionBeam(beam=50)(sure, [STEPS])[0][0].ids == ()
    assert sure.writer.asked == 1
    unsure = outputs(ending=-12.0)
    assert len(AttentionBeam(beam=50)(unsure, [STEPS])[0][0].ids) >= 1
    assert unsure.writer.asked == STEPS + 1


def test_a_batch_is_its_utterances() -> None:
    said, lengths = outputs(rows=3), [4, 0, 2]
    for decoder in (AttentionBeam(beam=5, nbest=3), Rescoring(nbest=3)):
        together = decoder(said, lengths)
        assert together[1][0].ids == ()
        for row, length in enumerate(lengths):
            alone = decoder(said[row : row + 1, :length], [length])[0]
            assert [one.ids for one in together[row]] == [one.ids for one in alone]
            assert [one.score for one in together[row]] == pytest.approx([one.score for one in alone], abs=1e-5)


def test_what_is_written_can_be_placed_in_time() -> None:
    """With a decoder that would never end, and steps for few units."""
    said = outputs(ending=-12.0)
    for nbest in AttentionBeam(beam=30, nbest=30)(said, [3]):
        for one in nbest:
            alignment = Attention().align(said[0, :3], one.ids)
            assert alignment.ids == one.ids


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_rescoring_is_the_order_of_both_opinions(weight: float) -> None:
    said = outputs(seed=3)
    log_probs, memory = np.asarray(said[0], np.float64), said[0].memory
    search = BeamSearch(beam=200, nbest=200, min_log_prob=-np.inf)
    scores = {text: thought(memory, text) + weight * by_ctc(log_probs, text) for text in texts(STEPS)}
    found = Rescoring(nbest=6, ctc_weight=weight, search=search)(said, [STEPS])[0]
    assert [one.ids for one in found] == sorted(scores, key=lambda text: -scores[text])[:6]
    assert [one.score for one in found] == pytest.approx([scores[one.ids] for one in found], abs=1e-4)


def test_the_opinion_of_texts_of_different_lengths_at_once() -> None:
    said = outputs()[0]
    every = texts(STEPS)
    assert thought_of(said.page(), every) == pytest.approx([thought(said.memory, text) for text in every])


def test_outputs_remember_what_belongs_to_them() -> None:
    said = outputs(rows=3)
    np.testing.assert_array_equal(said[1, :2].memory, said.memory[1, :2])
    np.testing.assert_array_equal(said[1][None].memory, said.memory[1][None])
    np.testing.assert_array_equal(said[[2, 0]].memory, said.memory[[2, 0]])
    for part in (said[..., 0], said[0, :, 1], said[0, 1, 2:], said[0] + 1, np.exp(said)):
        assert getattr(part, "memory", None) is None
    assert type(np.asarray(said)) is np.ndarray and page_of(np.asarray(said[0])) is None


def test_without_memory_ctc_is_read() -> None:
    """As when a command tries its decoders on silence, so that they are compiled before the clock runs."""
    plain = np.asarray(outputs())
    best = tuple(unit for unit, _ in groupby(plain[0].argmax(axis=1).tolist()) if unit)
    assert spelled(plain[0]) == AttentionBeam()(plain, [STEPS])[0][0].ids == best
    assert Rescoring()(plain, [STEPS])[0] == BeamSearch(nbest=10, min_log_prob=-15.0)(plain, [STEPS])[0][:1]


def test_with_one_beginning_it_is_the_plainest_way() -> None:
    said = outputs(seed=2)
    assert spelled(said[0]) == AttentionBeam(beam=1)(said, [STEPS])[0][0].ids


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"beam": 0}, "beam must be a whole number from 1"), ({"nbest": 3, "beam": 2}, "nbest must be at most beam")],
)
def test_values_without_sense_are_refused(options: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        AttentionBeam(**options)
