"""What a GPU needs: each sentence, and machines of several sorts from beginning to end."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from dfcnn_ms import cuda
from dfcnn_ms.diagnosis import gpu
from dfcnn_ms.diagnosis.elf import CardCode, Symbols
from dfcnn_ms.diagnosis.gpu import Card, Found
from dfcnn_ms.diagnosis.result import CheckResult

CODE = CardCode(machine=((6, 0), (8, 0)), ptx=((8, 6),))
WANTED = {"libcublas.so.11": frozenset({"cublasCreate", "cublasGemm"}), "libcudnn.so.8": frozenset({"cudnnCreate"})}
WHEEL = Found("the wheel x 1")
ALL = {library.file: WHEEL for library in cuda.LIBRARIES}


def card(name: str, *capability: int) -> Card:
    return Card(name, capability, "80 GiB")  # type: ignore[arg-type]


JUDGED = {
    "no driver": (gpu.judge_driver(None), "warn", "no NVIDIA driver (libcuda.so.1)", "docker run --gpus all"),
    "a driver": (gpu.judge_driver(12040), "ok", "libcuda.so.1, made for CUDA 12.4", ""),
    "the oldest driver": (gpu.judge_driver(11000), "ok", "libcuda.so.1, made for CUDA 11.0", ""),
    "an old driver": (gpu.judge_driver(10020), "warn", "made for CUDA 10.2; wanted 11.0 or later", "450.80"),
    "plugin, no driver": (
        gpu.judge_plugin(3, ALL, None, "libcuda.so.1: cannot open shared object file"),
        "ok",
        "all 3 names that it wants of NVIDIA's libraries are there; the rest are the driver's",
        "",
    ),
    "plugin": (
        gpu.judge_plugin(3, ALL, 12040, ""),
        "ok",
        "libmindspore_gpu.so.11.6: all 3 names that it wants of NVIDIA's libraries are there, and it is loaded",
        "",
    ),
    "plugin that the linker refuses": (
        gpu.judge_plugin(3, ALL, 12040, "undefined symbol: cuNew"),
        "warn",
        "are there, but it cannot be loaded: undefined symbol: cuNew",
        "driver",
    ),
    "plugin without a library": (
        gpu.judge_plugin(3, {**ALL, "libcudnn.so.8": Found("")}, 12040, "x"),
        "warn",
        "libmindspore_gpu.so.11.6 cannot be loaded without libcudnn.so.8",
        "pip install 'dfcnn-ms[cuda11]'",
    ),
    "plugin without libraries": (
        gpu.judge_plugin(3, {file: Found("") for file in ALL}, None, ""),
        "warn",
        "libmindspore_gpu.so.11.6 cannot be loaded without the 9 libraries",
        "pip install 'dfcnn-ms[cuda11]'",
    ),
    "plugin without a name": (
        gpu.judge_plugin(3, {**ALL, "libcublas.so.11": Found("the system", "", ("cublasGemm",))}, 12040, ""),
        "warn",
        "libmindspore_gpu.so.11.6 wants 3 names and does not find 1, such as cublasGemm of libcublas.so.11",
        "pip install 'dfcnn-ms[cuda11]' --force-reinstall",
    ),
    "code": (
        gpu.judge_code(CODE),
        "ok",
        "MindSpore's kernels are made for compute capability 6.0, 8.0; a driver can translate those of 8.6 (PTX)",
        "",
    ),
    "card with code": (
        gpu.judge_card(card("A100", 8, 0), CODE),
        "ok",
        "A100, 80 GiB, compute capability 8.0: MindSpore's kernels run as they are",
        "",
    ),
    "later card": (
        gpu.judge_card(card("H100", 9, 0), CODE),
        "ok",
        "H100, 80 GiB, compute capability 9.0: each kernel is translated at its first use, and kept for later runs",
        "",
    ),
    "old card": (
        gpu.judge_card(card("M40", 5, 2), CODE),
        "warn",
        "M40, 80 GiB, compute capability 5.2; MindSpore's kernels begin at 6.0",
        "go on with the CPU",
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_made_of_it(name: str) -> None:
    found, mark, says, cure = JUDGED[name]
    assert (found.mark, bool(found.cure)) == (mark, mark != "ok")
    assert says in found.says and cure in found.cure


def test_each_library_and_where_from() -> None:
    libraries = {
        "libcublas.so.11": Found("the wheel nvidia-cublas-cu11 11.11.3.6"),
        "libcudnn.so.8": Found("the system"),
        "libcufft.so.10": Found("the wheel nvidia-cufft-cu11 10", "file too short"),
        "libcurand.so.10": Found(""),
        "libnvrtc.so.11.2": Found(""),
    }
    assert list(gpu.judge_libraries(libraries)) == [
        CheckResult("ok", "cublas", "libcublas.so.11 from the wheel nvidia-cublas-cu11 11.11.3.6"),
        CheckResult("ok", "cudnn", "libcudnn.so.8 from the system"),
        CheckResult(
            "warn",
            "cufft",
            "libcufft.so.10 from the wheel nvidia-cufft-cu11 10 cannot be loaded: file too short",
            "pip install 'dfcnn-ms[cuda11]' --force-reinstall",
        ),
        CheckResult(
            "warn", "libraries", "missing: libcurand.so.10, libnvrtc.so.11.2", "pip install 'dfcnn-ms[cuda11]'"
        ),
    ]


def test_cards_that_nvidia_smi_tells_of() -> None:
    told = "NVIDIA H100 80GB HBM3, 9.0, 81559 MiB\nCard, with a comma, 8.6, 24 GiB\n\n[N/A], [N/A], 3 MiB\nno devices\n"
    assert gpu.cards_told(told) == [
        Card("NVIDIA H100 80GB HBM3", (9, 0), "81559 MiB"),
        Card("Card, with a comma", (8, 6), "24 GiB"),
    ]
    assert [one.mark for one in gpu.judge_cards(told, CODE)] == ["ok", "ok"]
    (none,) = gpu.judge_cards("", CODE)
    assert (none.mark, none.says) == ("warn", "nvidia-smi names none with its compute capability")


class Driver:
    """Answers as the driver does."""

    def __init__(self, version: int) -> None:
        self.version = version

    def cuDriverGetVersion(self, answer: ctypes._Pointer[ctypes.c_int]) -> int:  # noqa: N802 (its name)
        answer._obj.value = self.version  # type: ignore[attr-defined]
        return 0


def linker(driver: object, system: dict[str, object], wheels: dict[str, object]) -> Callable[..., object]:
    """Opens the driver, libraries of the system by name, and those of wheels by path."""

    def open_library(path: str, mode: int = 0) -> object:
        name = Path(path).name
        known = wheels if "/" in path else {**system, cuda.DRIVER: driver}
        if known.get(name) is None:
            raise OSError(f"{name}: cannot open shared object file")
        return known[name]

    return open_library


def test_the_version_of_the_driver() -> None:
    assert gpu.driver_version(linker(Driver(12040), {}, {})) == 12040
    assert gpu.driver_version(linker(object(), {}, {})) == 0
    assert gpu.driver_version(linker(None, {}, {})) is None


class Anything:
    """A library that has every name."""

    def __getattr__(self, name: str) -> str:
        return name


FULL = {library.file: Anything() for library in cuda.LIBRARIES} | {part: Anything() for part in gpu.CUDNN_PARTS}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[CheckResult]]:
    """Examines a machine on which these things are; its MindSpore has a plugin unless told otherwise."""

    def examined(
        *, driver: object = None, system: dict[str, object] | None = None, wheels: dict[str, object] | None = None,
        has_card: bool = False, plugin: bool = True, smi: str = "", complaint: str = "",
    ) -> list[CheckResult]:  # fmt: skip
        wheels = wheels or {}
        monkeypatch.setattr(cuda, "in_wheel", lambda one: tmp_path / one.file if one.file in wheels else None)
        monkeypatch.setattr(cuda, "in_package", lambda package, file: tmp_path / file if plugin else None)
        monkeypatch.setattr(gpu, "symbols", lambda path: Symbols(WANTED))
        monkeypatch.setattr(gpu, "card_code", lambda path: CODE)
        monkeypatch.setattr(gpu, "nvidia_smi", lambda: smi)
        return list(gpu.examine(complaint, has_card, linker(driver, system or {}, wheels)))

    return examined


Machine = Callable[..., list[CheckResult]]


def test_a_machine_without_any_of_it_hears_nothing(machine: Machine) -> None:
    assert machine() == []


def test_the_wheels_and_no_driver(machine: Machine) -> None:
    driver, *rest = machine(wheels=FULL)
    assert (driver.mark, driver.says) == ("warn", "no NVIDIA driver (libcuda.so.1)")
    assert {one.mark for one in rest} == {"ok"}
    assert len(rest) == len(cuda.LIBRARIES) + 2  # the plugin and its code
    assert all(
        f"from the wheel {library.wheel}" in one.says for library, one in zip(cuda.LIBRARIES, rest, strict=False)
    )


def test_the_wheels_a_driver_and_a_card(machine: Machine) -> None:
    told = machine(driver=Driver(12080), wheels=FULL, has_card=True, smi="NVIDIA H100, 9.0, 80 GiB")
    assert {one.mark for one in told} == {"ok"}
    assert told[-1].says.startswith("NVIDIA H100, 80 GiB, compute capability 9.0")
    assert "and it is loaded" in told[-3].says


def test_a_driver_and_no_libraries(machine: Machine) -> None:
    told = machine(driver=Driver(12080), has_card=True)
    cures = {one.cure for one in told if one.mark == "warn" and one.check != "card"}
    assert cures == {"pip install 'dfcnn-ms[cuda11]'"}
    assert any(one.says.startswith("missing: libcudart.so.11.0, ") for one in told)


def test_libraries_of_the_system(machine: Machine) -> None:
    told = machine(driver=Driver(11060), system=FULL, smi="T4, 7.5, 16 GiB")
    assert "libcublas.so.11 from the system" in [one.says for one in told]


def test_a_library_that_lacks_a_name(machine: Machine) -> None:
    (plugin,) = [one for one in machine(wheels=FULL | {"libcublas.so.11": object()}) if one.check == "plugin"]
    assert "wants 3 names and does not find 2, such as cublasCreate of libcublas.so.11" in plugin.says


def test_a_cudnn_whose_parts_cannot_be_loaded(machine: Machine) -> None:
    """As where there is no libz.so.1: cuDNN itself would end the process at the first convolution."""
    (cudnn,) = [one for one in machine(wheels=FULL | {gpu.CUDNN_PARTS[1]: None}) if one.check == "cudnn"]
    assert cudnn.mark == "warn" and f"cannot be loaded: {gpu.CUDNN_PARTS[1]}" in cudnn.says


def test_a_mindspore_without_the_plugin(machine: Machine) -> None:
    last = machine(driver=Driver(12080), wheels=FULL, plugin=False)[-1]
    assert (last.mark, last.says) == ("warn", "MindSpore has no libmindspore_gpu.so.11.6")
    assert "x86-64 Linux" in last.cure


def test_what_the_installed_mindspore_wants_is_read() -> None:
    """The real plugin against libraries that have every name; the number is that of the names in its file."""
    names = sum(len(gpu.symbols(gpu_plugin()).wanted.get(library.file, ())) for library in cuda.LIBRARIES)
    told = list(gpu.examine("", True, lambda path, mode=0: Anything() if path != cuda.DRIVER else Driver(12080)))
    (plugin,) = [one for one in told if one.check == "plugin"]
    assert names > 200 and plugin.says.startswith(f"{cuda.PLUGIN.name}: all {names} names")


def gpu_plugin() -> Path:
    path = cuda.in_package("mindspore", cuda.PLUGIN)
    assert path is not None
    return path


def program(folder: Path, name: str, script: str) -> Path:
    """A folder for PATH with one program in it."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder


def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for exactly what is read afterwards; one that fails, as without a driver, has said nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.nvidia_smi() == ""
    program(tmp_path, "nvidia-smi", 'test "$1" = --query-gpu=name,compute_cap,memory.total && echo "A100, 8.0, 80 GiB"')
    assert gpu.cards_told(gpu.nvidia_smi()) == [Card("A100", (8, 0), "80 GiB")]
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert gpu.nvidia_smi() == ""
