"""The figures of a model card: errors by test set, in noise, and in slow and fast speech.

    python benchmarks/card.py voices=data/neural/test.jsonl words=data/words/test.jsonl
    python benchmarks/card.py --ckpt mandarin.ckpt --lm syllables.lmz words=data/words/test.jsonl --worse words

prints rows of Markdown tables; without ``--ckpt`` for the network in the box, which brings its language model and its
characters along. ``--lm`` and ``--hanzi-model`` put others in their place, as for sentences that those have read.
``--worse NAME`` hears that set again with noise of four levels added, and spoken slower and faster (by Praat: the pitch
stays). ``--speakers NAME`` gives each speaker of a set a row of its own. Intervals are those of `eval`.
``--keep FOLDER`` leaves the JSON of each run there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from trials import Change, changed, command

from dfcnn_ms.audio.augment import add_noise_at_snr, coloured_noise
from dfcnn_ms.audio.wave import SAMPLE_RATE, Array
from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.evaluation.results import toneless
from dfcnn_ms.metrics import Edits, Scatter, edits, score_interval

RATIOS = (20, 10, 5, 0)
#: how many times as long as it was spoken
TEMPI = (0.7, 0.85, 1.2, 1.5)
HEAD = (
    "| Test set | Speakers | Utterances | Greedy | With 3-gram | And characters (95 %) | Without tones (95 %) "
    "| Characters (95 %) |"
)
HEAD_OF_SPEAKERS = "| Speaker | Utterances | Syllables | Misheard (95 %) | Without tones |"


def main() -> None:
    """Prints a row for each set, and for each way in which one was made worse."""
    options = _options()
    sets = dict(one.split("=", 1) for one in options.sets)
    print(HEAD, "|---|---|---|---|---|---|---|---|", sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, manifest in sets.items():
            print(_row(name, Path(manifest), options, Path(options.keep or folder)), flush=True)
        for name in options.speakers:
            print(HEAD_OF_SPEAKERS, "|---|---|---|---|---|", sep="\n", flush=True)
            print(*_rows_of_speakers(name, Path(sets[name]), Path(options.keep or folder)), sep="\n", flush=True)
        for name in options.worse:
            for said, change in _changes():
                place = Path(folder, said.replace(" ", "-"))
                manifest = changed(read_manifest(Path(sets[name])), change, place)
                print(_row(f"{name}, {said}", manifest, options, Path(options.keep or folder)), flush=True)


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sets", nargs="+", metavar="NAME=MANIFEST")
    arguments.add_argument("--ckpt")
    arguments.add_argument("--lm")
    arguments.add_argument("--hanzi-model")
    arguments.add_argument("--worse", nargs="*", default=[], metavar="NAME")
    arguments.add_argument("--speakers", nargs="*", default=[], metavar="NAME")
    arguments.add_argument("--keep", metavar="FOLDER")
    return arguments.parse_args()


def _row(name: str, manifest: Path, options: argparse.Namespace, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    out = _figures_of(name, folder)
    given = {"--ckpt": options.ckpt, "--lm": options.lm, "--hanzi-model": options.hanzi_model}
    files = [part for flag, path in given.items() if path for part in (flag, path)]
    command("eval", "--manifest", manifest, "--allow-unknown", "--hanzi", *files, "--json", out, quiet=True)
    found = json.loads(out.read_text(encoding="utf-8"))
    speakers = len({one.speaker for one in read_manifest(manifest)})
    rates = {one["decoder"]: one["error_rate"] for one in found["decoders"]}
    plain = [f"{100 * rates[name]:.1f} %" for name in ("greedy", "beam + lm")]
    cells = [_cell(found["rates"].get(rate)) for rate in ("syllable", "toneless", "character")]
    return f"| {name} | {speakers} | {found['utterances']} | {' | '.join([*plain, *cells])} |"


def _figures_of(name: str, folder: Path) -> Path:
    return folder / f"{name.replace(' ', '-').replace(',', '')}.json"


def _rows_of_speakers(name: str, manifest: Path, folder: Path) -> list[str]:
    """A row for each speaker, from the one who is heard best to the one who is heard worst."""
    results = json.loads(_figures_of(name, folder).read_text(encoding="utf-8"))["results"]
    speakers = {one.id: one.speaker for one in read_manifest(manifest)}
    heard: dict[str, list[tuple[list[str], list[str]]]] = defaultdict(list)
    for one in results:
        heard[speakers[one["id"]]].append((one["reference"].split(), one["hypothesis"].split()))
    found = {speaker: [edits(*pair) for pair in pairs] for speaker, pairs in heard.items()}
    scatter = Scatter.of([counts for one in found.values() for counts in one])
    rows = {}
    for speaker, counts in found.items():
        total = sum(counts, Edits())
        bare = sum((edits(*([toneless(one) for one in side] for side in pair)) for pair in heard[speaker]), Edits())
        low, high = (100 * end for end in score_interval(total, scatter))
        rate = f"{100 * total.rate:.0f} % ({low:.0f} to {high:.0f})"
        size = f"{len(counts)} | {total.reference_length}"
        rows[speaker] = total.rate, f"| {speaker} | {size} | {rate} | {100 * bare.rate:.0f} % |"
    return [row for _, row in sorted(rows.values())]


def _cell(rate: dict[str, Any] | None) -> str:
    if rate is None:
        return ""
    low, high = (100 * one for one in rate["interval"])
    return f"{100 * rate['error_rate']:.1f} % ({low:.1f} to {high:.1f})"


def _changes() -> Iterator[tuple[str, Change]]:
    for ratio in RATIOS:
        yield f"pink noise {ratio} dB", partial(_noisy, ratio=ratio)
    for tempo in TEMPI:
        yield f"{tempo:g} times as long", partial(_longer, factor=tempo)


def _noisy(wave: Array, rng: np.random.Generator, *, ratio: float) -> Array:
    return add_noise_at_snr(wave, coloured_noise(rng, len(wave), "pink"), ratio)


def _longer(wave: Array, rng: np.random.Generator, *, factor: float) -> Array:
    import parselmouth

    sound = parselmouth.Sound(wave.astype(np.float64), SAMPLE_RATE)
    longer = parselmouth.praat.call(sound, "Lengthen (overlap-add)", 75, 600, factor)
    return np.asarray(longer.values[0], np.float32)


if __name__ == "__main__":
    main()
