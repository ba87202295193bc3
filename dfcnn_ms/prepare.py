"""``python -m dfcnn_ms.prepare CORPUS``: puts a corpus where training finds it, as manifests and audio."""

from __future__ import annotations

from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.corpora import synth
from dfcnn_ms.corpora.recipes import CORPORA, prepare
from dfcnn_ms.corpora.sentences import TASKS

EXAMPLE = "python -m dfcnn_ms.prepare synth --task digits --out data/digits"


def main(argv: list[str] | None = None) -> None:
    """Prepares the corpus that the arguments name, and says what was made."""
    arguments = cli.parser("prepare", "Prepare a corpus: audio, and one manifest for each split.", EXAMPLE)
    arguments.add_argument("corpus", choices=CORPORA, help="synth: Mandarin spoken by espeak-ng, nothing to download")
    arguments.add_argument("--out", type=Path, required=True, help="folder for manifests and audio")
    arguments.add_argument("--task", choices=TASKS, default="digits", help="what is said (default: digits)")
    arguments.add_argument("--seed", type=int, default=0, help="another seed says other things (default: 0)")
    for split in ("train", "dev", "test"):
        counts = ", ".join(f"{task} {synth.COUNTS[task][split]}" for task in TASKS)
        arguments.add_argument(f"--{split}", type=int, metavar="N", help=f"utterances (default: {counts})")
    arguments.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    options = vars(arguments.parse_args(argv))
    out = options.pop("out")
    prepare({name: value for name, value in options.items() if value is not None}, out)


if __name__ == "__main__":
    cli.run(main)
