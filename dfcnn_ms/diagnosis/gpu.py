"""What a GPU needs, piece by piece: driver, NVIDIA's libraries, MindSpore's plugin, its code for the card."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from dfcnn_ms import cuda
from dfcnn_ms.diagnosis.elf import Capability, CardCode, card_code, symbols
from dfcnn_ms.diagnosis.result import PACKAGE, CheckResult

INSTALL = f"pip install '{PACKAGE}[{cuda.EXTRA}]'"
INSTALL_DRIVER = (
    "install NVIDIA's driver, 450.80 or later (Ubuntu: sudo ubuntu-drivers install; a container: docker run --gpus all)"
)
NO_PLUGIN = "MindSpore's GPU plugin is for x86-64 Linux; go on with the CPU"
#: the driver of the first CUDA 11, from which on the libraries of every 11 run
OLDEST_DRIVER = 11000
#: cuDNN loads these when it first needs them, and ends the process if it cannot
CUDNN_PARTS = ("libcudnn_ops_train.so.8", "libcudnn_cnn_train.so.8")

#: name, compute capability and memory of a card, as ``nvidia-smi`` writes them
_ROW = re.compile(r"(.+), (\d+)\.(\d+), (.+)")


@dataclass(frozen=True)
class Card:
    """A card, as ``nvidia-smi`` describes it.

    Attributes:
        name: what it is called.
        capability: the compute capability.
        memory: how much it has.
    """

    name: str
    capability: Capability
    memory: str


@dataclass(frozen=True)
class Found:
    """A library, and what is known of it.

    Attributes:
        origin: where it comes from, in words; empty if it is nowhere.
        complaint: of the linker, when the library is there and cannot be loaded.
        lacks: names that the plugin wants of it and that it does not have.
    """

    origin: str
    complaint: str = ""
    lacks: tuple[str, ...] = ()


def examine(complaint: str, has_card: bool, open_library: cuda.Opener = ctypes.CDLL) -> Iterator[CheckResult]:
    """Everything that a GPU needs, where there is anything of it; nothing on a machine without all that.

    Args:
        complaint: what the linker had to say when MindSpore's plugin was loaded.
        has_card: whether the system shows a card or a driver of NVIDIA's.
        open_library: opens a library.
    """
    driver = driver_version(open_library)
    in_wheels = any(cuda.in_wheel(library) for library in cuda.LIBRARIES)
    if driver is None and not has_card and not in_wheels:
        return
    yield judge_driver(driver)
    plugin, kernels = (cuda.in_package("mindspore", file) for file in (cuda.PLUGIN, cuda.KERNELS))
    wanted = symbols(plugin).wanted if plugin else {}
    libraries = {library.file: find(library, wanted.get(library.file, ()), open_library) for library in cuda.LIBRARIES}
    yield from judge_libraries(libraries)
    if plugin is None or kernels is None:
        yield CheckResult("warn", "plugin", f"MindSpore has no {cuda.PLUGIN.name}", NO_PLUGIN)
        return
    yield judge_plugin(sum(len(wanted.get(file, ())) for file in libraries), libraries, driver, complaint)
    code = card_code(kernels)
    yield judge_code(code)
    if driver is not None:
        yield from judge_cards(nvidia_smi(), code)


def driver_version(open_library: cuda.Opener = ctypes.CDLL) -> int | None:
    """The CUDA that the driver is made for (12040 is 12.4), 0 if it does not say; None without a driver."""
    version = ctypes.c_int(0)
    try:
        open_library(cuda.DRIVER).cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return None
    except AttributeError:
        return 0
    return version.value


def judge_driver(version: int | None) -> CheckResult:
    """The driver: there, and new enough for the libraries."""
    if version is None:
        return CheckResult("warn", "driver", f"no NVIDIA driver ({cuda.DRIVER})", INSTALL_DRIVER)
    says = f"{cuda.DRIVER}, made for CUDA {version // 1000}.{version % 1000 // 10}"
    if version < OLDEST_DRIVER:
        return CheckResult("warn", "driver", f"{says}; wanted 11.0 or later", INSTALL_DRIVER)
    return CheckResult("ok", "driver", says)


def find(library: cuda.Library, wanted: Sequence[str] | frozenset[str], open_library: cuda.Opener) -> Found:
    """Where a library comes from, whether it loads, and what it lacks of the names that are wanted of it."""
    path = cuda.in_wheel(library)
    origin = f"the wheel {library.wheel} {_version(library.wheel)}" if path else "the system"
    try:
        opened = open_library(str(path or library.file), mode=ctypes.RTLD_GLOBAL)
        if path is not None and library.folder == "cudnn":
            for part in CUDNN_PARTS:
                open_library(str(path.with_name(part)))
    except OSError as error:
        return Found(origin, str(error)) if path else Found("")
    return Found(origin, "", tuple(sorted(name for name in wanted if not hasattr(opened, name))))


def _version(wheel: str) -> str:
    try:
        return metadata.version(wheel)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def judge_libraries(libraries: Mapping[str, Found]) -> Iterator[CheckResult]:
    """One line for each library that is there, and one for all that are missing."""
    for file, found in libraries.items():
        word = file.partition(".")[0].removeprefix("lib")
        if found.complaint:
            cure = f"{INSTALL} --force-reinstall"
            yield CheckResult("warn", word, f"{file} from {found.origin} cannot be loaded: {found.complaint}", cure)
        elif found.origin:
            yield CheckResult("ok", word, f"{file} from {found.origin}")
    missing = [file for file, found in libraries.items() if not found.origin]
    if missing:
        yield CheckResult("warn", "libraries", f"missing: {', '.join(missing)}", INSTALL)


def judge_plugin(names: int, libraries: Mapping[str, Found], driver: int | None, complaint: str) -> CheckResult:
    """MindSpore's plugin: whether every name that it wants is there, and, with a driver, whether it was loaded."""
    unfit = [file for file, found in libraries.items() if found.complaint or not found.origin]
    if unfit:
        missing = f"the {len(unfit)} libraries" if len(unfit) > 1 else unfit[0]
        return CheckResult("warn", "plugin", f"{cuda.PLUGIN.name} cannot be loaded without {missing}", INSTALL)
    lacks = [f"{name} of {file}" for file, found in libraries.items() for name in found.lacks]
    if lacks:
        says = f"{cuda.PLUGIN.name} wants {names} names and does not find {len(lacks)}, such as {lacks[0]}"
        return CheckResult("warn", "plugin", says, f"{INSTALL} --force-reinstall")
    says = f"{cuda.PLUGIN.name}: all {names} names that it wants of NVIDIA's libraries are there"
    if driver is None:
        return CheckResult("ok", "plugin", f"{says}; the rest are the driver's")
    if complaint:
        return CheckResult("warn", "plugin", f"{says}, but it cannot be loaded: {complaint}", INSTALL_DRIVER)
    return CheckResult("ok", "plugin", f"{says}, and it is loaded")


