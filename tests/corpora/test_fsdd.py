"""Free Spoken Digits: names that say everything, and the official test set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniatures import ids, left_out, lines, put, sound, tar_bytes, wav_bytes

from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora import fsdd
from dfcnn_ms.errors import ConfigError

SPEAKERS = ("george", "jackson")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten digits by two speakers, twelve times each, at 8 kHz, as the archive of GitHub has them."""
    top = f"free-spoken-digit-dataset-{fsdd.VERSION}"
    wav = wav_bytes(0.3, 8000)
    files: dict[str, str | bytes] = {f"{top}/README.md": "# FSDD\n", f"{top}/metadata.py": "metadata = {}\n"}
    for digit in range(10):
        for speaker in SPEAKERS:
            files |= {f"{top}/recordings/{digit}_{speaker}_{number}.wav": wav for number in range(12)}
    put(tmp_path / "root" / f"v{fsdd.VERSION}.tar.gz", tar_bytes(files))
    return tmp_path / "root"


def test_the_test_set_is_the_first_five_of_each(root: Path, tmp_path: Path) -> None:
    made = fsdd.prepare(root, tmp_path / "out", dev=0)
    numbers = {split: {int(str(name).split("_")[2]) for name in names} for split, names in ids(made).items()}
    assert numbers == {"train": set(range(5, 12)), "test": set(range(5))}
    assert Counter(line["pinyin"] for line in lines(made["test"])) == dict.fromkeys(fsdd.WORDS, 10)
    one = lines(made["test"])[0]
    assert (one["id"], one["pinyin"], one["text"], one["speaker"]) == ("0_george_0", "zero", "zero", "george")
    assert one["seconds"] == 0.3


def test_dev_is_taken_from_training(root: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    made = fsdd.prepare(root, tmp_path / "out", dev=2)
    assert {split: len(names) for split, names in ids(made).items()} == {"train": 100, "dev": 40, "test": 100}
    (row,) = [line.split() for line in caplog.text.splitlines() if line.startswith("train")]
    assert row[1:4] == ["140", "2,700", "2,560"], "beside the official numbers it counts as training"


def test_another_name_is_left_out(root: Path, tmp_path: Path) -> None:
    fsdd.prepare(root, tmp_path / "out")
    home = root / f"free-spoken-digit-dataset-{fsdd.VERSION}"
    sound(home / "recordings" / "ten_george_1.wav")
    fsdd.prepare(home, tmp_path / "out")
    assert left_out(tmp_path / "out") == {"ten_george_1": "not a name of this corpus"}


@pytest.mark.parametrize("layout", ["recordings", "audio", ""])
def test_copies_in_another_format_and_folder_are_the_same_corpus(tmp_path: Path, layout: str) -> None:
    names = [f"{digit}_george_{number}" for digit in range(10) for number in (4, 5, 20)]
    for name in names:
        sound = tmp_path / "mine" / layout / f"{name}.flac"
        sound.parent.mkdir(parents=True, exist_ok=True)
        write_wave(sound, np.zeros(800, np.float32), 8000)
    put(tmp_path / "mine" / layout / "manifest.tsv", "id\taudio\n")
    made = fsdd.prepare(tmp_path / "mine", tmp_path / "out")
    assert sorted(str(name) for split in ids(made).values() for name in split) == sorted(names)
    assert {split: {str(name)[-2:] for name in found} for split, found in ids(made).items()} == {
        "train": {"20"}, "dev": {"_5"}, "test": {"_4"},
    }  # fmt: skip


@pytest.mark.parametrize("dev", [-1, 45])
def test_a_dev_that_is_none_or_leaves_nothing_for_training_is_refused(tmp_path: Path, dev: int) -> None:
    with pytest.raises(ConfigError, match=f"dev must be 0 to 44 recordings of each digit and speaker; got {dev}"):
        fsdd.prepare(tmp_path, tmp_path, dev=dev)
