"""The pages: what they link to is there, the tests and keys they name exist, their Python runs or at least compiles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dfcnn_ms.config import load_config

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("summary/*.md")])
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("*.py")))

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("http:", "https:")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pages
def test_tests_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")):
        assert re.search(rf"def {name}\b" if not name.endswith("_") else f"def {name}", SOURCES), name


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(
        r"`((?:dfcnn_ms|tests|benchmarks|configs|notebooks)/[\w/.]+)`", page.read_text(encoding="utf-8")
    ):
        assert (ROOT / name).exists(), name


@pages
def test_overrides_that_are_named_are_keys(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for key in re.findall(r"\b((?:train|model|data|augment)(?:\.[a-z_0-9]+)+)(?==|`)", text):
        if key.endswith((".py", ".jsonl", ".pack", ".json", ".txt", ".tsv", ".html", ".png")):
            continue  # a file
        section = load_config("digits").model_dump()
        for part in key.split("."):
            section = section[int(part)] if part.isdigit() else section[part]


@pages
def test_python_compiles(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        ast.parse(block)
