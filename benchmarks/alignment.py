"""Where syllables begin and end: the error of forced alignment on speech whose boundaries are known, and its cost.

Command: ``python benchmarks/alignment.py --ckpt dfcnn.ckpt`` (about a minute; the network of ``configs/digits.yaml``).
espeak-ng says when each syllable begins; the utterances are those of the synthetic test set, in voices that the
network never heard. Four ways to place a boundary share one alignment: the steps of the path as they are, the middle
between the steps of neighbours, the usual place between them, and that place moved to where the sound changes, which
is what the package does. Then one syllable of each text is exchanged: does goodness of pronunciation tell? With
``--picture alignment.png`` the errors are drawn. ``--speed`` times Viterbi and goodness instead, on random outputs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.sentences import sentences
from dfcnn_ms.decoding import boundaries as places
from dfcnn_ms.decoding.align import Alignment, align_ctc
from dfcnn_ms.decoding.boundaries import Sound
from dfcnn_ms.decoding.pronunciation import pronunciation
from dfcnn_ms.recognizer import Recognizer, by_length
from dfcnn_ms.reporting.plots import Picture, draw

Times = tuple[np.ndarray, np.ndarray]
#: noise to pause with, relative to the loudest sample
FLOOR = 0.005


@dataclass(frozen=True)
class Known:
    """One utterance whose boundaries are known: samples (N,), syllables, and from when to when each is said (L,)."""

    wave: np.ndarray
    pinyin: tuple[str, ...]
    starts: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Placed:
    """The same with its alignment and what boundaries are looked for in."""

    known: Known
    alignment: Alignment
    sound: Sound


def spoken(split: str, count: int, task: str) -> list[Known]:
    """The first utterances of the synthetic corpus, spoken once more, with the sample at which each syllable begins."""
    found = []
    for index, sentence in enumerate(sentences(task, split, synth.COUNTS[task][split])):
        if index == count:
            break
        job = synth.Job(task, split, index, 0, sentence, "")
        edges = np.array(synth.edges(job))
        found.append(Known(synth.speak(job) / np.float32(32768), sentence.pinyin, edges[:-1], edges[1:]))
    return found


def with_pauses(known: Known, rng: np.random.Generator) -> Known:
    """The same, with a pause of 0.4 to 1.2 s between every third pair of syllables."""
    cuts = [round(end * 16_000) for end in known.ends[:-1]]
    pieces, starts, ends, added = [], known.starts.copy(), known.ends.copy(), 0.0
    for number, piece in enumerate(np.split(known.wave, cuts)):
        pieces.append(piece)
        starts[number] += added
        ends[number] += added
        if number < len(cuts) and rng.random() < 1 / 3:
            silence = rng.standard_normal(int(rng.uniform(0.4, 1.2) * 16_000)) * FLOOR * np.abs(known.wave).max()
            pieces.append(silence.astype(np.float32))
            added += len(silence) / 16_000
    return replace(known, wave=np.concatenate(pieces), starts=starts, ends=ends)


def with_noise(known: Known, rng: np.random.Generator, snr_db: float = 5.0) -> Known:
    """The same under white noise."""
    level = np.sqrt(np.mean(known.wave**2) / 10 ** (snr_db / 10))
    return replace(known, wave=known.wave + (level * rng.standard_normal(len(known.wave))).astype(np.float32))


def place(recognizer: Recognizer, utterances: list[Known]) -> list[Placed]:
    """Aligns every utterance."""
    found: dict[int, Placed] = {}
    for batch in by_length([len(one.wave) / 16_000 for one in utterances]):
        features = [recognizer.frontend(utterances[index].wave) for index in batch]
        outputs = recognizer.outputs(features)
        for row, index in enumerate(batch):
            ids = recognizer.vocabulary.encode(utterances[index].pinyin)
            alignment = recognizer.aligned(outputs, row, ids)
            found[index] = Placed(utterances[index], alignment, recognizer.sound(features[row]))
    return [found[index] for index in range(len(utterances))]


def path_alone(one: Placed) -> Times:
    """From the first step of a unit to its last."""
    begins = one.sound.step_begins
    return begins(np.array(one.alignment.first)), begins(np.array(one.alignment.last) + 1)


def middles_of_blanks(one: Placed) -> Times:
    """Halfway between the steps of neighbours; the outer ones as far away as the inner ones on the average."""
    first, last = (np.array(steps) for steps in (one.alignment.first, one.alignment.last))
    inner = (last[:-1] + 1 + first[1:]) / 2
    reach = np.mean(np.diff((first + last + 1) / 2)) / 2 if len(first) > 1 else 3.0
    edges = np.concatenate([[first[0] + 0.5 - reach], inner, [last[-1] + 0.5 + reach]])
    edges = one.sound.step_begins(edges)
    return edges[:-1], edges[1:]


def usual_place(one: Placed) -> Times:
    """What the package expects before it has looked at the sound."""
    return places.boundaries(one.alignment, replace(one.sound, features=np.zeros_like(one.sound.features)))


def moved_to_changes(one: Placed) -> Times:
    """What the package does."""
    return places.boundaries(one.alignment, one.sound)


WAYS: dict[str, Callable[[Placed], Times]] = {
    "steps of the path": path_alone,
    "middle of the blanks": middles_of_blanks,
    "usual place": usual_place,
    "usual place, moved to a change (ours)": moved_to_changes,
}


def errors(way: Callable[[Placed], Times], placed: list[Placed]) -> Times:
    """Seconds (M,) by which starts and ends are too late."""
    times = [way(one) for one in placed]
    starts = np.concatenate([start - one.known.starts for (start, _), one in zip(times, placed, strict=True)])
    ends = np.concatenate([end - one.known.ends for (_, end), one in zip(times, placed, strict=True)])
    return starts, ends


def row(name: str, starts: np.ndarray, ends: np.ndarray, step: float) -> str:
    both = np.abs(np.concatenate([starts, ends]))
    medians = [1000 * float(np.median(np.abs(side))) for side in (starts, ends)]
    return (
        f"{name:<40}{medians[0]:>7.1f}{medians[1]:>7.1f}{1000 * both.mean():>8.1f}"
        f"{1000 * float(np.percentile(both, 90)):>7.0f}{100 * float((both < step).mean()):>9.0f} %"
    )


def report(title: str, placed: list[Placed]) -> None:
    step = placed[0].sound.step_seconds
    print(f"\n{title}: {sum(len(one.known.pinyin) for one in placed)} syllables, one output step {1000 * step:.0f} ms")
    print(f"{'error in ms':<40}{'start':>7}{'end':>7}{'mean':>8}{'p90':>7}{'< step':>11}")
    for name, way in WAYS.items():
        print(row(name, *errors(way, placed), step))


def detection(recognizer: Recognizer, utterances: list[Known], rng: np.random.Generator) -> None:
    """How well goodness tells syllables that were said from others in their place, and names what was said."""
    wrong, right, named = [], [], []
    features = {index: recognizer.frontend(one.wave) for index, one in enumerate(utterances)}
    for batch in by_length([len(one.wave) / 16_000 for one in utterances]):
        outputs = recognizer.outputs([features[index] for index in batch])
        for row, index in enumerate(batch):
            said, place = utterances[index].pinyin, int(rng.integers(len(utterances[index].pinyin)))
            other = str(rng.choice([unit for unit in recognizer.vocabulary.units if unit != said[place]]))
            log_probs = outputs.of(row)
            ids = recognizer.vocabulary.encode(said)
            right += [one.goodness for one in pronunciation(log_probs, ids)]
            exchanged = [*ids[:place], *recognizer.vocabulary.encode([other]), *ids[place + 1 :]]
            judged = pronunciation(log_probs, exchanged)[place]
            wrong.append(judged.goodness)
            named.append(judged.heard == ids[place])
    limit = np.log(0.5)
    print(f"\ngoodness of {len(right)} syllables that were said and {len(wrong)} that were not")
    print(f"below log(0.5): {100 * np.mean(np.array(right) < limit):.1f} % of those said, ", end="")
    print(f"{100 * np.mean(np.array(wrong) < limit):.1f} % of those not said")
    print(f"of those not said, the one that was said is named in {100 * np.mean(named):.1f} %")


def picture(placed: list[Placed], path: Path) -> None:
    """Draws how the errors are distributed, and one utterance with its boundaries."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, way in WAYS.items():
        axis.hist(
            1000 * np.concatenate(errors(way, placed)), bins=np.arange(-200, 201, 10), histtype="step", label=name
        )
    axis.axvspan(
        -1000 * placed[0].sound.step_seconds, 1000 * placed[0].sound.step_seconds, color="0.93", label="one output step"
    )
    axis.set_xlabel("boundary error (ms), positive is too late")
    axis.set_ylabel("boundaries")
    axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    one = placed[0]
    hop_ms = 1000 * one.sound.hop_seconds
    seconds = moved_to_changes(one)[0].tolist()
    sample = Picture("aligned", one.sound.features, hop_ms, one.known.wave, one.known.pinyin, seconds)
    sample_path = path.with_name(f"{path.stem}_example{path.suffix}")
    draw([sample]).savefig(sample_path, dpi=110)
    print(f"\npictures: {path}, {sample_path}")


