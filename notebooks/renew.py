"""Runs the notebooks from a clean start and writes their outputs into them, as they are committed.

Command: ``python notebooks/renew.py``, or with the notebooks that are meant: ``python notebooks/renew.py
notebooks/02_ctc_by_hand.ipynb``. It prints each line of text that came out differently from what was committed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def lines(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """What the cells printed, line by line."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield from output.get("text", "").splitlines()


def renew(path: Path) -> None:
    """Runs one notebook in an empty folder and writes it back, without times and without what went to stderr."""
    before = list(lines(nbformat.read(path, as_version=4)))
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, record_timing=False, coalesce_streams=True, resources=place).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)
    after = list(lines(notebook))
    for line in (line for line in after if line not in before):
        print(f"{path.name}: now {line!r}")
    print(f"{path.name}: {len(after)} lines of text, written")


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(HERE.glob("*.ipynb")):
        renew(Path(name))
