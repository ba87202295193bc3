"""The C interface of the oneDNN inside MindSpore's wheel: layouts, memories, operations.

Addresses go in, nothing is copied that need not be. One :class:`Bench` is for one thread.
"""

from __future__ import annotations

import ctypes
import functools
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.cuda import in_package

LIBRARY = Path("lib", "libdnnl.so.2")
#: the generation of the interface that is spoken here
MAJOR = 2

# Numbers of dnnl_types.h.
CPU, IN_ORDER, FLOAT32, ANY_LAYOUT = 1, 1, 3, 1
FROM, TO = 1, 17
NAME_OF_CODE = 8
# More than the structures of the interface hold, whose fields nobody here reads.
_LAYOUT_BYTES, _WISH_BYTES = 4096, 65536
_ALIGNMENT = 64
#: of a float32
BYTES = 4


class OneDnnError(RuntimeError):
    """oneDNN refused."""


@functools.cache
def library() -> Any:
    """The oneDNN of the installed MindSpore, opened; None where :func:`obstacle` says why."""
    return None if obstacle() else _opened()


def obstacle() -> str:
    """Why the oneDNN of MindSpore can't be called from here; empty if it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "known for Linux on x86-64 only"
    try:
        if in_package("mindspore", LIBRARY) is None:
            return f"this MindSpore has no {LIBRARY.name}"
        major, minor = (_opened().dnnl_version()[field] for field in range(2))
    except (OSError, AttributeError) as error:
        return f"{LIBRARY.name}: {error}"
    return "" if major == MAJOR else f"this MindSpore has oneDNN {major}.{minor}, and {MAJOR} is spoken here"


@functools.cache
def _opened() -> Any:
    opened = ctypes.CDLL(str(in_package("mindspore", LIBRARY)))
    opened.dnnl_version.restype = ctypes.POINTER(ctypes.c_int)
    opened.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
    opened.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
    return opened


def call(name: str, *arguments: Any) -> None:
    """Calls a function of the interface, each of which answers with a status."""
    status = getattr(library(), f"dnnl_{name}")(*arguments)
    if status:
        raise OneDnnError(f"oneDNN: {name} ended with status {status}")


@functools.cache
def engine() -> ctypes.c_void_p:
    """The processor."""
    made = ctypes.c_void_p()
    call("engine_create", ctypes.byref(made), CPU, ctypes.c_size_t(0))
    return made


def numbers(values: Sequence[int]) -> Any:
    """An array of C."""
    return (ctypes.c_int64 * len(values))(*values)


def as_it_lies(shape: Sequence[int]) -> Any:
    """The layout of a tensor, axis after axis."""
    strides = [int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape))]
    return _strided(shape, strides)


def channels_last(shape: Sequence[int]) -> Any:
    """The layout of (B, C, H, W) in which the channels of a place lie side by side."""
    _, channels, height, width = shape
    return _strided(shape, [channels * height * width, 1, width * channels, channels])


def as_you_like(shape: Sequence[int]) -> Any:
    """A layout that oneDNN chooses."""
    layout = ctypes.create_string_buffer(_LAYOUT_BYTES)
    call("memory_desc_init_by_tag", layout, len(shape), numbers(shape), FLOAT32, ANY_LAYOUT)
    return layout


def _strided(shape: Sequence[int], strides: Sequence[int]) -> Any:
    layout = ctypes.create_string_buffer(_LAYOUT_BYTES)
    call("memory_desc_init_by_strides", layout, len(shape), numbers(shape), FLOAT32, numbers(strides))
    return layout


def same(one: Any, other: Any) -> bool:
    """Whether two layouts are one."""
    return bool(library().dnnl_memory_desc_equal(one, other))


def chosen(kind: str, *arguments: Any, hint: Any = None) -> ctypes.c_void_p:
    """What oneDNN would do for an operation, such as ``convolution_forward``."""
    wish = ctypes.create_string_buffer(_WISH_BYTES)
    call(f"{kind}_desc_init", wish, *arguments)
    made = ctypes.c_void_p()
    call("primitive_desc_create", ctypes.byref(made), wish, None, engine(), hint)
    return made


def layout_in(choice: ctypes.c_void_p, query: int) -> ctypes.c_void_p:
    """The layout that an operation wants for one of its tensors."""
    return ctypes.c_void_p(library().dnnl_primitive_desc_query_md(choice, query, 0))


def code_of(choice: ctypes.c_void_p) -> str:
    """What oneDNN calls the code that it would run, such as ``jit:avx512_common``."""
    name = ctypes.c_char_p()
    call("primitive_desc_query", choice, NAME_OF_CODE, 0, ctypes.byref(name))
    return (name.value or b"").decode()


def made(choice: ctypes.c_void_p) -> ctypes.c_void_p:
    """The operation, ready to run."""
    primitive = ctypes.c_void_p()
    call("primitive_create", ctypes.byref(primitive), choice)
    return primitive


def reordering(before: Any, after: Any) -> ctypes.c_void_p:
    """The operation that takes a tensor from one layout to another."""
    choice = ctypes.c_void_p()
    call("reorder_primitive_desc_create", ctypes.byref(choice), before, engine(), after, engine(), None)
    return made(choice)


def tensor_at(address: int, shape: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The float32 tensor at an address, as an array that shares its memory."""
    return np.ctypeslib.as_array((ctypes.c_float * math.prod(shape)).from_address(address)).reshape(shape)


class Memory:
    """A tensor for oneDNN: a layout, and an address that changes from call to call."""

    def __init__(self, layout: Any) -> None:
        self.handle = ctypes.c_void_p()
        self.size = int(library().dnnl_memory_desc_get_size(layout))
        self.address = 0
        call("memory_create", ctypes.byref(self.handle), layout, engine(), ctypes.c_void_p(0))

    def place(self, address: int) -> None:
        """The tensor lies at an address from now on."""
        if address != self.address:
            call("memory_set_data_handle", self.handle, ctypes.c_void_p(address))
            self.address = address


class _Argument(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("memory", ctypes.c_void_p)]


class Bench:
    """What one thread works on: a stream of operations, and room for a tensor in each of its roles."""

    def __init__(self) -> None:
        self.stream = ctypes.c_void_p()
        self.rooms: dict[str, np.ndarray[Any, Any]] = {}
        call("stream_create", ctypes.byref(self.stream), engine(), IN_ORDER)

    def room(self, role: str, size: int) -> int:
        """The address of so many bytes, which stay as they are until the same role asks again."""
        if role not in self.rooms or self.rooms[role].nbytes < size + _ALIGNMENT:
            self.rooms[role] = np.empty(size + _ALIGNMENT, np.uint8)
        address = self.rooms[role].ctypes.data
        return address + -address % _ALIGNMENT


class Task:
    """An operation with its tensors, which keep their memories and change their places."""

    def __init__(self, primitive: ctypes.c_void_p, memories: Mapping[int, Memory]) -> None:
        self.primitive = primitive
        self.count = len(memories)
        given = [_Argument(number, memory.handle) for number, memory in memories.items()]
        self.arguments = (_Argument * self.count)(*given)

    def run(self, bench: Bench) -> None:
        """Runs the operation to its end."""
        call("primitive_execute", self.primitive, bench.stream, self.count, self.arguments)
        call("stream_wait", bench.stream)
