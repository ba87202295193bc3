"""The machine underneath: device, execution mode, seeds, and what this run ran on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import mindspore as ms
from mindspore import device_context

from dfcnn_ms.errors import DeviceError

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}

_WANTED = {
    "GPU": "its GPU plugin wants Linux, an NVIDIA driver, CUDA 11.1 or 11.6 and cuDNN 8",
    "Ascend": "its Ascend plugin wants Linux, an Ascend NPU and CANN",
}
_PACKAGES = ("dfcnn-ms", "mindspore", "mindinsight", "numpy", "librosa", "scipy", "soundfile", "pypinyin")


def available_devices() -> tuple[str, ...]:
    """The devices that the installed MindSpore can use here, best first."""
    found = []
    if device_context.ascend.is_available():
        found.append("Ascend")
    if device_context.gpu.is_available():
        found.append("GPU")
    return (*found, "CPU")


def use_device(target: str) -> str:
    """Selects a device for this process.

    Args:
        target: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.

    Returns:
        The device chosen.

    Raises:
        DeviceError: what is missing, and how to go on without it.
    """
    devices = available_devices()
    device = devices[0] if target == "auto" else target
    if device not in devices:
        raise DeviceError(
            f"--device_target {target}: MindSpore {ms.__version__} finds no {target} on this machine "
            f"({_WANTED.get(target, 'unknown device')}); go on with --device_target CPU"
        )
    ms.set_device(device)
    return device


def use_mode(mode: str) -> None:
    """``graph`` compiles each network once per shape; ``pynative`` runs line by line."""
    ms.set_context(mode=MODES[mode])


def environment(device: str) -> dict[str, str]:
    """Versions, device, processor and commit, for ``environment.json``."""
    found = {"python": platform.python_version(), "system": platform.platform(), "device": device}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {"commit": _commit()}


def _commit() -> str:
    """The git commit of the checkout that the package runs from, or an empty text."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
