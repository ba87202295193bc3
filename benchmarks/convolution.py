"""Times a 3x3 convolution, forward and backward, on the CPU: why requirements.lock names MindSpore 2.8.0.

The MindSpore installed here, and others taking turns with it, as ratios to it:

    python benchmarks/convolution.py
    python benchmarks/convolution.py other/bin/python "env ONEDNN_MAX_CPU_ISA=AVX2 other/bin/python"
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time

ROUNDS = 3
REPEATS = 5
THREADS = 2
SHAPE = (2, 32, 192, 80)  # (B, C, T, F): two sentences of two seconds; small, since 2.9 is slow
CHANNELS = 64


def measure() -> tuple[str, float]:
    """Times the convolution of the MindSpore that this interpreter has: its version, and milliseconds."""
    import mindspore as ms
    import numpy as np

    ms.set_device("CPU")
    rng = np.random.default_rng(0)
    x = ms.Tensor(rng.standard_normal(SHAPE, dtype=np.float32))
    conv = ms.nn.Conv2d(SHAPE[1], CHANNELS, 3, pad_mode="same")
    step = ms.value_and_grad(lambda x: conv(x).mean(), 0, conv.trainable_params())
    times = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        value, (to_input, to_weights) = step(x)
        value.asnumpy(), to_input.asnumpy(), to_weights[0].asnumpy()
        times.append(time.perf_counter() - start)
    return ms.__version__, 1000 * statistics.median(times[2:])


def run(command: str) -> tuple[str, float]:
    """Measures in a process of its own, with the interpreter that `command` starts."""
    environment = os.environ | {"GLOG_v": "3", "OMP_NUM_THREADS": str(THREADS)}
    parts = [*shlex.split(command), __file__, "--measure"]
    output = subprocess.run(parts, env=environment, check=True, capture_output=True, text=True).stdout
    version, milliseconds = json.loads(output.splitlines()[-1])
    return version, milliseconds


def main() -> None:
    """Prints one line for each interpreter: version, median time, ratio to the first."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("others", nargs="*", help="commands that start other interpreters")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure()))
        return
    commands = [shlex.quote(sys.executable), *options.others]
    rounds = [[run(command) for command in commands] for _ in range(ROUNDS)]
    medians = [statistics.median(milliseconds for _, milliseconds in turns) for turns in zip(*rounds, strict=True)]
    for command, (version, _), median in zip(commands, rounds[0], medians, strict=True):
        print(f"MindSpore {version}  {median:8.1f} ms  {median / medians[0]:6.2f}  {command}")


if __name__ == "__main__":
    main()
