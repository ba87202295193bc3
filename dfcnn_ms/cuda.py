"""A GPU with nothing but its driver: NVIDIA's libraries from wheels, loaded before MindSpore asks for them.

MindSpore's GPU plugin wants CUDA 11 and cuDNN 8, which the extra ``cuda11`` brings as wheels, in folders where the
dynamic linker does not look. What is loaded already it finds by name, wherever that came from. The plugin is loaded
here too: MindSpore by itself would ask a CUDA compiler which of its plugins to take, and take none where there is no
compiler.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: comes with the driver, and from nowhere else
DRIVER = "libcuda.so.1"
#: of the MindSpore wheel; kernels for cards are in the second
PLUGIN = Path("lib", "plugin", "libmindspore_gpu.so.11.6")
KERNELS = Path("lib", "plugin", "gpu", "libcuda_ops.so.11")
EXTRA = "cuda11"
TARGETS = ("auto", "GPU")
_FLAG = "--device_target"

#: opens a library by its path, as ``ctypes.CDLL`` does; ends with OSError if it cannot
Opener = Callable[..., Any]


@dataclass(frozen=True)
class Library:
    """A library that the plugin wants.

    Attributes:
        file: its name, by which it is asked for.
        folder: below ``nvidia/``, where the wheel puts it.
        wheel: the name of the wheel.
    """

    file: str
    folder: str
    wheel: str


#: in an order in which each finds those before it
LIBRARIES = (
    Library("libcudart.so.11.0", "cuda_runtime", "nvidia-cuda-runtime-cu11"),
    Library("libcublasLt.so.11", "cublas", "nvidia-cublas-cu11"),
    Library("libcublas.so.11", "cublas", "nvidia-cublas-cu11"),
    Library("libnvrtc.so.11.2", "cuda_nvrtc", "nvidia-cuda-nvrtc-cu11"),
    Library("libcufft.so.10", "cufft", "nvidia-cufft-cu11"),
    Library("libcurand.so.10", "curand", "nvidia-curand-cu11"),
    Library("libcusparse.so.11", "cusparse", "nvidia-cusparse-cu11"),
    Library("libcusolver.so.11", "cusolver", "nvidia-cusolver-cu11"),
    Library("libcudnn.so.8", "cudnn", "nvidia-cudnn-cu11"),
)


def is_wanted(argv: Sequence[str], platform: str = sys.platform) -> bool:
    """Whether a process with these arguments may come to use a GPU.

    MindSpore is imported before anybody parses arguments, so they are looked at here as they are. Where none names a
    device, as in a notebook, it is ``auto``.
    """
    target = "auto"
    for word, following in zip(argv, [*argv[1:], ""], strict=False):
        if word == "--":
            break
        if word == _FLAG:
            target = following
        elif word.startswith(f"{_FLAG}="):
            target = word.partition("=")[2]
    return target in TARGETS and platform == "linux"


def load(open_library: Opener = ctypes.CDLL, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Loads driver, libraries and plugin into this process; whether it did. MindSpore must not be imported yet.

    Without a driver, which is looked for first and in no time, nothing is done; nor where a wheel is missing, because
    then MindSpore may still find a CUDA of the system.
    """
    if "mindspore" in sys.modules:
        return False
    try:
        open_library(DRIVER, mode=ctypes.RTLD_GLOBAL)
        paths = [path for library in LIBRARIES if (path := in_wheel(library))]
        plugin = in_package("mindspore", PLUGIN)
        if plugin is None or len(paths) < len(LIBRARIES):
            return False
        for path in paths:
            open_library(str(path), mode=ctypes.RTLD_GLOBAL)
        open_library(str(plugin))
    except OSError:
        return False  # `doctor` says why
    _tell_mindspore(environment, paths)
    return True


def in_wheel(library: Library) -> Path | None:
    """Where the wheel of a library has put it; None if it is not installed."""
    return in_package("nvidia", Path(library.folder, "lib", library.file))


def in_package(package: str, file: Path) -> Path | None:
    """A file of an installed package, which is not imported; None if package or file is missing."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return next((path for folder in folders or () if (path := Path(folder, file)).is_file()), None)


def _tell_mindspore(environment: MutableMapping[str, str], paths: Sequence[Path]) -> None:
    """Settles what MindSpore and the libraries read from the environment of this process and of those it starts."""
    # It runs `ldd` on its plugin, and complains of every library that is not found.
    folders = [*dict.fromkeys(str(path.parent) for path in paths), environment.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, folders))
    # With the compiler of another CUDA it would load a second plugin beside this one.
    environment.pop("CUDA_HOME", None)
    # A kernel is translated for the card when it is first used, and not all of them at the start.
    environment.setdefault("CUDA_MODULE_LOADING", "LAZY")
