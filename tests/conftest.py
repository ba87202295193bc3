"""What all test modules share: a quiet MindSpore in a known state.

`make test` runs the files in several processes. Each then keeps to one thread, and the files with slow tests go first,
so that no process is left with a long one at the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and MindSpore read it; what tests start inherits it

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what runs in the background; what tests start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()  # before any test module imports MindSpore


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first; within a file nothing moves."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def cpu() -> None:
    """MindSpore on the CPU."""
    import mindspore as ms

    ms.set_device("CPU")


@pytest.fixture(autouse=True)
def known_state() -> Iterator[None]:
    """Every test begins in PYNATIVE_MODE with the same seed and Python's signals, whatever ran before it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)
        ms.set_seed(0)
    yield
    for number, handler in handlers.items():  # a command that is run as `__main__` keeps its own to the end
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture
def graph_mode(cpu: None) -> None:
    """GRAPH_MODE for one test; `known_state` puts the mode back."""
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE)
