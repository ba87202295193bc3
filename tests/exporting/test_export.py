"""`dfcnn_ms.export` as it is used: every format, what it compares with, and what leaves no file."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_checkpoint

from dfcnn_ms import export
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError, DeviceError, DfcnnError
from dfcnn_ms.exporting import formats
from dfcnn_ms.exporting.int8 import Grid
from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import onnx
from dfcnn_ms.runtime.meta import Meta

pytestmark = pytest.mark.usefixtures("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint that understands tones, and its dev set."""
    folder = tmp_path_factory.mktemp("tones")
    tone_checkpoint.save(folder / "tones.ckpt", tone_checkpoint.speak(folder))
    return folder


def exported(made: Path, tmp_path: Path, *arguments: str) -> Path:
    out = tmp_path / "a.onnx"
    export.main(["--ckpt", str(made / "tones.ckpt"), "--out", str(out), *arguments])
    return out


@pytest.mark.parametrize("name", ["onnx", "onnx-int8"])
@pytest.mark.parametrize("waveform", [False, True])
def test_what_is_exported_understands_what_was_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, waveform: bool
) -> None:
    out = exported(made, tmp_path, "--format", name, *(["--waveform"] if waveform else []))
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: 0.")
    assert (
        "of 5 recordings" in said if name == "onnx" else "syllable error 0.00 %, 0.00 % before, of the dev set" in said
    )
    recognizer = Recognizer.load(out)
    for number, words in enumerate(tone_checkpoint.SAID):
        assert recognizer.transcribe(made / "sounds" / f"{number}.wav").text == words
    assert onnx.read(out)[0].metadata["input"] == ("wave" if waveform else "features")


def test_mindir_says_what_the_checkpoint_says(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.mindir"
    export.main(["--ckpt", str(made / "tones.ckpt"), "--format", "mindir", "--out", str(out)])
    assert out.stat().st_mode & 0o200 and "of 5 recordings" in capsys.readouterr().out


def test_without_its_dev_set_sound_is_made_up(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ckpt = tone_checkpoint.save(tmp_path / "alone.ckpt")
    export.main(["--ckpt", str(ckpt), "--license", "CC0-1.0"])
    assert "of 4 recordings" in capsys.readouterr().out
    assert onnx.read(tmp_path / "alone.onnx")[0].metadata["license"] == "CC0-1.0"
    with pytest.raises(ConfigError, match="remembers no dev set; give one with --manifest"):
        export.main(["--ckpt", str(ckpt), "--format", "onnx-int8"])
    export.main(["--ckpt", str(ckpt), "--format", "onnx-int8", "--manifest", str(made / "dev.jsonl")])
    assert (tmp_path / "alone.int8.onnx").is_file()


def test_a_mismatch_leaves_no_file(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = formats.write

    def wrong(meta: Meta, weights: dict[str, np.ndarray], **more: Any) -> Layers:
        return write(meta, weights | {"head.0.bias": weights["head.0.bias"] + np.eye(6)[0]}, **more)

    monkeypatch.setattr(formats, "write", wrong)
    (tmp_path / "a.onnx").write_text("as it was")
    with pytest.raises(CheckpointError, match=r"a\.onnx: not written: what was exported differs from MindSpore by \d"):
        exported(made, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"] and (tmp_path / "a.onnx").read_text() == "as it was"


def test_8_bits_that_cost_too_much_leave_no_file(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number above an eighth of the real ones is cut off."""
    grids_of = formats.grids_of

    def coarse(*network: Any) -> dict[str, Grid]:
        return {name: Grid(grid.step / 8, grid.zero) for name, grid in grids_of(*network).items()}

    monkeypatch.setattr(formats, "grids_of", coarse)
    with pytest.raises(CheckpointError, match=r"in 8 bits syllable error .* a change of at most 0.3 points is allowed"):
        exported(made, tmp_path, "--format", "onnx-int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        (["--format", "air"], DeviceError, "writes AIR only on a machine with an Ascend, and finds none here"),
        (["--format", "mindir", "--waveform"], ConfigError, "--format mindir: its graph begins with features"),
        (["--out", "a.ckpt"], ConfigError, "--out a.ckpt: wanted a name that ends in .onnx"),
        (["--ckpt", "nowhere.ckpt"], CheckpointError, "nowhere.ckpt: no such checkpoint"),
        (["--ckpt", "a.onnx"], CheckpointError, "a.onnx: wanted a checkpoint of dfcnn_ms.train"),
        (["--manifest", "nowhere.jsonl"], DataError, "nowhere.jsonl"),
        (["--page", "folder", "--out", "b.onnx"], ConfigError, "leave out --out"),
    ],
)
def test_bad_input_is_one_sentence(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[DfcnnError],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(made / "tones.ckpt", "dfcnn.ckpt")
    Path("a.onnx").write_bytes(b"x")
    with pytest.raises(error, match=complaint):
        export.main(arguments)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "dfcnn.ckpt"]


def test_every_format_can_be_asked_for() -> None:
    assert importlib.import_module("dfcnn_ms.export").FORMATS is formats.FORMATS
    assert set(formats.FORMATS) == {"onnx", "onnx-int8", "half", "mindir", "air"}
