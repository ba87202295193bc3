"""The C interface of the oneDNN inside MindSpore's wheel: layouts, memories, operations.

Addresses go in, nothing is copied that need not be.
"""

from __future__ import annotations

import ctypes
import functools
import math
import platform
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms import machine
from dfcnn_ms.cuda import in_package
from dfcnn_ms.native import threads

LIBRARY = Path("lib", "libdnnl.so.2")
#: the generation of the interface that is spoken here
MAJOR = 2

# Numbers of dnnl_types.h.
CPU, IN_ORDER, FLOAT32, ANY_LAYOUT = 1, 1, 3, 1
FROM, TO = 1, 17
#: what a choice is asked for the layout of a tensor (0: it is as the caller says), and the number it goes by
Role = tuple[int, int]
SOURCE, WEIGHTS, RESULT, WORKSPACE = (129, 1), (131, 33), (133, 17), (135, 64)
TO_SOURCE, TO_WEIGHTS, TO_RESULT = (130, 129), (132, 161), (134, 145)
#: of a norm; its scales are those that multiply and then those that are added
SCALES, MEAN, VARIANCE, TO_SCALES = (0, 33), (0, 49), (0, 50), (0, 161)
BIAS, TO_BIAS = (0, 41), (0, 169)
FORWARD_TRAINING, BACKWARD = 64, 128
NAME_OF_CODE = 8
#: a function of C++ without arguments
_MOST_THREADS = "_ZN4dnnl4impl3cpu8platform22get_max_threads_to_useEv"
# More than the structures of the interface hold, whose fields nobody here reads.
_LAYOUT_BYTES, _WISH_BYTES = 4096, 65536
_ALIGNMENT = 64
_MOST_AXES, _AXES_OF_MAPS = 12, 4
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
def most_threads() -> int:
    """How many threads oneDNN sets memory aside for; more of them would write beyond it."""
    try:
        return int(library()[_MOST_THREADS]())
    except AttributeError:
        return 1


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


class _Groups(ctypes.Structure):
    _fields_ = [
        ("strides", ctypes.c_int64 * _MOST_AXES),
        ("count", ctypes.c_int),
        ("sizes", ctypes.c_int64 * _MOST_AXES),
        ("axes", ctypes.c_int64 * _MOST_AXES),
    ]


class _Layout(ctypes.Structure):
    """What ``dnnl_memory_desc_t`` begins with, for a tensor whose places are found by strides."""

    _fields_ = [
        ("rank", ctypes.c_int),
        ("shape", ctypes.c_int64 * _MOST_AXES),
        ("type", ctypes.c_int),
        ("padded", ctypes.c_int64 * _MOST_AXES),
        ("offsets", ctypes.c_int64 * _MOST_AXES),
        ("begins", ctypes.c_int64),
        ("kind", ctypes.c_int),
        ("groups", _Groups),
    ]


def _groups_of(layout: Any) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The shape (B, C, H, W) that maps take up, the strides of its axes, how many channels lie together."""
    given = ctypes.cast(layout, ctypes.POINTER(_Layout)).contents
    groups = given.groups
    if given.rank != _AXES_OF_MAPS or groups.count > 1 or (groups.count and groups.axes[0] != 1):
        raise OneDnnError("oneDNN: a layout of maps that is not known here")
    together = groups.sizes[0] if groups.count else 1
    return tuple(given.padded[:_AXES_OF_MAPS]), tuple(groups.strides[:_AXES_OF_MAPS]), together


def room_for(layout: Any) -> tuple[int, ...]:
    """The shape (B, C, H, W) that maps take up in a layout, which may have room for more channels than there are."""
    return _groups_of(layout)[0]


def maps_at(address: int, layout: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Maps in a layout as an array (B, groups, H, W, channels of a group) that shares their memory."""
    (rows, channels, height, width), strides, together = _groups_of(layout)
    shape = rows, channels // together, height, width, together
    steps = [BYTES * stride for stride in (*strides, 1)]
    return np.lib.stride_tricks.as_strided(tensor_at(address, (1,)), shape, steps)


