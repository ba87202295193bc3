"""Machine code: said when it is made, and made also where it cannot be kept."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from numba import njit

from dfcnn_ms.compiled import announced, compiled


def test_compiling_is_said_once_and_finding_compiled_code_is_not(caplog: pytest.LogCaptureFixture) -> None:
    inner = njit(lambda number: number + 1)
    outer = njit(lambda number: inner(number) * 2)
    with caplog.at_level(logging.INFO, "dfcnn_ms"):
        for _ in range(2):
            with announced("a test"):
                assert outer(3) == 8
    assert caplog.messages == ["compiling a test, once; this may take half a minute"]


def test_without_a_folder_to_keep_it_in_a_function_is_compiled_all_the_same() -> None:
    """No folder is found for a function whose file is not there, as where none may be written to."""
    names: dict[str, Any] = {}
    exec(compile("def twice(number):\n    return 2 * number\n", "/nowhere/module.py", "exec"), names)
    assert compiled(names["twice"])(21) == 42
