"""What a change to a page brings, at equal time: tables of what helps with tones, of the augmentation, of training.

    python benchmarks/variants.py tones --data data/small --minutes 4 --sets people=data/words/test.jsonl
    python benchmarks/variants.py acoustics --data data/small --minutes 4 --sets people=data/words/test.jsonl
    python benchmarks/variants.py acoustics --page zero.yaml --init zero.ckpt --sets people=data/words/test.jsonl
    python benchmarks/variants.py training --page zero.yaml --init zero.ckpt --sets people=data/words/test.jsonl

The corpus is that of ``small_world.py``, or any other with train, dev and test. Each variant is trained for as many
utterances as it reads in those minutes, which a short training tells beforehand; so compare on an idle machine, or give
each run a core of its own. With ``--init`` each variant goes on with that network instead, for as many epochs as the
page says: no piece of an augmentation helps a network that is still to learn the syllables. Of a test set those
utterances count whose syllables were all trained; ``--rough`` hears a set again, thrice, as the page's augmentation of
sound leaves it, so that what a piece is there for is heard. Stopped, it goes on where it was: what was trained is not
trained again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trials import changed, epochs, evaluated, manifest, once, trained

from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest
from dfcnn_ms.training.corpus import applied

PAGE = "people"
#: a network that learns the small world in minutes
BASE = (
    "data.mix={}",
    "features={kind: log_mel, n_mels: 40}",
    "model={kind: dfcnn, blocks: [{channels: 16, convs: 1, kernel: 5, stride: [2, 2], pool: [1, 1]}, "
    "{channels: 32, convs: 1, stride: [2, 2], pool: [1, 2]}, {channels: 64, convs: 3, pool: [1, 1]}], "
    "hidden: [128], dropout: 0.05, padding: 1}",
    "train.buckets=3",
    "train.rate=0.004",
    "train.coach=off",
)
SHORT = "{kind: log_mel, n_mels: 40}"
LONG = "{kind: log_mel, n_mels: 40, window_ms: 50, n_fft: 1024}"
WIDE_FIRST = (
    "model.blocks=[{channels: 16, convs: 1, kernel: 5, stride: [2, 1], pool: [1, 2]}, "
    "{channels: 32, convs: 1, stride: [2, 2], pool: [1, 2]}, {channels: 64, convs: 3, pool: [1, 1]}]"
)
#: of each utterance of a rough set
TAKES = 3
#: lines that the probe of the speed reads, and how often
PROBE, PROBES = 480, 3


def main() -> None:
    """Trains what has no figures yet and prints the table."""
    options = _options()
    data = load_config(options.page).data
    own = [data.train, *(data.mix or {})] if options.init else [options.data / "train.jsonl"]
    sets = dict(_named(one) for one in options.sets)
    if options.data:
        sets = {"synthetic": options.data / "test.jsonl"} | sets
    train = [one for path in own for one in read_manifest(path)]
    known = {unit for one in train for unit in one.pinyin}
    tests = {name: _known(name, path, known, options.out) for name, path in sets.items()}
    tests |= {f"{name}, rough": _rough(name, tests[name], options) for name in options.rough}
    table = TABLES[options.table](options.page)
    print(f"| Variant | Utterances read | {' | '.join(tests)} |")
    print(f"|---|---|{'---|' * len(tests)}", flush=True)
    for name, overrides in table.items():
        if not options.only or name in options.only:
            print(_row(name, _found(name, overrides, train, tests, options)), flush=True)


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("table", choices=tuple(TABLES))
    data = arguments.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="a corpus: train.jsonl, dev.jsonl, test.jsonl")
    data.add_argument("--init", type=Path, metavar="FILE", help="go on with this network, by the corpora of --page")
    arguments.add_argument("--page", default=PAGE, help=f"default: {PAGE}")
    arguments.add_argument("--sets", nargs="+", default=[], metavar="NAME=MANIFEST", help="test sets besides its own")
    arguments.add_argument("--rough", nargs="+", default=[], metavar="NAME", help="of these sets")
    arguments.add_argument("--minutes", type=float, default=4.0, help="of training for each; default: 4")
    arguments.add_argument("--only", nargs="+", metavar="VARIANT")
    arguments.add_argument("--out", type=Path, default=Path("summary/variants"), help="default: summary/variants")
    found = arguments.parse_args()
    found.data, found.out = found.data and found.data.absolute(), found.out.absolute()
    return found


def _named(text: str) -> tuple[str, Path]:
    name, path = text.split("=", 1)
    return name, Path(path)


def _known(name: str, path: Path, units: set[str], out: Path) -> Path:
    """The manifest of those utterances whose units were all trained."""
    lines = [one for one in read_manifest(path) if units.issuperset(one.pinyin)]
    return manifest(out / "tests" / f"{name}.jsonl", lines)


def _rough(name: str, path: Path, options: argparse.Namespace) -> Path:
    """The manifest of a set through rooms, noise and telephones."""
    lines = [replace(one, id=f"{one.id}-{take}") for one in read_manifest(path) for take in range(TAKES)]
    steps = load_config(options.page).augment.wave
    return changed(lines, lambda wave, rng: applied(wave, steps, rng), options.out / "tests" / f"{name}_rough")


def _tones(_: str) -> Mapping[str, Sequence[str]]:
    """What may help with tones, each alone, then together. A stack cannot be warped, so one row is unwarped too."""
    straight = _augmented("freq_warp")
    both = f"features={{kind: stack, parts: [{SHORT}, {LONG}]}}"
    pitch = f"features={{kind: stack, parts: [{SHORT}, {{kind: pitch}}]}}"
    cepstrum = f"features={{kind: stack, parts: [{SHORT}, {{kind: cepstrogram}}]}}"
    everything = f"features={{kind: stack, parts: [{SHORT}, {LONG}, {{kind: pitch}}]}}"
    return {
        "40 bands, window of 25 ms": (),
        "window of 50 ms": (f"features={LONG}",),
        "80 bands, window of 50 ms": (f"features={LONG.replace('40', '80')}",),
        "all bands in the first block": (WIDE_FIRST,),
        "layer of tones": ("task={kind: ctc, tone_weight: 0.3}",),
        "initials and finals": ("task={kind: parts}",),
        "bands not warped": straight,
        "both windows, not warped": (both, *straight),
        "pitch, not warped": (pitch, *straight),
        "cepstrogram, not warped": (cepstrum, *straight),
        "window of 50 ms, initials and finals, layer of tones": (
            f"features={LONG}",
            "task={kind: parts, tone_weight: 0.3}",
        ),
        "both windows, pitch, initials and finals, layer of tones, not warped": (
            everything,
            "task={kind: parts, tone_weight: 0.3}",
            *straight,
        ),
    }


def _acoustics(page: str) -> Mapping[str, Sequence[str]]:
    """The augmentation of the page, without one of its pieces after the other, half as often, and none."""
    kinds = [step["kind"] for steps in _augmentation(page).values() for step in steps]
    without = {f"without {kind}": _augmented(kind, page=page) for kind in kinds}
    half = {
        part: [step | {"probability": step["probability"] / 2} for step in steps]
        for part, steps in _augmentation(page).items()
    }
    return {"all of it": (), **without, "half as often": _overrides(half), "none": _augmented(*kinds, page=page)}


def _training(page: str) -> Mapping[str, Sequence[str]]:
    """How the rate moves, whether the steps are averaged, and what comes first."""
    held = "train.schedule={kind: constant}"
    return {
        "as the page says": (),
        "moving average": ("train.ema=0.998",),
        "rate held": (held,),
        "rate held, moving average": (held, "train.ema=0.998"),
        "half the rate": (f"train.rate={load_config(page).train.rate / 2:g}",),
        "short ones first": ("train.sorta_grad=1",),
    }


def _augmented(*left_out: str, page: str = PAGE) -> tuple[str, ...]:
    """The page's augmentation without some of its pieces."""
    parts = _augmentation(page).items()
    return _overrides({part: [step for step in steps if step["kind"] not in left_out] for part, steps in parts})


