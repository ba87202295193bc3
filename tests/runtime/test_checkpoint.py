"""Checkpoints: enough by themselves, whole or absent, verified."""

from __future__ import annotations

import dataclasses
import os
import stat

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import load_config
from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

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
