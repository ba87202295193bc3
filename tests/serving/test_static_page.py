"""The folder that recognises without a server: what is in it, what is refused, and what is left behind."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tone_model import export
from tones import VOCABULARY, wave

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.serving import static_page
from dfcnn_ms.serving.static_page import PROGRAM, write_page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("model") / "tones.onnx", decoding={"temperature": 1.5})


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that stand for onnxruntime-web; their checksums are those that are wanted."""
    folder, known = tmp_path / "dist", {}
    folder.mkdir()
    for name, (original, _) in PROGRAM.items():
        (folder / original).write_bytes(name.encode())
        known[name] = (original, hashlib.sha256(name.encode()).hexdigest())
    monkeypatch.setattr(static_page, "PROGRAM", known)
    return folder


def test_the_folder_is_the_page_with_another_listener(model: Path, program: Path, tmp_path: Path) -> None:
    write_page(model, tmp_path / "site", program)
    page = Path(static_page.__file__).parent / "page"
    for file in page.iterdir():
        if file.name != "index.html":
            assert (tmp_path / "site" / file.name).read_bytes() == file.read_bytes()
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert index.replace("./local.js", "./server.js") == (page / "index.html").read_text(encoding="utf-8")
    assert "./local.js" in index
    assert {file.name for file in (tmp_path / "site" / "ort").iterdir()} == set(PROGRAM)
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) & 0o111, "a file server may look into it"


def test_the_page_is_told_what_the_network_knows(model: Path, program: Path, tmp_path: Path) -> None:
    write_page(model, tmp_path / "site", program)
    told = json.loads((tmp_path / "site" / "model.json").read_text(encoding="utf-8"))
    assert told.pop("symbols") == list(VOCABULARY.symbols)
    assert told.pop("activity") and told.pop("endpointing"), "see test_page_modules.py"
    assert told == {
        "name": "site",
        "outputs": "ctc",
        "hop_seconds": 0.01,
        "window_seconds": 0.025,
        "frames_per_step": 2,
        "first_frame": 0.0,
        "temperature": 1.5,
        "licence": "CC0",
    }


def test_the_network_is_the_same_and_shows_its_features(model: Path, program: Path, tmp_path: Path) -> None:
    """The features are what the front end in Python gives, and the outputs do not change by a bit."""
    from tones import listener

    write_page(model, tmp_path / "site", program)
    sound = wave("yi1 san1")
    given = {"wave": sound[None], "lengths": np.array([len(sound)])}
    before = onnxruntime.InferenceSession(model).run(None, given)
    session = onnxruntime.InferenceSession(tmp_path / "site" / "model.onnx")
    names = [one.name for one in session.get_outputs()]
    after = dict(zip(names, session.run(names, given), strict=True))
    np.testing.assert_array_equal(after["log_probs"], before[0])
    frames = int(after["frames"][0])
    np.testing.assert_allclose(after["features"][0, 0, :frames], listener().frontend(sound), atol=1e-3)


def test_a_page_is_replaced_and_other_folders_are_not(model: Path, program: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_page(model, site, program)
    (site / "old.js").write_text("")
    write_page(model, site, program)
    assert not (site / "old.js").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary.txt").write_text("dear")
    (site / "diary.txt").write_text("dear")
    for other in (mine, site):
        with pytest.raises(ConfigError, match="holds other files"):
            write_page(model, other, program)
    assert (site / "index.html").exists()
    with pytest.raises(ConfigError, match="is a file"):
        write_page(model, mine / "diary.txt", program)
    assert [file.name for file in mine.iterdir()] == ["diary.txt"]


def test_a_network_that_is_given_features_is_refused(program: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="export it with --waveform"):
        write_page(export(tmp_path / "a.onnx", waveform=False), tmp_path / "site", program)
    assert not (tmp_path / "site").exists()


def wrong_checksum(program: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    (program / PROGRAM["ort.js"][0]).write_bytes(b"something else")
    return program


def no_program(program: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    return program.parent


def no_npm(program: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    monkeypatch.setenv("PATH", str(program))
    return None


def npm_that_fails(program: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    npm = program / "npm"
    npm.write_text("#!/bin/sh\necho first >&2\necho 'npm error the network is away' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program}:/usr/bin:/bin")
    return None


FAULTS: dict[Callable[[Path, pytest.MonkeyPatch], Path | None], str] = {
    wrong_checksum: "its checksum differs",
    no_program: "no such file",
    no_npm: "npm, which fetches it, is missing",
    npm_that_fails: "the network is away",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(
    fault: Callable[[Path, pytest.MonkeyPatch], Path | None],
    model: Path,
    program: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(static_page.FOLDER_VARIABLE, raising=False)
    given = fault(program, monkeypatch)
    with pytest.raises(DataError, match=FAULTS[fault]):
        write_page(model, tmp_path / "site", given)
    assert {file.name for file in tmp_path.iterdir()} == {"dist"}


def test_the_environment_may_name_the_program(
    model: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(static_page.FOLDER_VARIABLE, str(program))
    write_page(model, tmp_path / "site")
    assert (tmp_path / "site" / "ort" / "ort.js").read_bytes() == b"ort.js"