def _augmentation(page: str) -> dict[str, list[dict[str, Any]]]:
    augment = load_config(page).model_dump(mode="json")["augment"]
    return {part: augment[part] for part in ("wave", "features")}


def _overrides(augmentation: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    return tuple(f"augment.{part}={json.dumps(steps)}" for part, steps in augmentation.items())


def _found(
    name: str, overrides: Sequence[str], train: list[Utterance], tests: Mapping[str, Path], options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of a variant; trains it, and hears what it has not heard."""
    stem = "".join(letter if letter.isalnum() else "_" for letter in name)
    found = once(options.out / f"{stem}.json", lambda: _learnt(stem, overrides, train, options))
    return found | {"sets": {test: _rates(stem, test, path, options.out) for test, path in tests.items()}}


def _learnt(stem: str, overrides: Sequence[str], train: list[Utterance], options: argparse.Namespace) -> dict[str, Any]:
    """Trains a variant."""
    utterances = (_gone_on if options.init else _begun)(stem, overrides, train, options)
    return {"utterances": utterances, "seconds": round(sum(one["train_seconds"] for one in epochs(stem, options.out)))}


def _rates(stem: str, test: str, path: Path, out: Path) -> dict[str, float]:
    """What a trained variant mishears of a set."""
    figures = out / "figures" / f"{stem}_{test.replace(', ', '_')}.json"
    found = evaluated(out / f"{stem}.ckpt", figures, "--manifest", path)
    return {kind: rate["error_rate"] for kind, rate in found["rates"].items()}


def _gone_on(stem: str, overrides: Sequence[str], _: list[Utterance], options: argparse.Namespace) -> int:
    """Trains the network of ``--init`` as its page says; how many utterances it has read meanwhile."""
    trained(stem, options.page, ["train.coach=off", *overrides], options.out, init=options.init)
    read = (one["train_seconds"] * one["utterances_per_second"] for one in epochs(stem, options.out))
    return sum(map(round, read))


def _begun(stem: str, overrides: Sequence[str], train: list[Utterance], options: argparse.Namespace) -> int:
    """Trains a new network by as many utterances as it can read in the minutes; how many these are."""
    changes = [*BASE, f"data.test={options.data / 'test.jsonl'}", *overrides]
    dev = read_manifest(options.data / "dev.jsonl")
    speed = _speed(stem, options.page, changes, train, dev, options.out)
    rounds = max(1, math.ceil(60 * options.minutes * speed / len(train)))
    lines = min(len(train), round(60 * options.minutes * speed / rounds))
    part = _part(train, dev, lines, options.out / "manifests" / stem)
    trained(stem, options.page, [*changes, *part, f"train.epochs={rounds}"], options.out)
    return rounds * lines


def _speed(
    stem: str, page: str, changes: Sequence[str], train: list[Utterance], dev: list[Utterance], out: Path
) -> float:
    """Utterances a second, of the last epoch of a short training; the first one compiles."""
    name = f"{stem}_probe"
    part = _part(train, dev, PROBE, out / "manifests" / "probe")
    trained(name, page, [*changes, *part, f"train.epochs={PROBES}"], out)
    return epochs(name, out)[-1]["utterances_per_second"]


def _part(train: list[Utterance], dev: list[Utterance], lines: int, folder: Path) -> tuple[str, str]:
    """Some of the utterances, evenly from all of the corpus, and those of the dev set whose units are in them."""
    chosen = [train[index * len(train) // lines] for index in range(lines)]
    units = {unit for one in chosen for unit in one.pinyin}
    known = [one for one in dev if units.issuperset(one.pinyin)]
    return f"data.train={manifest(folder / 'train.jsonl', chosen)}", f"data.dev={manifest(folder / 'dev.jsonl', known)}"


def _row(name: str, found: Mapping[str, Any]) -> str:
    cells = [f"{100 * one['syllable']:.1f} % ({100 * one['toneless']:.1f})" for one in found["sets"].values()]
    return f"| {name} | {found['utterances']:,} | {' | '.join(cells)} |"


TABLES = {"tones": _tones, "acoustics": _acoustics, "training": _training}

if __name__ == "__main__":
    main()
