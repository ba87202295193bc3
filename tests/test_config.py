"""The page: every shipped one loads, every mistake is one sentence with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dfcnn_ms.audio.augment import TimeStretch
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.config import find_config, load_config, parse_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.table import REFERENCE, Block
from dfcnn_ms.schedules import Step

PAGES = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_shipped_page_loads_and_is_read_back_from_its_resolved_form(page):
    config = load_config(str(page))
    assert config.name == page.stem
    assert parse_config(yaml.safe_load(config.to_yaml()), "resolved") == config


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_header_says_what_it_trains_and_the_command(page):
    header = "".join(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    for word in ("Trains:", "Result:", "Hardware:", f"python -m dfcnn_ms.train --config configs/{page.name}"):
        assert word in header


def test_the_reference_page_is_the_reference_table():
    model = load_config("reference").model
    assert model.blocks == REFERENCE
    assert model.hidden == (4096, 4096)


def test_a_section_is_the_value_itself():
    config = load_config("digits", ["train.schedule={kind: step, every_epochs: 4}", "features.n_mels=30"])
    assert config.train.schedule == Step(every_epochs=4)
    assert config.features == LogMel(n_mels=30)
    assert config.augment.features[0] == TimeStretch(0.9, 1.1)


def test_overrides_reach_into_lists_and_keep_the_rest():
    config = load_config("digits", ["model.blocks.0.channels=5", "train.epochs=2", "train.amp=off"])
    plain = load_config("digits")
    assert config.model.blocks[0].channels == 5
    assert config.model.blocks[1:] == plain.model.blocks[1:]
    assert (config.train.epochs, config.train.amp) == (2, "off")
    assert config.data == plain.data


def test_a_bare_name_finds_the_shipped_page_and_a_path_any_page(tmp_path, monkeypatch):
    assert find_config("digits").name == "digits.yaml"
    (tmp_path / "digits").mkdir()  # a folder of that name, such as that of its corpus, does not hide it
    monkeypatch.chdir(tmp_path)
    assert find_config("digits").name == "digits.yaml"
    mine = tmp_path / "mine.yaml"
    mine.write_text("data: {train: a.jsonl, dev: b.jsonl}\n")
    assert load_config(str(mine)).data.train == Path("a.jsonl")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("trian.epochs=3", "unknown key 'trian'; did you mean 'train'?"),
        ("train.epochs=many", "train.epochs: got 'many', wanted a whole number"),
        ("train.epochs=0", "train.epochs: got 0, wanted greater than or equal to 1"),
        ("train.rate=.inf", "train.rate: got inf, wanted a finite number"),
        ("train.clip_norm=.nan", "train.clip_norm: got nan, wanted a finite number"),
        ("train.epochs.x=3", "'epochs' is a value, not a section"),
        ("train.schedule.kind=foo", "train.schedule: unknown kind 'foo'; known: constant"),
        ("train.schedule=3", "train.schedule: got 3, wanted a section with a kind"),
        ("features.n_mel=3", "features: unknown key 'n_mel' for kind 'log_mel'; did you mean 'n_mels'?"),
        ("features.n_mels=x", "features.n_mels: got 'x', wanted a whole number"),
        ("features.n_mels=400", "bands"),
        ("augment.features.0.foo=1", "augment.features.0: unknown key 'foo'"),
        ("model.blocks.0.channel=3", "unknown key 'model.blocks.0.channel'; did you mean 'channels'?"),
        ("model.blocks.9.convs=1", "wanted a position from 0 to"),
        ("model.blocks.0.convs=0", "must be at least 1"),
        ("model.blocks.0.kernel=4", "kernel must be odd"),
        ("model.pad_mode=same", "takes none; use padding 0"),
        ("model=3", "model: got 3, wanted a section"),
        ("train", "wanted an override such as train.epochs=3"),
        ("=3", "wanted an override such as train.epochs=3"),
        ("train.epochs=[", "not valid YAML"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(override, message):
    with pytest.raises(ConfigError) as caught:
        load_config("digits", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wanted a page of sections"),
        ("- 1", "wanted a page of sections"),
        ("data: [", "not valid YAML"),
        ("data: {dev: b}", "missing key 'data.train'"),
        ("data: {train: a, dev: b}\nname: a/b", "name: got 'a/b', wanted a plain name"),
    ],
)
def test_a_broken_page_is_named(tmp_path, text, message):
    page = tmp_path / "page.yaml"
    page.write_text(text)
    with pytest.raises(ConfigError, match=r"page\.yaml") as caught:
        load_config(str(page))
    assert message in str(caught.value)


def test_a_missing_page_lists_the_shipped_ones_and_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no such configuration.*digits"):
        load_config("digit.yaml")
    with pytest.raises(ConfigError, match="is a directory"):
        load_config(str(tmp_path))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_config(str(binary))


def test_blocks_are_values():
    assert Block(8) == Block(channels=8, convs=2, pool=(2, 2), kernel=3, stride=(1, 1))
