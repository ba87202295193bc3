"""Is this machine fit for training: one :class:`CheckResult` for each thing that has to be right.

What is found out and what is made of it are two functions wherever the first depends on the machine, so that the
second can be asked about machines that are not at hand. Nothing but the standard library is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dfcnn_ms.diagnosis import ascend, gpu
from dfcnn_ms.diagnosis.result import PACKAGE, CheckResult
from dfcnn_ms.environment import VARIABLE

INSTALL_MINDSPORE = "pip install mindspore==2.8.0"
OLDEST_PYTHON, PYTHON_LIMIT = (3, 10), (3, 13)
OLDEST_MINDSPORE, MINDSPORE_LIMIT = (2, 7), (2, 10)

#: a convolution takes about as long as a matrix product of like arithmetic; the slow path of oneDNN 100 times as long
SLOW_RATIO = 10.0
PROBE_TIMEOUT_SECONDS = 180
#: what training the digits needs; the reference network wants 3.7 GB at a batch of one, without fast code 6.2
WANTED_MEMORY, LEAST_MEMORY = 2.0e9, 0.9e9
WANTED_DISK, LEAST_DISK = 2.0e9, 0.3e9
GIGA = 1e9


def examine() -> Iterator[CheckResult]:
    """Every check in turn; those that need a working MindSpore are left out when there is none."""
    yield judge_python(sys.version_info[:3], sys.maxsize > 2**32)
    yield from guarded("packages", packages)
    yield from guarded("versions", versions)
    yield from guarded("mindspore", mindspore)
    for check, look in (("threads", threads), ("memory", memory), ("disk", disk), ("audio", audio)):
        yield from guarded(check, look)


def guarded(check: str, look: Callable[[], Iterator[CheckResult]]) -> Iterator[CheckResult]:
    """The findings of one check; a check that breaks on a broken machine says so and ends no other."""
    try:
        yield from look()
    except Exception as error:
        yield CheckResult("warn", check, f"could not be looked at: {type(error).__name__}: {error}")


def judge_python(version: tuple[int, ...], is_64_bit: bool) -> CheckResult:
    """The interpreter: MindSpore has wheels for a few versions only."""
    text = ".".join(map(str, version))
    if not OLDEST_PYTHON <= version[:2] < PYTHON_LIMIT:
        return CheckResult("fail", "python", f"{text}; wanted 3.10 to 3.12", "python3.11 -m venv .venv")
    if not is_64_bit:
        return CheckResult(
            "fail", "python", f"{text}, 32 bit; MindSpore has none but 64-bit wheels", "a 64-bit Python 3.11"
        )
    return CheckResult("ok", "python", text)


def numbers(version: str) -> tuple[int, ...]:
    """``(2, 8, 0)`` of ``2.8.0rc1``: the leading numbers, as far as they go."""
    return tuple(int(found[0]) for part in version.split(".") if (found := re.match(r"\d+", part)))


def installed(package: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def packages() -> Iterator[CheckResult]:
    """What this package needs and is not there."""
    if installed(PACKAGE) is None:
        yield CheckResult("fail", "packages", f"{PACKAGE} is not installed in {sys.prefix}", "pip install -e .")
        return
    names = required(metadata.requires(PACKAGE) or [])
    missing = [name for name in names if installed(name) is None and name != "mindspore"]
    if missing:
        yield CheckResult("fail", "packages", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        yield CheckResult("ok", "packages", f"all {len(names)} that {PACKAGE} {installed(PACKAGE)} needs are installed")


def required(requirements: list[str]) -> list[str]:
    """The names of requirements that belong to no extra but `train`, each once."""
    wanted = (line for line in requirements if "extra ==" not in line or re.search(r"extra == ['\"]train['\"]", line))
    names = (re.match(r"[\w.-]+", line) for line in wanted)
    return sorted({found[0].lower() for found in names if found})


@dataclass(frozen=True)
class Clash:
    """A version from which on a package does not get on with the others."""

    package: str
    limit: tuple[int, ...]
    symptom: str
    cure: str
    #: the clash has no cure from this Python on: there are no older wheels
    without_cure_from: tuple[int, int] = PYTHON_LIMIT


CLASHES = (
    Clash("numpy", (2,), "MindInsight loses events", "pip install 'numpy<2'"),
    Clash("marshmallow", (4,), "MindInsight answers 500 on lineage", "pip install 'marshmallow<4'"),
    Clash("pandas", (2,), "MindInsight answers 500 on its optimiser panel", "pip install 'pandas<2'", (3, 12)),
    Clash("protobuf", (3, 20, 2), "MindInsight cannot read runs", "pip install 'protobuf<=3.20.1'"),
)


def versions() -> Iterator[CheckResult]:
    """Versions that are known to clash."""
    found = {clash.package: installed(clash.package) for clash in CLASHES}
    yield from judge_versions({name: version for name, version in found.items() if version}, sys.version_info[:2])


def judge_versions(found: Mapping[str, str], python: tuple[int, ...]) -> list[CheckResult]:
    """One finding for each clash, or one that says there is none."""
    clashing = [
        CheckResult("warn", "versions", f"{clash.package} {found[clash.package]}: {clash.symptom}", clash.cure)
        for clash in CLASHES
        if clash.package in found and numbers(found[clash.package]) >= clash.limit and python < clash.without_cure_from
    ]
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    return clashing or [
        CheckResult("ok", "versions", f"no clash: {listed or 'none of the packages that clash is here'}")
    ]


def mindspore() -> Iterator[CheckResult]:
    """MindSpore: there, of a version that is known, importable, on which device, and its convolution."""
    version = judge_mindspore(installed("mindspore"))
    yield version
    if importlib.util.find_spec("mindspore") is None:
        return
    found, code, complaint = probe()
    if "version" not in found:
        yield judge_failed_import(code, complaint)
        return
    yield CheckResult("ok", "import", f"MindSpore {found['version']} in {found['import_seconds']} s")
    there = cards()
    yield judge_device(found.get("devices", []), there, code, complaint)
    if "product_ms" in found:
        yield judge_convolution(found["convolution_ms"], found["product_ms"], os.environ.get(VARIABLE))
    else:
        yield CheckResult("fail", "convolution", f"a first convolution ended the process: {reason(code, complaint)}")
    yield from guarded("fast code", fast_code)
    yield from guarded("gpu", lambda: gpu.examine(found.get("plugin", ""), there.nvidia))
    yield from guarded("ascend", lambda: ascend.examine(found["version"], os.environ))


def judge_mindspore(version: str | None) -> CheckResult:
    """The installed version of MindSpore, without importing it."""
    if version is None:
        return CheckResult("fail", "mindspore", "is not installed", INSTALL_MINDSPORE)
    if not OLDEST_MINDSPORE <= numbers(version)[:2] < MINDSPORE_LIMIT:
        return CheckResult("fail", "mindspore", f"{version}; wanted 2.7 to 2.9", INSTALL_MINDSPORE)
    return CheckResult("ok", "mindspore", version)


def probe() -> tuple[dict[str, Any], int, str]:
    """What :mod:`dfcnn_ms.diagnosis.probe` finds out, its exit code, and the last line of its complaint."""
    command = [sys.executable, "-m", "dfcnn_ms.diagnosis.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_SECONDS)
        out, code, complaint = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as late:
        out = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        code, complaint = 1, f"no answer within {PROBE_TIMEOUT_SECONDS} s"
    found: dict[str, Any] = {}
    for line in out.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    return found, code, (complaint.strip().splitlines() or [""])[-1]


def reason(code: int, complaint: str) -> str:
    """Why a process ended: the signal that ended it, or its last words."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return complaint or f"exit code {code}"


