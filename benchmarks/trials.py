"""What programs share that train one network after the other: they go on where they were stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE, Array, write_wave
from dfcnn_ms.corpora.manifest import Utterance, read_utterance, write_manifest

Change = Callable[[Array, np.random.Generator], Array]


def command(name: str, *arguments: object, quiet: bool = False) -> None:
    """Runs one of our commands."""
    out = subprocess.DEVNULL if quiet else None
    subprocess.run([sys.executable, "-m", f"dfcnn_ms.{name}", *map(str, arguments)], check=True, stdout=out)


def trained(name: str, page: str, overrides: Sequence[str], folder: Path, *, init: Path | None = None) -> Path:
    """The network of a page with its overrides, ``FOLDER/NAME.ckpt``; a training that was cut off is resumed."""
    base, ckpt = folder / "runs", folder / f"{name}.ckpt"
    if (base / name / "checkpoints" / "last.ckpt").is_file():
        command("train", "--resume", base / name, "--ckpt", ckpt)
    else:
        shutil.rmtree(base / name, ignore_errors=True)  # it was cut off before its first state was saved
        where = ["--run", name, "--summary-base-dir", base, "--ckpt", ckpt]
        begin = ["--init", init] if init else []
        command("train", "--config", page, *where, *begin, *overrides)
    return ckpt


def once(kept: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file keeps of a trial; makes and keeps it where there is none."""
    if kept.is_file():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    found = make()
    kept.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def manifest(path: Path, lines: Iterable[Utterance]) -> Path:
    """A manifest that finds its recordings from wherever it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(path, [replace(one, audio=str(one.path)) for one in lines])
    return path


def epochs(name: str, folder: Path) -> list[dict[str, float]]:
    """What each epoch of a training took."""
    lines = (folder / "runs" / name / "timings.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def evaluated(ckpt: Path, figures: Path, *flags: object) -> dict[str, Any]:
    """What `eval` writes of a network; it is asked where there is no such file yet, or an older one."""
    if not figures.is_file() or figures.stat().st_mtime < ckpt.stat().st_mtime:
        figures.parent.mkdir(parents=True, exist_ok=True)
        command("eval", "--ckpt", ckpt, "--json", figures, *flags, quiet=True)
    return dict(json.loads(figures.read_text(encoding="utf-8")))


def changed(utterances: Iterable[Utterance], change: Change, folder: Path) -> Path:
    """The manifest of the same utterances, ``FOLDER/test.jsonl``, after each has been made to sound another way."""
    rng, lines = np.random.default_rng(0), []
    for one in utterances:
        wave = change(read_utterance(one), rng)
        file = folder / "audio" / f"{one.id}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_wave(file, wave * min(1.0, 0.99 / max(1e-6, float(np.abs(wave).max()))))
        here = replace(one, audio=f"audio/{one.id}.wav", folder=folder)
        lines.append(replace(here, start=0.0, seconds=len(wave) / SAMPLE_RATE))
    write_manifest(folder / "test.jsonl", lines)
    return folder / "test.jsonl"
