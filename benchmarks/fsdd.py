"""Spoken digits of six people, by image networks: the official split, then each person heard by who never heard him.

Command: ``python benchmarks/fsdd.py --root FOLDER`` with the Free Spoken Digit Dataset in it. It trains one network
after the other, each in a process of its own, and leaves the table in ``OUT/table.md``. Stopped, it goes on where it
was: what has a figure is not trained again, and a training that was cut off is resumed.

    python benchmarks/fsdd.py --root data/fsdd --only fsdd_bc_resnet fsdd_resnet   # some of the pages
    python benchmarks/fsdd.py --root data/fsdd --leave-out fsdd_bc_resnet          # one person after the other
    python benchmarks/fsdd.py --root data/fsdd --leave-out fsdd_bc_resnet --plain  # the same without augmentation
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trials import epochs, evaluated, manifest, once, trained

from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest
from dfcnn_ms.corpora.recipes import prepare
from dfcnn_ms.metrics import Edits, Scatter, score_interval

PAGES = ("fsdd_resnet", "fsdd_vgg", "fsdd_bc_resnet", "fsdd_wide_resnet", "fsdd_dense_net")
SPLITS = ("train", "dev", "test")
HEAD = ("| network | parameters | accuracy % (95 %) | four views | errors | trained |", "|---|---|---|---|---|---|")


@dataclass(frozen=True)
class Trial:
    """One training and its test.

    Attributes:
        name: of its folder and of its line in the table.
        page: that is trained.
        data: the folder of its manifests.
        plain: without augmentation.
    """

    name: str
    page: str
    data: Path
    plain: bool = False

    def overrides(self) -> Iterator[str]:
        """What is changed in the page."""
        for split in SPLITS:
            yield f"data.{split}={self.data / split}.jsonl"
        yield "data.recipe=null"
        if self.plain:
            yield "augment={}"
            yield "data.cache=true"
            yield "task.mixup=0"


def official(root: Path, out: Path) -> Path:
    """The manifests of the official split, whose dev set is taken from the training set."""
    folder = out / "official"
    if not (folder / "test.jsonl").is_file():
        prepare({"corpus": "fsdd", "root": str(root)}, folder)
    return folder


def without(speaker: str, everything: Path, out: Path) -> Path:
    """Manifests in which one person is the test set, all that he said, and is in neither of the others."""
    folder = out / f"without_{speaker}"
    parts: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for was in SPLITS:
        for one in read_manifest(everything / f"{was}.jsonl"):
            split = "test" if one.speaker == speaker else "dev" if was == "dev" else "train"
            parts[split].append(replace(one, split=split))
    for split, lines in parts.items():
        manifest(folder / f"{split}.jsonl", lines)
    return folder


def run(trial: Trial, out: Path) -> dict[str, object]:
    """Trains and measures, unless that was done before; what came out."""
    return once(out / f"{trial.name}.json", lambda: _measured(trial, out))


def _measured(trial: Trial, out: Path) -> dict[str, object]:
    ckpt = trained(trial.name, trial.page, list(trial.overrides()), out)
    seconds = sum(epoch["train_seconds"] for epoch in epochs(trial.name, out))
    found: dict[str, object] = {"name": trial.name, "page": trial.page, "seconds": round(seconds)}
    for views, flags in (("plain", ()), ("four_views", ("--four-views",))):
        page = evaluated(ckpt, out / "figures" / f"{trial.name}_{views}.json", *flags)
        found |= {views: {key: page[key] for key in ("edits", "reference_length")}}
    config = load_config(trial.page)
    found["parameters"] = config.model.parameters(num_bins=config.features.num_bins, num_units=12)
    return found


def line(found: dict[str, object]) -> str:
    """A line of the table: accuracies in percent, the first with its 95 % interval."""
    plain, crops = found["plain"], found["four_views"]
    assert isinstance(plain, dict) and isinstance(crops, dict)
    edits = Edits(substitutions=plain["edits"], reference_length=plain["reference_length"])
    low, high = score_interval(edits, Scatter(1.0, max(1, edits.reference_length - 1)))
    accuracy, cropped = (100 * (1 - one["edits"] / one["reference_length"]) for one in (plain, crops))
    around = f"{100 * (1 - high):.2f} to {100 * (1 - low):.2f}"
    return (
        f"| {found['name']} | {found['parameters']:,} | {accuracy:.2f} ({around}) | {cropped:.2f} | "
        f"{edits.total} of {edits.reference_length} | {found['seconds']} s |"
    )


def trials(arguments: argparse.Namespace) -> Iterator[Trial]:
    """What is to be done, in its order."""
    everything = official(arguments.root, arguments.out)
    ending = "_plain" if arguments.plain else ""
    if not arguments.leave_out:
        for page in arguments.only:
            yield Trial(page + ending, page, everything, arguments.plain)
        return
    speakers = sorted({one.speaker for one in read_manifest(everything / "test.jsonl")})
    for speaker in speakers:
        data = without(speaker, everything, arguments.out)
        yield Trial(f"{arguments.leave_out}_without_{speaker}{ending}", arguments.leave_out, data, arguments.plain)


def main() -> None:
    """Trains what was asked for and writes the table of all that has been done so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of the corpus")
    parser.add_argument("--out", type=Path, default=Path("summary/fsdd"), help="default: summary/fsdd")
    parser.add_argument("--only", nargs="+", default=PAGES, help=f"default: {' '.join(PAGES)}")
    parser.add_argument("--leave-out", metavar="PAGE", help="each person in turn is the test set, with this page")
    parser.add_argument("--plain", action="store_true", help="without augmentation")
    arguments = parser.parse_args()
    arguments.out = arguments.out.absolute()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for trial in trials(arguments):
        print(line(run(trial, arguments.out)), flush=True)
        done = [line(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(arguments.out.glob("*.json"))]
        (arguments.out / "table.md").write_text("\n".join([*HEAD, *done]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
