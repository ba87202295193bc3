"""Networks in half precision: what is rounded and what is not, files that are whole or refused, learning from them."""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import box_of_tones
import numpy as np
import pytest
import tone_checkpoint
from hypothesis import given
from hypothesis import strategies as st
from test_onnx import META_OF, NETWORK, batch, random_weights

from dfcnn_ms import adapt, export
from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.exporting.network import bundle_of, write
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import half, in_the_box
from dfcnn_ms.runtime.half import Half
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.runtime.onnx import OnnxAcoustics


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "a.npz"
    path.write_bytes(Half.of(META_OF, random_weights(), "mine").to_bytes())
    return path


def test_kernels_are_rounded_to_16_bits_and_all_else_stays(stored: Path) -> None:
    found, before = half.read(stored), random_weights()
    assert found.weights.keys() == before.keys()
    for name, value in before.items():
        wanted = value.astype(np.float16).astype(np.float32) if value.ndim > 1 else value
        np.testing.assert_array_equal(found.weights[name], wanted)
    assert (found.meta.to_json(), found.licence) == (replace(META_OF, training=None).to_json(), "mine")
    kernels = sum(value.size for value in before.values() if value.ndim > 1)
    with np.load(stored) as arrays:
        assert sum(arrays[name].nbytes for name in before if arrays[name].ndim > 1) == 2 * kernels


def test_the_same_network_gives_the_same_bytes_also_when_it_was_read(stored: Path) -> None:
    assert half.read(stored).to_bytes() == stored.read_bytes() == Half.of(META_OF, random_weights(), "mine").to_bytes()


def test_it_says_what_an_exported_one_with_the_same_weights_says(stored: Path) -> None:
    layers = write(META_OF, half.read(stored).weights)
    exported = OnnxAcoustics(bundle_of(layers, META_OF, waveform=False, precision="float32"))
    loaded = loader_of(stored).load(stored, "CPU")
    for got, wanted in zip(loaded.acoustics(*batch()), exported(*batch()), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_rounding_moves_the_log_probabilities_a_little(stored: Path) -> None:
    layers = write(META_OF, random_weights())
    exact, _ = OnnxAcoustics(bundle_of(layers, META_OF, waveform=False, precision="float32"))(*batch())
    rounded, _ = loader_of(stored).load(stored, "CPU").acoustics(*batch())
    assert 0 < np.abs(exact - rounded).max() < 0.01 * np.abs(exact).max()


def test_tuned_values_are_written_into_it(stored: Path) -> None:
    before = half.read(stored)
    loader_of(stored).update_decoding(stored, {"temperature": 1.5})
    after = half.read(stored)
    assert after.meta.decoding == {**before.meta.decoding, "temperature": 1.5}
    assert all(np.array_equal(after.weights[name], value) for name, value in before.weights.items())


def test_what_16_bits_cannot_hold_is_refused() -> None:
    weights = random_weights()
    weights["head.0.weight"][0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"head\.0\.weight are too large for 16 bits; export another format"):
        Half.of(META_OF, weights)


def archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb() -> bytes:
    """An archive that says of itself that it would fill the memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.npy", b"")
    content = bytearray(buffer.getvalue())
    place = content.rindex(b"PK\x01\x02") + 24  # where the directory says how long the entry is
    content[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "truncated, corrupt or no archive of arrays"),
        (b"\x93NUMPY\x01\x00", "truncated, corrupt or no archive of arrays"),
        (archive(a=np.zeros(3)), "'a' is no array of weights"),
        (archive(a=np.array([np.nan], np.float32)), "'a' has numbers that are none"),
        (archive(a=np.zeros((2, 2), np.float16)), "an archive of arrays, but not one that dfcnn_ms.export wrote"),
        (archive(dfcnn_ms=np.frombuffer(b"{}", np.uint8)), "it does not say its format"),
        (archive(dfcnn_ms=np.frombuffer(b"\xff\xfe", np.uint8)), "truncated, corrupt or no archive of arrays"),
        (bomb(), "truncated, corrupt or no archive of arrays"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"b\.npz: .*{complaint}"):
        half.read(tmp_path / "b.npz")


@given(st.data())
def test_a_file_that_is_cut_or_changed_is_never_taken_for_whole(data: st.DataObject) -> None:
    content = Half.of(META_OF, random_weights()).to_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:place] if data.draw(st.booleans()) else _flipped(content, place)
    path = Path(tempfile.gettempdir(), "dfcnn-half.npz")
    path.write_bytes(damaged)
    try:
        found = half.read(path)
    except CheckpointError:
        return
    finally:
        path.unlink()
    wanted = half.Half.of(META_OF, random_weights())  # what was hit says nothing: a date, a name in the directory
    assert all(np.array_equal(value, wanted.weights[name]) for name, value in found.weights.items())


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = random_weights()
    del weights["head.2.weight"]
    (tmp_path / "c.npz").write_bytes(Half.of(META_OF, weights).to_bytes())
    with pytest.raises(CheckpointError, match=r"c\.npz: its weights do not fit the network that its page describes"):
        Recognizer.load(tmp_path / "c.npz")
    assert META_OF.config.model == NETWORK


@pytest.mark.usefixtures("cpu")
def test_a_checkpoint_becomes_half_as_long_and_hears_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfcnn_ms.runtime import checkpoint

    monkeypatch.chdir(tmp_path)
    ckpt = tone_checkpoint.save(tmp_path / "tones.ckpt", tone_checkpoint.speak(tmp_path))
    export.main(["--ckpt", "tones.ckpt", "--format", "half"])
    assert "tones.npz: " in (said := capsys.readouterr().out)
    assert "syllable error 0.00 %, 0.00 % before, of the dev set" in said
    heard = Recognizer.load("tones.npz").transcribe("sounds/0.wav")
    assert " ".join(heard.syllables) == tone_checkpoint.SAID[0]
    given, got = checkpoint.load(ckpt), checkpoint.load("tones.npz")
    assert got.meta == given.meta
    network = given.meta.config.model.build(num_bins=20, num_units=len(given.meta.vocabulary))
    got.load_into(network)  # every weight that training needs is there, in its shape
    export.main(["--ckpt", "tones.npz", "--format", "onnx"])
    assert " ".join(Recognizer.load("tones.onnx").transcribe("sounds/1.wav").syllables) == tone_checkpoint.SAID[1]


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_where_nobody_names_a_network_the_one_in_the_box_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hears these sounds without an error, which is said; nothing of the package is written to."""
    assets = box_of_tones.make(tmp_path)
    before = {file.name: file.read_bytes() for file in assets.iterdir()}
    monkeypatch.setattr(in_the_box, "ASSETS", assets)
    monkeypatch.chdir(tmp_path)
    tone_checkpoint.speak(tmp_path, tone_checkpoint.SAID * 3)
    with pytest.raises(DataError, match=r"mandarin\.npz: makes no error in the \d+ recordings that are held out"):
        adapt.main(["--manifest", "dev.jsonl", "--epochs", "1"])
    assert {file.name: file.read_bytes() for file in assets.iterdir()} == before
    assert Path("summary", "mandarin-adapted").is_dir()