SOURCE_CANN = "source /usr/local/Ascend/ascend-toolkit/set_env.sh (from CANN 8.5 on /usr/local/Ascend/cann/set_env.sh)"
GPU_CURE = "what the lines on the GPU say, or go on with the CPU"

#: a word in the complaint of a failed import -> the cure
IMPORT_CURES = {
    "libgomp": "apt install libgomp1",
    "libstdc++": "apt install libstdc++6",
    "GLIBC": "a newer Linux (glibc 2.27 or later), or a container with one",
    "ARRAY_API": "pip install 'numpy<2'",
    "numpy": "pip install --force-reinstall 'numpy<2'",
    "Descriptors cannot": "pip install 'protobuf<=3.20.1'",
    "SIGILL": "another processor: the wheel was built for newer ones",
}


def judge_failed_import(code: int, complaint: str) -> CheckResult:
    """A MindSpore that is installed and cannot be imported."""
    why = reason(code, complaint)
    missing = re.search(r"No module named '(\w+)", why)
    cures = [cure for word, cure in IMPORT_CURES.items() if word.lower() in why.lower()]
    if missing and missing[1] != "mindspore":
        cures = [f"pip install {missing[1]}"]
    return CheckResult("fail", "import", why, (cures or [f"{INSTALL_MINDSPORE} --force-reinstall"])[0])


@dataclass(frozen=True)
class Cards:
    """What there is for GPU and Ascend, whether MindSpore can use it or not.

    Attributes:
        nvidia: a driver or device of NVIDIA's.
        ascend: an Ascend device.
        cann: Ascend's software.
    """

    nvidia: bool = False
    ascend: bool = False
    cann: bool = False


