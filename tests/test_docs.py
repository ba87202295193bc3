"""The pages: what they link to is there, the tests, files and keys they name exist, and their Python compiles.

Each case is one thing that a page says; where a page says nothing of a kind, there is no case.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dfcnn_ms.config import load_config

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("summary/*.md")])
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))

LINK = r"\]\((?!https?:)([^)\s]+)\)"
TEST = r"`(test_\w+)`"
FILE = r"`((?:dfcnn_ms|tests|benchmarks|configs|notebooks)/[\w/.]+)`"
KEY = r"\b((?:train|model|data|augment)(?:\.[a-z_0-9]+)+)(?==|`)"
PYTHON = r"```python\n(.*?)```"
#: what looks like a key and ends so is a file
SUFFIXES = (".py", ".jsonl", ".pack", ".json", ".txt", ".tsv", ".html", ".png", ".onnx")


class Said(NamedTuple):
    """Something that a page says, and where."""

    text: str
    page: Path

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0]}"


def each(pattern: str, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """A case for each different thing that a page says in this way, unless it ends in one of `but`."""
    cases = [
        Said(text, page)
        for page in PAGES
        for text in dict.fromkeys(re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL))
        if not text.endswith(but)
    ]
    assert cases, f"no page says anything like {pattern}"
    return pytest.mark.parametrize("said", cases, ids=str)


@cache
def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def keys() -> dict[str, Any]:
    """The sections of a configuration."""
    return load_config("digits").model_dump()


@each(LINK)
def test_links_lead_somewhere(said: Said) -> None:
    name, _, anchor = said.text.partition("#")
    target = said.page.parent / name if name else said.page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@each(TEST)
def test_tests_that_are_named_exist(said: Said) -> None:
    """A name that ends in an underscore stands for all that begin so."""
    assert re.search(rf"def {said.text}" if said.text.endswith("_") else rf"def {said.text}\b", SOURCES)


@each(FILE)
def test_files_that_are_named_exist(said: Said) -> None:
    assert (ROOT / said.text).exists()


@each(KEY, but=SUFFIXES)
def test_overrides_that_are_named_are_keys(said: Said) -> None:
    section: Any = keys()
    for part in said.text.split("."):
        section = section[int(part) if part.isdigit() else part]


@each(PYTHON)
def test_python_compiles(said: Said) -> None:
    ast.parse(said.text)
