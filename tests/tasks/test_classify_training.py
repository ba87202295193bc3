"""Classification on the one engine: its loss against NumPy, its network alone and in a batch, and a whole training."""

from __future__ import annotations

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from tones import HERTZ, speak, wave

from dfcnn_ms import eval as eval_command
from dfcnn_ms import transcribe
from dfcnn_ms.config import load_config, parse_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.models import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.tasks.cells.losses import CrossEntropy
from dfcnn_ms.training import trainer

pytestmark = pytest.mark.usefixtures("cpu")


def in_numpy(logits: np.ndarray, labels: np.ndarray, lengths: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean loss and its gradient in float64, over the rows with exactly one label."""
    rows = np.flatnonzero(lengths == 1)
    shifted = logits[:, 0] - logits[:, 0].max(axis=-1, keepdims=True)
    shares = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    gradient = np.zeros_like(logits)
    gradient[rows, 0] = shares[rows] / max(1, len(rows))
    gradient[rows, 0, labels[rows, 0]] -= 1 / max(1, len(rows))
    loss = -np.log(shares[rows, labels[rows, 0]]).sum() / max(1, len(rows))
    return float(loss), gradient


@pytest.mark.parametrize("lengths", [[1, 1, 1, 1], [1, -1, 1, -1], [0, 2, 1, 1], [-1, -1, -1, -1]])
def test_value_and_gradient_are_those_of_numpy(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 1, 6)) * 4, rng.integers(2, 6, (4, 3))
    steps, counts = Tensor(np.ones(4), ms.int32), Tensor(lengths, ms.int32)

    def loss(x: Tensor) -> Tensor:
        return CrossEntropy()(x, steps, Tensor(labels, ms.int32), counts)

    value, gradient = ms.value_and_grad(loss)(Tensor(logits, ms.float32))
    wanted = in_numpy(logits, labels, np.array(lengths))
    assert float(value.asnumpy()) == pytest.approx(wanted[0], rel=1e-5, abs=1e-7)
    np.testing.assert_allclose(gradient.asnumpy(), wanted[1], atol=1e-6)


def test_a_clip_too_short_for_a_step_teaches_nothing() -> None:
    logits = Tensor(np.random.default_rng(1).normal(size=(2, 1, 5)), ms.float32)
    labels, counts = Tensor([[2], [3]], ms.int32), Tensor([1, 1], ms.int32)
    both = CrossEntropy()(logits, Tensor([1, 0], ms.int32), labels, counts)
    one = CrossEntropy()(logits[:1], Tensor([1], ms.int32), labels[:1], counts[:1])
    assert float(both.asnumpy()) == pytest.approx(float(one.asnumpy()))


def test_a_clip_is_the_same_alone_and_among_longer_ones() -> None:
    value = Dfcnn(blocks=(Block(4, pool=(2, 2)), Block(5, convs=1, stride=(2, 1))), hidden=(6,), over_time="mean")
    network = value.build(num_bins=8, num_units=7)
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.moving_mean.set_data(Tensor(np.random.default_rng(2).normal(size=cell.moving_mean.shape), ms.float32))
    rng = np.random.default_rng(3)
    clips = [rng.normal(size=(length, 8)).astype(np.float32) for length in (20, 47, 64)]
    batch = np.zeros((3, 1, 64, 8), np.float32)
    for row, clip in enumerate(clips):
        batch[row, 0, : len(clip)] = clip
    together, steps = Acoustic(network)(batch, np.array([20, 47, 64]))
    assert together.shape == (3, 1, 7) and steps.tolist() == [1, 1, 1]
    for row, clip in enumerate(clips):
        alone, _ = Acoustic(network)(clip[None, None], np.array([len(clip)]))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
    assert Acoustic(network).steps(np.array([1, 20])).tolist() == [0, 1]


@pytest.mark.long
@pytest.mark.slow
def test_trained_evaluated_reported_and_transcribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four tones, one a clip: the figure that decides, the accuracy, a confusion matrix, and what a file is."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, count in (("train", 120), ("dev", 24), ("test", 24)):
        lines = []
        for number in range(count):
            unit = list(HERTZ)[number % len(HERTZ)]
            path = speak(tmp_path / split / f"{number}.wav", " ".join([unit] * int(rng.integers(1, 3))))
            seconds = len(wave(" ".join([unit]))) / 16_000
            lines.append(Utterance(f"{split}{number}", str(path), seconds, (unit,)))
        write_manifest(f"{split}.jsonl", lines)
    config = parse_config(
        {
            "name": "tones",
            "task": {"kind": "classify"},
            "data": {split: f"{split}.jsonl" for split in ("train", "dev", "test")},
            "features": {"kind": "log_mel", "n_mels": 20},
            "model": {"blocks": [{"channels": 8, "convs": 1, "pool": [2, 2]}], "hidden": [8], "over_time": "mean"},
            "train": {"epochs": 6, "batch_size": 8, "buckets": 1, "rate": 0.02},
        },
        where="page",
    )
    result = trainer.train(config, device_target="CPU", run=tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert (result.unit, result.dev_error) == ("class", 0.0)
    assert records[-1]["dev_accuracy"] == 1 - records[-1]["dev_class_error_rate"] == 1.0
    assert "loss_per_class" in records[-1] and "blank_fraction" not in records[-1]

    ckpt = ["--ckpt", str(result.best), "--device_target", "CPU"]
    eval_command.main([*ckpt, "--json", "figures.json", "--report", "report.html"])
    table = capsys.readouterr().out
    assert "class error rate     0.00 %" in table and "accuracy             100.00 %" in table
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["class_error_rate"], figures["accuracy"], figures["unit"]) == (0.0, 1.0, "class")
    assert [one["decoder"] for one in figures["decoders"]] == ["classes"]
    assert "0.00\N{NO-BREAK SPACE}% of the classes wrong" in Path("report.html").read_text(encoding="utf-8")

    transcribe.main([*ckpt, "--nbest", "4", "test/1.wav"])
    first, *others = capsys.readouterr().out.splitlines()
    assert first.split("\t")[3] == list(HERTZ)[1]
    assert {line.split("\t")[3] for line in [first, *others]} == set(HERTZ)


def test_the_shipped_page_is_one_of_classes() -> None:
    config = load_config("words")
    assert (config.unit, config.target, config.model.frames_per_step) == ("class", "dev_class_error_rate", None)
