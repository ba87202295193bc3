"""lhotse's manifests, in the form that its own `to_file` writes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound

from dfcnn_ms.corpora import lhotse
from dfcnn_ms.errors import DataError

prepare = lhotse.prepare
ALL = {"dev": 0, "test": 0}


def recording(name: str, source: str, kind: str = "file") -> dict:
    return {
        "id": name,
        "sources": [{"type": kind, "channels": [0], "source": source}],
        "sampling_rate": 16000,
        "num_samples": 160000,
        "duration": 10.0,
        "channel_ids": [0],
    }


def supervision(name: str, start: float, duration: float, text: str, speaker: str = "ann") -> dict:
    return {
        "id": name, "recording_id": "rec", "start": start, "duration": duration, "channel": 0,
        "text": text, "language": "Chinese", "speaker": speaker,
    }  # fmt: skip


def packed(path: Path, *entries: dict) -> Path:
    return put(path, gzip.compress("".join(json.dumps(entry) + "\n" for entry in entries).encode()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sound(tmp_path / "mine" / "wav" / "long.wav", 10.0)
    return tmp_path / "mine"


def test_recordings_and_supervisions(root: Path, tmp_path: Path) -> None:
    packed(root / "x_recordings_train.jsonl.gz", recording("rec", "wav/long.wav"))
    said = (supervision("a", 0.0, 2.0, "重庆 银行"), supervision("b", 2.0, 8.0, "绿", ""))
    packed(root / "x_supervisions_train.jsonl.gz", *said, {**said[0], "id": "c", "recording_id": "gone"})
    made = prepare(root, tmp_path / "out")
    first, second = lines(made["train"])
    assert (first["pinyin"], first["seconds"], first["speaker"]) == ("chong2 qing4 yin2 hang2", 2.0, "ann")
    assert (second["start"], second["seconds"], second.get("speaker")) == (2.0, 8.0, None)
    assert left_out(tmp_path / "out") == {"c": "no recording"}


def test_cuts(root: Path, tmp_path: Path) -> None:
    rec = recording("rec", str(root / "wav" / "long.wav"))
    cut = {"id": "cut", "start": 3.0, "duration": 4.0, "channel": 0, "type": "MonoCut", "recording": rec}
    cut["supervisions"] = [supervision("a", 0.5, 2.0, "绿"), supervision("b", 2.5, 1.5, "七")]
    stored = {**cut, "recording": recording("rec", "memory", "memory")}
    stored["supervisions"] = [supervision("c", 0.0, 1.0, "八"), {"id": "d", "text": "九"}]
    packed(root / "cuts.jsonl.gz", cut, stored, {**cut, "supervisions": [{"id": "e", "text": "九"}]})
    made = prepare(root, tmp_path / "out", **ALL)
    assert [(line["id"], line["start"], line["seconds"]) for line in lines(made["train"])] == [
        ("a", 3.5, 2.0),
        ("b", 5.5, 1.5),
    ]
    assert left_out(tmp_path / "out") == {"c": "no recording", "d": "no recording", "e": "not a number"}


def test_files_for_each_split(root: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        packed(root / f"x_recordings_{split}.jsonl.gz", recording("rec", "wav/long.wav"))
        packed(root / f"x_supervisions_{split}.jsonl.gz", supervision(split, 0.0, 2.0, "绿"))
    assert ids(prepare(root, tmp_path / "out")) == {split: [split] for split in ("train", "dev", "test")}
    one = root / "x_supervisions_dev.jsonl.gz"
    assert ids(prepare(one, tmp_path / "one")) == {"dev": ["dev"]}


def test_what_is_missing_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no lhotse manifests"):
        prepare(root, tmp_path / "out")
    packed(root / "supervisions.jsonl.gz", supervision("a", 0.0, 2.0, "绿"))
    with pytest.raises(DataError, match=r"wanted recordings\.jsonl\.gz beside it"):
        prepare(root, tmp_path / "out")


@pytest.mark.parametrize(
    "cut",
    [
        {"supervisions": [7]},
        {"supervisions": [{"id": "a"}], "recording": 7},
        {"supervisions": [{"id": "a"}], "recording": {"sources": [7]}},
        {"supervisions": [supervision("a", 0.0, 1.0, "七")], "recording": {"sources": [{"type": "file"}]}},
        {"supervisions": [supervision("a", 10**400, 1.0, "七")], "recording": recording("r", "wav/long.wav")},
        {"supervisions": [supervision("a", 0.0, 1.0, "七")], "recording": recording("r", "wav/long.wav"), "start": "x"},
    ],
)
def test_what_is_not_of_lhotse_is_left_out(root: Path, tmp_path: Path, cut: dict[str, object]) -> None:
    good = {"recording": recording("r", "wav/long.wav"), "supervisions": [supervision("good", 0.0, 1.0, "七")]}
    packed(root / "cuts.jsonl.gz", cut, good)
    assert ids(prepare(root, tmp_path / "out", **ALL)) == {"train": ["good"]}
    assert list(left_out(tmp_path / "out").values()) == ["not of lhotse"]


def test_supervisions_that_are_no_list_are_named(root: Path, tmp_path: Path) -> None:
    packed(root / "cuts.jsonl.gz", {"supervisions": 7})
    with pytest.raises(DataError, match=r"cuts\.jsonl\.gz:1: 'supervisions' must be a list; got 7"):
        prepare(root, tmp_path / "out", **ALL)
