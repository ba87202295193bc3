"""Compares the pinyin that corpora publish with what `from_hanzi` reads from their characters.

    python benchmarks/pinyin.py thchs30_train.tsv aishell1_dev.tsv [--examples 8] [--sample 60 --of polyphone]

Each file has a header and three columns, `utt_id`, `pinyin` and `hanzi`, one syllable for each character; a manifest
of this package (`.jsonl` with `text` and `pinyin`) will do as well. For each kind of sandhi the share of equal
syllables; for the best one the disagreements by class:

    yi, bu          一 and 不: the same syllable in another tone
    third tone      2 where the other has 3, before a third tone
    neutral tone    one of the two is neutral
    erhua           儿
    polyphone       both are readings of the character in the dictionary
    publisher       the published syllable is no reading of the character in any tone; ours is
    tone            the published base is a reading, its tone is not
    ours            our syllable is no reading of the character
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pypinyin import Style, pinyin

from dfcnn_ms.errors import DataError
from dfcnn_ms.text.pinyin import canonical, from_hanzi, parse
from dfcnn_ms.text.sandhi import KINDS

CLASSES = ("yi, bu", "third tone", "neutral tone", "erhua", "polyphone", "publisher", "tone", "ours")
Pair = tuple[str, list[str]]  # characters, published syllables


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("files", nargs="+", type=Path)
    arguments.add_argument("--examples", type=int, default=6, help="commonest disagreements shown of each class")
    arguments.add_argument("--sample", type=int, default=0, help="random disagreements of one class, in context")
    arguments.add_argument("--of", choices=CLASSES, default="polyphone", help="the class of the sample")
    options = arguments.parse_args()
    for file in options.files:
        pairs = list(read(file))
        best = max(KINDS, key=lambda kind: print_agreement(file, pairs, kind))
        print_classes(pairs, best, options.examples)
        if options.sample:
            print_sample(pairs, best, options.of, options.sample)


def read(file: Path) -> Iterator[Pair]:
    """Characters and published syllables, where there are as many of one as of the other and all can be read."""
    with file.open(encoding="utf-8", newline="") as lines:
        if file.suffix == ".jsonl":
            rows = (json.loads(line) for line in lines)
            texts = [(row.get("text", ""), row["pinyin"]) for row in rows]
        else:
            table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts = [(row["hanzi"], row["pinyin"]) for row in table]
    for hanzi, written in texts:
        try:
            syllables = parse(written)
            from_hanzi(hanzi)
        except DataError:
            continue
        if len(syllables) == len(hanzi):
            yield hanzi, syllables


def print_agreement(file: Path, pairs: list[Pair], sandhi: str) -> float:
    """One line, and the share of equal syllables that it names."""
    start = time.perf_counter()
    read_as = [from_hanzi(hanzi, sandhi=sandhi) for hanzi, _ in pairs]
    seconds = time.perf_counter() - start
    syllables = sum(len(published) for _, published in pairs)
    equal = sum(
        a == b
        for (_, published), ours in zip(pairs, read_as, strict=True)
        for a, b in zip(published, ours, strict=True)
    )
    whole = sum(published == ours for (_, published), ours in zip(pairs, read_as, strict=True))
    print(
        f"{file.name:<20} sandhi {sandhi:<6} {len(pairs):6,d} sentences {syllables:8,d} syllables: "
        f"{100 * equal / syllables:6.2f} % equal, {100 * whole / len(pairs):5.1f} % of the sentences whole, "
        f"{1e3 * seconds / len(pairs):.2f} ms a sentence"
    )
    return equal / syllables


def disagreements(pairs: list[Pair], sandhi: str) -> Iterator[tuple[str, str, str, str, int, str]]:
    """Class, character, published and our syllable, place and sentence."""
    for hanzi, published in pairs:
        ours = from_hanzi(hanzi, sandhi=sandhi)
        for place, (theirs, mine) in enumerate(zip(published, ours, strict=True)):
            if theirs != mine:
                after = published[place + 1] if place + 1 < len(published) else ""
                yield kind_of(hanzi[place], theirs, mine, after), hanzi[place], theirs, mine, place, hanzi


def kind_of(character: str, theirs: str, mine: str, after: str) -> str:
    """The class of a disagreement."""
    known = readings(character)
    bases = {reading[:-1] for reading in known}
    same = theirs[:-1] == mine[:-1]
    if character in "一不" and same:
        return "yi, bu"
    if character == "儿":
        return "erhua"
    if same and {theirs[-1], mine[-1]} == {"2", "3"} and after.endswith("3"):
        return "third tone"
    if same and "5" in (theirs[-1], mine[-1]):
        return "neutral tone"
    if mine not in known:
        return "ours"
    if theirs in known:
        return "polyphone"
    return "tone" if theirs[:-1] in bases else "publisher"


@cache
def readings(character: str) -> frozenset[str]:
    """All readings of a character in the dictionary."""
    return frozenset(canonical(one) for one in pinyin(character, style=Style.TONE, heteronym=True)[0])


def print_classes(pairs: list[Pair], sandhi: str, examples: int) -> None:
    found: dict[str, Counter] = defaultdict(Counter)
    for kind, character, theirs, mine, _, _ in disagreements(pairs, sandhi):
        found[kind][character, theirs, mine] += 1
    syllables = sum(len(published) for _, published in pairs)
    print(f"  disagreements with sandhi {sandhi}, by class (published / ours):")
    for kind in CLASSES:
        count = sum(found[kind].values())
        common = ", ".join(f"{c} {a}/{b} {n}" for (c, a, b), n in found[kind].most_common(examples))
        print(f"  {kind:<13}{count:7,d} {100 * count / syllables:6.3f} %   {common}")


def print_sample(pairs: list[Pair], sandhi: str, kind: str, count: int) -> None:
    """Disagreements to judge by hand: the character in its sentence, the published and our syllable."""
    every = [one for one in disagreements(pairs, sandhi) if one[0] == kind]
    for _, character, theirs, mine, place, hanzi in random.Random(0).sample(every, min(count, len(every))):
        context = f"{hanzi[max(0, place - 6) : place]}[{character}]{hanzi[place + 1 : place + 7]}"
        print(f"    {context}\t{theirs} / {mine}")


if __name__ == "__main__":
    main()
