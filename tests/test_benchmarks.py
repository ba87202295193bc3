"""The benchmarks take minutes and run by hand; here it is only seen that what they use is still there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

PATHS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of everything of ours that a program imports, at its head or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dfcnn_ms":
            yield from ((node.module, alias.name) for alias in node.names)


def exists(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_it_imports_exists(path: Path) -> None:
    missing = [f"{module}.{name}" for module, name in imported(path) if not exists(module, name)]
    assert not missing


def test_there_are_some_and_they_import_much() -> None:
    assert sum(len(list(imported(path))) for path in PATHS) > 40
