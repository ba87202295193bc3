"""MindInsight reads what a training wrote: curves, pictures, histograms, graph and lineage, over its REST API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.training import trainer

pytestmark = [pytest.mark.slow, pytest.mark.long]

EPOCHS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run under a summary base folder."""
    folder = tmp_path_factory.mktemp("mindinsight")
    manifests = prepare(folder / "data", "digits", train=16, dev=4, test=4, workers=1, progress=False)
    splits = [f"data.{split}={path}" for split, path in manifests.items()]
    blocks = "model.blocks=[{channels: 4, convs: 2, stride: [2, 2], pool: [2, 2]}]"
    tiny = [blocks, "model.hidden=[8]", f"train.epochs={EPOCHS}", "train.buckets=1", "train.batch_size=8"]
    config = load_config("digits", [*splits, *tiny, "train.summary_every=1"])
    run = folder / "summary" / "digits"
    trainer.train(config, device_target="CPU", run=run)
    return run


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[str]:
    """The address of a MindInsight that serves the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(run.parent.parent),
    }
    command = [str(Path(scripts) / "mindinsight")]
    subprocess.run(
        [*command, "start", "--summary-base-dir", str(run.parent), "--port", port],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port}/v1/mindinsight"
    subprocess.run([*command, "stop", "--port", port], env=environment, check=True, capture_output=True)


def get(address: str, **query: str) -> bytes:
    with urllib.request.urlopen(f"{address}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def plugins(server: str) -> dict[str, list[str]]:
    """The tags of the run, once MindInsight has read it to its end."""
    for _ in range(60):
        found = json.loads(get(f"{server}/datavisual/plugins", train_id="./digits"))["plugins"]
        if found.get("scalar") and found.get("image") and found.get("histogram") and found.get("graph"):
            scalars = get(f"{server}/datavisual/scalar/metadata", train_id="./digits", tag=tag(found, "dev/"))
            if len(json.loads(scalars)["metadatas"]) == EPOCHS:
                return found
        time.sleep(0.5)
    pytest.fail(f"MindInsight has not read the run after 30 s: {found}")


def tag(plugins: dict[str, list[str]], start: str, plugin: str = "scalar") -> str:
    return next(name for name in plugins[plugin] if name.startswith(start))


@pytest.mark.parametrize(
    ("start", "key"),
    [("dev/syllable_error_rate", "dev_syllable_error_rate"), ("epoch/train_loss", "train_loss")],
)
def test_curves_are_the_figures_of_the_epochs(server, plugins, run, start, key):
    points = json.loads(get(f"{server}/datavisual/scalar/metadata", train_id="./digits", tag=tag(plugins, start)))[
        "metadatas"
    ]
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [epoch["step"] for epoch in epochs]
    assert [point["value"] for point in points] == pytest.approx([epoch[key] for epoch in epochs], rel=1e-5)


def test_every_step_is_on_the_loss_and_rate_curves(server, plugins):
    for name in ("train/loss", "train/learning_rate", "train/gradient_norm"):
        points = json.loads(get(f"{server}/datavisual/scalar/metadata", train_id="./digits", tag=tag(plugins, name)))[
            "metadatas"
        ]
        assert [point["step"] for point in points] == list(range(1, 2 * EPOCHS + 1))


def test_the_spectrograms_are_pictures(server, plugins):
    name = tag(plugins, "input/spectrograms", "image")
    step = json.loads(get(f"{server}/datavisual/image/metadata", train_id="./digits", tag=name))["metadatas"][0]
    picture = get(f"{server}/datavisual/image/single-image", train_id="./digits", tag=name, step=str(step["step"]))
    assert picture.startswith(b"\x89PNG")


def test_weights_have_histograms(server, plugins):
    name = tag(plugins, "head.0.weight", "histogram")
    assert json.loads(get(f"{server}/datavisual/histograms", train_id="./digits", tag=name))["histograms"]


def test_the_graph_has_nodes(server, plugins):
    nodes = json.loads(get(f"{server}/datavisual/graphs/nodes", train_id="./digits", tag=plugins["graph"][0]))
    assert nodes["nodes"]


def test_lineage_says_what_was_trained_and_to_what_error(server, plugins, run):
    request = urllib.request.Request(
        f"{server}/lineagemgr/lineages", data=b"{}", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        lineage = json.loads(answer.read())["object"][0]
    learned = lineage["model_lineage"]
    assert learned["network"] == "Dfcnn"
    assert (learned["epoch"], learned["batch_size"], learned["loss_function"]) == (EPOCHS, 8, "CTCLoss")
    best = min(json.loads(line)["dev_syllable_error_rate"] for line in (run / "metrics.jsonl").read_text().splitlines())
    assert learned["user_defined"]["dev_syllable_error_rate"] == pytest.approx(best)
