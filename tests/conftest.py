"""What all test modules share: a quiet MindSpore in a known state."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from dfcnn_ms.environment import prepare_for_mindspore

prepare_for_mindspore()  # before any test module imports MindSpore


@pytest.fixture(scope="session")
def cpu() -> None:
    """MindSpore on the CPU."""
    import mindspore as ms

    ms.set_device("CPU")


@pytest.fixture(autouse=True)
def known_state() -> Iterator[None]:
    """Every test begins in PYNATIVE_MODE with the same seed, whatever ran before it."""
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)
        ms.set_seed(0)
    yield
    if "mindspore" in sys.modules:
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture
def graph_mode(cpu: None) -> None:
    """GRAPH_MODE for one test; `known_state` puts the mode back."""
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE)
