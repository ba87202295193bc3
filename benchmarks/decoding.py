"""How fast beam search is, with and without a 3-gram and 200 hotwords, and beside pyctcdecode.

    pip install pyctcdecode
    python benchmarks/decoding.py

200 output steps (8 s of speech at 40 ms a step), 1,428 units, one thread, units above a log-probability of -5 as in
pyctcdecode, which has neither language model nor hotwords here. What is said are sentences of the synthetic corpus; the
3-gram is estimated on 12,000 others. "Peaky" posteriors are like those of a trained network, most steps nearly certain;
"flat" ones are the same logits, divided. The decoders take turns, so that all meet the same disturbances; milliseconds
are those of the fastest of several calls, and of these the median over the utterances; percentages are what the
hotwords cost. The texts of ours and of pyctcdecode are both scored over all their paths: `better`, `worse` counts the
utterances where ours is more, less probable; `claims more` those where pyctcdecode reports more than we do. The last
line decodes a batch on one core and on all.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from dfcnn_ms.corpora.sentences import sentences
from dfcnn_ms.decoding import BeamSearch, Hotwords
from dfcnn_ms.decoding.hotwords import Phrase
from dfcnn_ms.decoding.ngram import LanguageScorer, train
from dfcnn_ms.text.pinyin import SYLLABLES
from dfcnn_ms.text.vocabulary import UNKNOWN_ID, Vocabulary

STEPS, UNITS = 200, 1428
STEPS_PER_UNIT = 5
BEAMS = (10, 100)
SOFTER = {"peaky": 1.0, "flat": 1.8}
HOTWORDS, HOTWORD_LENGTHS = 200, (2, 4)
BATCH = 32
CALLS, PEER_CALLS = 15, 8
FIRST_CHARACTER = 0x4E00  # stands for unit 0 in pyctcdecode, which wants one character for each unit
ROUNDING = 1e-3

Array = np.ndarray
Decode = Callable[[Array], Any]


class Task(NamedTuple):
    """What is decoded, (B, U, V) of each kind, and with what help."""

    posteriors: dict[str, Array]
    language: LanguageScorer
    hotwords: Hotwords


def make_task(utterances: int) -> Task:
    rng = np.random.default_rng(0)
    heard = [sentence.pinyin for sentence in sentences("mandarin", "train", 12_000)]
    symbols = vocabulary({unit for sentence in heard for unit in sentence})
    said = texts(symbols, utterances)
    logits = np.stack([logits_of(rng, ids, symbols) for ids in said])
    posteriors = {kind: log_softmax(logits / softer) for kind, softer in SOFTER.items()}
    return Task(posteriors, train(heard, order=3).scorer(symbols), hotwords(rng, symbols, said))


def vocabulary(units: set[str]) -> tuple[str, ...]:
    """The syllables of the corpus, and legal ones that it lacks, so that V is as wanted."""
    legal = (start + rhyme + tone for tone in "12345" for start, all in SYLLABLES.items() for rhyme in all.split())
    others = islice((unit for unit in legal if unit not in units), UNITS - 2 - len(units))
    return Vocabulary.build([sorted(units), list(others)]).symbols


def texts(symbols: tuple[str, ...], count: int) -> list[list[int]]:
    """Ids of as many syllables, for each utterance, as its steps hold."""
    ids = {symbol: id for id, symbol in enumerate(symbols)}
    units = chain.from_iterable(sentence.pinyin for sentence in sentences("mandarin", "test", 20 * count))
    return [[ids.get(unit, UNKNOWN_ID) for unit in islice(units, STEPS // STEPS_PER_UNIT)] for _ in range(count)]


def logits_of(rng: np.random.Generator, ids: list[int], symbols: tuple[str, ...]) -> Array:
    """Raw outputs (U, V): blanks, and for two steps each unit with some that sound like it, its other tones first."""
    logits = rng.normal(size=(STEPS, UNITS))
    logits[:, 0] += 13 + 2 * rng.normal(size=STEPS)
    for place, id in enumerate(ids):
        step = place * STEPS_PER_UNIT + int(rng.integers(STEPS_PER_UNIT - 1))
        tones = [other for other, symbol in enumerate(symbols) if symbol[:-1] == symbols[id][:-1] and other != id]
        alike = np.array([id, *tones, *rng.integers(2, UNITS, size=3)])
        strength = 13 - 1.5 * np.arange(len(alike)) + rng.normal(size=len(alike))
        logits[step, alike] += strength
        logits[step + 1, alike] += strength - 3 * rng.random()
        logits[step : step + 2, 0] -= (8, 2)
    return logits


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def hotwords(rng: np.random.Generator, symbols: tuple[str, ...], said: list[list[int]]) -> Hotwords:
    """Parts of what is said in the first utterances, and as long ones of other sentences; none of them twice."""
    pool = [*said[: len(said) // 2], *texts(symbols, 4 * len(said))[len(said) :]]
    phrases: set[tuple[str, ...]] = set()
    while len(phrases) < HOTWORDS:
        ids = pool[rng.integers(len(pool))]
        start, length = rng.integers(len(ids) - HOTWORD_LENGTHS[1]), rng.integers(*HOTWORD_LENGTHS, endpoint=True)
        phrase = tuple(symbols[id] for id in ids[start : start + length])
        phrases |= {phrase} if symbols[UNKNOWN_ID] not in phrase else set()
    return Hotwords(tuple(Phrase(phrase) for phrase in sorted(phrases)), symbols)


def peer(beam: int) -> Decode | None:
    """pyctcdecode, with one character for each unit; None where it is not installed."""
    try:
        from pyctcdecode import build_ctcdecoder
    except ImportError:
        return None
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    decoder = build_ctcdecoder(["", *(chr(FIRST_CHARACTER + id) for id in range(1, UNITS))])
    return lambda scores: decoder.decode_beams(scores, beam_width=beam, token_min_logp=-5.0)[0]


def ours(beam: int, **help: Any) -> Decode:
    search = BeamSearch(beam, threads=1, **help)
    return lambda scores: search(scores[None], [STEPS])[0][0]


def log_prob_of(scores: Array, ids: tuple[int, ...]) -> float:
    """Log-probability of a text over all its paths, slowly."""
    states = np.zeros(2 * len(ids) + 1, int)
    states[1::2] = ids
    skip = np.zeros(len(states), bool)
    skip[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    reached = np.full(len(states) + 2, -np.inf)
    reached[2:4] = scores[0, states[:2]]
    for row in scores[1:].astype(float):
        stay_or_next = np.logaddexp(reached[2:], reached[1:-1])
        reached[2:] = np.logaddexp(stay_or_next, np.where(skip, reached[:-2], -np.inf)) + row[states]
    return float(np.logaddexp(*reached[-2:]))


def compare(task: Task, kind: str, beam: int) -> str:
    """One line of the table."""
    model, words = {"language": task.language}, {"hotwords": task.hotwords}
    ways: dict[str, dict[str, Any]] = {"ours": {}, "words": words, "model": model, "both": model | words}
    decoders = {name: ours(beam, **help) for name, help in ways.items()}
    theirs = peer(beam)
    times: dict[str, list[float]] = {name: [] for name in [*decoders, "peer"]}
    better = worse = claims = 0
    for scores in task.posteriors[kind]:
        taken, results = taking_turns(decoders, scores)
        if theirs:
            runs = [timed(theirs, scores) for _ in range(PEER_CALLS)]
            taken["peer"], result = min(taken for taken, _ in runs), runs[0][1]
            other = log_prob_of(scores, tuple(ord(character) - FIRST_CHARACTER for character in result[0]))
            better += results["ours"].log_prob > other + ROUNDING
            worse += results["ours"].log_prob < other - ROUNDING
            claims += result[-2] > results["ours"].log_prob + ROUNDING
        for name in taken:
            times[name].append(taken[name])
    return row(kind, beam, times, f"{better}, {worse}, {claims}" if theirs else "-")


def taking_turns(decoders: dict[str, Decode], scores: Array) -> tuple[dict[str, float], dict[str, Any]]:
    """The fastest time of each decoder, and what it found."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    results = {}
    for _ in range(CALLS):
        for name, decode in decoders.items():
            taken, results[name] = timed(decode, scores)
            times[name].append(taken)
    return {name: min(taken) for name, taken in times.items()}, results


