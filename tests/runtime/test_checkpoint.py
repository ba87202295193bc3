"""Checkpoints: enough by themselves, whole or absent, verified."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import stat
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.train import checkpoint_pb2

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.models.graphs import GRAPHS
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.acoustic import Acoustic
from dfcnn_ms.runtime.loaders import loader_of
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.runtime.onnx import OnnxAcoustics
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.history import History

CONFIG = load_config("digits", ["model.hidden=[4]"])
VOCABULARY = Vocabulary(("lv4", "绿", "yi1"))
META = Meta(
    CONFIG,
    VOCABULARY,
    GlobalCmvn(np.linspace(-1, 1, 40), np.linspace(0.1, 3, 40)),
    {"test": "/nowhere/test.jsonl"},
    epoch=3,
    step=120,
    metrics={"dev_syllable_error_rate": 0.25},
)


@pytest.fixture(scope="module")
def network() -> nn.Cell:
    return CONFIG.model.build(num_bins=40, num_units=len(VOCABULARY))


def test_everything_comes_back(tmp_path, network):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    stored = checkpoint.load(path)
    assert stored.meta.config == CONFIG
    assert stored.meta.vocabulary == VOCABULARY
    assert (stored.meta.epoch, stored.meta.step, stored.meta.metrics) == (3, 120, META.metrics)
    assert stored.meta.manifests == META.manifests
    assert stored.meta.cmvn is not None
    assert META.cmvn is not None
    np.testing.assert_array_equal(stored.meta.cmvn.mean, META.cmvn.mean)
    np.testing.assert_array_equal(stored.meta.cmvn.std, META.cmvn.std)

    other = CONFIG.model.build(num_bins=40, num_units=len(VOCABULARY))
    stored.load_into(other)
    for ours, theirs in zip(network.get_parameters(), other.get_parameters(), strict=True):
        np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy())


def test_tuned_values_join_a_checkpoint_and_change_nothing_else(tmp_path, network):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    before = checkpoint.load(path)
    checkpoint.update_decoding(path, {"lm_weight": 0.5, "temperature": 1.5})
    checkpoint.update_decoding(path, {"lm_weight": 0.25})
    after = checkpoint.load(path)
    assert after.meta.decoding == {"lm_weight": 0.25, "temperature": 1.5}
    assert dataclasses.replace(after.meta, decoding={}).to_json() == before.meta.to_json()
    assert before.parameters.keys() == after.parameters.keys()
    for name, parameter in before.parameters.items():
        np.testing.assert_array_equal(parameter.asnumpy(), after.parameters[name].asnumpy())


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, network, monkeypatch):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    before = path.read_bytes()

    def disk_full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(DataError, match=r"a\.ckpt: cannot be written: No space left"):
        checkpoint.save(path, network, META)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


def test_the_file_belongs_to_its_owner(tmp_path, network):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    assert path.stat().st_mode & stat.S_IWUSR


@pytest.mark.parametrize("damage", ["truncated", "bit", "empty", "text"])
def test_damage_is_found_and_said_in_one_line(tmp_path, network, damage):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "truncated": whole[:middle],
            "bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "text": b"hello\n" * 100,
        }[damage]
    )
    with pytest.raises(CheckpointError, match=r"a\.ckpt: cannot be read") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_checkpoint_of_ours_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "missing.ckpt")
    with pytest.raises(CheckpointError, match="is a directory"):
        checkpoint.load(tmp_path)
    ms.save_checkpoint(nn.Dense(2, 2), str(tmp_path / "foreign.ckpt"))
    with pytest.raises(CheckpointError, match=r"foreign\.ckpt: (a MindSpore checkpoint, but not|cannot be read)"):
        checkpoint.load(tmp_path / "foreign.ckpt")


@pytest.mark.parametrize(("hidden", "got"), [("[4,4]", r"got (nothing|shape \(5,)"), ("[5]", r"got shape \(4,")])
def test_weights_that_do_not_fit_are_named(tmp_path, network, hidden, got):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    model = load_config("digits", [f"model.hidden={hidden}"]).model
    other = model.build(num_bins=40, num_units=len(VOCABULARY))
    with pytest.raises(CheckpointError, match=rf"head\.\S+ wants shape .*{got}"):
        checkpoint.load(path).load_into(other)


def edited(path: Path, change: Callable[[dict[str, Any]], object], names: Sequence[str] = ("a",)) -> Path:
    """A checkpoint whose description was changed and whose checksum was made anew; `change` may return a new text."""
    meta = json.loads(META.to_json())
    text = change(meta)
    entries = [{"name": name, "data": ms.Tensor([1.0])} for name in names]
    text = text if isinstance(text, str) else json.dumps(meta)
    ms.save_checkpoint(entries, str(path), append_dict={"dfcnn_ms": text}, crc_check=True)
    return path


TRAINING: dict[str, Any] = {"history": History().to_dict(), "network": [], "workers": 1, "fingerprint": "f"}
#: what is changed, and what is said about it
EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "empty": (lambda meta: " ", "it is no JSON"),
    "no json": (lambda meta: "{'format': 1}", "it is no JSON"),
    "half a character": (lambda meta: json.dumps(meta).replace("digits", "\ud800"), "it is no JSON"),
    "a list": (lambda meta: "[1]", "it does not say its format"),
    "decoding is null": (lambda meta: meta.update(decoding=None), "'decoding' holds 'None'"),
    "decoding is text": (lambda meta: meta.update(decoding={"lm_weight": "1"}), "'decoding' holds '1'"),
    "temperature 0": (lambda meta: meta.update(decoding={"temperature": 0}), "'decoding' cannot be"),
    "temperature below 0": (lambda meta: meta.update(decoding={"temperature": -1.0}), "'decoding' cannot be"),
    "temperature NaN": (lambda meta: meta.update(decoding={"temperature": math.nan}), "'decoding' cannot be"),
    "endless weight": (lambda meta: meta.update(decoding={"lm_weight": math.inf}), "'decoding' cannot be"),
    "training is empty": (lambda meta: meta.update(training={}), "it has no 'history'"),
    "training of numbers": (
        lambda meta: meta.update(training={**TRAINING, "network": [1]}),
        "'network' holds '1'",
    ),
    "an empty history": (lambda meta: meta.update(training={**TRAINING, "history": {}}), "it has no 'epochs'"),
    "a history of text": (
        lambda meta: meta.update(training={**TRAINING, "history": {**History().to_dict(), "epochs": "three"}}),
        "'epochs' holds 'three'",
    ),
    "cmvn is empty": (lambda meta: meta.update(cmvn={}), "give mean and std"),
    "units twice": (lambda meta: meta.update(vocabulary={"units": ["a", "a"]}), "'a' appears more than once"),
    "no units": (lambda meta: meta.update(vocabulary={}), "a vocabulary must be JSON such as"),
    "step is text": (lambda meta: meta.update(step="3"), "'step' holds '3'"),
    "metrics of text": (lambda meta: meta.update(metrics={"dev": "low"}), "'metrics' holds 'low'"),
    "manifest is a number": (lambda meta: meta.update(manifests={"test": 1}), "'manifests' holds '1'"),
}
EDITS |= {
    f"no {name}": (lambda meta, name=name: meta.pop(name), f"it has no {name!r}")
    for name in ("config", "vocabulary", "cmvn", "manifests", "epoch", "step", "metrics")
}


@pytest.mark.parametrize("case", EDITS)
def test_a_description_that_was_tampered_with_is_one_sentence(tmp_path, case):
    change, complaint = EDITS[case]
    path = edited(tmp_path / "a.ckpt", change)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: what it says about its network is damaged: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_format_and_a_wrong_page_are_told_as_before(tmp_path):
    with pytest.raises(CheckpointError, match="written in format 99, this version of dfcnn_ms reads format 1"):
        checkpoint.load(edited(tmp_path / "a.ckpt", lambda meta: meta.update(format=99)))
    with pytest.raises(ConfigError, match=r"b\.ckpt: .*epochs"):
        checkpoint.load(edited(tmp_path / "b.ckpt", lambda meta: meta["config"]["train"].update(epochs="many")))
    unchanged = checkpoint.load(edited(tmp_path / "c.ckpt", lambda meta: None))
    assert unchanged.meta.to_json() == META.to_json()


def test_what_only_later_versions_store_may_be_missing(tmp_path):
    meta = checkpoint.load(edited(tmp_path / "a.ckpt", lambda meta: (meta.pop("decoding"), meta.pop("training")))).meta
    assert (meta.decoding, meta.training) == ({}, None)


def test_weights_that_the_state_names_and_lacks_are_named(tmp_path, network):
    names = [*checkpoint.weights_of(network), "gone"]
    training = {**TRAINING, "network": names}
    stored = checkpoint.load(edited(tmp_path / "a.ckpt", lambda meta: meta.update(training=training), names[1:-1]))
    assert stored.weights.keys() == set(names[1:-1])
    with pytest.raises(CheckpointError, match=f"{re.escape(names[0])} wants shape .*, got nothing"):
        stored.load_into(network)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.dims.append(2),
        lambda tensor: tensor.dims.append(1 << 40),
        lambda tensor: tensor.dims.__setitem__(0, -1),
        lambda tensor: setattr(tensor, "tensor_type", "Float64"),
        lambda tensor: setattr(tensor, "tensor_type", "Int8"),
        lambda tensor: setattr(tensor, "tensor_type", "Quaternion"),
        lambda tensor: setattr(tensor, "tensor_content", b""),
        lambda tensor: setattr(tensor, "tensor_content", tensor.tensor_content[:-1]),
    ],
)
def test_an_array_of_another_size_than_it_says_is_refused(tmp_path, change):
    """MindSpore itself would read or write beyond its end."""
    path = edited(tmp_path / "a.ckpt", lambda meta: None)
    stored = checkpoint_pb2.Checkpoint.FromString(path.read_bytes()[:-17])
    change(next(value.tensor for value in stored.value if value.tag == "a"))
    content = stored.SerializeToString()
    path.chmod(0o644)
    path.write_bytes(content + b"crc_num" + zlib.crc32(content).to_bytes(10, "big"))
    with pytest.raises(CheckpointError, match=r"cannot be read.*\('a' is not as large as it should be\)"):
        checkpoint.load(path)


@pytest.mark.parametrize("kind", [ms.float16, ms.float32, ms.float64, ms.int32, ms.int64, ms.bool_, ms.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_every_type_and_shape_that_is_stored_comes_back(cpu, tmp_path, kind, shape):
    value = ms.Tensor(np.arange(math.prod(shape)).reshape(shape), kind)
    checkpoint.save(tmp_path / "a.ckpt", {"a": ms.Parameter(value, name="a")}, META)
    back = checkpoint.load(tmp_path / "a.ckpt").parameters["a"]
    assert (back.dtype, back.shape) == (kind, shape)
    np.testing.assert_array_equal(back.astype(ms.float32).asnumpy(), value.astype(ms.float32).asnumpy())


@pytest.mark.parametrize("flipped", [False, True])
def test_a_checkpoint_without_a_checksum_is_refused(tmp_path, network, flipped):
    path = tmp_path / "a.ckpt"
    entries = [{"name": name, "data": value} for name, value in checkpoint.weights_of(network).items()]
    ms.save_checkpoint(entries, str(path), append_dict={"dfcnn_ms": META.to_json()}, crc_check=False)
    whole = path.read_bytes()
    if flipped:
        path.chmod(0o644)
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
    with pytest.raises(
        CheckpointError, match=r"a\.ckpt: cannot be read.*without a checksum; save it with crc_check=True"
    ):
        checkpoint.load(path)


def test_every_flipped_bit_of_the_end_is_found(tmp_path, network):
    """The last bytes are the checksum and its mark, which damage may take away."""
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    whole = path.read_bytes()
    for place in range(-20, 0):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[len(whole) + place + 1 :])
        with pytest.raises(CheckpointError, match=r"a\.ckpt: cannot be read"):
            checkpoint.load(path)


def test_nothing_of_mindspore_is_left_where_it_fails(tmp_path, network, monkeypatch, capfd):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)
    before = path.read_bytes()

    def half(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mindspore.train.serialization._write_parameter_bytes_data", half)
    with pytest.raises(DataError, match=r"a\.ckpt: cannot be written: No space left"):
        checkpoint.save(path, network, META)
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"] and path.read_bytes() == before
    assert capfd.readouterr() == ("", "")


def test_one_that_may_not_be_read_is_not_called_corrupt(tmp_path, network, monkeypatch):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, network, META)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for look in (checkpoint.load, loader_of):
        with pytest.raises(CheckpointError, match=r"a\.ckpt: cannot be read: Permission denied; check its permissions"):
            look(path)


@pytest.mark.parametrize(
    "page", ["digits", "words", pytest.param("digits_attention", marks=pytest.mark.slow), "fsdd_bc_resnet"]
)
def test_on_a_cpu_it_listens_by_the_graph_of_an_export_and_says_what_mindspore_says(
    page: str, tmp_path: Path, cpu: None
) -> None:
    config = load_config(page)
    bins = config.features.num_bins
    network = config.model.build(num_bins=bins, num_units=len(VOCABULARY))
    checkpoint.save(tmp_path / "a.ckpt", network, Meta(config, VOCABULARY))
    listening = checkpoint.for_use(tmp_path / "a.ckpt", "CPU").acoustics
    assert isinstance(listening, OnnxAcoustics)
    features = np.random.default_rng(0).normal(size=(2, 1, 64, bins)).astype(np.float32)
    lengths = np.array([64, 40], np.int32)
    features[1, :, 40:] = 0
    got, wanted = (one(features, lengths) for one in (listening, Acoustic(network)))
    np.testing.assert_array_equal(got[1], wanted[1])
    for row, steps in enumerate(wanted[1]):
        np.testing.assert_allclose(np.asarray(got[0])[row, :steps], np.asarray(wanted[0])[row, :steps], atol=1e-4)


def test_what_no_graph_can_be_written_of_listens_in_mindspore(
    tmp_path: Path, network: nn.Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "a.ckpt", network, META)
    monkeypatch.delitem(GRAPHS, "dfcnn")
    assert isinstance(checkpoint.for_use(tmp_path / "a.ckpt", "CPU").acoustics, Acoustic)


@pytest.mark.parametrize(
    ("train", "named", "found"),
    [
        (
            "/corpora/data/a/train.jsonl",
            "data/a/train.jsonl",
            {"/corpora/data/a/train.jsonl": 1, "/corpora/b.jsonl": 2},
        ),
        ("/corpora/x/../a.jsonl", "../a.jsonl", {"/corpora/x/../a.jsonl": 1, "/corpora/x/b.jsonl": 2}),
        ("/a.jsonl", "/a.jsonl", {"/a.jsonl": 1, "b.jsonl": 2}),
        ("/corpora/a.jsonl", "/mine/a.jsonl", {"/corpora/a.jsonl": 1}),  # the page is of another training
        ("/a.jsonl", "data/a.jsonl", {"/a.jsonl": 1}),
        (None, "a.jsonl", {}),
    ],
)
def test_all_corpora_of_a_training_are_found_from_any_folder(train, named, found):
    data = META.config.data.model_copy(update={"train": Path(named), "mix": {Path("b.jsonl"): 2.0}})
    config = META.config.model_copy(update={"data": data})
    meta = dataclasses.replace(META, config=config, manifests={"train": train} if train else {})
    assert meta.learnt == {Path(path): weight for path, weight in found.items()}
