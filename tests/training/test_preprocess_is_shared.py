"""What a page does to the sound first is the same in training and in use: the checkpoint knows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tone_checkpoint

from dfcnn_ms import train
from dfcnn_ms.audio import HighPass, NoiseReduction, Pitch, Stack
from dfcnn_ms.config import load_config
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.training.datasets import load_training

STEPS = "[{kind: high_pass, hz: 120}, {kind: noise_reduction, most_db: 9}]"
STACK = f"{{kind: stack, preprocess: {STEPS}, parts: [{{kind: log_mel, n_mels: 12}}, {{kind: pitch}}]}}"
TINY = [
    "model.blocks=[{channels: 4, convs: 1, stride: [2, 2], pool: [2, 2]}]",
    *("model.hidden=[]", "train.epochs=1", "train.buckets=1", "train.batch_size=4", "train.mode=pynative"),
    *("augment.features=[]", "data.cache=false", "cmvn=running"),
]


@pytest.mark.slow
def test_a_checkpoint_hears_what_it_was_trained_on(tmp_path: Path) -> None:
    learnt = tone_checkpoint.speak(tmp_path / "learnt")
    others = tone_checkpoint.speak(tmp_path / "others", ("er4 san1", "si4 yi1"))
    places = [f"data.train={learnt}", f"data.dev={others}", f"data.test={others}"]
    overrides = [*places, f"features={STACK}", *TINY]
    folders = ["--summary-base-dir", str(tmp_path / "summary"), "--ckpt", str(tmp_path / "dfcnn.ckpt")]
    train.main(["--device_target", "CPU", *folders, *overrides])
    network = Recognizer.load(tmp_path / "dfcnn.ckpt", "CPU")
    kind = network.frontend.features
    assert isinstance(kind, Stack) and isinstance(kind.parts[1], Pitch)
    assert kind.preprocess == (HighPass(hz=120), NoiseReduction(most_db=9))
    _, _, source = load_training(load_config("digits", overrides))
    for index in range(len(source.corpus)):
        heard = network.frontend(source.corpus.wave(index))
        np.testing.assert_array_equal(source.corpus.features(index), heard)
