"""The same work by Ray Data: the same lines as without it, and what kills is told apart from what was killed.

Ray wants another protobuf than MindInsight, so these run where the package is installed without MindSpore:
`pip install 'dfcnn-ms[ray]'`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tones import HERTZ, speak

from dfcnn_ms import transcribe
from dfcnn_ms.bulk import items
from dfcnn_ms.errors import CheckpointError, DataError

ray = pytest.importorskip("ray", reason="Ray is not installed here; it goes with dfcnn-ms[ray] alone")
pytestmark = pytest.mark.slow

PLUGIN = Path(__file__).with_name("tones_loader.py")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A small Ray of this machine, whose workers find the package and the tones."""
    paths = [str(PLUGIN.parents[1]), str(PLUGIN.parents[2])]
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}})
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(items, "CHUNK", 3)
    units = [unit for unit in HERTZ if unit != "si4"]
    for number in range(20):
        speak(Path(f"set/{number:02}.wav"), " ".join(units[: number % 4]))
    Path("set/bad.wav").write_text("text")
    Path("net.tones").write_text("{}")
    return tmp_path


def hear(engine: str, *arguments: str) -> list[dict[str, Any]]:
    """The lines of a file of the engine's own; one recording of them cannot be heard."""
    out = Path(f"{engine}.jsonl")
    with pytest.raises(DataError, match=r"^[12] of \d\d recordings could not be heard"):
        given = ["--plugin", str(PLUGIN), "--ckpt", "net.tones", "--engine", engine, "--workers", "2", *arguments]
        transcribe.main([*given, "--out", str(out)])
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_the_same_bytes_as_on_one_machine_and_gone_on_with(folder: Path) -> None:
    assert hear("ray", "set") == hear("local", "set")
    whole = Path("local.jsonl").read_bytes()
    Path("ray.jsonl").write_bytes(whole[: len(whole) // 2])
    hear("ray", "set")
    assert Path("ray.jsonl").read_bytes() == whole


def test_a_worker_that_is_killed_costs_nothing(folder: Path) -> None:
    wanted = hear("local", "set")
    Path("net.tones").write_text('{"pause": 0.2}')
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            found = [one for one in psutil.process_iter(["cmdline"]) if is_actor(one)]
            for one in found[:1]:
                one.kill()
                killed.append(one.pid)
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    found = hear("ray", "set")
    thread.join(10)
    assert killed
    assert [without_origin(one) for one in found] == [without_origin(one) for one in wanted]


def without_origin(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "made_with"}


def is_actor(process: psutil.Process) -> bool:
    """Whether it is a worker of ours in the middle of a chunk."""
    line = " ".join(process.info["cmdline"] or [])
    return line.startswith("ray::MapWorker") and "__init__" not in line


def test_a_recording_that_kills_twice_is_bad_and_the_others_are_heard(folder: Path) -> None:
    wanted = {one["id"]: without_origin(one) for one in hear("local", "set")}
    Path("net.tones").write_text('{"deadly": "si4"}')
    speak(Path("set/05a.wav"), "er4 si4")
    found = {one["id"]: without_origin(one) for one in hear("ray", "set")}
    said = found.pop("set/05a.wav")["error"]
    assert said.startswith("set/05a.wav: the process that heard it was killed, twice; look at it")
    assert found == wanted


def test_a_network_that_cannot_be_used_is_one_sentence(folder: Path) -> None:
    Path("bad.onnx").write_text("nothing")
    with pytest.raises(CheckpointError, match=r"^bad\.onnx: "):
        transcribe.main(["--engine", "ray", "--ckpt", "bad.onnx", "--out", "out.jsonl", "set"])
