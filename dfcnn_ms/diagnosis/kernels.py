"""Which kernels the installed MindSpore registers for a device, read from its libraries without the device.

A kernel registers itself when its library is loaded: a static initialiser makes a string of the operator's name and
hands it to a registration function. The compiled form of that is always the same on x86: load the address of the name,
call the constructor of ``std::string``, call the registration function. So: find every operator-like name that is
handed to the string constructor, and the function called next. A function that gets names of that sort by the dozen is
a registration function, and its names are the kernels. This is evidence and not proof: it says nothing of the types and
shapes that a kernel accepts.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfcnn_ms.diagnosis.elf import Section, read_sections
from dfcnn_ms.errors import DeviceError

#: a function that this many different names are handed to registers kernels
MANY = 50
#: bytes of code within which the two calls follow the name
NEAR = 160
_NAME = re.compile(rb"[A-Z][A-Za-z0-9_]{1,79}\0")
#: `std::string(const char*, allocator)`, old and new ABI
_STRING_CONSTRUCTOR = re.compile(rb"_ZNSsC[12]EPKcRKSaIcE|_ZNSt7__cxx1112basic_string\w*C[12]E\w*PKc\w*")
_RELOCATION = np.dtype([("place", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_SYMBOL_BYTES = 24
_PLT_ENTRY_BYTES = 16


@functools.cache
def registered_names(library: Path) -> frozenset[str]:
    """Names that an x86-64 Linux library registers in bulk; empty if it is a library of another sort."""
    content = library.read_bytes()
    sections = read_sections(content)
    if not {".text", ".plt", ".rodata", ".rela.plt", ".dynsym", ".dynstr"} <= sections.keys():
        return frozenset()
    text, plt = sections[".text"], sections[".plt"]
    code = np.frombuffer(content, np.uint8, text.size, text.offset)
    places, literals = _literals_loaded(code, text.address, sections[".rodata"])
    call_places, called = _calls(code, text, plt)
    first = np.searchsorted(call_places, places)
    inside = first + 1 < len(call_places)
    places, literals, first = places[inside], literals[inside], first[inside]
    near = call_places[first + 1] - places < NEAR
    to_string = np.isin(called[first], _string_constructors(content, sections))
    to_this_library = text.holds(called[first + 1])
    chosen = near & to_string & to_this_library
    return _handed_over_in_bulk(content, sections[".rodata"], literals[chosen], called[first + 1][chosen])


def _literals_loaded(code: np.ndarray, address: int, rodata: Section) -> tuple[np.ndarray, np.ndarray]:
    """Places in the code of ``lea register, [rip + distance]`` into ``rodata``, and the addresses that they load."""
    rex, opcode, operand = code[:-7], code[1:-6], code[2:-5]
    places = np.flatnonzero(((rex & 0xFB) == 0x48) & (opcode == 0x8D) & ((operand & 0xC7) == 0x05))
    targets = address + places + 7 + _distances(code, places + 3)
    inside = rodata.holds(targets)
    return places[inside], targets[inside]


def _calls(code: np.ndarray, text: Section, plt: Section) -> tuple[np.ndarray, np.ndarray]:
    """Places in the code of ``call distance`` that lead to this library's code or to its import table, and where to."""
    places = np.flatnonzero(code[:-5] == 0xE8)
    targets = text.address + places + 5 + _distances(code, places + 1)
    real = text.holds(targets) | plt.holds(targets)
    return places[real], targets[real]


