"""What has to be done before MindSpore is imported: a quiet log, the oneDNN guard, and the libraries of a GPU.

MindSpore 2.9 and 2.10 have slow convolutions on AVX-512 processors: the oneDNN inside those wheels picks its reference
code for 3x3 convolutions there, tens of times slower than its AVX2 code. Telling oneDNN to stay at AVX2 cures it; 2.7
and 2.8 do not need it, and their matrix products are faster without. The variable is read at the first convolution.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from dfcnn_ms import cuda

VARIABLE = "ONEDNN_MAX_CPU_ISA"
FIRST_SLOW_VERSION = (2, 9)


def _mindspore_version() -> tuple[int, int] | None:
    try:
        major, minor = importlib.metadata.version("mindspore").split(".")[:2]
        return int(major), int(minor)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def needs_guard(version: tuple[int, int] | None, machine: str, environment: dict[str, str]) -> bool:
    """Says whether oneDNN must be held at AVX2: a slow version, an x86 machine, and no choice of the user's own."""
    is_x86 = machine.lower() in ("x86_64", "amd64")
    return version is not None and version >= FIRST_SLOW_VERSION and is_x86 and VARIABLE not in environment


def prepare_for_mindspore() -> None:
    """Silences MindSpore's log below errors; holds oneDNN at AVX2 and loads what a GPU needs where it is needed."""
    os.environ.setdefault("GLOG_v", "3")
    if needs_guard(_mindspore_version(), platform.machine(), dict(os.environ)):
        os.environ[VARIABLE] = "AVX2"
    if cuda.is_wanted(sys.argv):
        cuda.load()
