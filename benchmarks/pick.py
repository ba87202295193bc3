r"""Some utterances of several manifests as one manifest, such as the dev set of the network in the box.

    python benchmarks/pick.py --out data/dev.jsonl --known data/cmn_words/train.jsonl --known data/neural/train.jsonl \
        data/neural/dev.jsonl=80 data/cmn_words/dev.jsonl=90

From each manifest as many lines as its number says, as far from each other as they can be. With ``--known`` those alone
all of whose syllables occur in one of these manifests, or the dev error could not fall to zero.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from trials import manifest

from dfcnn_ms.corpora.manifest import Utterance, read_manifest


def main() -> None:
    """Writes the manifest and says how many lines it has."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="+", metavar="MANIFEST=LINES")
    arguments.add_argument("--known", type=Path, action="append", default=[], metavar="MANIFEST")
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    found = [one for part in options.parts for one in picked(*part.rsplit("=", 1))]
    known = {unit for path in options.known for one in read_manifest(path) for unit in one.pinyin}
    kept = [one for one in found if not options.known or known.issuperset(one.pinyin)]
    manifest(options.out, kept)
    print(f"{options.out}: {len(kept)} of {len(found)} utterances")


def picked(path: str, lines: str) -> list[Utterance]:
    """So many lines of a manifest, evenly, under the name of its folder."""
    every, count = read_manifest(Path(path)), int(lines)
    count = min(count, len(every))
    chosen = [every[number * len(every) // count] for number in range(count)]
    return [replace(one, id=f"{Path(path).parent.name}-{one.id}") for one in chosen]


if __name__ == "__main__":
    main()
