"""Speech Commands: two lists and a hash, ten commands, unknown words and silence."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from miniatures import ids, lines, put, tar_bytes, wav_bytes

from dfcnn_ms.corpora import speech_commands
from dfcnn_ms.corpora.speech_commands import COMMANDS, SILENCE, UNKNOWN, split_of
from dfcnn_ms.errors import ConfigError, DataError

OTHERS = ("bed", "marvin", "zero", "backward")
SPEAKERS = [f"{number:08x}" for number in range(40, 64)]


def published_split(speaker: str) -> str:
    """The rule as its author states it: SHA-1 modulo 2^27, as a percentage of 2^27 - 1; 10 % dev, 10 % test."""
    percent = (int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27) * (100.0 / (2**27 - 1))
    return "dev" if percent < 10 else "test" if percent < 20 else "train"


@pytest.fixture(scope="module")
def archive() -> bytes:
    """No folder around it, as published; the lists agree with the hash."""
    wav = wav_bytes(0.2)
    files: dict[str, str | bytes] = {"./README.md": "# Speech Commands\n", "./LICENSE": "CC BY 4.0\n"}
    listed = defaultdict(list)
    for word in COMMANDS + OTHERS:
        for speaker in SPEAKERS:
            name = f"{word}/{speaker}_nohash_0.wav"
            files[f"./{name}"] = wav
            listed[published_split(speaker)].append(name)
    files["./validation_list.txt"] = "\n".join(listed["dev"]) + "\n"
    files["./testing_list.txt"] = "\n".join(listed["test"]) + "\n"
    files["./_background_noise_/running_tap.wav"] = wav_bytes(20.0)
    files["./_background_noise_/white_noise.wav"] = wav_bytes(30.0)
    files["./_background_noise_/README.md"] = "noise\n"
    return tar_bytes(files)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, archive: bytes) -> Path:
    """The archive and what it unpacks to, for all tests that change nothing in it."""
    root = tmp_path_factory.mktemp("commands")
    put(root / "speech_commands_v0.02.tar.gz", archive)
    speech_commands.prepare(root, root / "out")
    return root


@pytest.fixture
def root(tmp_path: Path, corpus: Path) -> Path:
    """A copy to spoil; the sound is linked, because nobody writes into it."""

    def copy(source: str, target: str) -> None:
        (os.link if source.endswith(".wav") else shutil.copyfile)(source, target)

    return Path(shutil.copytree(corpus, tmp_path / "root", copy_function=copy))


def test_every_word_in_the_official_splits(corpus: Path, tmp_path: Path) -> None:
    made = speech_commands.prepare(corpus, tmp_path / "out", classes=35)
    for split, path in made.items():
        rows = lines(path)
        speakers = [speaker for speaker in SPEAKERS if published_split(speaker) == split]
        assert {row["speaker"] for row in rows} == set(speakers)
        assert Counter(row["pinyin"] for row in rows) == dict.fromkeys(COMMANDS + OTHERS, len(speakers))
    assert len(made) == 3
    first = lines(made["test"])[0]
    assert first["id"] == f"{first['pinyin']}-{first['speaker']}_nohash_0"


@pytest.mark.parametrize("name", ["validation_list.txt", "testing_list.txt"])
def test_the_hash_takes_the_place_of_a_list(root: Path, tmp_path: Path, name: str) -> None:
    with_lists = ids(speech_commands.prepare(root, tmp_path / "out", classes=35))
    (root / "speech_commands_v0.02" / name).unlink()
    assert ids(speech_commands.prepare(root, tmp_path / "out", classes=35)) == with_lists


def test_the_lists_come_before_the_hash(root: Path, tmp_path: Path) -> None:
    put(root / "speech_commands_v0.02" / "validation_list.txt", "yes/00000028_nohash_0.wav\n")
    made = speech_commands.prepare(root, tmp_path / "out", classes=35)
    assert ids(made)["dev"] == ["yes-00000028_nohash_0"]


def test_the_hash_is_that_of_the_speaker() -> None:
    names = [f"{speaker}_nohash_{number}.wav" for speaker in SPEAKERS for number in (0, 3)]
    assert [split_of(name) for name in names] == [published_split(name[:8]) for name in names]
    assert {split_of(name) for name in names} == {"train", "dev", "test"}


def test_twelve_classes(corpus: Path, tmp_path: Path) -> None:
    made = speech_commands.prepare(corpus, tmp_path / "out")
    for split, path in made.items():
        rows = lines(path)
        counts = Counter(row["pinyin"] for row in rows)
        commands = 10 * sum(published_split(speaker) == split for speaker in SPEAKERS)
        assert set(counts) == {*COMMANDS, UNKNOWN, SILENCE}
        assert sum(counts[word] for word in COMMANDS) == commands
        assert counts[UNKNOWN] == counts[SILENCE] == math.ceil(commands / 10)
        assert {row["text"] for row in rows if row["pinyin"] == UNKNOWN} <= set(OTHERS)


def test_official_sizes_of_the_twelve_classes() -> None:
    """As published: all clips of the ten commands, and a tenth of their number of each of the two other classes."""
    commands = {(1, "dev"): 2_577, (1, "test"): 2_567, (2, "dev"): 3_703, (2, "test"): 4_074, (1, "train"): 18_538}
    commands[2, "train"] = 30_769
    for (version, split), count in commands.items():
        wanted = count + 2 * math.ceil(count / 10)
        assert speech_commands.OFFICIAL[version, 12][split].utterances == wanted


def test_the_parts_of_every_word_add_up_to_what_was_published() -> None:
    for key, total in (((1, 30), 64_721), ((2, 35), 105_829)):
        assert sum(count.utterances or 0 for count in speech_commands.OFFICIAL[key].values()) == total


def test_silence_is_cut_from_parts_that_no_other_split_has(corpus: Path, tmp_path: Path) -> None:
    made = speech_commands.prepare(corpus, tmp_path / "out", silence=0.5)
    spans = {}
    for split, path in made.items():
        pieces = [row for row in lines(path) if row["pinyin"] == SILENCE]
        assert all(row["seconds"] == 1.0 for row in pieces)
        shares = [float(str(row["start"])) / (20.0 if "tap" in str(row["audio"]) else 30.0) for row in pieces]
        ends = [(float(str(row["start"])) + 1) / (20.0 if "tap" in str(row["audio"]) else 30.0) for row in pieces]
        spans[split] = (min(shares), max(ends))
    assert spans["train"][0] >= 0 and spans["train"][1] <= 0.8
    assert spans["dev"][0] >= 0.8 and spans["dev"][1] <= 0.9
    assert spans["test"][0] >= 0.9 and spans["test"][1] <= 1.0


def test_the_seed_decides(corpus: Path, tmp_path: Path) -> None:
    first = ids(speech_commands.prepare(corpus, tmp_path / "a"))
    assert ids(speech_commands.prepare(corpus, tmp_path / "b")) == first
    assert ids(speech_commands.prepare(corpus, tmp_path / "c", seed=1)) != first


def test_a_split_does_not_depend_on_another(root: Path, tmp_path: Path) -> None:
    whole = ids(speech_commands.prepare(root, tmp_path / "a"))
    for file in (root / "speech_commands_v0.02" / "zero").glob("*.wav"):
        if published_split(file.name[:8]) == "train":
            file.unlink()
    part = ids(speech_commands.prepare(root, tmp_path / "b"))
    assert part["train"] != whole["train"]
    assert (part["dev"], part["test"]) == (whole["dev"], whole["test"])


def test_neither_silence_nor_unknown(corpus: Path, tmp_path: Path) -> None:
    made = speech_commands.prepare(corpus, tmp_path / "out", unknown=0, silence=0)
    assert {row["pinyin"] for path in made.values() for row in lines(path)} == set(COMMANDS)


def test_without_noise_there_is_no_silence(root: Path, tmp_path: Path) -> None:
    for file in (root / "speech_commands_v0.02" / "_background_noise_").glob("*.wav"):
        file.unlink()
    with pytest.raises(DataError, match="no noise to cut the class _silence_ from"):
        speech_commands.prepare(root, tmp_path / "out")


def test_the_other_version_is_told_from_the_words(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the words of version 2; give --version 2"):
        speech_commands.prepare(corpus / "speech_commands_v0.02", tmp_path, version=1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"version": 3}, "version must be 1 or 2; got 3"),
        ({"version": 1, "classes": 35}, "classes must be 12 or 30 in version 1; got 35"),
        ({"classes": 10}, "classes must be 12 or 35 in version 2; got 10"),
        ({"unknown": -1.0}, "unknown is a share of the ten commands"),
        ({"silence": float("inf")}, "silence is a share of the ten commands"),
        ({"seed": -1}, "seed must be 0 or more; got -1"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        speech_commands.prepare(tmp_path, tmp_path, **options)
