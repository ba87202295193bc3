"""A manifest with the tones that this package writes, where its labels differ by tone sandhi alone.

    python benchmarks/citation.py data/strangers/test.jsonl --out citation.jsonl
    python -m dfcnn_ms.eval --manifest citation.jsonl --allow-unknown

Networks here learn what the dictionary says (ni3 hao3), and so do most corpora; AISHELL-3 writes what is spoken (ni2
hao3), so that a network which hears rightly is counted wrong there. A label that is the spoken tone of its character is
changed to the one of the dictionary.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from trials import manifest

from dfcnn_ms.corpora.manifest import Utterance, read_manifest
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.pinyin import from_hanzi


def main() -> None:
    """Writes the manifest and says how many labels it changed."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("manifest", type=Path)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    before = read_manifest(options.manifest)
    after = [replace(one, pinyin=by_the_dictionary(one)) for one in before]
    manifest(options.out, after)
    pairs = [pair for old, new in zip(before, after, strict=True) for pair in zip(old.pinyin, new.pinyin, strict=True)]
    print(f"{options.out}: {sum(old != new for old, new in pairs)} of {len(pairs)} labels changed")


def by_the_dictionary(one: Utterance) -> tuple[str, ...]:
    """The labels of an utterance, without sandhi."""
    try:
        read, spoken = from_hanzi(one.text), from_hanzi(one.text, sandhi="full")
    except DataError:
        return one.pinyin
    if len(read) != len(one.pinyin):
        return one.pinyin
    return tuple(plain if label == said else label for label, plain, said in zip(one.pinyin, read, spoken, strict=True))


if __name__ == "__main__":
    main()
