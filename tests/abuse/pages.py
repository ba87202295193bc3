"""The page of a training, and what the command line changes in it, as formats that can be damaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mutate import damaged_text, damaged_values
from reading import Format

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import MOST_PARAMETERS, Config, load_config

OVERRIDES = """\
name=mine
train.epochs=3
train.rate=1e-3
train.schedule={kind: cosine, warmup_epochs: 0.5}
features.n_mels=40
model.hidden=[64]
model.blocks.0.channels=8
model.dropout=0.1
augment.features=[{kind: spec_augment}]
data.max_seconds=12.5
cmvn=utterance
task.kind=ctc
"""


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float):
        yield value


def _check(config: Config, again: Path) -> None:
    """What is accepted is written as a page that says the same, and can be used."""
    again.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(str(again)) == config
    assert all(math.isfinite(number) for number in _numbers(config.model_dump(mode="json")))
    assert 0 < config.model.parameters(num_bins=config.features.num_bins, num_units=3) <= MOST_PARAMETERS
    wave = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    features = Frontend(config.features, config.cmvn)(wave)
    assert features.shape[1] == config.features.num_bins and np.isfinite(features).all()
    factors = config.train.schedule.factors(3, 10)
    assert np.isfinite(factors).all()


def _use_page(path: Path) -> None:
    _check(load_config(str(path)), path.with_name("again.yaml"))


def _use_overrides(path: Path) -> None:
    words = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    _check(load_config("digits", filter(None, words)), path.with_name("again.yaml"))


FORMATS = {
    "page": Format(lambda: load_config("digits").to_yaml().encode(), damaged_values, _use_page, ".yaml"),
    "overrides": Format(OVERRIDES.encode, damaged_text, _use_overrides, ".txt"),
}
