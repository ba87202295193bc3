"""What stands in the place of operators that hold memory has their values and gradients, and holds none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from dfcnn_ms.models.cells.dfcnn import silence_after
from dfcnn_ms.models.cells.spread import spread

#: prints by how many bytes a value the memory grew with each shape after the first
GROWTH = """
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from dfcnn_ms.models.cells.dfcnn import silence_after

class Network(nn.Cell):
    def construct(self, x, lengths):
        for _ in range(4):
            x = silence_after(x, lengths)
        return x[0, 0, 0, 0]

def held():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

ms.set_context(mode=ms.GRAPH_MODE)
network = Network()
for frames in (600, 500, 400):  # the largest first: what the others share with it is there
    before = held()
    x = Tensor(np.ones((16, 32, frames, 20), np.float32))
    network(x, Tensor(np.full(16, frames, np.int32))).asnumpy()
    size = x.size
    del x
    print((held() - before) / size)
"""


def test_a_small_tensor_is_spread_as_numpy_spreads_it() -> None:
    small, large = np.arange(6, dtype=np.float32).reshape(2, 1, 3, 1), np.zeros((2, 4, 3, 5), np.float32)
    found = spread(Tensor(small), Tensor(large)).asnumpy()
    np.testing.assert_array_equal(found, np.broadcast_to(small, large.shape))


def test_frames_after_the_end_are_silent() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 4)).astype(np.float32)
    found = silence_after(Tensor(x), Tensor([5, 0, 3])).asnumpy()
    inside = np.arange(5)[None, :] < np.array([5, 0, 3])[:, None]
    np.testing.assert_array_equal(found, x * inside[:, None, :, None])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_every_compiled_shape_holds_little_memory(tmp_path: Path) -> None:
    """Four masks would hold 64 bytes a value if each operator spread its own; an input and the code are held anyway."""
    program = tmp_path / "growth.py"
    program.write_text(GROWTH, encoding="utf-8")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    _, *others = map(float, done.stdout.split())
    assert max(others) < 16
