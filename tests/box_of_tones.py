"""A network in the box that hears the language of tones, made without MindSpore, and what comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tone_checkpoint
import tones

from dfcnn_ms.config import parse_config
from dfcnn_ms.decoding.hanzi import HanziModel
from dfcnn_ms.decoding.hanzi.lexicon import build_lexicon
from dfcnn_ms.decoding.hanzi.word_model import learn
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.exporting.boxed import Parts, files_of, write_files
from dfcnn_ms.runtime.half import Half
from dfcnn_ms.runtime.meta import Meta

#: how the syllables are written
WRITTEN = dict(zip(tones.HERTZ, "一二三四", strict=True))
DECODING = {"lm_weight": 0.25, "length_bonus": 0.5}


def characters(said: str) -> str:
    """What is written for syllables."""
    return "".join(WRITTEN[unit] for unit in said.split())


def network(path: Path, **changes: Any) -> Path:
    """The network in half precision; `changes` replace values of its meta data."""
    config = changes.pop("config", None) or parse_config(tone_checkpoint.CONFIG, "page")
    meta = Meta(config, tones.VOCABULARY, **{"decoding": DECODING} | changes)
    weights = tone_checkpoint.weights(config)
    weights["blocks.0.convs.0.conv.weight"] = np.ones((1, 1, 1, 1))
    weights["head.0.weight"] = weights["head.0.weight"][:, None, None]
    for norm in ("blocks.0.convs.0.norm", "norm"):
        weights |= {f"{norm}.moving_mean": np.zeros(1), f"{norm}.moving_variance": np.ones(1)}
        weights.setdefault(f"{norm}.beta", np.zeros(1))
    weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    path.write_bytes(Half.of(meta, weights).to_bytes())
    return path


def parts(folder: Path, **changes: Any) -> Parts:
    """What a box is made of."""
    network(folder / "net.npz", **changes)
    train([said.split() for said in tone_checkpoint.SAID], order=2).save(folder / "lm.arpa")
    spelt = {written: [(0.0, (unit,))] for unit, written in WRITTEN.items()}
    lexicon = build_lexicon([(word, 10.0, "n") for word in spelt], lambda word: spelt[word])
    HanziModel(lexicon, learn(lexicon)).save(folder / "hanzi.bin")
    return Parts(folder / "net.npz", folder / "lm.arpa", folder / "hanzi.bin")


def make(folder: Path) -> Path:
    """A folder that can stand where the package has its own."""
    (folder / "parts").mkdir(parents=True)
    made = parts(folder / "parts")
    write_files(files_of(made), folder / "assets", made)
    return folder / "assets"