def timed(decode: Decode, scores: Array) -> tuple[float, Any]:
    """Milliseconds, and the result."""
    start = time.perf_counter()
    result = decode(scores)
    return 1000 * (time.perf_counter() - start), result


def row(kind: str, beam: int, times: dict[str, list[float]], scores: str) -> str:
    median = {name: statistics.median(taken) for name, taken in times.items() if taken}
    words, both = (cost(times, *pair) for pair in (("ours", "words"), ("model", "both")))
    peer = f"{median['peer']:11.1f} {1 + cost(times, 'ours', 'peer'):6.0f}x" if times["peer"] else f"{'-':>19}"
    plain = f"{median['ours']:7.2f} {median['words']:9.2f} {words:+5.0%}"
    return f"{kind:6}{beam:5} {peer} {plain} {median['model']:9.2f} {median['both']:7.2f} {both:+5.0%}   {scores}"


def cost(times: dict[str, list[float]], before: str, after: str) -> float:
    """How much longer the one takes than the other, in each utterance; the median."""
    return statistics.median(b / a for a, b in zip(times[before], times[after], strict=True)) - 1


def batch_line(task: Task) -> str:
    scores = np.concatenate([task.posteriors["peaky"]] * BATCH)[:BATCH]
    lengths = np.full(BATCH, STEPS)
    one, all = (BeamSearch(100, threads=threads) for threads in (1, None))
    decoders = {"one": lambda scores: one(scores, lengths), "all": lambda scores: all(scores, lengths)}
    taken, _ = taking_turns(decoders, scores)
    ratio = taken["one"] / taken["all"]
    times = f"{taken['one']:.0f} ms on one core, {taken['all']:.0f} ms on all ({ratio:.1f} times as fast)"
    return f"a batch of {BATCH}, peaky, beam 100: {times}"


HEAD = "       beam pyctcdecode  ratio    ours  +hotwords       +3-gram   +both         better, worse, claims more"


def main() -> None:
    """Prints a line for each kind of posteriors and each beam, and one for a batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=8, help="how many of each kind (default: 8)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    task = make_task(options.utterances)
    for kind, scores in task.posteriors.items():
        many, best = (scores >= -5).sum(axis=-1).mean(), np.exp(np.median(scores.max(axis=-1)))
        print(f"{kind}: {many:.1f} units above -5 in a step, the best one {best:.2f} (median)")
    for warm in (ours(1), ours(1, language=task.language)):
        warm(task.posteriors["peaky"][0])
    if peer(1) is None:
        print("pyctcdecode is not installed: pip install pyctcdecode")
    print(HEAD)
    for kind in SOFTER:
        for beam in BEAMS:
            print(compare(task, kind, beam), flush=True)
    print(batch_line(task))


if __name__ == "__main__":
    main()
