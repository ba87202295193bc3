"""Characters for syllables: how many are right, how long it takes, and what wrong syllables cost.

    python benchmarks/hanzi.py --tsv dev.tsv [--model hanzi.bin] [--leave-out S0724 ...]

The table has the columns utt_id, pinyin and hanzi. Beside the model stands, in the same run, the most probable row of
dictionary words by their counts alone. Wrong syllables are drawn by a confusion model with a fixed seed: one in ten is
heard as one that differs in tone, initial or final; what was said is among the alternatives 85 times in 100.
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.arrays import Language
from dfcnn_ms.decoding.hanzi.lattice import Lattice
from dfcnn_ms.decoding.hanzi.lexicon import BASES, FOREIGN, GIVEN, LAST, SURNAME
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.text.pinyin import split

WRONG = 0.1
STILL_THERE = 0.85
ALTERNATIVES = 3
NBEST = 10
# Of the sentences, this many hear wrong syllables; all of them would take long.
CONFUSED = 2000

Row = tuple[str, list[str], str]
Slots = list[dict[str | None, float]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tsv", type=Path, required=True, help="utt_id, pinyin, hanzi")
    arguments.add_argument(
        "--model", type=Path, help="of python -m dfcnn_ms.hanzi train (default: the dictionary alone)"
    )
    arguments.add_argument("--leave-out", nargs="*", default=[], help="parts of names of utterances not to count")
    options = arguments.parse_args()
    rows = [row for row in _rows(options.tsv) if not any(part in row[0] for part in options.leave_out)]
    model = HanziModel.load(options.model) if options.model else HanziModel.default()
    print(f"{len(rows):,} sentences, {sum(len(text) for _, _, text in rows):,} characters")
    for toneless in (False, True):
        deaf = replace(model, toneless=toneless)
        for name, each in (("words alone", words_alone(deaf)), ("model", deaf)):
            _print(f"{name}, {'toneless' if toneless else 'toned'}", rows, each)
    _print_confused(rows[:: max(1, len(rows) // CONFUSED)], model)


def words_alone(model: HanziModel) -> HanziModel:
    """The same words by their counts alone: no classes, no pairs."""
    lexicon, table = model.lexicon, model.language
    counts = np.exp([lexicon.log_shares.get(word, -math.inf) for word in lexicon.words.tolist()])
    parts = np.isin(lexicon.classes, [lexicon.class_id(name) for name in (SURNAME, GIVEN, LAST, FOREIGN)])
    counts[parts] = 0.0
    nothing = np.zeros(0, np.int64)
    plain = replace(model)
    plain.__dict__["language"] = Language(
        word_class=table.word_class,
        emission=np.append(np.log(np.maximum(counts, 1e-30)), [-30.0, 0.0]),
        transition=np.zeros_like(table.transition),
        kept=np.zeros_like(table.kept),
        first_pair=np.zeros_like(table.first_pair),
        pair_word=nothing,
        pair_log_prob=np.zeros(0),
        gain=np.full_like(table.gain, -np.inf),
    )
    return plain


def _print(name: str, rows: Sequence[Row], model: HanziModel) -> None:
    model.decode([(["a1"], 0.0)])
    counted, began = Edits(), time.process_time()
    for _, syllables, text in rows:
        counted += edits(list(text), list(model.decode([(syllables, 0.0)])[0].units))
    milliseconds = 1000 * (time.process_time() - began) / len(rows)
    print(f"{name:32} {_right(counted):6.2f} % right  {milliseconds:5.2f} ms of one core a sentence", flush=True)


def _right(counted: Edits) -> float:
    return 100 * (1 - (counted.substitutions + counted.deletions) / counted.reference_length)


def _print_confused(rows: Sequence[Row], model: HanziModel) -> None:
    confusions = confusable()
    counts: dict[str, Edits] = defaultdict(Edits)
    wrong = said = 0
    for number, (_, syllables, text) in enumerate(rows):
        slots = [
            confused(syllable, confusions, np.random.default_rng([7, number, place]))
            for place, syllable in enumerate(syllables)
        ]
        best = [max(slot, key=lambda each: slot[each]) for slot in slots]
        wrong += sum(one != other for one, other in zip(best, syllables, strict=True))
        said += len(syllables)
        ways = {
            "1-best": model.decode([([str(each) for each in best], 0.0)]),
            f"lattice of the {NBEST}-best": model.decode(nbest(slots)),
            "lattice of all alternatives": model.convert(Lattice.of_slots(slots)),
        }
        for name, found in ways.items():
            counts[name] += edits(list(text), list(found[0].units))
    print(f"{len(rows):,} sentences with {100 * wrong / said:.1f} % of the syllables wrong, toned:")
    for name, counted in counts.items():
        print(f"{name:32} {_right(counted):6.2f} % right", flush=True)


def confusable() -> dict[str, list[str]]:
    """The syllables that differ from each in tone alone, initial alone or final alone."""
    parts = {f"{base}{tone}": split(f"{base}{tone}") for base in BASES for tone in (1, 2, 3, 4)}
    near: dict[str, list[str]] = {}
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for syllable, (initial, final, tone) in parts.items():
        for key in (("tone", initial, final), ("initial", final, tone), ("final", initial, tone)):
            groups[key].append(syllable)
    for syllable, (initial, final, tone) in parts.items():
        keys = (("tone", initial, final), ("initial", final, tone), ("final", initial, tone))
        near[syllable] = [other for key in keys for other in groups[key] if other != syllable]
    return near


def confused(syllable: str, confusions: dict[str, list[str]], rng: np.random.Generator) -> dict[str | None, float]:
    """What a decoder might believe was said: alternatives with natural log-probabilities."""
    near = confusions.get(syllable) or confusions.get(f"{syllable[:-1]}4") or ["a1", "e4", "yi1", "wu2"]
    others = [str(each) for each in rng.choice(near, size=min(ALTERNATIVES, len(near)), replace=False)]
    if rng.random() >= WRONG:
        order = [syllable, *others]
        first = rng.uniform(0.6, 0.99)
    else:
        there = [syllable] if rng.random() < STILL_THERE else []
        order = [others[0], *there, *others[1:]]
        first = rng.uniform(0.4, 0.8)
    rest = (1 - first) * rng.dirichlet(np.linspace(3, 1, len(order) - 1))
    return dict(
        zip(order, np.log([first, *sorted(np.minimum(rest, 0.99 * first), reverse=True)]).tolist(), strict=True)
    )


def nbest(slots: Slots) -> list[tuple[list[str], float]]:
    """The most probable rows of alternatives."""
    ranked = [sorted(slot.items(), key=lambda pair: -pair[1]) for slot in slots]
    start = (0,) * len(slots)
    heap = [(-sum(options[0][1] for options in ranked), start)]
    seen, found = {start}, []
    while heap and len(found) < NBEST:
        negative, choice = heapq.heappop(heap)
        found.append(([str(ranked[place][rank][0]) for place, rank in enumerate(choice)], -negative))
        for place, rank in enumerate(choice):
            following = (*choice[:place], rank + 1, *choice[place + 1 :])
            if rank + 1 < len(ranked[place]) and following not in seen:
                seen.add(following)
                step = ranked[place][rank][1] - ranked[place][rank + 1][1]
                heapq.heappush(heap, (negative + step, following))
    return found


def _rows(path: Path) -> Iterator[Row]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    columns = [header.split("\t").index(name) for name in ("utt_id", "pinyin", "hanzi")]
    for line in lines:
        name, pinyin, text = (line.split("\t")[column] for column in columns)
        yield name, pinyin.split(), text


if __name__ == "__main__":
    main()
