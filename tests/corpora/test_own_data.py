"""Your own data in a folder: texts beside sound files, of every sort that the recipe promises to read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound

from dfcnn_ms.corpora.folder import prepare
from dfcnn_ms.corpora.own_data import Own, read_lines, sources, split_in
from dfcnn_ms.errors import ConfigError, DataError


def said(root: Path, name: str, text: str | bytes, suffix: str = ".txt") -> None:
    sound(root / f"{name}.wav")
    put(root / f"{name}{suffix}", text)


def test_every_kind_of_text(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    said(root / "train", "a", "ni3 hao3\n")
    said(root / "train", "b", "重庆 银行\n", ".lab")
    said(root / "train", "c", "绿 的\nlu:4 de\nl v4\n", ".wav.trn")
    said(root / "train", "d", "\ufeffNǐ hǎo", ".trn")
    made = prepare(root, tmp_path / "out")
    assert {line["id"]: (line["pinyin"], line.get("text", "")) for line in lines(made["train"])} == {
        "train-a": ("ni3 hao3", ""),
        "train-b": ("chong2 qing4 yin2 hang2", "重庆银行"),
        "train-c": ("lv4 de5", "绿的"),
        "train-d": ("ni3 hao3", ""),
    }


def test_folders_are_splits_and_speakers(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for place in ("train/ann/1", "train/bob/1", "validation/cat/1", "eval/dan/1", "eval/2"):
        said(root, place, "ni3")
    made = prepare(root, tmp_path / "out")
    assert ids(made) == {
        "train": ["train-ann-1", "train-bob-1"],
        "dev": ["validation-cat-1"],
        "test": ["eval-2", "eval-dan-1"],
    }
    assert [line.get("speaker") for line in lines(made["test"])] == [None, "dan"]


def test_speakers_are_held_out_if_there_are_no_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    root = tmp_path / "mine"
    for speaker in "abcdefghij":
        for number in range(3):
            said(root, f"{speaker}/{number}", "ni3")
    made = prepare(root, tmp_path / "out", dev=0.1, test=0.2)
    speakers = {split: {line["speaker"] for line in lines(path)} for split, path in made.items()}
    assert {split: len(some) for split, some in speakers.items()} == {"train": 7, "dev": 1, "test": 2}
    assert len(set.union(*speakers.values())) == 10
    assert "too few" not in caplog.text


def test_utterances_are_held_out_if_there_is_one_speaker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for number in range(20):
        said(tmp_path / "mine", f"{number}", "ni3")
    made = prepare(tmp_path / "mine", tmp_path / "out", dev=0.1, test=0.1)
    assert {split: len(names) for split, names in ids(made).items()} == {"train": 16, "dev": 2, "test": 2}
    assert "too few speakers to hold some out" in caplog.text


def test_labels_as_they_are_written(tmp_path: Path) -> None:
    said(tmp_path / "mine", "a", "seven  up")
    said(tmp_path / "mine", "b", "你好，世界")
    options = {"dev": 0, "test": 0}
    made = prepare(tmp_path / "mine", tmp_path / "out", labels="as_written", **options)
    assert [line["pinyin"] for line in lines(made["train"])] == ["seven up", "你好，世界"]
    put(tmp_path / "mine" / "a.txt", "七上")
    made = prepare(tmp_path / "mine", tmp_path / "out", labels="characters", **options)
    assert [line["pinyin"] for line in lines(made["train"])] == ["七 上", "你 好 世 界"]


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    said(root, "good", "ni3")
    said(root, "empty", " \n")
    said(root, "latin", "hello world")
    said(root, "mixed", "我爱abba")
    said(root, "gbk", "绿".encode("gbk"))
    sound(root / "silent.flac.wav")
    put(root / "hidden" / "._good.wav", "left by macOS")
    put(root / "text.wav", "this is text")
    put(root / "text.txt", "ni3")
    made = prepare(root, tmp_path / "out", dev=0, test=0)
    assert ids(made) == {"train": ["good"]}
    assert left_out(tmp_path / "out") == {
        "empty": "no text",
        "gbk": "transcript not in UTF-8",
        "latin": "pinyin that is none",
        "mixed": "no Mandarin reading",
        "silent.flac": "no transcript",
        "text": "damaged sound",
    }


def test_a_second_run_forgets_what_was_left_out(tmp_path: Path) -> None:
    said(tmp_path / "mine", "a", "ni3")
    said(tmp_path / "mine", "b", "")
    prepare(tmp_path / "mine", tmp_path / "out", dev=0, test=0)
    put(tmp_path / "mine" / "b.txt", "hao3")
    made = prepare(tmp_path / "mine", tmp_path / "out", dev=0, test=0)
    assert ids(made) == {"train": ["a", "b"]}
    assert not (tmp_path / "out" / "left_out.tsv").exists()


@pytest.mark.parametrize(("place", "complaint"), [("nowhere", "no such folder"), ("empty", "no utterance was found")])
def test_a_folder_without_sound_is_refused(tmp_path: Path, place: str, complaint: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=complaint):
        prepare(tmp_path / place, tmp_path / "out")


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="labels cannot be 'charakters'; did you mean 'characters'"):
        Own(tmp_path, tmp_path, labels="charakters")
    said(tmp_path / "mine", "a", "ni3")
    for options, complaint in (
        ({"workers": 0}, "workers must be 1 or more"),
        ({"damaged": -1}, "damaged must be 0 or"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            prepare(tmp_path / "mine", tmp_path / "out", dev=0, test=0, **options)


@pytest.mark.parametrize(
    ("name", "split"),
    [("train.tsv", "train"), ("my_dev.jsonl.gz", "dev"), ("Validation-2", "dev"), ("training", "train"), ("x.tsv", "")],
)
def test_splits_are_known_by_name(name: str, split: str) -> None:
    assert split_in(name) == split


def test_which_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted a table there; got none"):
        sources(tmp_path, (".tsv",), "a table")
    one = put(tmp_path / "other.tsv", "")
    assert sources(tmp_path, (".tsv",), "a table") == [(one, "")] == sources(one, (".tsv",), "a table")
    put(tmp_path / "another.tsv", "")
    with pytest.raises(DataError, match=r"got 2 files and no split in their names: another\.tsv \.\.\.; give --root"):
        sources(tmp_path, (".tsv",), "a table")
    train = put(tmp_path / "train.tsv", "")
    assert sources(tmp_path, (".tsv",), "a table") == [(train, "train")]


def test_lines_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name, content, complaint in (
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.gz", b"no gzip", r"cannot be read \(.*\); copy it again"),
        ("b.gz", b"\x1f\x8b\x08\x00", "cannot be read "),
        ("c.gz", gzip.compress(b"ni3\n" * 500)[:20] + b"x" * 20, "cannot be read "),
    ):
        with pytest.raises(DataError, match=complaint):
            list(read_lines(put(tmp_path / name, content)))
    with pytest.raises(DataError, match="none: no such file"):
        list(read_lines(tmp_path / "none"))
