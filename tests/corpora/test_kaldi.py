"""Kaldi directories: the four files, with and without segments."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound

from dfcnn_ms.corpora import kaldi
from dfcnn_ms.errors import DataError

prepare = kaldi.prepare
ALL = {"dev": 0, "test": 0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    sound(root / "wav" / "a.wav", 0.5)
    sound(root / "wav" / "b with blank.wav", 0.5)
    put(root / "wav.scp", f"utt1 {root}/wav/a.wav\nutt2\twav/b with blank.wav\n")
    put(root / "text", "utt1 重庆 银行\nutt2 ni3 hao3\n")
    put(root / "utt2spk", "utt1 ann\nutt2 bob\n")
    return root


def test_whole_recordings(root: Path, tmp_path: Path) -> None:
    made = prepare(root, tmp_path / "out", **ALL)
    first, second = lines(made["train"])
    assert (first["id"], first["pinyin"], first["speaker"]) == ("utt1", "chong2 qing4 yin2 hang2", "ann")
    assert (second["pinyin"], second["seconds"]) == ("ni3 hao3", 0.5)
    assert second["audio"] == "../data/wav/b with blank.wav"


def test_without_speakers(root: Path, tmp_path: Path) -> None:
    (root / "utt2spk").unlink()
    assert "speaker" not in lines(prepare(root, tmp_path / "out", **ALL)["train"])[0]


def test_segments(root: Path, tmp_path: Path) -> None:
    sound(root / "wav" / "long.wav", 10.0)
    put(root / "wav.scp", "rec wav/long.wav\n")
    put(root / "segments", "utt1 rec 0.5 2.25\nutt2 rec 3 -1\nutt3 rec soon later\nutt4 gone 0 1\nutt5 rec 0 1\nutt6\n")
    put(root / "text", "utt1 七\nutt2 八\nutt3 九\nutt4 零\nutt6 六\nutt9 一\n")
    made = prepare(root, tmp_path / "out", **ALL)
    assert [(line["id"], line["start"], line["seconds"]) for line in lines(made["train"])] == [
        ("utt1", 0.5, 1.75),
        ("utt2", 3.0, 7.0),
    ]
    assert left_out(tmp_path / "out") == {
        "utt3": "not a number",
        "utt4": "no recording",
        "utt5": "no transcript",
        "utt6": "no recording",
        "utt9": "no recording",
    }


def test_commands_are_not_run(root: Path, tmp_path: Path) -> None:
    put(root / "wav.scp", f"utt1 {root}/wav/a.wav\nutt2 touch {tmp_path}/ran |\n")
    assert ids(prepare(root, tmp_path / "out", **ALL)) == {"train": ["utt1"]}
    assert left_out(tmp_path / "out") == {"utt2": "a command, not a file"}
    assert not (tmp_path / "ran").exists()


def test_names_from_where_scripts_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(root / "wav.scp", "utt1 data/wav/a.wav\n")
    put(root / "text", "utt1 七\n")
    (line,) = lines(prepare(Path("data"), Path("out"), **ALL)["train"])
    assert line["audio"] == "../data/wav/a.wav"


def test_a_directory_for_each_split(root: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test_clean", "lang"):
        put(tmp_path / "all" / split / "wav.scp", f"{split} {root}/wav/a.wav\n")
        put(tmp_path / "all" / split / "text", f"{split} 七\n")
    assert ids(prepare(tmp_path / "all", tmp_path / "out")) == {
        "train": ["train"], "dev": ["dev"], "test": ["test_clean"],
    }  # fmt: skip


def test_what_is_no_directory_of_kaldi_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no Kaldi directory; wanted wav\.scp and text"):
        prepare(tmp_path, tmp_path / "out")
    (root / "text").unlink()
    with pytest.raises(DataError, match=r"text: no such file"):
        prepare(root, tmp_path / "out")
