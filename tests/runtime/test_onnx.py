"""Exported networks in use: whole, refused in one sentence, and tuned without a change of their graph."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError, DataError, DeviceError
from dfcnn_ms.exporting.check import made_up_sound, padded
from dfcnn_ms.exporting.graph import Graph
from dfcnn_ms.exporting.network import bundle_of, write
from dfcnn_ms.models import Dfcnn
from dfcnn_ms.models.table import Block
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import onnx
from dfcnn_ms.runtime.bundle import META, Bundle
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("ba1", "绿", "yi1"))
NETWORK = Dfcnn(blocks=(Block(4, convs=1, pool=(2, 2)), Block(5, convs=1, pool=(1, 2))), hidden=(6,), dropout=0.0)
CONFIG = load_config("digits").model_copy(update={"model": NETWORK, "cmvn": "global"})
META_OF = Meta(
    CONFIG,
    VOCABULARY,
    GlobalCmvn(np.linspace(-1, 1, 40), np.linspace(0.1, 3, 40)),
    {"dev": "/nowhere/dev.jsonl"},
    epoch=3,
    metrics={"dev_syllable_error_rate": 0.25},
    training={"history": {}, "network": [], "workers": 1, "fingerprint": ""},
)


def random_weights() -> dict[str, np.ndarray]:
    """By the names of the Cell, without MindSpore."""
    rng = np.random.default_rng(0)
    weights = {"head.0.weight": (6, 5, 1, 10), "head.0.bias": (6,), "head.2.weight": (5, 6, 1, 1), "head.2.bias": (5,)}
    norms = {"blocks.0.convs.0.norm": 4, "blocks.1.convs.0.norm": 5, "norm": 5}
    weights |= {"blocks.0.convs.0.conv.weight": (4, 1, 3, 3), "blocks.1.convs.0.conv.weight": (5, 4, 3, 3)}
    for name, channels in norms.items():
        weights |= {f"{name}.{part}": (channels,) for part in ("gamma", "beta", "moving_mean", "moving_variance")}
    return {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in weights.items()}


def bundle(*, waveform: bool = False, licence: str = "") -> Bundle:
    layers = write(META_OF, random_weights(), waveform=waveform)
    return bundle_of(layers, META_OF, waveform=waveform, precision="float32", licence=licence)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.onnx"
    path.write_bytes(bundle().to_bytes())
    return path


def batch() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(1).normal(size=(2, 1, 32, 40)).astype(np.float32), np.array([32, 20])


def test_everything_it_knows_comes_back_but_what_only_training_needs(model: Path) -> None:
    _, meta = onnx.read(model)
    assert (meta.config, meta.vocabulary, meta.epoch) == (CONFIG, VOCABULARY, 3)
    assert (meta.manifests, meta.metrics, meta.training) == (META_OF.manifests, META_OF.metrics, None)
    assert meta.cmvn is not None and META_OF.cmvn is not None
    np.testing.assert_array_equal(meta.cmvn.mean, META_OF.cmvn.mean)


def test_other_programs_find_it_in_the_metadata(model: Path) -> None:
    session = onnx.session_of(bundle(licence="CC-BY-4.0"))
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["dfcnn_ms"])["vocabulary"] == json.loads(VOCABULARY.to_json())
    assert {key: said[key] for key in ("input", "precision", "task", "license", "format")} == {
        "input": "features", "precision": "float32", "task": "ctc", "license": "CC-BY-4.0", "format": "1",
    }  # fmt: skip
    shapes = {one.name: one.shape for one in [*session.get_inputs(), *session.get_outputs()]}
    assert shapes == {
        "features": ["B", 1, "T", 40], "lengths": ["B"], "log_probs": ["B", "U", 5], "steps": ["B"],
    }  # fmt: skip


def test_a_recognizer_uses_it_as_any_other_network(model: Path) -> None:
    recognizer = Recognizer.load(model)
    sound = made_up_sound()
    together = recognizer.hear(sound)
    assert [one.text for one in together] == [recognizer.hear([wave])[0].text for wave in sound]
    assert recognizer.device == "CPU" and recognizer.vocabulary == VOCABULARY


def test_tuned_values_join_it_and_change_nothing_else(model: Path) -> None:
    before = onnx.read(model)[0]
    loader = loader_of(model)
    loader.update_decoding(model, {"lm_weight": 0.5, "temperature": 1.5})
    loader.update_decoding(model, {"lm_weight": 0.25})
    after, meta = onnx.read(model)
    assert meta.decoding == {"lm_weight": 0.25, "temperature": 1.5}
    assert (after.graph, after.head) == (before.graph, before.head)
    assert replace(meta, decoding={}).to_json() == before.metadata[META]
    assert Recognizer.load(model).temperature == 1.5


def test_the_part_for_sound_can_be_taken_off() -> None:
    """What is left is the network for features, to the last bit."""
    waves, features = bundle(waveform=True), bundle()
    assert [one.name for one in onnx.session_of(waves).get_inputs()] == ["wave", "lengths"]
    bare = waves.of_features()
    assert len(bare.graph) < len(features.graph) + 200 and features.of_features() is features
    given = batch()
    np.testing.assert_array_equal(onnx.OnnxAcoustics(bare)(*given)[0], onnx.OnnxAcoustics(features)(*given)[0])


def test_sound_gives_what_its_features_give() -> None:
    frontend = Frontend(CONFIG.features, "global", META_OF.cmvn)
    recognizer = Recognizer(onnx.OnnxAcoustics(bundle()), frontend, VOCABULARY, NETWORK)
    waves = made_up_sound()
    wanted = recognizer.outputs([frontend(wave) for wave in waves])
    batch_of_waves, samples = padded(waves)
    got, steps = onnx.session_of(bundle(waveform=True)).run(None, {"wave": batch_of_waves, "lengths": samples})
    assert steps.tolist() == wanted.steps.tolist()
    for row, count in enumerate(steps):
        np.testing.assert_allclose(got[row, :count], wanted.of(row), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_no_number_is_refused(value: float) -> None:
    features, lengths = batch()
    features[1, 0, 7, 3] = value
    with pytest.raises(DataError, match="features of an utterance are NaN or infinite"):
        onnx.OnnxAcoustics(bundle())(features, lengths)


def of_a_newer_version(content: bytes) -> bytes:
    return Bundle.from_bytes(content, "").saying(format="2").to_bytes()


def foreign(content: bytes) -> bytes:
    graph = Graph()
    graph.output(graph.node("Relu", graph.input("x", np.float32, ["N"]), name="y"), np.float32, ["N"])
    return graph.bundle({}).to_bytes()


def of_a_newer_meta(content: bytes) -> bytes:
    stored = Bundle.from_bytes(content, "")
    return stored.saying(**{META: stored.metadata[META].replace('"format": 1', '"format": 9')}).to_bytes()


def bit(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 4]) + content[2001:]


def with_another_operator(content: bytes) -> bytes:
    stored = Bundle.from_bytes(content, "")
    return replace(stored, graph=stored.graph.replace(b"LogSoftmax", b"LogSoftmix")).to_bytes()


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda content: content[: len(content) // 2], "truncated, corrupt or no ONNX model"),
    "cut at the end": (lambda content: content[:-1], "truncated, corrupt or no ONNX model"),
    "without its end": (lambda content: content[: -len(b"xx\x0a\x05crc32\x12\x08deadbeef")], "checksum is wrong"),
    "bit": (bit, "is damaged, its checksum is wrong"),
    "empty": (lambda content: b"", "it has no graph"),
    "text": (lambda content: b"hello, this is no model", "truncated, corrupt or no ONNX model"),
    "foreign": (foreign, "an ONNX model, but not one that dfcnn_ms.export wrote; export it again: python -m"),
    "newer": (of_a_newer_version, "exported in format 2, this version of dfcnn_ms reads format 1; use the version"),
    "newer inside": (of_a_newer_meta, "written in format 9, this version of dfcnn_ms reads format 1"),
    "operator": (with_another_operator, r"onnxruntime [\d.]+ refuses it"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said_in_one_line(model: Path, damage: str) -> None:
    change, complaint = DAMAGE[damage]
    model.write_bytes(change(model.read_bytes()))
    with pytest.raises(CheckpointError, match=complaint) as caught:
        Recognizer.load(model)
    assert str(caught.value).startswith(str(model)) and "\n" not in str(caught.value)


def test_every_cut_and_many_bits_are_noticed(model: Path) -> None:
    whole = model.read_bytes()
    for place in range(0, len(whole), 97):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :]):
            with pytest.raises(CheckpointError):
                Bundle.from_bytes(damaged, "a.onnx")


@pytest.mark.parametrize(("target", "complaint"), [("GPU", "finds no GPU"), ("Ascend", "finds no Ascend")])
def test_a_device_that_is_not_there_is_said(model: Path, target: str, complaint: str) -> None:
    with pytest.raises(
        DeviceError, match=f"--device_target {target}: onnxruntime .* {complaint} on this machine, only"
    ):
        Recognizer.load(model, target)


def test_a_failed_update_leaves_the_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(DataError, match=r"a\.onnx: cannot be written: No space left"):
        onnx.update_decoding(model, {"temperature": 2.0})
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("package", "suffix", "complaint"),
    [
        ("onnxruntime", ".onnx", r"needs onnxruntime, which is not installed here; pip install 'dfcnn-ms\[onnx\]'$"),
        ("mindspore", ".ckpt", r"pip install 'dfcnn-ms\[train\]'; or use the .onnx file that dfcnn_ms.export makes"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, suffix: str, complaint: str
) -> None:
    for module in ("onnx", "checkpoint", "acoustic", "device"):
        monkeypatch.delitem(sys.modules, f"dfcnn_ms.runtime.{module}", raising=False)
        monkeypatch.delattr(f"dfcnn_ms.runtime.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=complaint):
        Recognizer.load(tmp_path / f"a{suffix}")


def test_more_than_there_is_memory_for_is_said_as_such() -> None:
    acoustics = onnx.OnnxAcoustics(bundle())

    class Session:
        def run(self, *_: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 9")

    acoustics.session = Session()
    with pytest.raises(MemoryError, match="Failed to allocate memory"):
        acoustics(*batch())


def test_a_graph_that_cannot_be_run_is_said_in_one_line() -> None:
    features, lengths = batch()
    with pytest.raises(CheckpointError, match=r"onnxruntime cannot run the network: .*; export it again") as caught:
        onnx.OnnxAcoustics(bundle())(features[..., :7], lengths)
    assert "\n" not in str(caught.value)
