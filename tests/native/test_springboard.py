"""Names in a shared library that lead to functions of Python, called as C code would."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

import pytest

from dfcnn_ms.native import springboard
from dfcnn_ms.native.springboard import SIGNATURE, Springboard, with_jumps

pytestmark = pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="for Linux on x86-64")


def called(name: str, count: int) -> int:
    """Calls what stands behind ``file:function``, found by its name as MindSpore finds it."""
    file, function = name.split(":")
    address = ctypes.cast(getattr(ctypes.CDLL(file), function), ctypes.c_void_p).value
    return int(SIGNATURE(address)(count, None, None, None, None, None, None))  # type: ignore[arg-type]


def test_each_name_leads_to_its_own_function() -> None:
    board = Springboard(places=7)
    names = [board.name(lambda count, *_, factor=factor: count * factor) for factor in range(7)]
    assert [called(name, 6) for name in names] == [0, 6, 12, 18, 24, 30, 36]
    assert board.is_full and len(set(names)) == 7


@pytest.mark.parametrize("places", [1, 2, 63, 400])
def test_libraries_of_any_size_load(places: int) -> None:
    board = Springboard(places)
    names = [board.name(lambda count, *_, add=add: count + add) for add in range(places)]
    assert called(names[0], 1) == 1 and called(names[-1], 1) == places


def test_addresses_and_shapes_arrive() -> None:
    seen = []

    def listener(count: int, places: object, ranks: object, sizes: object, *_: object) -> int:
        seen.append((places[:count], [sizes[index][: ranks[index]] for index in range(count)]))  # type: ignore[index]
        return 7

    file, function = springboard.name_of(listener).split(":")
    address = ctypes.cast(getattr(ctypes.CDLL(file), function), ctypes.c_void_p).value
    sizes = (ctypes.POINTER(ctypes.c_int64) * 2)((ctypes.c_int64 * 2)(3, 4), (ctypes.c_int64 * 1)(5))
    places, ranks = (ctypes.c_void_p * 2)(1024, 2048), (ctypes.c_int * 2)(2, 1)
    assert SIGNATURE(address)(2, places, ranks, sizes, None, None, None) == 7  # type: ignore[arg-type]
    assert seen == [([1024, 2048], [[3, 4], [5]])]


def test_more_names_than_one_library_has() -> None:
    names = [springboard.name_of(lambda count, *_, add=add: count + add) for add in range(springboard.PLACES + 1)]
    assert len({name.split(":")[0] for name in names}) > 1
    assert [called(name, 0) for name in names] == list(range(springboard.PLACES + 1))


def test_the_stack_stays_without_code(tmp_path: Path) -> None:
    """A library that does not say so makes the stack of the whole process executable, or is refused."""
    image = with_jumps(3)
    headers = [image[64 + 56 * index : 64 + 56 * (index + 1)] for index in range(4)]
    kinds = {int.from_bytes(header[:4], "little"): int.from_bytes(header[4:8], "little") for header in headers}
    assert kinds[0x6474E551] & 1 == 0
    rights = [int.from_bytes(header[4:8], "little") for header in headers]
    assert all(right & 3 != 3 for right in rights)  # nothing is both code and writable


def test_a_folder_that_forbids_code_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> None:
        raise OSError(f"{path}: failed to map segment from shared object")

    springboard._boards.cache_clear()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(springboard.ctypes, "CDLL", refused)
            assert "failed to map" in springboard.obstacle()
    finally:
        springboard._boards.cache_clear()
    assert springboard.obstacle() == ""
