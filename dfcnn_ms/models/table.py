"""The table of a convolutional network: its rows, and what each does to a length in time or frequency."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dfcnn_ms.errors import ConfigError

PAD_MODES = ("pad", "same", "valid")
OVER_TIME = ("steps", "mean")


@dataclass(frozen=True)
class Block:
    """Some convolutions of one width, then one pooling.

    Attributes:
        channels: output channels of every convolution of the block.
        convs: how many convolutions (each with batch norm and ReLU).
        pool: max-pool window over (time, frequency); (1, 1) is none.
        kernel: side of the square kernel, odd.
        stride: stride of the first convolution over (time, frequency); a cheap way to shrink the input early.
        fold: before this block every bin of every channel becomes a channel of its own, and the kernels reach over
            time alone; all later blocks fold too. On a CPU such layers cost a fraction of square kernels on narrow
            maps.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    channels: int
    convs: int = 2
    pool: tuple[int, int] = (2, 2)
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    fold: bool = False

    def __post_init__(self) -> None:
        if min(self.channels, self.convs, *self.pool, *self.stride) < 1:
            raise ConfigError(f"{self}: channels, convs, pool and stride must be at least 1")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(f"{self}: kernel must be odd, so that every frame has a middle")
        if self.fold and (self.stride[1] != 1 or self.pool[1] != 1):
            raise ConfigError(
                f"{self}: a block that folds has no frequency to stride or pool over; use stride [n, 1] and pool [n, 1]"
            )

    @property
    def window(self) -> tuple[int, int]:
        """The kernel over (time, frequency)."""
        return self.kernel, 1 if self.fold else self.kernel

    def channels_in(self, channels: int, bins: int) -> int:
        """What its first convolution reads, where the layers before leave so many channels and bins."""
        return channels * bins if self.fold else channels


#: The geometry of the DFCNN this package is named after: (B, 1, 1600, 200) becomes (B, 512, 200, 25).
REFERENCE = (
    Block(64, convs=2, pool=(2, 2)),
    Block(128, convs=2, pool=(2, 2)),
    Block(256, convs=3, pool=(2, 2)),
    Block(512, convs=3, pool=(1, 1)),
    Block(512, convs=3, pool=(1, 1)),
)


def check_padding(pad_mode: str, padding: int, blocks: Sequence[Block]) -> None:
    """Refuses a padding argument that its mode would ignore or that would change the number of frames."""
    if pad_mode not in PAD_MODES:
        raise ConfigError(f"pad_mode: got {pad_mode!r}, wanted one of {', '.join(PAD_MODES)}")
    if pad_mode != "pad" and padding != 0:
        raise ConfigError(
            f"padding: got {padding} with pad_mode {pad_mode!r}, which takes none; use padding 0 or pad_mode 'pad'"
        )
    if pad_mode == "pad" and padding < 0:
        raise ConfigError(f"padding: got {padding}, wanted 0 or more")
    if pad_mode == "same" and any(stride != 1 for block in blocks for stride in block.stride):
        # "same" with a stride pads left or right depending on the length, so neighbours would change a sentence.
        raise ConfigError("stride: a stride above 1 needs pad_mode 'pad' or 'valid', got 'same'")
    smallest = min((block.kernel for block in blocks), default=1)
    if pad_mode == "pad" and padding >= smallest:
        raise ConfigError(f"padding: got {padding}, wanted less than the smallest kernel, {smallest}")


def check_folds(blocks: Sequence[Block]) -> None:
    """Refuses a table that comes back to frequency after it was folded into the channels."""
    for before, block in itertools.pairwise(blocks):
        if before.fold and not block.fold:
            raise ConfigError(f"{block}: it follows a block that folds, so there is no frequency left; add fold: true")


def convolved(length: Any, kernel: int, stride: int, pad_mode: str, padding: int) -> Any:
    """Length after one convolution; works on ints, NumPy arrays and MindSpore tensors alike."""
    if pad_mode == "same":
        return (length + stride - 1) // stride
    margin = 2 * padding if pad_mode == "pad" else 0
    return (length + margin - kernel) // stride + 1


def after_block(length: Any, block: Block, axis: int, pad_mode: str, padding: int) -> Any:
    """Length after a whole block along ``axis`` (0 time, 1 frequency)."""
    if axis == 1 and block.fold:
        return min(length, 1)
    for index in range(block.convs):
        stride = block.stride[axis] if index == 0 else 1
        length = convolved(length, block.kernel, stride, pad_mode, padding)
    return length // block.pool[axis]


def after_blocks(length: Any, blocks: Sequence[Block], axis: int, pad_mode: str, padding: int) -> Any:
    """Length after all blocks; zero or negative where the input is too short for one step."""
    for block in blocks:
        length = after_block(length, block, axis, pad_mode, padding)
    return length


def bins_before(num_bins: int, blocks: Sequence[Block], pad_mode: str, padding: int) -> Iterator[int]:
    """The bins that each block reads, and at last those that all of them leave."""
    for block in blocks:
        yield num_bins
        num_bins = after_block(num_bins, block, 1, pad_mode, padding)
    yield num_bins


def receptive_field(blocks: Sequence[Block], pad_mode: str, padding: int) -> tuple[int, int]:
    """The first and the last frame that output step 0 sees, followed forward layer by layer."""
    first = last = 0
    frames = 1  # from one step of this layer to the next
    for block in blocks:
        beside = {"pad": padding, "same": block.kernel // 2, "valid": 0}[pad_mode]
        for index in range(block.convs):
            first -= beside * frames
            last += (block.kernel - 1 - beside) * frames
            frames *= block.stride[0] if index == 0 else 1
        last += (block.pool[0] - 1) * frames
        frames *= block.pool[0]
    return first, last


def steps_of(frames: Any, blocks: Sequence[Block], pad_mode: str, padding: int, over_time: str) -> Any:
    """Output steps for T frames, for ints, arrays and tensors alike; below 1 means too short for one step."""
    steps = after_blocks(frames, blocks, 0, pad_mode, padding)
    # The smaller of the steps and 1, from arithmetic that ints, arrays and compiled tensors share.
    return steps if over_time == "steps" else 1 - (1 - steps + abs(1 - steps)) // 2