def milliseconds(call: Callable[[], object], rounds: int = 9) -> float:
    call()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def speed(steps: int = 200, length: int = 30) -> None:
    """Times one utterance; Viterbi against the same trellis in NumPy, all states of a step at once."""
    rng = np.random.default_rng(0)
    print(f"{steps} steps, {length} syllables, median ms{'':>8}Viterbi   NumPy   ratio   goodness")
    for units in (12, 1300):
        logits = 3 * rng.normal(size=(steps, units)).astype(np.float32)
        log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        ids = rng.integers(2, units, size=length).tolist()
        assert np.isclose(numpy_score(log_probs, ids), align_ctc(log_probs, ids).log_prob)
        ours = milliseconds(lambda log_probs=log_probs, ids=ids: align_ctc(log_probs, ids))
        theirs = milliseconds(lambda log_probs=log_probs, ids=ids: numpy_score(log_probs, ids))
        goodness = milliseconds(lambda log_probs=log_probs, ids=ids: pronunciation(log_probs, ids), rounds=3)
        print(f"{units:>6} units{'':>27}{ours:>8.2f}{theirs:>8.2f}{theirs / ours:>8.0f}{goodness:>11.1f}")


def numpy_score(log_probs: np.ndarray, ids: list[int]) -> float:
    """Log-probability of the best path, with the moves that it needs to be followed back."""
    states = np.zeros(2 * len(ids) + 1, int)
    states[1::2] = ids
    skips = np.full(len(states), -np.inf)
    skips[2:][(states[2:] != 0) & (states[2:] != states[:-2])] = 0.0
    emissions, every = log_probs[:, states].astype(np.float64), np.arange(len(states))
    best = np.full(len(states) + 2, -np.inf)
    best[2:4] = emissions[0, :2]
    moves = np.zeros(emissions.shape, np.int8)
    for step in range(1, len(emissions)):
        ways = np.stack([best[2:], best[1:-1], best[:-2] + skips])
        moves[step] = ways.argmax(axis=0)
        best[2:] = ways[moves[step], every] + emissions[step]
    return float(best[-2:].max())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--ckpt", default="dfcnn.ckpt")
    arguments.add_argument("--task", default="digits", choices=sorted(synth.COUNTS))
    arguments.add_argument("--split", default="test", choices=("dev", "test"))
    arguments.add_argument("--count", type=int, default=400)
    arguments.add_argument("--picture", type=Path)
    arguments.add_argument("--speed", action="store_true")
    options = arguments.parse_args()
    if options.speed:
        speed()
        return
    recognizer, rng = Recognizer.load(options.ckpt), np.random.default_rng(0)
    utterances = spoken(options.split, options.count, options.task)
    placed = place(recognizer, utterances)
    report(f"{options.task}, {options.split} voices", placed)
    report("the same with pauses", place(recognizer, [with_pauses(one, rng) for one in utterances]))
    report(
        "the same in white noise, 5 dB below the voice", place(recognizer, [with_noise(one, rng) for one in utterances])
    )
    detection(recognizer, utterances, rng)
    if options.picture:
        picture(placed, options.picture)


if __name__ == "__main__":
    main()
