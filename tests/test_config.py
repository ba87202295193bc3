"""The page: every shipped one loads, every mistake is one sentence with its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from dfcnn_ms.audio.augment import TimeStretch
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.config import SHARED, find_config, load_config, parse_config
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models.table import REFERENCE, Block
from dfcnn_ms.schedules import Step
from dfcnn_ms.yaml_pages import read_yaml, write_yaml

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


@pytest.mark.parametrize("section", SHARED)
def test_a_page_takes_over_a_section_of_another(tmp_path, section):
    page = read_yaml(find_config("digits").read_text(encoding="utf-8")) | {section: "people"}
    (tmp_path / "mine.yaml").write_text(write_yaml(page), encoding="utf-8")
    mine, people, digits = load_config(str(tmp_path / "mine.yaml")), load_config("people"), load_config("digits")
    assert getattr(mine, section) == getattr(people, section) != getattr(digits, section)
    assert mine == digits.model_copy(update={section: getattr(people, section)})
    assert load_config("digits", [f"{section}=people"]) == mine


def test_what_was_taken_over_can_be_changed(tmp_path):
    page = read_yaml(find_config("digits").read_text(encoding="utf-8")) | {"augment": "people"}
    (tmp_path / "mine.yaml").write_text(write_yaml(page), encoding="utf-8")
    people = load_config("people")
    changed = load_config(str(tmp_path / "mine.yaml"), ["augment.wave.0.probability=0.125"]).augment
    assert changed.wave[0].probability == 0.125 and changed.wave[1:] == people.augment.wave[1:]


@pytest.mark.parametrize("section", SHARED)
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("peeple", "digits.yaml: {0}: peeple: no such configuration; give a YAML file, or one of: "),
        ("plain.yaml", "digits.yaml: {0}: plain.yaml has no {0} of its own; write it out"),
    ],
)
def test_a_section_that_is_not_there(tmp_path, monkeypatch, name, complaint, section):
    monkeypatch.chdir(tmp_path)
    Path("plain.yaml").write_text("name: plain\n")
    with pytest.raises(ConfigError, match=re.escape(complaint.format(section))):
        load_config("digits", [f"{section}={name}"])


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
        ("model.hidden.0.x=3", "unknown key 'model.hidden.0.x': '0' is a value, not a section"),
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
        ("features.kind=[a]", "features: unknown kind ['a']; known: cepstrogram, clip_mel, linear, log_mel, mfcc"),
        ("features={kind: log_mel, 1: 2}", "features: unknown key 1 for kind 'log_mel'"),
        ("train={1: 2}", "train.1: got 1, wanted keys that are text"),
        ("1=2", "unknown key '1'; known: "),
        ("model.blocks.\u00b2=1", "wanted a position from 0 to 2, got '\u00b2'"),
        ("model.blocks.99999999999999999999=1", "wanted a position from 0 to 2, got '99999999999999999999'"),
        ("train.seed=99999999999999999999", "train.seed: got 99999999999999999999, wanted less than 4294967296"),
        ("train.epochs=" + "9" * 5000, "the value is not valid YAML (a number of thousands of digits); quote it"),
        ("train.epochs=" + "9" * 4000, "train.epochs: got a whole number of 13288 bits, wanted less than"),
        ("train.batch_size=1000000000", "train.batch_size: got 1000000000, wanted less than or equal to 4096"),
        ("model.hidden=[100000000]", "model.hidden.0: got 100000000, wanted at most 100000"),
        ("model.hidden=[100000, 100000]", "million parameters, wanted at most 1,000 million; give narrower layers"),
        ("model.blocks.0.convs=1000000000", "model.blocks.0.convs: got 1000000000, wanted at most 100000"),
        ("model.blocks.0.convs=100000", "feature bins shrink to"),
        ("features.n_fft=1000000000", "n_fft is 1000000000; give at most 16384"),
        ("name=" + "a" * 300, "wanted a shorter one"),
        ("name=..", "name: got '..', wanted a plain name"),
        ("name=" + "/" * 10**6, "wanted a shorter one"),
        ("x" * 10**6 + "=1", "known: augment"),
        ("train.amp=*a", "an alias, '*a'; write out what it stands for"),
        ("train.amp=!!binary x", "a tag, 'tag:yaml.org,2002:binary'; leave it out"),
        ('train.freeze=["\\ud800"]', r"'\ud800' is not UTF-8 text"),
        ("train.freeze=" + "[" * 100_000, "sections nested more than 20 deep"),
        ("train.freeze={a: 1, a: 2}", "the key 'a' is there twice; keep one"),
    ],
    ids=lambda value: value[:60],
)
def test_a_mistake_is_one_sentence_with_its_place(override, message):
    with pytest.raises(ConfigError) as caught:
        load_config("digits", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def nine_to_the_ninth() -> str:
    """A page of 500 bytes that stands for 387 million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nine_to_the_ninth(), "page.yaml:2: not valid YAML (an alias, '*a0'; write out what it stands for)"),
        ("data: {train: a, dev: b}\nname: a\nname: b", "page.yaml:3: not valid YAML (the key 'name' is there twice"),
        ("data:\n  train: a\n  train: b", "page.yaml:3: not valid YAML (the key 'train' is there twice; keep one)"),
        ("[" * 100_000, "page.yaml:1: not valid YAML (sections nested more than 20 deep)"),
        ("a: {" * 21, "not valid YAML (sections nested more than 20 deep)"),
        ("#" * 300_000, "has more than 262144 bytes, wanted a page such as configs/digits.yaml"),
        ("a: \0", "not valid YAML (unacceptable character #x0000: special characters are not allowed)"),
        (
            "!!python/object:os.system {}",
            "not valid YAML (a tag, 'tag:yaml.org,2002:python/object:os.system'; leave it",
        ),
        ("", "wanted a page of sections"),
        ("- 1", "wanted a page of sections"),
        ("data: [", "not valid YAML"),
        ("data: {dev: b}", "missing key 'data.train'"),
        ("data: {train: a, dev: b}\nname: a/b", "name: got 'a/b', wanted a plain name"),
    ],
    ids=lambda value: value[:60],
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


