"""A real checkpoint that understands the language of pure tones: a DFCNN whose weights are solved for, not trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tones

from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.tasks import Ctc
from dfcnn_ms.text.vocabulary import BLANK_ID

#: no feature is so quiet that it and this are below 0, where ReLU would cut it off
LOUDER = 30.0
#: what batch norm adds to a variance
EPSILON = 1e-5
#: logits of the tone that is heard, and of the blank where there is none
SOUND, SILENCE = 12.0, 12.0
SAID = ("yi1 er4 san1 si4", "si4 si4", "er4", "san1 yi1 san1", "yi1 yi1 er4 si4 san1")
CONFIG: dict[str, Any] = {
    "name": "tones",
    "data": {"train": "train.jsonl", "dev": "dev.jsonl"},
    "features": {"kind": "log_mel", "n_mels": 20},
    "cmvn": "none",
    "model": {
        "blocks": [{"channels": 1, "convs": 1, "kernel": 1, "stride": [2, 1], "pool": [1, 1]}],
        "hidden": [],
        "padding": 0,
    },
}
OF_CLASSES = CONFIG | {"task": {"kind": "classify"}, "model": {**CONFIG["model"], "over_time": "mean"}}


def speak(folder: Path, said: Sequence[str] = SAID) -> Path:
    """Sound files of sentences, and a manifest of them."""
    lines = []
    for number, words in enumerate(said):
        file = tones.speak(folder / "sounds" / f"{number}.wav", words)
        seconds = len(tones.wave(words)) / tones.RATE
        lines.append({"id": f"tones-{number}", "audio": str(file), "seconds": seconds, "pinyin": words})
    manifest = folder / "dev.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def save(path: Path, manifest: Path | None = None, *, classes: bool = False) -> Path:
    """The checkpoint; it remembers the manifest as its dev and its test set.

    Args:
        path: where it goes.
        manifest: what it remembers.
        classes: whether it tells which one tone is in a clip, and does not write all of them down.
    """
    from dfcnn_ms.runtime import checkpoint

    config = parse_config(OF_CLASSES if classes else CONFIG, "page")
    cell = config.model.build(num_bins=config.features.num_bins, num_units=len(tones.VOCABULARY))
    for name, value in weights(config).items():
        parameter = cell.parameters_dict()[name]
        parameter.set_data(type(parameter)(value.reshape(parameter.shape).astype(np.float32)))
    manifests = {} if manifest is None else {split: str(manifest.absolute()) for split in ("dev", "test")}
    checkpoint.save(path, cell, Meta(config, tones.VOCABULARY, manifests=manifests))
    return path


def weights(config: Config) -> dict[str, np.ndarray]:
    """Every second frame, its 20 bins times a matrix that is solved for on tones whose places are known."""
    silence = SILENCE if config.task == Ctc() else 0.0
    rows, targets = zip(*(_solved_on(unit, silence) for unit in tones.HERTZ), strict=True)
    features = np.concatenate(rows) + LOUDER
    known = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    matrix = np.linalg.lstsq(known, np.concatenate(targets), rcond=None)[0]  # (F + 1, V)
    one = np.ones(1)
    return {
        "blocks.0.convs.0.conv.weight": one,
        "blocks.0.convs.0.norm.beta": LOUDER * one,
        "blocks.0.convs.0.norm.gamma": np.sqrt(1 + EPSILON) * one,
        "norm.gamma": np.sqrt(1 + EPSILON) * one,
        "head.0.weight": matrix[:-1].T,
        "head.0.bias": matrix[-1],
    }


def _solved_on(unit: str, silence: float) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, F) of one syllable, and the logits that are wanted of each frame (T, V)."""
    features = tones.listener().frontend(tones.wave(unit))
    times = np.arange(len(features)) * 0.01 + 0.0125
    loud = (times > tones.PAUSE) & (times < tones.PAUSE + tones.TONE)
    wanted = np.zeros((len(features), len(tones.VOCABULARY)))
    wanted[loud, tones.VOCABULARY.encode([unit])[0]] = SOUND
    wanted[~loud, BLANK_ID] = silence
    return features, wanted