def _distances(code: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The signed 32-bit numbers at ``places``."""
    return code[places[:, None] + np.arange(4)].copy().view("<i4").ravel().astype(np.int64)


def _string_constructors(content: bytes, sections: dict[str, Section]) -> list[int]:
    """Addresses in the import table that stand for a constructor of ``std::string`` from a literal."""
    table, strings = sections[".rela.plt"], sections[".dynstr"].offset
    relocations = np.frombuffer(content, _RELOCATION, table.size // _RELOCATION.itemsize, table.offset)
    found = []
    for index, symbol in enumerate(relocations["symbol"]):
        place = sections[".dynsym"].offset + int(symbol) * _SYMBOL_BYTES
        (name,) = struct.unpack_from("<I", content, place)
        if _STRING_CONSTRUCTOR.fullmatch(content, strings + name, content.index(b"\0", strings + name)):
            found.append(sections[".plt"].address + (index + 1) * _PLT_ENTRY_BYTES)
    return found


def _handed_over_in_bulk(
    content: bytes, rodata: Section, literals: np.ndarray, functions: np.ndarray
) -> frozenset[str]:
    """Names that go to a function which gets at least ``MANY`` of them."""
    names: dict[int, set[str]] = {}
    for literal, function in zip(literals.tolist(), functions.tolist(), strict=True):
        name = _NAME.match(content, literal - rodata.address + rodata.offset)
        if name:
            names.setdefault(function, set()).add(name[0][:-1].decode())
    return frozenset().union(*(group for group in names.values() if len(group) >= MANY))


@dataclass(frozen=True)
class Kernels:
    """What the installed MindSpore says about one device.

    Attributes:
        device: ``GPU`` or ``Ascend``.
        sources: what was read -> the names found there; empty when the wheel carries nothing for this device. For
            Ascend: ``plugin``, the kernels of MindSpore's own library (most call aclnn); ``CANN``, the operators that
            its adapter to CANN knows; ``AiCPU``, those that Ascend's own processor computes.
    """

    device: str
    sources: dict[str, frozenset[str]]

    def evidence(self, primitive: str) -> tuple[str, ...]:
        """The sources that name a primitive."""
        return tuple(source for source, names in self.sources.items() if primitive in names)

    def counts(self) -> str:
        """How many names each source has; empty without sources."""
        return ", ".join(f"{len(names)} {source}" for source, names in self.sources.items())


def installed_kernels(root: Path | None = None) -> tuple[Kernels, Kernels]:
    """What the MindSpore in the folder ``root`` (default: the one installed) registers for GPU and for Ascend.

    Raises:
        DeviceError: there is no MindSpore.
    """
    root = root or mindspore_folder()
    plugins = root / "lib" / "plugin"
    gpu = sorted(plugins.glob("libmindspore_gpu.so*"))[-1:]
    ascend = {
        "plugin": [plugins / "libmindspore_ops_ascend.so"],
        "CANN": sorted(
            [*plugins.glob("libmindspore_ascend.so*"), *plugins.glob("ascend/libmindspore_*res_manager.so")]
        ),
    }
    return (
        Kernels("GPU", _filled({"kernel": _names(gpu)})),
        Kernels(
            "Ascend", _filled({key: _names(files) for key, files in ascend.items()} | {"AiCPU": aicpu_names(root)})
        ),
    )


def mindspore_folder() -> Path:
    """Where the installed MindSpore lies; it is not imported."""
    spec = importlib.util.find_spec("mindspore")
    if spec is None or not spec.submodule_search_locations:
        raise DeviceError(
            "MindSpore is not installed, so there are no kernels to look at; pip install mindspore==2.8.0"
        )
    return Path(spec.submodule_search_locations[0])


def aicpu_names(root: Path) -> frozenset[str]:
    """Operators that Ascend's own processor computes, from the list in ``config/op_info.config``."""
    path = root / "config" / "op_info.config"
    if not path.is_file():
        return frozenset()
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = (json.loads(line) for line in lines if line.startswith("{"))
    return frozenset(entry["op_name"] for entry in entries if entry.get("imply_type") == "AiCPU")


def _names(libraries: list[Path]) -> frozenset[str]:
    return frozenset().union(*(registered_names(library) for library in libraries if library.is_file()))


def _filled(sources: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {source: names for source, names in sources.items() if names}