def test_a_date_is_a_name_like_any_other():
    assert [load_config("digits", [f"name={date}"]).name for date in ("2024-09-09", "2024-99-99")] == [
        "2024-09-09",
        "2024-99-99",
    ]


def test_what_is_allowed_at_the_very_edge():
    edges = ["data.max_seconds=0.5", "train.gradient_report=0", "train.seed=4294967295", "train.batch_size=4096"]
    config = load_config("digits", [*edges, f"name={'a' * 50}"])
    assert (config.data.max_seconds, config.train.gradient_report) == (0.5, 0)
    assert (config.train.seed, config.train.batch_size, config.name) == (2**32 - 1, 4096, "a" * 50)
    plain = load_config("digits").train
    assert (plain.gradient_report, plain.save_steps, plain.save_every) == (0, 0, 0)
    for wrong in ("data.max_seconds=0", "train.gradient_report=-1", f"name={'a' * 51}"):
        with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
            load_config("digits", [wrong])


def test_yaml_that_is_written_is_read_back():
    one = ["x", 1.5, None, True]
    page = {"b": one, "a": one, "date": "2024-09-09", "off": "off", "deep": {"c": [{"d": [one]}]}, "ch": "\u7eff"}
    assert read_yaml(write_yaml(page)) == page
    assert list(read_yaml(write_yaml(page))) == list(page)


def test_a_page_that_is_no_file_is_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "page.yaml")
    with pytest.raises(ConfigError, match=r"page\.yaml: is a pipe or a device, wanted a YAML file"):
        load_config(str(tmp_path / "page.yaml"))
    for name in ("a" * 300, "a\0a"):
        with pytest.raises(ConfigError, match="no such configuration"):
            load_config(name)
