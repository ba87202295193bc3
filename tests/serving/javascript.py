"""Calls the page's modules from Python, by Node.js, with JSON in and out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import dfcnn_ms

PAGE = Path(dfcnn_ms.__file__).parent / "serving" / "page"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is missing: it runs the page's modules outside a browser")

#: numbers travel as text: JSON has no word for minus infinity, which log-probabilities can be
_PROGRAM = """
import * as modules from "./{module}";
import {{ readFileSync }} from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8"), (_, one) => (one === "-inf" ? -Infinity : one));
const answer = await (async ({{ {names} }}) => {{ {body} }})({{ ...modules, ...given }});
console.log(JSON.stringify(answer, (_, one) => (ArrayBuffer.isView(one) ? Array.from(one) : one)));
"""


class JavaScript:
    """The modules of the page in a folder where Node.js takes them for what they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in PAGE.glob("*.js"):
            shutil.copy(file, folder)
        (folder / "package.json").write_text('{"type": "module"}')

    def __call__(self, module: str, body: str, **given: Any) -> Any:
        """What a body of code returns that knows what a module exports, and what it is given by name."""
        exported = sorted({*self._exports(module), *given})
        program = _PROGRAM.format(module=module, names=", ".join(exported), body=body)
        (self.folder / "call.mjs").write_text(program, encoding="utf-8")
        assert NODE is not None
        done = subprocess.run(
            [NODE, "call.mjs"], input=json.dumps(given), capture_output=True, text=True, cwd=self.folder, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _exports(self, module: str) -> list[str]:
        words = (line.split() for line in (self.folder / module).read_text(encoding="utf-8").splitlines())
        return [one[2 + (one[1] == "async")].partition("(")[0] for one in words if one[:1] == ["export"]]
