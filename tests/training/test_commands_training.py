"""Spoken commands on the one engine: augmented, mixed, an image network, its checkpoints, and four views of a clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tones import HERTZ, speak

from dfcnn_ms import eval as eval_command
from dfcnn_ms.config import parse_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.runtime.checkpoint import load
from dfcnn_ms.training import trainer

pytestmark = [pytest.mark.usefixtures("cpu"), pytest.mark.slow]

COUNTS = {"train": 48, "dev": 8, "test": 8}
EPOCHS, BATCH = 12, 8


@pytest.fixture
def config(tmp_path: Path) -> object:
    """Four tones, one a clip."""
    for split, count in COUNTS.items():
        lines = []
        for number in range(count):
            unit = list(HERTZ)[number % len(HERTZ)]
            path = speak(tmp_path / split / f"{number}.wav", unit)
            lines.append(Utterance(f"{split}{number}", str(path), 0.4, (unit,)))
        write_manifest(tmp_path / f"{split}.jsonl", lines)
    return parse_config(
        {
            "name": "tones",
            "task": {"kind": "classify", "mixup": 0.2},
            "data": {split: tmp_path / f"{split}.jsonl" for split in COUNTS} | {"balance": "class"},
            "features": {"kind": "clip_mel"},
            "cmvn": "global",
            "augment": {
                "wave": [{"kind": "amplitude"}, {"kind": "speed_and_pitch", "most": 0.02}, {"kind": "fix_length"}],
                "spectrum": [{"kind": "stretch"}, {"kind": "shift"}, {"kind": "fix_frames"}, {"kind": "noise"}],
            },
            "model": {"kind": "resnet", "depth": 8, "width": 0.5},
            "train": {"epochs": EPOCHS, "batch_size": BATCH, "buckets": 1, "rate": 0.02, "optimizer": "sgd"},
        },
        where="page",
    )


@pytest.mark.long
@pytest.mark.slow
def test_a_network_of_commands_learns_four_tones(
    config: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = trainer.train(config, device_target="CPU", run=tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert min(record["dev_class_error_rate"] for record in records) == result.dev_error <= 0.25
    events = b"".join(path.read_bytes() for path in (tmp_path / "run").glob("*events*"))
    assert all(curve in events for curve in (b"dev/class_error_rate", b"dev/accuracy", b"dev/loss"))
    folder = result.best.parent
    best_loss = load(folder / "best_loss.ckpt").meta
    assert best_loss.metrics["dev_loss"] == min(record["dev_loss"] for record in records)
    state = load(folder / "last.ckpt").parameters
    assert int(state["mixup_step"].asnumpy()) == EPOCHS * COUNTS["train"] // BATCH

    figures = {}
    for views in ((), ("--four-views",)):
        path = tmp_path / f"figures{len(views)}.json"
        eval_command.main(["--ckpt", str(result.best), "--device_target", "CPU", "--json", str(path), *views])
        figures[views] = json.loads(path.read_text())
    capsys.readouterr()
    assert all(page["accuracy"] == 1 - page["class_error_rate"] for page in figures.values())
    assert np.abs(figures[()]["accuracy"] - figures[("--four-views",)]["accuracy"]) <= 0.5
