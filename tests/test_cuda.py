"""NVIDIA's libraries from wheels: which, in which order, and when nothing at all is done."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfcnn_ms import cuda

ROOT = Path(__file__).parents[1]

#: what each library asks the linker for, of this list: read out of them with readelf
NEEDS = {
    "libcublas.so.11": {"libcublasLt.so.11"},
    "libcusolver.so.11": {"libcublas.so.11", "libcublasLt.so.11"},
    cuda.PLUGIN.name: {
        "libcublas.so.11", "libcurand.so.10", "libcudnn.so.8", "libcudart.so.11.0", "libcuda.so.1", "libcusolver.so.11",
        "libcufft.so.10", "libcusparse.so.11", "libnvrtc.so.11.2",
    },
}  # fmt: skip
LAST = [library.file for library in cuda.LIBRARIES] + [cuda.PLUGIN.name]


class Linker:
    """Opens files that are there after all that they need; remembers what it opened, and how."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.opened: list[tuple[str, int]] = []

    def __call__(self, path: str, mode: int = ctypes.DEFAULT_MODE) -> None:
        name = Path(path).name
        missing = NEEDS.get(name, set()) - {file for file, _ in self.opened}
        if missing or name in self.broken or (name != cuda.DRIVER and not Path(path).is_file()):
            raise OSError(f"{missing or name}: cannot open shared object file: No such file or directory")
        self.opened.append((name, mode))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.opened]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with all wheels and a MindSpore that nobody has imported."""
    files = [tmp_path / "nvidia" / library.folder / "lib" / library.file for library in cuda.LIBRARIES]
    for file in [*files, tmp_path / "mindspore" / cuda.PLUGIN]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    def find(name: str) -> SimpleNamespace | None:
        folder = tmp_path / name
        return SimpleNamespace(submodule_search_locations=[str(folder)]) if folder.is_dir() else None

    monkeypatch.setattr(cuda.importlib.util, "find_spec", find)
    monkeypatch.delitem(sys.modules, "mindspore", raising=False)
    return tmp_path


def test_all_are_loaded_in_an_order_that_resolves(site: Path) -> None:
    linker = Linker()
    assert cuda.load(linker, {})
    assert linker.names == [cuda.DRIVER, *LAST]
    # found by name afterwards: all but the plugin, which nobody asks for
    assert {mode for name, mode in linker.opened if name != cuda.PLUGIN.name} == {ctypes.RTLD_GLOBAL}


def test_what_mindspore_reads_of_the_environment(site: Path) -> None:
    environment = {"CUDA_HOME": "/usr/local/cuda-12.4", "LD_LIBRARY_PATH": "/opt/lib", "PATH": "/bin"}
    assert cuda.load(Linker(), environment)
    *folders, last = environment["LD_LIBRARY_PATH"].split(":")
    assert last == "/opt/lib"
    assert sorted(folders) == sorted({str(site / "nvidia" / library.folder / "lib") for library in cuda.LIBRARIES})
    assert environment == {
        "PATH": "/bin", "CUDA_MODULE_LOADING": "LAZY", "LD_LIBRARY_PATH": environment["LD_LIBRARY_PATH"],
    }  # fmt: skip


def test_what_the_user_says_of_loading_stays(site: Path) -> None:
    environment = {"CUDA_MODULE_LOADING": "EAGER"}
    assert cuda.load(Linker(), environment)
    assert environment["CUDA_MODULE_LOADING"] == "EAGER"
    assert not environment["LD_LIBRARY_PATH"].endswith(":")  # an empty entry would be the current folder


def test_without_a_driver_nothing_else_is_looked_for(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "in_package", lambda *_: pytest.fail("looked for a file"))
    environment: dict[str, str] = {}
    linker = Linker(cuda.DRIVER)
    assert not cuda.load(linker, environment)
    assert linker.names == [] and environment == {}


@pytest.mark.parametrize("file", LAST)
def test_without_one_of_the_files_nothing_but_the_driver_is_loaded(site: Path, file: str) -> None:
    (lost,) = site.rglob(file)
    lost.unlink()
    environment = {"CUDA_HOME": "/usr/local/cuda-11.6"}
    linker = Linker()
    assert not cuda.load(linker, environment)
    assert linker.names == [cuda.DRIVER]
    assert environment == {"CUDA_HOME": "/usr/local/cuda-11.6"}


@pytest.mark.parametrize("file", LAST)
def test_one_that_cannot_be_loaded_is_no_error(site: Path, file: str) -> None:
    environment: dict[str, str] = {}
    assert not cuda.load(Linker(file), environment)
    assert environment == {}


def test_without_the_packages(tmp_path: Path, site: Path) -> None:
    for package in ("nvidia", "mindspore"):
        (site / package).rename(site / f"no_{package}")
        assert not cuda.load(Linker(), {})


def test_after_mindspore_it_is_too_late(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mindspore", SimpleNamespace())  # type: ignore[arg-type]
    linker = Linker()
    assert not cuda.load(linker, {})
    assert linker.names == []


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], True),
        (["train.py", "--config", "digits"], True),
        (["--device_target", "auto"], True),
        (["--device_target", "GPU"], True),
        (["--device_target=GPU", "train.epochs=3"], True),
        (["--device_target", "CPU"], False),
        (["--device_target=CPU"], False),
        (["--device_target", "Ascend"], False),
        (["--device_target", "CPU", "--device_target", "GPU"], True),  # the last one counts, as in argparse
        (["--device_target=GPU", "--device_target=CPU"], False),
        (["--", "--device_target", "CPU"], True),  # a file of that name
        (["--device_target"], False),  # argparse refuses it
    ],
)
def test_which_arguments_want_a_gpu(arguments: list[str], wanted: bool) -> None:
    assert cuda.is_wanted(arguments, "linux") is wanted


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_there_is_no_gpu_but_on_linux(platform: str) -> None:
    assert not cuda.is_wanted(["--device_target", "GPU"], platform)


# The extra.


def extra() -> dict[str, str]:
    """Name -> the rest of the requirement, for each line of the extra `cuda11`."""
    (lines,) = re.findall(rf"^{cuda.EXTRA} = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    return dict(re.findall(r'"([\w-]+)(.*?)",\n', lines))


def test_the_extra_is_the_wheels_pinned() -> None:
    assert extra().keys() == {library.wheel for library in cuda.LIBRARIES}
    marker = "; sys_platform == 'linux' and platform_machine == 'x86_64'"
    assert all(re.fullmatch(rf"==\d+(\.\d+)+{re.escape(marker)}", rest) for rest in extra().values())


def test_no_installation_by_the_lock_file_takes_it() -> None:
    """Neither the file as it is, nor the one that `make lock` would write."""
    assert "nvidia-" not in (ROOT / "requirements.lock").read_text()
    (recipe,) = re.findall(r"^lock:\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert "--all-extras" not in recipe
    assert cuda.EXTRA not in re.findall(r"--extra (\w+)", recipe)
