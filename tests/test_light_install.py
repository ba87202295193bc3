"""What listens needs the light installation alone: MindSpore and all that it brings cannot be imported here.

A fresh process may import the packages that `pyproject.toml` asks for without an extra, and what those ask for, and
nothing else that happens to be installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import box_of_tones
import numpy as np
import pytest
import tone_checkpoint
import tones
from packaging.requirements import Requirement

from dfcnn_ms import export
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.extras import EXTRAS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
#: what an installation without MindSpore is not to have
HEAVY = {"mindspore", "mindinsight", "librosa", "pandas", "torch", "pytest", "onnx"}

#: module -> what it is called on PyPI, where that is another name
CALLED = {"parselmouth": "praat_parselmouth"}

#: refuses every import of what is listed in the first argument, then runs the commands of the second, one by one; a
#: third is where the network in the box lies
PROGRAM = """
import contextlib, importlib, io, json, sys, traceback
refused, commands = map(json.loads, sys.argv[1:3])

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusing())
for folder in sys.argv[3:]:
    import pathlib, dfcnn_ms.runtime.in_the_box
    dfcnn_ms.runtime.in_the_box.ASSETS = pathlib.Path(folder)
said = {}
for name, (command, *arguments) in commands.items():
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            importlib.import_module(f"dfcnn_ms.{command}").main(arguments)
    except BaseException as error:
        out.write(traceback.format_exc())
    said[name] = out.getvalue()
    print(json.dumps({name: out.getvalue()}), flush=True)
print(json.dumps({"loaded": sorted({name.split(".")[0] for name in sys.modules} & set(refused))}))
"""


def listed(pattern: str) -> list[str]:
    """The names of the requirements in a list of pyproject.toml."""
    found = re.search(rf"^{pattern} = \[(.*?)\]$", PAGE, re.MULTILINE | re.DOTALL) or re.search(
        rf"^{pattern} = \[(.*)\]", PAGE, re.MULTILINE
    )
    assert found, pattern
    return [Requirement(one).name for one in re.findall(r'"([^"]+)"', re.sub(r"#.*", "", found[1]))]


def closure(names: list[str]) -> set[str]:
    """Distributions, and what they ask for, as far as they are installed."""
    known: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in known:
            continue
        known.add(name)
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [
            one.name for one in map(Requirement, requires) if not one.marker or one.marker.evaluate({"extra": ""})
        ]
    return known


def refused(*extras: str) -> list[str]:
    """Top-level modules of everything that is installed here and would not be there."""
    names = listed("dependencies") + [name for extra in extras for name in listed(extra)]
    allowed = closure(names) | {"dfcnn-ms", "pip", "setuptools"}
    others = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not {owner.lower().replace("_", "-") for owner in owners} & allowed
    }
    return sorted(others | HEAVY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cpu: None) -> Path:
    """Sound, a manifest of it, and networks that were exported."""
    folder = tmp_path_factory.mktemp("light")
    manifest = tone_checkpoint.speak(folder)
    for name, classes in (("sentences", False), ("words", True)):
        ckpt = tone_checkpoint.save(folder / f"{name}.ckpt", None if classes else manifest, classes=classes)
        export.main(["--ckpt", str(ckpt)])
    box_of_tones.make(folder)
    write_wave(folder / "long.wav", np.concatenate([tones.wave("er4"), np.zeros(tones.RATE, np.float32)]))
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What each command prints in an installation without extras."""
    model = ["--ckpt", "sentences.onnx"]
    commands = {
        "transcribe": ["transcribe", *model, "sounds/0.wav", "sounds/4.wav"],
        "in the box": ["transcribe", "sounds/0.wav", "sounds/4.wav"],
        "eval": ["eval", *model, "--json", "eval.json", "--report", "report.html"],
        "align": ["align", *model, "--audio", "sounds/2.wav", "--text", "er4"],
        "calibrate": ["calibrate", *model, "--picture", "picture.png"],
        "spot": ["spot", "--ckpt", "words.onnx", "--window", "0.4", "--hop", "0.1", "--smoothing", "0.1", "long.wav"],
        "train": ["train"],
        "checkpoint": ["transcribe", "--ckpt", "sentences.ckpt", "sounds/0.wav"],
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(refused()), json.dumps(commands), "assets"],
        cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "XDG_CACHE_HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {name: words for line in done.stdout.splitlines() for name, words in json.loads(line).items()}


