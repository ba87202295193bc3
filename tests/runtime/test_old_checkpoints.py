"""A checkpoint of version 0.1.0, from before networks and tasks had names: it stays readable for ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.models import Dfcnn
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.tasks import Ctc
from dfcnn_ms.training.history import History

pytestmark = pytest.mark.usefixtures("cpu")
DATA = Path(__file__).parents[1] / "data"
KEPT = DATA / "kept_0.1.0.ckpt"
EXPECTED = json.loads((DATA / "kept_0.1.0.json").read_text())


def test_it_hears_what_it_heard() -> None:
    recognizer = Recognizer.load(KEPT, "CPU")
    features = np.random.default_rng(1).normal(size=(50, 40)).astype(np.float32)
    outputs = recognizer.outputs([features])
    assert (int(outputs.steps[0]), len(recognizer.vocabulary)) == (EXPECTED["steps"], EXPECTED["units"])
    np.testing.assert_allclose(outputs.of(0), EXPECTED["log_probs"], atol=2e-5)
    assert recognizer.read([features])[0].text == EXPECTED["text"]


def test_it_knows_its_network_and_its_task() -> None:
    meta = checkpoint.load(KEPT).meta
    assert isinstance(meta.config.model, Dfcnn) and meta.config.task == Ctc()
    assert (meta.config.unit, meta.config.target) == ("syllable", "dev_syllable_error_rate")
    assert (meta.epoch, meta.dev_error) == (EXPECTED["epoch"], EXPECTED["dev"])


def test_its_training_can_go_on() -> None:
    meta = checkpoint.load(KEPT).meta
    assert meta.training is not None and "target" not in meta.training["history"]
    history = History.from_dict(meta.training["history"], None)
    assert (history.unit, history.target) == ("syllable", "dev_syllable_error_rate")
    assert history.best() == min(record["dev_syllable_error_rate"] for record in history.epochs)
    again = History.from_dict(json.loads(json.dumps(history.to_dict())), None)
    assert again == history
