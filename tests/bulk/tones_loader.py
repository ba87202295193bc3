"""A plugin for tests: the recognizer of pure tones as a stored network, a `.tones` file of JSON.

`deadly` is a syllable that ends the process which hears it, for good or, with `once`, until that file is there; `pause`
is how many seconds each batch takes.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tones import VOCABULARY, listener

from dfcnn_ms.config import parse_config
from dfcnn_ms.runtime import LOADERS, Loaded, Loader
from dfcnn_ms.runtime.meta import Meta

PAGE = {
    "data": {"train": "train.jsonl", "dev": "dev.jsonl"},
    "features": {"kind": "log_mel", "n_mels": 20},
    "cmvn": "none",
    "model": {"blocks": [{"channels": 1, "convs": 1, "pool": [2, 1]}], "hidden": []},
}


class Mortal:
    """An ear that one sound may kill."""

    def __init__(self, wishes: Mapping[str, str]) -> None:
        self.ear = listener().acoustics
        self.deadly = VOCABULARY.encode([wishes["deadly"]])[0] if "deadly" in wishes else None
        self.once = wishes.get("once")
        self.pause = float(wishes.get("pause", 0))

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_probs, steps = self.ear(features, lengths)
        if self.deadly is not None and (log_probs.argmax(axis=-1) == self.deadly).any() and self.is_time():
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.pause)
        return log_probs, steps

    def is_time(self) -> bool:
        if self.once is None:
            return True
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def load(path: Path, device_target: str) -> Loaded:
    return Loaded(Mortal(json.loads(path.read_text())), Meta(parse_config(PAGE, "page"), VOCABULARY))


def update_decoding(path: Path, values: Mapping[str, float]) -> None:
    raise NotImplementedError


LOADERS[".tones"] = Loader(load, update_decoding)