def test_what_is_refused_is_what_training_and_testing_need() -> None:
    assert set(refused()) >= HEAVY | {"fastapi", "uvicorn"}
    assert not set(refused()) & {"numpy", "onnxruntime", "numba", "soundfile", "scipy", "matplotlib"}
    assert not set(refused("serve")) & {"fastapi", "uvicorn", "starlette", "anyio"}


def test_nothing_else_was_loaded(said: dict[str, str]) -> None:
    assert said["loaded"] == []


def test_recordings_are_written_down(said: dict[str, str]) -> None:
    wanted = {f"sounds/{number}.wav": tone_checkpoint.SAID[number] for number in (0, 4)}
    assert said["transcribe"] == "".join(f"{file}\t{words}\n" for file, words in wanted.items())


def test_the_network_in_the_box_writes_syllables_and_characters(said: dict[str, str]) -> None:
    wanted = [(f"sounds/{number}.wav", tone_checkpoint.SAID[number]) for number in (0, 4)]
    rows = [(file, words, box_of_tones.characters(words)) for file, words in wanted]
    assert said["in the box"] == "".join("\t".join(row) + "\n" for row in rows)


def test_a_test_set_is_evaluated(said: dict[str, str], folder: Path) -> None:
    assert "Traceback" not in said["eval"], said["eval"]
    assert json.loads((folder / "eval.json").read_text())["syllable_error_rate"] == 0
    assert "dev.jsonl" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_text_is_aligned(said: dict[str, str]) -> None:
    begin, end, _, _, syllable = said["align"].splitlines()[1].split()
    assert syllable == "er4"
    assert (float(begin), float(end)) == pytest.approx((tones.PAUSE, tones.PAUSE + tones.TONE), abs=0.03)


def test_confidences_are_calibrated(said: dict[str, str], folder: Path) -> None:
    from dfcnn_ms.runtime import onnx

    assert "stored in sentences.onnx" in said["calibrate"], said["calibrate"]
    assert onnx.read(folder / "sentences.onnx")[1].decoding["temperature"] > 0
    assert (folder / "picture.png").stat().st_size > 1000


def test_words_are_spotted(said: dict[str, str]) -> None:
    assert "er4" in said["spot"] and "Traceback" not in said["spot"], said["spot"]


def test_what_needs_mindspore_says_so(said: dict[str, str]) -> None:
    assert "No module named 'mindspore'" in said["train"]  # `cli.run` makes a sentence of it
    assert "pip install 'dfcnn-ms[train]'; or use the .onnx file" in said["checkpoint"]


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The address of a server in an installation with the extra `serve`."""
    commands = {"serve": ["serve", "--ckpt", "sentences.onnx", "--port", "0"]}
    program = PROGRAM.replace("contextlib.redirect_stdout(out)", "contextlib.nullcontext()")
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(refused("serve")), json.dumps(commands)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.match(r"listening: (http://\S+)", first)
        assert found, first + process.communicate(timeout=10)[1]
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_server_answers(server: str, folder: Path) -> None:
    boundary = "2d9f"
    parts = [
        b'Content-Disposition: form-data; name="model"\r\n\r\nany',
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + (folder / "sounds/0.wav").read_bytes(),
    ]
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts) + f"--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"{server}/v1/audio/transcriptions", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["text"] == tone_checkpoint.SAID[0]


def test_every_extra_that_a_sentence_names_is_there() -> None:
    for module, extra in EXTRAS.items():
        names = {name.lower().replace("-", "_") for name in listed(extra)}
        assert CALLED.get(module, module) in names, (module, extra)
