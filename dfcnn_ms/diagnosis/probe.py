"""Tries MindSpore in a process of its own, because a broken one may end the process that imports it.

Each thing found out is written at once as one line of JSON, so that what was found before a crash is not lost.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from typing import Any

from dfcnn_ms import cuda
from dfcnn_ms.environment import prepare_for_mindspore

SHAPE = (2, 32, 192, 80)  # (B, C, T, F): two sentences of two seconds
CHANNELS = 64
REPEATS = 5


def main() -> None:
    """Imports MindSpore, asks it for devices, and times a convolution against a matrix product."""
    prepare_for_mindspore()
    start = time.perf_counter()
    import mindspore as ms

    tell(version=ms.__version__, import_seconds=round(time.perf_counter() - start, 1))
    tell(devices=devices())
    ms.set_device("CPU")
    tell(convolution_ms=milliseconds(*convolution(ms)), product_ms=milliseconds(*product(ms)))
    tell(plugin=complaint_of_plugin())


def tell(**found: Any) -> None:
    """Writes one line for the process that reads."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def devices() -> list[str]:
    """The devices that the installed MindSpore can use here."""
    from mindspore import device_context

    cards = {"Ascend": device_context.ascend, "GPU": device_context.gpu}
    return [*(name for name, card in cards.items() if is_usable(card)), "CPU"]


def is_usable(card: Any) -> bool:
    """Whether MindSpore has the plugin, and its driver has a card."""
    try:
        return bool(card.is_available() and card.device_count() > 0)
    except RuntimeError:  # the driver's complaint
        return False


def complaint_of_plugin(open_library: cuda.Opener = ctypes.CDLL) -> str:
    """What the linker has against MindSpore's GPU plugin; empty when it loads. Comes last: it may load only now."""
    plugin = cuda.in_package("mindspore", cuda.PLUGIN)
    try:
        open_library(str(plugin)) if plugin else None
    except OSError as error:
        return str(error)
    return ""


def convolution(ms: Any) -> tuple[Any, Any]:
    """A 3x3 convolution, and what it is of: (B, C, T, F) to CHANNELS channels."""
    import numpy as np

    x = ms.Tensor(np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32))
    return ms.nn.Conv2d(SHAPE[1], CHANNELS, 3, pad_mode="same"), (x,)


def product(ms: Any) -> tuple[Any, Any]:
    """A matrix product of exactly as many multiplications as the convolution."""
    import numpy as np

    batch, channels, frames, bins = SHAPE
    rng = np.random.default_rng(0)
    rows = ms.Tensor(rng.standard_normal((batch * frames * bins, 9 * channels), dtype=np.float32))
    columns = ms.Tensor(rng.standard_normal((9 * channels, CHANNELS), dtype=np.float32))
    return ms.ops.matmul, (rows, columns)


def milliseconds(function: Any, arguments: tuple[Any, ...]) -> float:
    """The quickest of a few calls, after one that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        function(*arguments).asnumpy()
        times.append(time.perf_counter() - start)
    return round(1000 * min(times[1:]), 2)


if __name__ == "__main__":
    main()
