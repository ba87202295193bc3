r"""Sentences that people say or have read aloud: a file for ``prepare synth --text``, and texts for a 3-gram.

    pip install hsk-sentences-audio
    python benchmarks/sentences.py --transcripts aishell1_dev.tsv --without data/strangers/test.jsonl --each 1000 \
        > sentences.txt

Half of them are from a language course, half from the transcripts, evenly from all of each; a sentence that somebody
says in a test set (``--without``) is left out, whatever its punctuation.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.exporting.formats import evenly
from dfcnn_ms.metrics import characters


def main() -> None:
    """Prints the sentences."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--transcripts", type=Path, nargs="+", required=True, help="tables with a column 'hanzi'")
    arguments.add_argument("--without", type=Path, nargs="*", default=[], help="manifests whose sentences are left out")
    arguments.add_argument("--each", type=int, help="sentences of each source; default: all")
    options = arguments.parse_args()
    said = said_in(options.without)
    for source in (course(), [line for path in options.transcripts for line in column(path)]):
        kept = [line for line in dict.fromkeys(source) if spelt(line) not in said]
        print(*evenly(kept, options.each or len(kept)), sep="\n")


def said_in(manifests: Iterable[Path]) -> set[str]:
    """What somebody says in a test set, by its characters."""
    return {spelt(one.text or "") for path in manifests for one in read_manifest(path)}


def spelt(text: str) -> str:
    """The characters alone."""
    return "".join(characters(text))


def course() -> Iterable[str]:
    """The sentences of HSK 1 to 6."""
    import hsk_sentences_audio

    return [one["chinese"] for one in hsk_sentences_audio.iter_sentences()]


def column(path: Path) -> Iterable[str]:
    """The characters in a table of transcripts."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [row["hanzi"] for row in csv.DictReader(lines, delimiter="\t")]


if __name__ == "__main__":
    main()
