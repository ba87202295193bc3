"""The machine underneath: device, execution mode, seeds, and what this run ran on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import device_context

from dfcnn_ms.errors import DeviceError

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}

_WANTED = {
    "GPU": "its GPU plugin wants x86-64 Linux, an NVIDIA driver with a card, and pip install 'dfcnn-ms[cuda11]'",
    "Ascend": "its Ascend plugin wants Linux, an Ascend NPU and CANN",
}
_PACKAGES = ("dfcnn-ms", "mindspore", "mindinsight", "numpy", "librosa", "scipy", "soundfile", "pypinyin")


def available_devices() -> tuple[str, ...]:
    """The devices that the installed MindSpore can use here, best first."""
    cards = {"Ascend": device_context.ascend, "GPU": device_context.gpu}
    return (*(name for name, card in cards.items() if is_usable(card)), "CPU")


def is_usable(card: Any) -> bool:
    """Whether MindSpore has the plugin for a kind of card, and the driver is new enough and has one."""
    try:
        return bool(card.is_available() and card.device_count() > 0)
    except RuntimeError:  # the driver's complaint
        return False


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
            f"({_WANTED.get(target, 'unknown device')}); python -m dfcnn_ms.doctor says what is missing, "
            "or go on with --device_target CPU"
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
