"""What somebody made by hand in the folder of the manifests is not written over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from miniatures import left_out, lines, put, sound

from dfcnn_ms.corpora import own_data
from dfcnn_ms.corpora.recipes import prepare
from dfcnn_ms.errors import ConfigError, DataError


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Sound with and without a text, in a split that is named."""
    for split in ("train", "test"):
        for name in "ab":
            put(sound(tmp_path / "mine" / split / f"{name}.wav").with_suffix(".txt"), "ba1")
    sound(tmp_path / "mine" / "train" / "lonely.wav")
    return tmp_path / "mine"


def make(root: Path, out: Path) -> dict[str, Path]:
    return prepare({"corpus": "folder", "root": root}, out)


@pytest.mark.parametrize("name", ["train.jsonl", "test.jsonl", "left_out.tsv"])
def test_a_file_made_by_hand_stays(mine: Path, tmp_path: Path, name: str) -> None:
    by_hand = put(tmp_path / "out" / name, "by hand\n")
    with pytest.raises(
        ConfigError, match=rf"{re.escape(str(by_hand))}: would be overwritten, and was not made by this"
    ):
        make(mine, tmp_path / "out")
    assert by_hand.read_text() == "by hand\n" and [path.name for path in by_hand.parent.iterdir()] == [name]


def test_files_that_are_not_in_the_way_do_not_matter(mine: Path, tmp_path: Path) -> None:
    by_hand = put(tmp_path / "out" / "dev.jsonl", "by hand\n")
    assert make(mine, tmp_path / "out").keys() == {"train", "test"}
    assert by_hand.read_text() == "by hand\n"


def test_what_was_made_before_is_made_again_until_somebody_changes_it(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = make(mine, out)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    make(mine, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert list(left_out(out)) == ["train-lonely"]
    put(mine / "train" / "lonely.txt", "er4")
    make(mine, out)
    assert len(lines(made["train"])) == 3 and not (out / "left_out.tsv").exists()
    with made["train"].open("a") as file:
        file.write("\n")
    with pytest.raises(ConfigError, match=r"train\.jsonl: would be overwritten, .* or was changed since; move it away"):
        make(mine, out)
    made["train"].unlink()
    make(mine, out)
    assert len(lines(made["train"])) == 3


def test_a_process_that_was_killed_while_it_wrote_can_begin_again(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(own_data, "gather", lambda *_: put(out / "train.jsonl", "half"))
        patch.setattr(own_data, "_checksum", lambda _: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            make(mine, out)
    assert json.loads((out / own_data.NOTE).read_text())["train.jsonl"] is None
    assert len(lines(make(mine, out)["train"])) == 2


def test_nothing_is_left_where_nothing_came_of_it(tmp_path: Path) -> None:
    sound(tmp_path / "mine" / "lonely.wav")
    with pytest.raises(DataError, match="no utterance can be used"):
        make(tmp_path / "mine", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"left_out.tsv", own_data.NOTE}
    put(tmp_path / "mine" / "lonely.wav", "no sound")
    put(tmp_path / "mine" / "lonely.txt", "ba1")
    with pytest.raises(DataError):
        options = {"root": tmp_path / "mine", "damaged": 0, "dev": 0, "test": 0}
        prepare({"corpus": "folder", **options}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("note", ["[]", "{", "\0"])
def test_a_damaged_note_is_none(mine: Path, tmp_path: Path, note: str) -> None:
    make(mine, tmp_path / "out")
    put(tmp_path / "out" / own_data.NOTE, note)
    with pytest.raises(ConfigError, match="would be overwritten"):
        make(mine, tmp_path / "out")


def test_a_table_is_not_overwritten_under_another_name(tmp_path: Path) -> None:
    table = put(tmp_path / "table.jsonl", '{"audio_filepath": "a.wav", "text": "ba1"}\n')
    sound(tmp_path / "a.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.jsonl").symlink_to(table)
    with pytest.raises(ConfigError, match=r"table\.jsonl: would be overwritten by its own manifest"):
        prepare({"corpus": "jsonl", "root": table}, tmp_path / "out")
