"""Primewords: one list of entries, some of which name a file again; sound in folders by its first digits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound, tar_bytes, wav_bytes

from dfcnn_ms.corpora import primewords
from dfcnn_ms.errors import DataError

HOME = "primewords_md_2018_set1"


def entry(number: int, user: str, file: str, text: str) -> dict[str, str]:
    """All values are text, as published."""
    return {"id": str(number), "user_id": user, "length": "0.20", "file": f"{file}.wav", "text": text}


ENTRIES = [
    entry(1, "21", "00a1f3c2", "甚至 出现 交易 几乎 停滞 的 情况"),
    entry(2, "22", "0b77ee66", "一 起 买 雨 伞"),
    entry(3, "23", "f11add10", "他 说 ， 不要"),
    entry(4, "21", "00a1f3c2", "甚至 出现 交易 几乎 停滞 的 情况"),
    entry(5, "24", "c9b653a0", "没有 录音"),
    entry(6, "25", "f11add10", "别的 话"),
    entry(7, "26", "7a5a0000", "ＡＢＣ"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {
        f"{HOME}/audio_files/{name[0]}/{name[:2]}/{name}.wav": wav_bytes(0.2)
        for name in ("00a1f3c2", "0b77ee66", "f11add10", "7a5a0000", "99999999")
    }
    files[f"{HOME}/set1_transcript.json"] = json.dumps(ENTRIES, ensure_ascii=False)
    put(tmp_path / "root" / f"{HOME}.tar.gz", tar_bytes(files))
    return tmp_path / "root"


def test_the_archive_is_read(root: Path, tmp_path: Path) -> None:
    made = primewords.prepare(root, tmp_path / "out", dev=0, test=0)
    assert ids(made) == {"train": ["00a1f3c2", "0b77ee66", "f11add10"]}
    first, second, third = lines(made["train"])
    assert (first["speaker"], first["pinyin"]) == (
        "21",
        "shen4 zhi4 chu1 xian4 jiao1 yi4 ji1 hu1 ting2 zhi4 de5 qing2 kuang4",
    )
    assert (second["pinyin"], third["pinyin"]) == ("yi4 qi3 mai3 yu3 san3", "ta1 shuo1 bu2 yao4")
    assert left_out(tmp_path / "out") == {
        "00a1f3c2": "file named again",
        "c9b653a0": "no recording",
        "f11add10": "file named again",
        "7a5a0000": "no Mandarin reading",
        "99999999": "no transcript",
    }
    details = (tmp_path / "out" / "left_out.tsv").read_text(encoding="utf-8")
    assert "entry 4: the same text" in details
    assert "entry 6: another text" in details


def test_sandhi_can_be_chosen(root: Path, tmp_path: Path) -> None:
    made = primewords.prepare(root, tmp_path / "out", dev=0, test=0, sandhi="full")
    assert lines(made["train"])[1]["pinyin"] == "yi4 qi2 mai3 yu2 san3"


def test_speakers_are_held_out(root: Path, tmp_path: Path) -> None:
    made = primewords.prepare(root, tmp_path / "out")
    assert {split: len(names) for split, names in ids(made).items()} == {"train": 1, "dev": 1, "test": 1}


def test_an_entry_that_is_none_is_left_out(root: Path, tmp_path: Path) -> None:
    primewords.prepare(root, tmp_path / "out", dev=0, test=0)
    path = root / HOME / "set1_transcript.json"
    put(path, json.dumps(["not an object", {"file": "00a1f3c2.wav"}, ENTRIES[1]]))
    primewords.prepare(root, tmp_path / "out", dev=0, test=0)
    out = left_out(tmp_path / "out")
    assert (out["entry 1"], out["entry 2"]) == ("not an entry", "not an entry")
    sound(root / HOME / "audio_files" / "0" / "00" / "00a1f3c2.wav")


@pytest.mark.parametrize(
    ("content", "complaint"), [("[{]", "not JSON"), ('{"a": 1}', "wanted a list of entries; got dict")]
)
def test_a_transcript_that_cannot_be_used_is_named(root: Path, tmp_path: Path, content: str, complaint: str) -> None:
    put(tmp_path / "bad" / "set1_transcript.json", content)
    with pytest.raises(DataError, match=rf"set1_transcript\.json: {complaint}"):
        primewords.prepare(tmp_path / "bad", tmp_path / "out")