class Memory:
    """A tensor for oneDNN: a layout, and an address that changes from call to call."""

    def __init__(self, layout: Any) -> None:
        self.handle = ctypes.c_void_p()
        self.layout = layout
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
    """What operations run on: a stream of them for so many threads, and room for tensors in each of their roles."""

    def __init__(self, count: int) -> None:
        self.stream = ctypes.c_void_p()
        self.rooms: dict[str, np.ndarray[Any, Any]] = {}
        if count > 1:
            team = ctypes.c_void_p(threads.team(count).address)
            call("threadpool_interop_stream_create", ctypes.byref(self.stream), engine(), team)
        else:
            call("stream_create", ctypes.byref(self.stream), engine(), IN_ORDER)

    def room(self, role: str, size: int) -> int:
        """The address of so many bytes, which stay as they are until the same role asks again."""
        if role not in self.rooms or self.rooms[role].nbytes < size + _ALIGNMENT:
            self.rooms[role] = np.empty(size + _ALIGNMENT, np.uint8)
        address = self.rooms[role].ctypes.data
        return address + -address % _ALIGNMENT


#: one plan runs at a time, whoever asks: there is room for one
_turn = threading.Lock()


@functools.cache
def bench(count: int) -> Bench:
    """The one of this process for so many threads."""
    return Bench(count)


class Plan:
    """Operations, one after the other, on tensors that go by names.

    Those that are *given* lie where each run says, in a layout of the caller's; all others lie on the bench, as the
    operation that writes them wants them. An operation that reads a tensor gets it in the layout that it wants: it is
    put in order before, once for all that want it so.
    """

    def __init__(self) -> None:
        self._given: dict[str, Memory] = {}
        self._rooms: dict[str, Memory] = {}
        self._forms: dict[str, list[Memory]] = {}
        self._steps: list[Callable[[Bench, Mapping[str, int]], None]] = []

    def give(self, name: str, layout: Any) -> None:
        """A tensor that comes from outside or goes there."""
        self._given[name] = Memory(layout)
        self._forms[name] = [self._given[name]]

    def run(self, places: Mapping[str, int]) -> None:
        """Runs all; ``places`` has an address for each given tensor, and for whatever else its steps read."""
        with _turn:
            on = bench(min(machine.threads(), most_threads()))
            for name, memory in self._given.items():
                memory.place(places[name])
            for name, memory in self._rooms.items():
                memory.place(on.room(name, memory.size))
            for step in self._steps:
                step(on, places)

    def then(self, choice: ctypes.c_void_p, reads: Mapping[str, Role], writes: Mapping[str, Role]) -> None:
        """An operation, as oneDNN chose to do it."""
        arguments: dict[int, Memory] = {}
        back: list[tuple[Memory, Memory]] = []
        for name, (query, number) in reads.items():
            arguments[number] = self._form(name, layout_in(choice, query)) if query else self._forms[name][0]
        for name, (query, number) in writes.items():
            given = self._given.get(name)
            if given and (not query or same(given.layout, layout_in(choice, query))):
                arguments[number] = given
            else:
                arguments[number] = self._new_form(name, layout_in(choice, query))
                back += [(arguments[number], given)] if given else []
        self._run(made(choice), arguments)
        for source, target in back:
            self._reorder(source, target)

    def move(self, source: str, target: str) -> None:
        """Writes one tensor into another, from layout to layout."""
        self._reorder(self._forms[source][0], self._forms[target][0])

    def call(self, function: Callable[[Memory, Mapping[str, int]], None], name: str) -> None:
        """Lets a function change a tensor where it lies; it gets what ``run`` was given, too."""
        memory = self._forms[name][0]
        self._steps.append(lambda _, places: function(memory, places))

    def layout(self, name: str) -> Any:
        """Of a tensor, as it was given or first written."""
        return self._forms[name][0].layout

    def _form(self, name: str, layout: Any) -> Memory:
        """A tensor in a layout, put in order if it has not been."""
        for memory in self._forms[name]:
            if same(memory.layout, layout):
                return memory
        source, form = self._forms[name][0], self._new_form(name, layout)
        self._reorder(source, form)
        return form

    def _new_form(self, name: str, layout: Any) -> Memory:
        forms = self._forms.setdefault(name, [])
        forms.append(Memory(layout))
        self._rooms[f"{name} {len(forms)}"] = forms[-1]
        return forms[-1]

    def _reorder(self, source: Memory, target: Memory) -> None:
        self._run(reordering(source.layout, target.layout), {FROM: source, TO: target})

    def _run(self, primitive: ctypes.c_void_p, memories: Mapping[int, Memory]) -> None:
        count = len(memories)
        given = (_Argument * count)(*(_Argument(number, memory.handle) for number, memory in memories.items()))

        def run(on: Bench, _: Mapping[str, int]) -> None:
            call("primitive_execute", primitive, on.stream, count, given)
            call("stream_wait", on.stream)

        self._steps.append(run)
