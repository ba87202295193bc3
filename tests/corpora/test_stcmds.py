"""ST-CMDS: three files for each utterance, some of them odd; no official splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound, tar_bytes, wav_bytes

from dfcnn_ms.corpora import stcmds
from dfcnn_ms.errors import ConfigError

HOME = "ST-CMDS-20170001_1-OS"


def utterance(person: int, phone: str, number: int) -> str:
    return f"20170001P{person:05d}{phone}{number:04d}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten people, two of whom used both kinds of phone; texts without an end of line, one with commas."""
    files: dict[str, str | bytes] = {}
    for person in range(1, 11):
        for phone in "AI" if person <= 2 else "A":
            for number in (1, 2):
                name = f"{HOME}/{utterance(person, phone, number)}"
                files |= {f"{name}.wav": wav_bytes(0.2), f"{name}.txt": "打开，空调" if number == 2 else "播放音乐"}
                files[f"{name}.metadata"] = "SEX Male\nBIR 四川\n".encode("gbk" if person % 2 else "utf-8")
    put(tmp_path / "root" / f"{HOME}.tar.gz", tar_bytes(files))
    return tmp_path / "root"


def test_the_archive_is_read(root: Path, tmp_path: Path) -> None:
    made = stcmds.prepare(root, tmp_path / "out")
    every = [line for path in made.values() for line in lines(path)]
    assert len(every) == 24
    assert {line["pinyin"] for line in every} == {"bo1 fang4 yin1 yue4", "da3 kai1 kong1 tiao2"}
    assert {line["text"] for line in every} == {"播放音乐", "打开，空调"}
    assert {line["speaker"] for line in every} >= {"P00001A", "P00001I", "P00010A"}
    assert not (tmp_path / "out" / "left_out.tsv").exists()


def test_nobody_is_in_two_splits(root: Path, tmp_path: Path) -> None:
    made = stcmds.prepare(root, tmp_path / "out", dev=0.2, test=0.3)
    people = {split: {str(line["speaker"])[:-1] for line in lines(path)} for split, path in made.items()}
    assert {split: len(some) for split, some in people.items()} == {"train": 5, "dev": 2, "test": 3}
    assert len(set.union(*people.values())) == 10
    assert ids(made) == ids(stcmds.prepare(root, tmp_path / "again", dev=0.2, test=0.3)), "always the same"


def test_all_of_it_for_training(root: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    made = stcmds.prepare(root, tmp_path / "out", dev=0, test=0)
    assert {split: len(names) for split, names in ids(made).items()} == {"train": 24}
    (row,) = [line.split() for line in caplog.text.splitlines() if line.startswith("all")]
    assert row[1:4] == ["24", "102,600", "102,576"]
    assert row[7:] == ["12", "855", "843"]


def test_what_is_odd_is_left_out(root: Path, tmp_path: Path) -> None:
    stcmds.prepare(root, tmp_path / "out")
    home = root / HOME
    (home / f"{utterance(3, 'A', 1)}.txt").unlink()
    put(home / f"{utterance(3, 'A', 2)}.txt", "播放 beyond 的歌")
    put(home / f"{utterance(4, 'A', 1)}.txt", "")
    put(home / f"{utterance(4, 'A', 2)}.txt", "打开空调".encode("gbk"))
    put(home / f"{utterance(5, 'A', 1)}.txt", b"\xff\xff\xff")
    sound(home / "noise.wav")
    made = stcmds.prepare(root, tmp_path / "out")
    assert left_out(tmp_path / "out") == {
        utterance(3, "A", 1): "no transcript",
        utterance(3, "A", 2): "no Mandarin reading",
        utterance(4, "A", 1): "no text",
        utterance(5, "A", 1): "no transcript",
        "noise": "not a name of this corpus",
    }
    texts = {line["id"]: line["text"] for path in made.values() for line in lines(path)}
    assert texts[utterance(4, "A", 2)] == "打开空调", "GBK is read as well"


@pytest.mark.parametrize(("dev", "test"), [(-0.1, 0), (0.5, 0.5), (1, 0), (0, float("nan"))])
def test_shares_must_be_shares(root: Path, tmp_path: Path, dev: float, test: float) -> None:
    with pytest.raises(ConfigError, match="dev and test are shares from 0 to 1"):
        stcmds.prepare(root, tmp_path / "out", dev=dev, test=test)


@pytest.mark.parametrize("options", [{"dev": 2}, {"workers": 0}, {"sandhi": "some"}])
def test_a_wrong_option_is_told_before_gigabytes_are_moved(tmp_path: Path, options: dict) -> None:
    """Otherwise it would complain of the server that does not exist."""
    with pytest.raises(ConfigError):
        stcmds.prepare(tmp_path / "no", tmp_path / "out", download=True, mirror="http://127.0.0.1:9", **options)
    assert not (tmp_path / "no").exists()
