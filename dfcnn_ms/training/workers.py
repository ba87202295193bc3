"""The processes that train together: who I am, how many we are, and sums over all of us.

MindSpore's own engine does the work: ``msrun`` or a rank table starts the processes, and its collectives (HCCL on
Ascend, NCCL on GPU, its own on CPU) add up gradients. Alone, everything here costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from dfcnn_ms.errors import DeviceError
from dfcnn_ms.training.values import put


@dataclass(frozen=True)
class Workers:
    """The place of this process among those that train together.

    Attributes:
        rank: my number, from 0.
        count: how many we are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Only the first one writes files and talks."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sum over all workers of each value; exact for counts."""
        if self.count == 1:
            return list(values)
        # Float32 holds counts up to 2**24 exactly; float64 has no sum over workers on every device. So in two parts.
        numbers = np.asarray(values, np.float64)
        high = np.asarray(numbers / 4096, np.int64)
        low = numbers - high * 4096
        parts = ops.AllReduce()(Tensor(np.concatenate([high, low]), ms.float32)).asnumpy().astype(np.float64)
        return list(parts[: len(numbers)] * 4096 + parts[len(numbers) :])

    def mean_of(self, parameters: Sequence[ms.Parameter]) -> None:
        """Gives each parameter its mean over all workers."""
        if self.count > 1:
            for parameter in parameters:
                put(parameter, ops.AllReduce()(parameter.value()) / self.count)


def expected() -> Workers:
    """What the environment of this process says, before anybody has been met; alone if it says nothing."""
    if os.environ.get("MS_ROLE") == "MS_WORKER":
        rank = os.environ.get("RANK_ID") or os.environ.get("MS_NODE_ID") or "0"
        return Workers(int(rank), int(os.environ["MS_WORKER_NUM"]))
    if "RANK_TABLE_FILE" in os.environ or "RANK_SIZE" in os.environ:
        return Workers(int(os.environ.get("RANK_ID", 0)), int(os.environ.get("RANK_SIZE", 1)))
    return Workers()


def only_arranges() -> bool:
    """Whether this process is the scheduler of ``msrun``, started like the workers only to bring them together."""
    return os.environ.get("MS_ROLE") == "MS_SCHED"


def join() -> Workers:
    """Meets the other processes; MindSpore then adds up gradients over all of them. The scheduler stays to the end."""
    if expected().count == 1 and not only_arranges():
        return Workers()
    from mindspore import communication

    try:
        communication.init()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"the workers could not meet ({reason}); is the port of msrun free, and were all of them started?"
        ) from None
    workers = Workers(communication.get_rank(), communication.get_group_size())
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL,
        gradients_mean=True,
        device_num=workers.count,
        global_rank=workers.rank,
    )
    return workers
