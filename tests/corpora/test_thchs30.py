"""THCHS-30: the layout as published, and what unpacking programs make of its links."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from miniatures import THCHS30, THCHS30_SPLITS, ids, left_out, lines, put, sound, thchs30_archive

from dfcnn_ms.corpora import thchs30
from dfcnn_ms.corpora.manifest import read_labelled
from dfcnn_ms.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the archive in it, not unpacked."""
    put(tmp_path / "root" / "data_thchs30.tgz", thchs30_archive())
    return tmp_path / "root"


EXPECTED = {"train": ["A11_0", "B2_3"], "dev": ["A11_1"], "test": ["D4_750"]}


def test_the_archive_is_unpacked_and_read(root: Path, tmp_path: Path) -> None:
    made = thchs30.prepare(root, tmp_path / "out")
    assert ids(made) == EXPECTED
    first, second = lines(made["train"])
    assert first == {
        "id": "A11_0",
        "audio": first["audio"],
        "seconds": 0.25,
        "pinyin": "lv4 shi4 yang2 chun1",
        "text": "绿是阳春",
        "speaker": "A11",
        "split": "train",
    }
    assert second["pinyin"] == "nv3 er2 de5 hua1 er5"
    for manifest in made.values():
        for utterance in read_labelled(manifest):
            assert utterance.path.is_file() and not utterance.audio.startswith("/")


def flattened(home: Path) -> None:
    """Links became files that name their targets, as on Windows."""
    for name, split in THCHS30_SPLITS.items():
        (home / split / f"{name}.wav").unlink()
        put(home / split / f"{name}.wav", f"../data/{name}.wav")


def copied(home: Path) -> None:
    """Links became copies of their targets."""
    for name, split in THCHS30_SPLITS.items():
        for file in (f"{name}.wav", f"{name}.wav.trn"):
            (home / split / file).unlink()
            shutil.copy(home / "data" / file, home / split / file)


def linked(home: Path) -> None:
    """The transcripts are links too, as the README says."""
    for name, split in THCHS30_SPLITS.items():
        (home / split / f"{name}.wav.trn").unlink()
        (home / split / f"{name}.wav.trn").symlink_to(f"../data/{name}.wav.trn")


def without(home: Path) -> None:
    """Only the recordings are in the folders of the splits."""
    for name, split in THCHS30_SPLITS.items():
        (home / split / f"{name}.wav.trn").unlink()


@pytest.mark.parametrize("changed", [flattened, copied, linked, without])
def test_every_way_of_unpacking_gives_the_same(root: Path, tmp_path: Path, changed) -> None:
    before = {split: lines(path) for split, path in thchs30.prepare(root, tmp_path / "before").items()}
    changed(root / "data_thchs30")
    after = thchs30.prepare(root / "data_thchs30", tmp_path / "after")
    for split, wanted in before.items():
        assert [{**line, "audio": ""} for line in lines(after[split])] == [{**line, "audio": ""} for line in wanted]
        assert all(utterance.path.stat().st_size > 1000 for utterance in read_labelled(after[split]))


def test_characters_are_read_if_wanted(root: Path, tmp_path: Path) -> None:
    made = thchs30.prepare(root, tmp_path / "none", pinyin="read", sandhi="none")
    assert [line["pinyin"] for line in lines(made["train"])] == ["lv4 shi4 yang2 chun1", "nv3 er2 de5 hua1 er5"]
    with pytest.raises(ConfigError, match="pinyin must be one of: published, read; got 'mine'"):
        thchs30.prepare(root, tmp_path / "none", pinyin="mine")


def test_what_cannot_be_used_is_listed(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    thchs30.prepare(root, tmp_path / "out")
    data = root / "data_thchs30" / "data"
    (data / "A11_0.wav").write_bytes((data / "A11_0.wav").read_bytes()[:500])
    put(data / "A11_1.wav.trn", "他 仅 凭\n")
    put(data / "D4_750.wav.trn", "一个 战略\nyi2 gge4 zhan4 lve4\n\n")
    sound(root / "data_thchs30" / "dev" / "A11_9.wav")
    made = thchs30.prepare(root, tmp_path / "out")
    assert ids(made) == {"train": ["B2_3"]}
    assert left_out(tmp_path / "out") == {
        "A11_0": "damaged sound",
        "A11_1": "no transcript",
        "A11_9": "no transcript",
        "D4_750": "pinyin that is none",
    }
    assert "left out, no transcript: 2 (A11_1, A11_9)" in caplog.text
    assert "gge4" in (tmp_path / "out" / "left_out.tsv").read_text(encoding="utf-8")


def test_counts_are_compared_with_the_official_ones(root: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    thchs30.prepare(root, tmp_path / "out")
    (row,) = [line.split() for line in caplog.text.splitlines() if line.startswith("dev")]
    assert row[:4] == ["dev", "1", "893", "892"]


def test_too_much_damage_is_an_error(root: Path, tmp_path: Path) -> None:
    thchs30.prepare(root, tmp_path / "out")
    put(root / "data_thchs30" / "data" / "A11_0.wav", "x" * 500)
    with pytest.raises(
        DataError, match=r"^1 of 4 sound files are damaged or missing, and --damaged allows 0; the first"
    ):
        thchs30.prepare(root, tmp_path / "out", damaged=0)


@pytest.mark.parametrize("place", ["nowhere", "empty", "file"])
def test_what_is_no_corpus_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"data_thchs30(\.tgz)?( there, or add --download)?$"):
        thchs30.prepare(tmp_path / place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_inside_is_told_from_the_corpus(root: Path, tmp_path: Path) -> None:
    thchs30.prepare(root, tmp_path / "out")
    for inside in ("data", "train"):
        with pytest.raises(DataError, match=r"lies inside the corpus; give .*root/data_thchs30$"):
            thchs30.prepare(root / "data_thchs30" / inside, tmp_path / "out")


def test_folders_of_those_names_alone_are_no_corpus(tmp_path: Path) -> None:
    """Many projects have a folder `data` and a folder `test`."""
    for name in ("data", "test"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="no data_thchs30 in it"):
        thchs30.prepare(tmp_path, tmp_path / "out")


def test_the_miniature_is_what_it_says() -> None:
    """A syllable for each character, so that the expected labels can be believed."""
    for words, pinyin, _ in (text.splitlines() for text in THCHS30.values()):
        assert len("".join(words.split())) == len(pinyin.split())