def cards(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Cards:
    """Looks for cards and their software in the usual places."""
    dev = root / "dev"
    return Cards(
        nvidia=any(dev.glob("nvidia[0-9]*")) or (root / "proc/driver/nvidia/version").exists(),
        ascend=any(dev.glob("davinci[0-9]*")),
        cann=ascend.cann_version(environment, root) is not None,
    )


def judge_device(devices: list[str], found: Cards, code: int = 0, complaint: str = "") -> CheckResult:
    """Where training will run, and what keeps it from a card that is there."""
    if not devices:
        return CheckResult("fail", "device", f"MindSpore cannot say which it has: {reason(code, complaint)}")
    if devices[0] != "CPU":
        return CheckResult("ok", "device", f"{devices[0]}, which --device_target auto takes")
    if found.nvidia:
        return CheckResult("warn", "device", "CPU, though there is an NVIDIA card", GPU_CURE)
    if found.ascend:
        missing = "MindSpore does not start it" if found.cann else "CANN is missing"
        cure = SOURCE_CANN if found.cann else "install CANN for this MindSpore"
        return CheckResult("warn", "device", f"CPU, though there is an Ascend card: {missing}", cure)
    return CheckResult("ok", "device", "CPU; there is no NVIDIA and no Ascend card")


def judge_convolution(convolution_ms: float, product_ms: float, limit: str | None) -> CheckResult:
    """The speed of oneDNN's convolution, in units of a matrix product with as many multiplications."""
    ratio = convolution_ms / product_ms
    says = f"3x3 takes {ratio:.1f} times a matrix product of like arithmetic ({convolution_ms:.0f} ms)"
    if ratio < SLOW_RATIO:
        return CheckResult("ok", "convolution", says)
    cure = f"export {VARIABLE}=AVX2" if limit is None else f"export {VARIABLE}=AVX2 (now {limit})"
    return CheckResult("warn", "convolution", f"{says}: oneDNN has fallen back to its slow code", cure)


def fast_code() -> Iterator[CheckResult]:
    """The oneDNN in MindSpore's wheel, called from here."""
    from dfcnn_ms import native  # it wants NumPy

    yield judge_fast_code(native.onednn.obstacle(), native.springboard.obstacle())


def judge_fast_code(library: str, jumps: str = "") -> CheckResult:
    """Whether a training on a CPU computes by oneDNN's fast code.

    Args:
        library: why oneDNN can't be called; empty if it can.
        jumps: why MindSpore can't be led to it; empty if it can.
    """
    if not library and not jumps:
        return CheckResult("ok", "fast code", "a training on the CPU computes by oneDNN's fast code")
    says = f"a training on the CPU has MindSpore's operators: {library or jumps}"
    if library:
        return CheckResult("ok", "fast code", says)
    return CheckResult("warn", "fast code", says, "let TMPDIR name a folder that may hold code")


def threads() -> Iterator[CheckResult]:
    """Cores, and whether the settings of OpenMP and of the container agree with them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    yield judge_threads(cores, cgroup_limits().cores, os.environ.get("OMP_NUM_THREADS"), load)


def judge_threads(cores: int, allowed: float, omp: str | None, load: float = 0.0) -> CheckResult:
    """Threads that get in each other's way, or cores that stand idle.

    Args:
        cores: cores that this process may run on.
        allowed: cores' worth of time that the container grants; infinite without a limit.
        omp: the value of OMP_NUM_THREADS.
        load: processes that wanted a core in the last minute.
    """
    usable = max(1, min(cores, math.floor(allowed) if math.isfinite(allowed) else cores))
    says = f"{cores} {'core' if cores == 1 else 'cores'}, OMP_NUM_THREADS {omp or 'unset'}"
    if omp is not None and not re.fullmatch(r"[1-9]\d*(,\d+)*", omp):
        return CheckResult("warn", "threads", f"{says}: wanted a number", "unset OMP_NUM_THREADS")
    used = int(omp.split(",")[0]) if omp else cores
    if used > usable:
        why = f"the container grants {allowed:g}" if usable < cores else "more than there are"
        return CheckResult("warn", "threads", f"{says}: {why}", f"export OMP_NUM_THREADS={usable}")
    if used < usable:
        return CheckResult("warn", "threads", f"{says}: {usable - used} of them stand idle", "unset OMP_NUM_THREADS")
    if load > max(1.0, 0.5 * cores):
        return CheckResult(
            "warn", "threads", f"{says}, but the load is {load:.1f}", "end what else is running (see top)"
        )
    return CheckResult("ok", "threads", says)


@dataclass(frozen=True)
class Limits:
    """What a container grants; infinite where nothing is said."""

    cores: float = math.inf
    memory: float = math.inf


def cgroup_limits(root: Path = Path("/")) -> Limits:
    """The tightest limits of the control groups that this process is in, of either version."""
    groups = root / "sys" / "fs" / "cgroup"
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return Limits()
    cores, memory = [math.inf], [math.inf]
    for line in lines:
        controllers, path = line.split(":", 2)[1:]
        for folder in _upwards(groups / controllers.removeprefix("name="), path):
            quota, period = (_words(folder / "cpu.max") + [""] * 2)[:2]
            old_quota, old_period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
            cores += [_ratio(quota, period), _ratio("".join(old_quota), "".join(old_period))]
            memory += [_ratio("".join(_words(folder / name)), "1") for name in ("memory.max", "memory.limit_in_bytes")]
    return Limits(min(cores), min(memory))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """The folder of a group and of every group around it, up to the mount."""
    group = mount / path.lstrip("/")
    yield group
    yield from (folder for folder in group.parents if folder == mount or mount in folder.parents)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _ratio(value: str, unit: str) -> float:
    """``value / unit`` of two numbers; infinite for what is no positive number (max, -1, nothing)."""
    return int(value) / int(unit) if value.isdigit() and unit.isdigit() and int(unit) else math.inf


def memory() -> Iterator[CheckResult]:
    """Memory that is free, within the limit of the container."""
    free = available_memory()
    limit = cgroup_limits().memory
    yield judge_memory(free, limit)


def available_memory() -> float:
    """Bytes that can still be had; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def judge_memory(free: float, limit: float) -> CheckResult:
    """Enough for the digits, or not even for them."""
    have = min(free, limit)
    says = f"{have / GIGA:.1f} GB" if math.isfinite(have) else "the system does not say how much"
    says += " (limit of the container)" if limit < free else ""
    if have < LEAST_MEMORY:
        return CheckResult("fail", "memory", f"{says}; the digits need 0.8 GB", "close other programs")
    if have < WANTED_MEMORY:
        return CheckResult("warn", "memory", f"{says}: enough for the digits only", "close other programs")
    return CheckResult("ok", "memory", f"{says}; the digits need 0.8, the reference network 4 to 6 at a batch of one")


def disk() -> Iterator[CheckResult]:
    """Room in the folder in which the command runs, and the right to write there."""
    here = Path.cwd()
    yield judge_disk(here, shutil.disk_usage(here).free, os.access(here, os.W_OK))


def judge_disk(folder: Path, free: float, writable: bool) -> CheckResult:
    """Enough for the digits' corpus and a few runs, or not."""
    says = f"{free / GIGA:.1f} GB free in {folder}"
    if not writable:
        return CheckResult("fail", "disk", f"{folder}: no right to write here", "cd to a folder of your own")
    if free < LEAST_DISK:
        return CheckResult("fail", "disk", f"{says}; the digits need {LEAST_DISK / GIGA} GB", "make room")
    if free < WANTED_DISK:
        return CheckResult("warn", "disk", f"{says}: enough for the digits only", "make room")
    return CheckResult("ok", "disk", says)


WANTED_FORMATS = ("WAV", "FLAC", "OGG", "MP3")


def audio() -> Iterator[CheckResult]:
    """What reads, resamples and speaks."""
    try:
        soundfile = importlib.import_module("soundfile")
        yield judge_formats(set(soundfile.available_formats()), soundfile.__libsndfile_version__)
    except (ImportError, OSError) as error:
        yield CheckResult("fail", "audio", f"soundfile: {error}", "pip install --force-reinstall soundfile")
    try:
        importlib.import_module("soxr")
        yield CheckResult("ok", "resampling", f"soxr {installed('soxr')}")
    except ImportError as error:
        yield CheckResult("fail", "resampling", f"soxr: {error}", "pip install --force-reinstall soxr")
    yield judge_speech(importlib.util.find_spec("espeakng_loader") is not None)


def judge_formats(formats: set[str], version: str) -> CheckResult:
    """The sorts of sound file that libsndfile can read."""
    missing = [name for name in WANTED_FORMATS if name not in formats]
    if missing:
        says = f"libsndfile {version} reads no {', '.join(missing).lower()}"
        return CheckResult("warn", "audio", says, "pip install --upgrade soundfile")
    return CheckResult("ok", "audio", f"libsndfile {version} reads {', '.join(WANTED_FORMATS).lower()}")


def judge_speech(loader: bool) -> CheckResult:
    """The synthesiser that speaks the synthetic corpora."""
    if loader:
        return CheckResult("ok", "speech", "espeak-ng is there to speak the synthetic corpora")
    return CheckResult(
        "warn", "speech", "no espeak-ng: digits and mandarin cannot be made", f"pip install '{PACKAGE}[synth]'"
    )
