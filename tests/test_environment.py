"""Before MindSpore: the oneDNN guard only where it is needed and never against the user; what a GPU needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

import pytest

from dfcnn_ms import cuda
from dfcnn_ms.environment import VARIABLE, needs_guard, prepare_for_mindspore

LOG_LEVEL = "GLOG_v"


@pytest.mark.parametrize(
    ("version", "machine", "environment", "needed"),
    [
        ((2, 9), "x86_64", {}, True),
        ((2, 10), "x86_64", {}, True),  # a later version than 2.9, though "10" sorts before "9"
        ((3, 0), "AMD64", {}, True),
        ((2, 8), "x86_64", {}, False),
        ((2, 7), "x86_64", {}, False),
        ((2, 9), "aarch64", {}, False),
        ((2, 9), "arm64", {}, False),
        ((2, 9), "x86_64", {VARIABLE: "AVX512_CORE"}, False),
        ((2, 9), "x86_64", {VARIABLE: ""}, False),
        (None, "x86_64", {}, False),
    ],
)
def test_where_the_guard_is_needed(
    version: tuple[int, int] | None, machine: str, environment: dict[str, str], needed: bool
) -> None:
    assert needs_guard(version, machine, environment) is needed


def installed(monkeypatch: pytest.MonkeyPatch, version: str | None, machine: str = "x86_64") -> None:
    """Pretends that a version of MindSpore, or none, is installed on a machine; no variable is set."""

    def find(name: str) -> str:
        assert name == "mindspore"
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", find)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for variable in (VARIABLE, LOG_LEVEL):
        monkeypatch.setenv(variable, "")  # so that it is put back whatever the guard does
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("version", ["2.9.0", "2.10.0", "2.9.0rc1", "3.0.0.dev20270101"])
def test_a_slow_version_is_held_at_avx2(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    installed(monkeypatch, version)
    prepare_for_mindspore()
    assert os.environ[VARIABLE] == "AVX2"


@pytest.mark.parametrize(
    ("version", "machine"), [("2.8.0", "x86_64"), ("2.9.0", "aarch64"), (None, "x86_64"), ("unknown", "x86_64")]
)
def test_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, version: str | None, machine: str) -> None:
    installed(monkeypatch, version, machine)
    prepare_for_mindspore()
    assert VARIABLE not in os.environ
    assert os.environ[LOG_LEVEL] == "3"


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "2.9.0")
    monkeypatch.setenv(VARIABLE, "AVX512_CORE")
    monkeypatch.setenv(LOG_LEVEL, "1")
    prepare_for_mindspore()
    assert os.environ[VARIABLE] == "AVX512_CORE"
    assert os.environ[LOG_LEVEL] == "1"


def test_doing_it_twice_is_doing_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "2.9.0")
    prepare_for_mindspore()
    before = dict(os.environ)
    prepare_for_mindspore()
    assert dict(os.environ) == before


@pytest.mark.parametrize(("target", "loads"), [("auto", 1), ("GPU", 1), ("CPU", 0), ("Ascend", 0)])
def test_what_a_gpu_needs_is_loaded_for_gpu_and_auto(monkeypatch: pytest.MonkeyPatch, target: str, loads: int) -> None:
    installed(monkeypatch, "2.8.0")
    loaded: list[bool] = []
    monkeypatch.setattr(cuda, "load", lambda: loaded.append(True))
    monkeypatch.setattr(sys, "argv", ["train", "--device_target", target])
    prepare_for_mindspore()
    assert len(loaded) == (loads if sys.platform == "linux" else 0)
