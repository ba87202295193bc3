"""What an Ascend NPU needs: its driver with ``npu-smi``, and a CANN that goes with the installed MindSpore."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dfcnn_ms.diagnosis.result import CheckResult

Version = tuple[int, ...]

#: where CANN is found if the environment does not say
FOLDERS = ("usr/local/Ascend/ascend-toolkit/latest", "usr/local/Ascend/cann")
#: the files of CANN that name its version, best first, and how
_VERSION_FILES = (
    ("*-linux/ascend_toolkit_install.info", re.compile(r"^version=\[?(\d[\w.]*)", re.MULTILINE)),
    ("version.cfg", re.compile(r"^\w+_running_version=\[(?:[^\]:]*:)?(\d[\w.]*)\]", re.MULTILINE)),
    ("compiler/version.info", re.compile(r"^version_dir=(\d[\w.]*)", re.MULTILINE)),
    ("compiler/version.info", re.compile(r"^Version=(\d[\w.]*)", re.MULTILINE)),
)
_NPU = re.compile(r"^\|\s*\d+\s+((?:Ascend)?\d{3}\w*)\s*\|\s*(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Pair:
    """The CANN that goes with a MindSpore, and with later ones up to the next pair.

    Attributes:
        mindspore: the first MindSpore.
        cann: the first CANN that goes with it.
        limit: the first CANN that does not any more; None: all later ones do.
        name: what to install.
    """

    mindspore: Version
    cann: Version
    limit: Version | None
    name: str


#: what MindSpore's release notes and questions pair; the newest first
PAIRS = (
    Pair((2, 8, 0), (8, 2), None, "8.5.0"),
    Pair((2, 7, 2), (8, 5), (8, 6), "8.5.0"),
    Pair((2, 7, 1), (8, 3), (8, 4), "8.3.RC1"),
    Pair((2, 7, 0), (8, 2), (8, 3), "8.2.RC1"),
)
#: MindSpore's own answer: `nn.CTCLoss` is inaccurate with this MindSpore and a CANN before this one
CTC_FAULT_MINDSPORE, CTC_FAULT_BEFORE = (2, 7, 2), (8, 3)


def examine(mindspore: str, environment: Mapping[str, str], root: Path = Path("/")) -> Iterator[CheckResult]:
    """What an Ascend NPU needs, where there is anything of it; nothing on a machine without all that."""
    cann, told = cann_version(environment, root), npu_smi()
    has_card = any((root / "dev").glob("davinci[0-9]*"))
    if cann is None and not told and not has_card:
        return
    yield judge_npus(told)
    yield judge_cann(mindspore, cann)


def cann_version(environment: Mapping[str, str], root: Path = Path("/")) -> str | None:
    """The version of the installed CANN; empty if its files do not say; None without CANN."""
    named = [Path(environment[name]) for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME") if environment.get(name)]
    folders = [folder for folder in [*named, *(root / folder for folder in FOLDERS)] if folder.is_dir()]
    versions = (version for folder in folders if (version := _version_in(folder)))
    return next(versions, "") if folders else None


def _version_in(folder: Path) -> str:
    for pattern, line in _VERSION_FILES:
        for file in sorted(folder.glob(pattern)):
            found = line.search(file.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found[1]
    return ""


def numbers(version: str) -> Version:
    """``(8, 2)`` of ``8.2.RC1``: the leading numbers, as far as they go."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def judge_cann(mindspore: str, cann: str | None) -> CheckResult:
    """CANN against MindSpore, and the fault in CTCLoss that some pairs have."""
    ours = numbers(mindspore)[:3]
    pair = next((pair for pair in PAIRS if ours >= pair.mindspore), PAIRS[-1])
    install = f"install CANN {pair.name}, then source its set_env.sh"
    goes = f"MindSpore {mindspore} goes with {'.'.join(map(str, pair.cann))}{'' if pair.limit else ' or later'}"
    if cann is None:
        return CheckResult("warn", "cann", f"there is no CANN; {goes}", install)
    if not cann:
        return CheckResult("warn", "cann", f"it does not say its version; {goes}", install)
    theirs = numbers(cann)[:2]
    if ours == CTC_FAULT_MINDSPORE and theirs < CTC_FAULT_BEFORE:
        says = f"{cann}, with which MindSpore {mindspore} computes CTCLoss inaccurately"
        return CheckResult("warn", "cann", says, install)
    if theirs < pair.cann or (pair.limit and theirs >= pair.limit):
        return CheckResult("warn", "cann", f"{cann}; {goes}", install)
    return CheckResult("ok", "cann", f"{cann}, which MindSpore {mindspore} goes with")


def npu_smi() -> str | None:
    """What ``npu-smi info`` says; empty if it fails; None where there is no such program."""
    program = shutil.which("npu-smi")
    if program is None:
        return None
    done = subprocess.run([program, "info"], capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def judge_npus(told: str | None) -> CheckResult:
    """The NPUs that ``npu-smi info`` lists, and how they are."""
    if told is None:
        return CheckResult("warn", "npu-smi", "there is none", "install Ascend's driver and firmware (Ascend HDK)")
    npus = _NPU.findall(told)
    if not npus:
        cure = "run npu-smi info and see (a container: docker run --device=/dev/davinci0 ...)"
        return CheckResult("warn", "npu-smi", "it lists no NPU", cure)
    listed = ", ".join(f"{name} {health}" for name, health in npus)
    if any(health != "OK" for _, health in npus):
        return CheckResult("warn", "npu-smi", listed, "run npu-smi info -t health -i 0 and see")
    return CheckResult("ok", "npu-smi", listed)
