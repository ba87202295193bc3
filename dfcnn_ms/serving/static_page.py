"""A folder that recognises speech in the browser: the page, the network, and the program that runs it there.

No server is needed but one that hands out files, and no network once the page is open. The program is onnxruntime-web:
two files of its package on npm, of one version, each known by its checksum. They are fetched when a page is written,
or taken from a folder that holds them already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.serving.page_model import READ, described, showing_features

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
#: name in the folder -> name in the package, and its SHA-256; with one thread, any file server will do
PROGRAM = {
    "ort.js": ("ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"),
    "ort.wasm": ("ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}
#: where a folder with these files may be named, for machines without npm
FOLDER_VARIABLE = "DFCNN_MS_ORT_WEB"
#: how the document says who listens
_SERVER, _LOCAL = 'data-engine="./server.js"', 'data-engine="./local.js"'
#: what a folder holds: endings of the files of the page, and what there is besides
_PAGE, _BESIDE = (".html", ".css", ".js"), ("model.onnx", "model.json", "ort")
_PATIENCE_SECONDS = 300


def write_page(model: Path, folder: Path, program: Path | None = None) -> None:
    """Writes the folder, whole or not at all; an earlier page in its place is replaced.

    Args:
        model: an exported network that is given sound.
        folder: where it goes.
        program: a folder with the files of onnxruntime-web, such as `node_modules/onnxruntime-web/dist`; by default the
            one that the environment names, and where it names none they come from npm.

    Raises:
        ConfigError: the network cannot be used so, or the folder holds something else.
        DataError: onnxruntime-web cannot be had, or is not the one that is known.
    """
    from dfcnn_ms.runtime.onnx import read

    bundle, meta = read(model)
    if bundle.metadata.get("input") != "wave":
        raise ConfigError(f"{model}: is given features, and a page has only sound; export it with --waveform")
    if meta.config.task.outputs not in READ:
        what = meta.config.task.outputs
        raise ConfigError(
            f"{model}: a page reads {' and '.join(READ)}, not the outputs of {what}; use the server for it"
        )
    _check_free(folder)
    given = program or (Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else None)
    with _in_place_of(folder) as new:
        shutil.copytree(str(resources.files("dfcnn_ms.serving") / "page"), new, dirs_exist_ok=True)
        index = (new / "index.html").read_text(encoding="utf-8")
        (new / "index.html").write_text(index.replace(_SERVER, _LOCAL), encoding="utf-8")
        (new / "model.onnx").write_bytes(showing_features(bundle).to_bytes())
        (new / "model.json").write_text(json.dumps(described(bundle, meta, folder.name)) + "\n", encoding="utf-8")
        (new / "ort").mkdir()
        with _program(given) as files:
            for name in PROGRAM:
                shutil.copyfile(files[name], new / "ort" / name)


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--page {folder}: is a file, wanted a folder")
    if folder.is_dir() and any(folder.iterdir()) and not _is_page(folder):
        raise ConfigError(f"--page {folder}: holds other files, and they would be lost; give a new folder")


def _is_page(folder: Path) -> bool:
    """Whether a folder was written by this module, and nothing else was put into it."""
    index = folder / "index.html"
    written = index.is_file() and _LOCAL in index.read_text(encoding="utf-8", errors="replace")
    return written and all(entry.suffix in _PAGE or entry.name in _BESIDE for entry in folder.iterdir())


@contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """A folder beside another, which takes its place when all is in it."""
    folder = folder.absolute()
    new = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        new.mkdir(parents=True)
        yield new
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(new, folder)
    except OSError as error:
        raise DataError(f"--page {folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _program(given: Path | None) -> Iterator[dict[str, Path]]:
    """The files of onnxruntime-web by the names that they get, each the one that is known."""
    with tempfile.TemporaryDirectory() as place:
        source = given or fetch(Path(place))
        files = {name: source / original for name, (original, _) in PROGRAM.items()}
        for name, file in files.items():
            _check(file, PROGRAM[name][1])
        yield files


def _check(file: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        raise DataError(f"{file}: no such file; give the folder dist of {PACKAGE} {VERSION}") from None
    if found != digest:
        raise DataError(f"{file}: is not the file of {PACKAGE} {VERSION}, its checksum differs; fetch it again")


def fetch(place: Path) -> Path:
    """Brings the files of onnxruntime-web into a folder, by npm; returns the folder.

    Raises:
        DataError: npm is missing, or cannot.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(
            f"{PACKAGE} runs the network in the browser, and npm, which fetches it, is missing: install Node.js, or "
            f"name the folder dist of {PACKAGE} {VERSION} in {FOLDER_VARIABLE}"
        )
    place = place.absolute()
    place.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--loglevel=error", "--pack-destination", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, cwd=place)
    except subprocess.TimeoutExpired:
        raise DataError(f"npm: {PACKAGE}@{VERSION} did not come within {_PATIENCE_SECONDS} s; try again") from None
    packed = [*place.glob("*.tgz")]
    if done.returncode or not packed:
        raise DataError(f"npm: {PACKAGE}@{VERSION} cannot be fetched: {_reason(done.stderr)}; check the network")
    with tarfile.open(packed[0]) as archive:
        for original, _ in PROGRAM.values():
            _unpack(archive, original, place)
    packed[0].unlink()
    return place


def _reason(said: str) -> str:
    """The line of npm's complaint that says most."""
    lines = [line.removeprefix("npm error ") for line in said.splitlines() if line.startswith("npm error ")]
    return next((line for line in lines if "reason" in line), next(iter(lines), "no reason given"))


def _unpack(archive: tarfile.TarFile, name: str, place: Path) -> None:
    with contextlib.suppress(KeyError):  # what is missing is told when its checksum is wanted
        content = archive.extractfile(f"package/dist/{name}")
        assert content is not None
        with content, (place / name).open("wb") as target:
            shutil.copyfileobj(content, target)
