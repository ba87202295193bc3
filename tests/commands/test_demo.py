"""The demo on another device: every step that runs a network is told of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dfcnn_ms import cli, demo
from dfcnn_ms.corpora.manifest import Utterance

ROOT = Path(__file__).parents[2]

Steps = dict[str, tuple[str, ...]]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Command -> its arguments, for each command of the demo, of which none is run."""
    told: Steps = {}

    def execute(module: str, *arguments: str, capture: bool = False) -> str:
        told[module] = arguments
        return "a.wav\tyi1\n" if capture else ""

    monkeypatch.setattr(demo, "execute", execute)
    monkeypatch.setattr(demo, "read_manifest", lambda path: [Utterance("a", "a.wav", 1.0, ("yi1",), speaker="s")])
    return told


@pytest.mark.parametrize("target", ["GPU", "Ascend", "CPU"])
def test_every_step_is_told_the_device(steps: Steps, target: str) -> None:
    demo.main(["--device_target", target, "train.epochs=1"])
    assert list(steps) == ["train", "eval", "transcribe", "plot"]
    for arguments in steps.values():
        assert arguments[arguments.index("--device_target") + 1] == target
    assert steps["train"][-1] == "train.epochs=1"
    assert steps["train"][steps["train"].index("--init") + 1] == "box"


def test_what_auto_takes_is_not_named(steps: Steps) -> None:
    demo.main([])
    assert len(steps) == 4
    assert not any("--device_target" in arguments for arguments in steps.values())


def test_a_device_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: demo.main(["--device_target", "TPU"]))
    assert left.value.code == cli.USER_ERROR
    assert "TPU" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("arguments", "ends", "adds"),
    [
        ([], "-m dfcnn_ms.demo", False),
        (["DEVICE=CPU"], "--device_target CPU", False),
        (["DEVICE=Ascend"], "--device_target Ascend", False),
        (["DEVICE=GPU"], "--device_target GPU", True),
    ],
)
def test_make_demo(tmp_path: Path, arguments: list[str], ends: str, adds: bool) -> None:
    """What make would do in a folder where nothing is installed yet; only for a GPU are the large wheels added."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "-n", "--no-print-directory", "demo", f"PYTHON={sys.executable}", *arguments]
    # `make test` is a make too, which tells those that it starts of itself.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[-1].endswith(ends)
    assert any("[cuda11]" in line for line in lines) is adds
