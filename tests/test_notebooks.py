"""The notebooks: committed as they came out of a clean run, and still running."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install dfcnn-ms[dev]")

PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MEGABYTES = 1.3
SECONDS = 180

# What shows something by itself; a notebook's own functions that call one of these are added to them.
SHOWING = {"print", "Audio", "draw", "figure", "subplots"}
MACHINE_PATH = re.compile(r"(?<![\w.:/])(?:/(?:home|root|tmp|usr|opt|work|mnt|var|private|Users)/|[A-Z]:\\)")
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parsed(cell) -> list[ast.stmt]:
    """The statements of a cell; magics are not Python."""
    return ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)).body


def calls(statements: list[ast.stmt]) -> set[str]:
    """The last names of what is called, `subplots` for `plt.subplots`."""
    called = [node.func for tree in statements for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in called}


def kinds(cell) -> set[str]:
    """What a cell showed: text, pictures, results, errors."""
    return {output.get("name", output.output_type) for output in cell.outputs}


def silent_cells(notebook) -> Iterator[str]:
    """Cells that call something that shows, and show nothing."""
    showing = set(SHOWING)
    for cell in code_cells(notebook):
        body = parsed(cell)
        showing |= {node.name for node in body if isinstance(node, DEFINITIONS) and calls([node]) & showing}
        run = [node for node in body if not isinstance(node, DEFINITIONS)]
        if calls(run) & showing and not cell.outputs:
            yield cell.source


def written(notebook) -> Iterator[str]:
    """All that can be read in the outputs; pictures and sound aside."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            yield output.get("text", "")
            yield from (text for kind, text in output.get("data", {}).items() if kind == "text/plain")


def test_there_are_notebooks():
    assert [path.stem[:2] for path in PATHS] == [f"{number:02d}" for number in range(1, len(PATHS) + 1)]


def test_a_cell_that_shows_has_its_output(notebook):
    assert not list(silent_cells(notebook))


def test_a_cell_without_its_output_would_be_noticed(notebook):
    for cell in code_cells(notebook):
        cell.outputs = []
    assert len(list(silent_cells(notebook))) > 10


def test_the_outputs_are_of_one_clean_run(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert set().union(*map(kinds, code_cells(notebook))) <= {"stdout", "display_data", "execute_result"}


def test_no_path_of_a_machine(notebook):
    assert not [text for text in written(notebook) if MACHINE_PATH.search(text)]
    assert not [cell.source for cell in notebook.cells if MACHINE_PATH.search(cell.source)]
    assert not [cell.source for cell in code_cells(notebook) if "sys.path" in cell.source]


def test_a_path_of_a_machine_would_be_noticed():
    assert MACHINE_PATH.search("File /home/me/a.py") and MACHINE_PATH.search(r"C:\Users\me")
    assert not MACHINE_PATH.search("frames/s, and/or, a/tmp/b, https://x.org/usr/a")


def test_it_opens_everywhere_and_stays_small(path, notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not [cell for cell in notebook.cells if cell.metadata]  # no times, no state of an editor
    assert path.stat().st_size < MEGABYTES * 1e6


def test_a_reader_without_jupyter_can_see_its_text(path):
    page = json.loads(path.read_text(encoding="utf-8"))
    assert "".join(page["cells"][0]["source"]).startswith("# ")


@pytest.mark.long
@pytest.mark.slow
def test_it_runs(notebook, tmp_path):
    """Every cell runs, in another folder, and shows the kinds of things that are committed."""
    nbclient = pytest.importorskip("nbclient", reason="pip install dfcnn-ms[dev]")
    pytest.importorskip("espeakng_loader", reason="the notebooks speak: pip install dfcnn-ms[synth]")
    committed = [kinds(cell) for cell in code_cells(notebook)]
    client = nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert [kinds(cell) - {"stderr"} for cell in code_cells(notebook)] == committed
    assert not list(tmp_path.iterdir())