def judge_code(code: CardCode) -> CheckResult:
    """For which cards MindSpore's own kernels are made."""
    machine, ptx = (", ".join(map(dotted, capabilities)) for capabilities in (code.machine, code.ptx))
    says = f"MindSpore's kernels are made for compute capability {machine}; a driver can translate those of {ptx} (PTX)"
    return CheckResult("ok", "gpu code", says)


def dotted(capability: Capability) -> str:
    """``8.6``."""
    return f"{capability[0]}.{capability[1]}"


def nvidia_smi() -> str:
    """What ``nvidia-smi`` says of each card, a line each; empty where it says nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def cards_told(text: str) -> list[Card]:
    """The cards in the answer of ``nvidia-smi``."""
    rows = (_ROW.fullmatch(line.strip()) for line in text.splitlines())
    return [Card(row[1], (int(row[2]), int(row[3])), row[4]) for row in rows if row]


def judge_cards(text: str, code: CardCode) -> Iterator[CheckResult]:
    """Each card that ``nvidia-smi`` tells of, or that it tells of none."""
    cards = cards_told(text)
    if not cards:
        yield CheckResult("warn", "card", "nvidia-smi names none with its compute capability", "run nvidia-smi and see")
    for card in cards:
        yield judge_card(card, code)


def judge_card(card: Card, code: CardCode) -> CheckResult:
    """Whether MindSpore's kernels run on a card."""
    says = f"{card.name}, {card.memory}, compute capability {dotted(card.capability)}"
    if code.runs_on(card.capability):
        return CheckResult("ok", "card", f"{says}: MindSpore's kernels run as they are")
    if code.is_translated_for(card.capability):
        return CheckResult("ok", "card", f"{says}: each kernel is translated at its first use, and kept for later runs")
    oldest = dotted(min([*code.machine, *code.ptx], default=(0, 0)))
    return CheckResult("warn", "card", f"{says}; MindSpore's kernels begin at {oldest}", "go on with the CPU")
