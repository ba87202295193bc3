"""The data doctor: each fault is put into a healthy corpus by itself, and has to be found, alone and by its count."""

from __future__ import annotations

import inspect
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from dfcnn_ms import doctor_data
from dfcnn_ms.audio.augment import Speed, TimeStretch
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.config import Config, load_config, parse_config
from dfcnn_ms.corpora.audio_stats import FLAT_SAMPLES, band_hz, flat_share, loudest_db, measure, measure_all
from dfcnn_ms.corpora.checks import labels, lengths
from dfcnn_ms.corpora.doctor import CHECKS, can_start, examine, gather, verdict
from dfcnn_ms.corpora.findings import EXAMPLES, SEVERITIES, Finding, Material, does, part
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.reporting.data_page import data_page
from dfcnn_ms.reporting.data_plots import draw_data
from dfcnn_ms.tasks import Ctc
from dfcnn_ms.text.pinyin import DIGITS
from dfcnn_ms.wording import many

Utterances = list[Utterance]
Corpus = dict[str, Utterances]


def sentences(count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Distinct sentences of seven digits."""
    numbers = rng.choice(10**7, size=count, replace=False)
    return [tuple(DIGITS[int(digit)] for digit in f"{number:07d}") for number in numbers]


def healthy(train: int = 60, others: int = 20) -> Corpus:
    """Three splits in which nothing is wrong: other speakers, other sentences, every digit said often enough."""
    said = iter(sentences(100, np.random.default_rng(0)))
    return {
        split: [
            Utterance(f"{split}{number}", f"{split}{number}.wav", 2.0, next(said), speaker=f"{split}-{number % 5}")
            for number in range(count)
        ]
        for split, count in (("train", train), ("dev", others), ("test", others))
    }


def saved(folder: Path, corpus: Corpus) -> list[Path]:
    for split, utterances in corpus.items():
        write_manifest(folder / f"{split}.jsonl", utterances)
    return [folder / f"{split}.jsonl" for split in corpus]


def found(folder: Path, corpus: Corpus, config: Config | None = None) -> list[Finding]:
    return examine(gather(saved(folder, corpus), config))


def page(folder: Path, *overrides: str) -> Config:
    """The page of the digits, over the manifests of a folder."""
    paths = [f"data.{split}={folder / f'{split}.jsonl'}" for split in ("train", "dev", "test")]
    return load_config("digits", [*paths, "data.cache=false", *overrides])


def test_a_healthy_corpus(tmp_path: Path) -> None:
    assert found(tmp_path, healthy()) == found(tmp_path, healthy(), page(tmp_path)) == []


# One fault at a time. Each function spoils a healthy corpus in place; what must be found stands beside it:
# the severity and a part of the sentence.


def label(corpus: Corpus, split: str, places: Sequence[int], pinyin: str) -> None:
    for place in places:
        corpus[split][place] = replace(corpus[split][place], pinyin=pinyin)


def change(corpus: Corpus, split: str, places: Sequence[int], **values: object) -> None:
    for place in places:
        corpus[split][place] = replace(corpus[split][place], **values)


def all_but(*units: str) -> str:
    return " ".join(unit for unit in DIGITS if unit not in units)


Fault = Callable[[Corpus], object]
FAULTS: dict[str, tuple[Fault, str, str]] = {
    "no pinyin in train": (
        lambda c: label(c, "train", [3, 4], "ba1 xyz9"),
        "error",
        "train: 2 utterances with labels that are no pinyin",
    ),
    "no pinyin in test": (
        lambda c: label(c, "test", [3], "ba1 xyz9"),
        "warning",
        "test: 1 utterance with labels that are no pinyin",
    ),
    "another habit": (
        lambda c: label(c, "train", [0], "bā qi1 yī er4"),
        "note",
        "train: 2 syllables in another spelling",
    ),
    "an empty label": (lambda c: label(c, "dev", [0], ""), "warning", "dev: 1 utterance without a label"),
    "unknown in dev": (
        lambda c: label(c, "dev", [1, 2], "ba1 qi1 lv4 nv3"),
        "error",
        "dev: 2 syllables that train lacks, in 2 utterances",
    ),
    "unknown in test": (
        lambda c: label(c, "test", [1], "ba1 qi1 lv4"),
        "warning",
        "test: 1 syllable that train lacks, in 1 utterance",
    ),
    "rare": (
        lambda c: label(c, "train", range(4), "ba1 er4 lv4"),
        "note",
        "train: 1 of the 11 syllables occurs less than 5 times",
    ),
    "other characters": (
        lambda c: change(c, "train", [0], text="一二三四五六。"),
        "warning",
        "train: the only utterance with another number of syllables than characters",
    ),
    "too long": (
        lambda c: change(c, "train", [5], seconds=31.0, pinyin=all_but()),
        "error",
        "train: 1 utterance longer than data.max_seconds=30",
    ),
    "too fast": (
        lambda c: change(c, "dev", [5, 6], seconds=0.69),
        "warning",
        "dev: 2 utterances with more than 10 syllables a second",
    ),
    "too slow": (
        lambda c: change(c, "dev", [5], seconds=28.1),
        "warning",
        "dev: 1 utterance with less than one syllable in 4 seconds",
    ),
    "a leaked sentence": (
        lambda c: label(c, "test", [7], " ".join(c["train"][0].pinyin)),
        "warning",
        "test: 1 of the 20 utterances (1 distinct sentence) says what train says too",
    ),
    "every sentence leaked": (
        lambda c: [label(c, "dev", [place], " ".join(c["train"][place % 4].pinyin)) for place in range(20)],
        "warning",
        "dev: all 20 utterances (4 distinct sentences) say what train says too",
    ),
    "a short sentence again": (
        lambda c: (label(c, "train", [0], "ba1 qi1"), label(c, "dev", [0], "ba1 qi1")),
        "note",
        "dev: 1 of the 20 utterances (1 distinct sentence) says what train says too",
    ),
    "a sentence of dev in test": (
        lambda c: label(c, "test", [7], " ".join(c["dev"][0].pinyin)),
        "note",
        "test: 1 of the 20 utterances (1 distinct sentence) says what dev says too",
    ),
    "a leaked speaker": (
        lambda c: change(c, "test", [1, 2], speaker="train-1"),
        "warning",
        "test: 1 of the 6 speakers (2 utterances) speaks in train too",
    ),
    "no speaker": (
        lambda c: change(c, "train", [1], speaker=""),
        "note",
        "train: 1 of the 60 utterances without a speaker",
    ),
    "few speakers": (lambda c: change(c, "dev", range(20), speaker="d"), "note", "dev: only 1 speaker"),
    "one speaker prevails": (
        lambda c: change(c, "train", range(40), speaker="train-0"),
        "note",
        "train: train-0 says 44 of the 60 utterances",
    ),
    "a recording twice": (
        lambda c: change(c, "train", [1], audio="train0.wav", pinyin=c["train"][0].pinyin),
        "warning",
        "train: 1 recording that occur more than once, with the same label",
    ),
    "a recording with two labels": (
        lambda c: change(c, "train", [1, 2], audio="train0.wav"),
        "warning",
        "train: 1 recording that occur more than once, with different labels",
    ),
    "a leaked recording": (
        lambda c: change(c, "dev", [1], audio="train0.wav"),
        "warning",
        "dev: 1 of the 20 utterances whose recording is in train too",
    ),
    "a shared id": (
        lambda c: change(c, "dev", [1], id="train0"),
        "note",
        "dev: 1 utterance with an id that train uses too",
    ),
    "the same again and again": (
        lambda c: [label(c, "train", range(start, 60, 29), " ".join(c["train"][start].pinyin)) for start in range(29)],
        "note",
        "train: 60 utterances say only 29 distinct sentences",
    ),
    "one syllable prevails": (
        lambda c: [label(c, "train", [place], "ba1 " * 5 + " ".join(c["train"][place].pinyin)) for place in range(60)],
        "note",
        "of all that is said is ba1",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault(tmp_path: Path, name: str) -> None:
    spoil, severity, sentence = FAULTS[name]
    corpus = healthy()
    spoil(corpus)
    (finding,) = found(tmp_path, corpus, page(tmp_path))
    assert finding.severity == severity and sentence in finding.sentence
    assert finding.cure and "\n" not in finding.sentence + finding.cure


def test_one_voice_is_a_note_and_no_leak(tmp_path: Path) -> None:
    corpus = {split: [replace(one, speaker="me") for one in utterances] for split, utterances in healthy().items()}
    (finding,) = found(tmp_path, corpus)
    assert (finding.severity, finding.sentence) == ("note", "train: me is the only speaker")


def test_examples_name_their_place(tmp_path: Path) -> None:
    corpus = healthy()
    label(corpus, "test", range(7), "ba1 lv4")
    first = found(tmp_path, corpus)[0]
    assert first.examples == (f"lv4 in test0 ({tmp_path / 'test.jsonl'}:1)",)
    label(corpus, "train", range(9), "x")
    broken = found(tmp_path, corpus)[0]
    assert broken.count == 9 and len(broken.examples) == EXAMPLES
    assert broken.examples[1] == f"train1 ({tmp_path / 'train.jsonl'}:2): 'x'"


def test_all_bad_lines_are_told(tmp_path: Path) -> None:
    """Training stops at the first of them."""
    paths = saved(tmp_path, healthy())
    with paths[0].open("a") as file:
        file.write('not json\n\n{"id": "x"}\n' + json.dumps({"id": "train0", "audio": "a", "seconds": 1, "pinyin": ""}))
    lines, ids, empty, _ = examine(gather(paths))
    assert lines.severity == ids.severity == "error" and empty.sentence == "train: 1 utterance without a label"
    assert lines.sentence == "train: 2 lines that cannot be read"
    assert "train.jsonl:61: not JSON" in lines.examples[0] and "train.jsonl:63: missing 'audio'" in lines.examples[1]
    assert ids.sentence == "train: 1 utterance with an id that another one has already"


def test_an_empty_manifest(tmp_path: Path) -> None:
    paths = saved(tmp_path, healthy())
    paths[1].write_text("\n")
    assert [one.sentence for one in examine(gather(paths))] == ["dev: no utterance at all"]
    draw_data(gather(paths))  # an empty split is drawn too


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such manifest"):
        gather([tmp_path / "none.jsonl"])
    (tmp_path / "notes.txt").write_text("some\nnotes\n")
    with pytest.raises(
        DataError, match=r"notes\.txt: no manifest, for none of its lines is an utterance; .*:1: not JSON"
    ):
        gather([tmp_path / "notes.txt"])


def test_a_manifest_given_twice(tmp_path: Path) -> None:
    paths = saved(tmp_path, healthy())
    with pytest.raises(ConfigError, match=r"train\.jsonl: given twice"):
        gather([*paths, paths[0]])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train.jsonl", "train"),
        ("digits_dev.jsonl", "dev"),
        ("aishell-validation.jsonl", "dev"),
        ("TEST2.jsonl", "test"),
        ("latest.jsonl", ""),
        ("a.jsonl", ""),
    ],
)
def test_the_name_tells_what_a_manifest_is_for(tmp_path: Path, name: str, role: str) -> None:
    write_manifest(tmp_path / name, healthy()["train"])
    (split,) = gather([tmp_path / name]).splits
    assert split.role == role and split.name == (role or str(tmp_path / name))


def test_the_page_tells_better(tmp_path: Path) -> None:
    write_manifest(tmp_path / "train.jsonl", healthy()["dev"])
    config = load_config("digits", [f"data.dev={tmp_path / 'train.jsonl'}", f"data.train={tmp_path / 'x.jsonl'}"])
    assert [split.role for split in gather([tmp_path / "train.jsonl"], config).splits] == ["dev"]


def test_one_manifest_with_all_splits(tmp_path: Path) -> None:
    corpus = healthy()
    label(corpus, "test", [7], " ".join(corpus["train"][0].pinyin))
    everything = [replace(one, split=split) for split in ("test", "train", "dev") for one in corpus[split]]
    write_manifest(tmp_path / "all.jsonl", everything)
    material = gather([tmp_path / "all.jsonl"])
    assert [(split.role, len(split.utterances)) for split in material.splits] == [
        ("train", 60),
        ("dev", 20),
        ("test", 20),
    ]
    assert [one.sentence for one in examine(material)] == [
        "test: 1 of the 20 utterances (1 distinct sentence) says what train says too"
    ]


def test_without_a_training_set(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a.jsonl", healthy()["train"])
    (finding,) = examine(gather([tmp_path / "a.jsonl"]))
    assert finding.sentence.startswith("no manifest is known to be for training")


def test_two_manifests_of_one_role_keep_their_names(tmp_path: Path) -> None:
    corpus = healthy()
    corpus |= {"train_more": corpus["train"][30:]}
    corpus["train"] = corpus["train"][:30]
    label(corpus, "train_more", [0], "x")
    first = found(tmp_path, corpus)[0]
    assert first.sentence.startswith(str(tmp_path / "train_more.jsonl"))


def test_labels_as_written(tmp_path: Path) -> None:
    corpus = healthy()
    for utterances in corpus.values():
        for place, one in enumerate(utterances):
            utterances[place] = replace(one, pinyin=[unit.upper() + "x" for unit in one.pinyin])
    assert found(tmp_path, corpus)[0].severity == "error"
    assert found(tmp_path, corpus, page(tmp_path, "data.labels=as_written")) == []


def test_leaks_are_those_of_every_pair(tmp_path: Path) -> None:
    """Against comparing each utterance with each other one."""
    rng = np.random.default_rng(1)
    corpus = healthy()
    for split in ("train", "dev", "test"):
        for place in range(len(corpus[split])):
            pinyin = [DIGITS[digit] for digit in rng.integers(0, 2, size=6)]
            change(corpus, split, [place], pinyin=pinyin, speaker=f"s{rng.integers(40)}")
    findings = found(tmp_path, corpus)
    for other, one in (("dev", "train"), ("test", "train"), ("test", "dev")):
        again = sum(any(a.pinyin == b.pinyin for b in corpus[one]) for a in corpus[other])
        (said,) = [finding for finding in findings if finding.sentence.endswith(f"what {one} says too")
                   and finding.sentence.startswith(other)]  # fmt: skip
        assert said.count == again
    for other in ("dev", "test"):
        speakers = {a.speaker for a in corpus[other]} & {b.speaker for b in corpus["train"]}
        (speak,) = [finding for finding in findings if finding.check == "speakers" and finding.severity == "warning"
                    and finding.sentence.startswith(other)]  # fmt: skip
        assert speak.count == len(speakers)


def test_the_same_text_in_another_reading_is_the_same_sentence(tmp_path: Path) -> None:
    corpus = healthy()
    change(corpus, "train", [0], text="他说了一句真话")
    change(corpus, "dev", [0], text="他说了一句真话")
    (finding,) = [one for one in found(tmp_path, corpus) if one.check == "sentences"]
    assert "1 distinct sentence" in finding.sentence and finding.examples == (f"dev0 ({tmp_path / 'dev.jsonl'}:1)",)


# Lengths, against the network, the augmentation and the training themselves.


def collapsed(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(unit for unit, _ in itertools.groupby(path) if unit)


@pytest.mark.parametrize("text", ["", "a", "aa", "ab", "aab", "aaa", "aba", "abba"])
def test_needed_steps_by_enumeration(text: str) -> None:
    """The fewest steps for which some path of blanks and units collapses to the label."""
    units = tuple(ord(letter) - 96 for letter in text)
    steps = (steps for steps in range(9) if units in {collapsed(p) for p in itertools.product(range(3), repeat=steps)})
    assert Ctc().needed_steps(text) == next(steps)


BLOCKS = [
    {"channels": 4, "convs": 1, "kernel": 5, "stride": [2, 2], "pool": [1, 1]},
    {"channels": 4, "convs": 2, "pool": [2, 2]},
]


def small(*augmentations: dict[str, object]) -> Config:
    speed = [one for one in augmentations if one["kind"] == "speed"]
    stretch = [one for one in augmentations if one["kind"] != "speed"]
    return parse_config(
        {
            "data": {"train": "train.jsonl", "dev": "dev.jsonl"},
            "features": {"kind": "log_mel", "n_mels": 16},
            "model": {"blocks": BLOCKS, "hidden": [8], "padding": 1},
            "augment": {"wave": speed, "features": stretch},
        },
        where="test",
    )


STRETCH = {"kind": "time_stretch", "low": 0.7, "high": 1.3}
SPEED = {"kind": "speed", "factors": [0.8, 1.25]}


def test_steps_are_those_that_training_counts(cpu: None, tmp_path: Path) -> None:
    """The most steps of each utterance: the network itself, asked as training asks it."""
    from dfcnn_ms.audio.frontend import Frontend
    from dfcnn_ms.training.corpus import Corpus as TrainingCorpus
    from dfcnn_ms.training.datasets import count_infeasible

    rng = np.random.default_rng(2)
    config = small(STRETCH, SPEED)
    utterances = [
        Utterance(
            f"u{place}", "a.wav", float(seconds), tuple(DIGITS[d] for d in rng.integers(0, 3, rng.integers(1, 14)))
        )
        for place, seconds in enumerate(rng.uniform(0.02, 1.5, 200))
    ]
    network = config.model.build(num_bins=16, num_units=12)
    corpus = TrainingCorpus(utterances, [], Frontend(config.features), config.augment.wave, config.augment.features)
    steps = [network.output_lengths(corpus.frames(place)) for place in range(len(utterances))]
    assert lengths.most_steps(config, [one.seconds for one in utterances]).tolist() == steps
    labelled = replace(corpus, labels=[one.pinyin for one in utterances])
    lost = count_infeasible(config, labelled)
    write_manifest(tmp_path / "train.jsonl", utterances)
    findings = list(lengths.infeasible(gather([tmp_path / "train.jsonl"], config)))
    assert 0 < lost < 100 and [finding.count for finding in findings] == [lost]


def test_augmentation_never_leaves_fewer_steps() -> None:
    rng = np.random.default_rng(3)
    config = small(STRETCH, SPEED)
    (speed,), (stretch,) = config.augment.wave, config.augment.features
    assert isinstance(speed, Speed) and isinstance(stretch, TimeStretch)
    for samples in rng.integers(2_000, 20_000, 12):
        wave = rng.standard_normal(samples).astype(np.float32)
        frames = np.array([len(stretch(config.features(speed(wave, rng)), rng)) for _ in range(8)])
        steps = lengths._steps(config, frames)
        seconds = [samples / SAMPLE_RATE]
        assert lengths.fewest_steps(config, seconds)[0] <= steps.min()
        assert steps.max() <= lengths.most_steps(config, seconds)[0]


def test_too_short_only_when_shortened(tmp_path: Path) -> None:
    """Seven different digits in as many steps: enough as they are, not when they are made shorter."""
    config = small(STRETCH)
    seconds = next(s / 100 for s in range(1, 300) if lengths.most_steps(small(), [s / 100])[0] >= 7)
    corpus = healthy()
    change(corpus, "train", [0], seconds=seconds, pinyin=" ".join(DIGITS[:7]))
    (finding,) = [one for one in found(tmp_path, corpus, config) if one.check == "ctc"]
    assert finding.severity == "warning" and "whenever augmentation makes them shorter" in finding.sentence
    assert not [one for one in found(tmp_path, corpus, small()) if one.check == "ctc"]


REFUSED = [name for name, (_, severity, _) in FAULTS.items() if severity == "error"]
ACCEPTED = [name for name, (_, severity, _) in FAULTS.items() if severity != "error"]


@pytest.mark.parametrize("name", [*REFUSED, *ACCEPTED, "nothing"])
def test_an_error_is_what_training_refuses(tmp_path: Path, name: str) -> None:
    """The very function with which training reads its manifests raises on errors and on nothing else."""
    from dfcnn_ms.training.datasets import load_datasets

    corpus = healthy()
    if name != "nothing":
        FAULTS[name][0](corpus)
    saved(tmp_path, corpus)
    for utterance in itertools.chain(*corpus.values()):
        (tmp_path / utterance.audio).touch()
    if name in REFUSED:
        with pytest.raises(DataError):
            load_datasets(page(tmp_path))
    else:
        load_datasets(page(tmp_path))


def test_too_many_labels_for_the_time(tmp_path: Path) -> None:
    """Eight digits, two of them the same neighbours, need nine steps; the network of the page strides by four."""
    corpus = healthy()
    change(corpus, "train", [5], seconds=0.3, pinyin="ba1 " + all_but("ling2", "er4", "si4") + " jiu3")
    rate, ctc = sorted(found(tmp_path, corpus, page(tmp_path)), key=lambda one: one.check != "rate")
    assert (rate.check, ctc.check, ctc.severity) == ("rate", "ctc", "warning")
    assert ctc.sentence == "train: 1 utterance with more syllables than the network of digits has output steps"
    wanted = Ctc().needed_steps(corpus["train"][5].pinyin)
    steps = lengths.most_steps(page(tmp_path), [0.3])[0]
    assert steps < wanted
    assert ctc.examples[0].endswith(f": 9 syllables need {wanted} steps, 0.3 s give {steps}")


def test_infeasible_is_an_error_when_it_is_the_rule(tmp_path: Path) -> None:
    corpus = healthy()
    change(corpus, "train", range(30), seconds=0.2)
    assert can_start(found(tmp_path, corpus, page(tmp_path)))
    change(corpus, "train", range(31), seconds=0.2)
    assert not can_start(found(tmp_path, corpus, page(tmp_path)))


# Audio.


def speech(rng: np.random.Generator, seconds: float = 2.0, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Noise that swells and fades as syllables do; peak below full scale."""
    time = np.arange(round(seconds * rate)) / rate
    voice = np.convolve(rng.standard_normal(len(time)), np.hanning(24), "same") + 0.05 * rng.standard_normal(len(time))
    wave = voice * np.abs(np.sin(2 * np.pi * 2 * time)) ** 2
    return (0.7 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy corpus with its audio."""
    folder, rng = tmp_path_factory.mktemp("recorded"), np.random.default_rng(4)
    corpus = healthy(train=20, others=6)
    saved(folder, corpus)
    for utterance in itertools.chain(*corpus.values()):
        soundfile.write(folder / utterance.audio, speech(rng), SAMPLE_RATE)
    return folder


@pytest.fixture
def spoilt(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(recorded, tmp_path / "spoilt"))


def heard(folder: Path, *overrides: str) -> list[Finding]:
    paths = [folder / f"{split}.jsonl" for split in ("train", "dev", "test")]
    return examine(gather(paths, page(folder, *overrides), jobs=2))


def loud(rng: np.random.Generator) -> np.ndarray:
    return np.clip(4 * speech(rng), -1, 1)


RNG = np.random.default_rng(5)
SOUNDS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "nothing": (lambda f: None, "", ""),
    "missing": (lambda f: f.unlink(), "error", "train: 1 utterance without their audio file"),
    "a folder": (lambda f: (f.unlink(), f.mkdir()), "error", "train: 1 utterance without their audio file"),
    "empty": (lambda f: f.write_bytes(b""), "error", "train: 1 utterance whose audio cannot be read"),
    "text": (lambda f: f.write_text("hello"), "error", "train: 1 utterance whose audio cannot be read"),
    "cut": (lambda f: f.write_bytes(f.read_bytes()[:9000]), "error", "train: 1 utterance whose audio cannot be read"),
    "zeros": (lambda f: soundfile.write(f, np.zeros(32_000), SAMPLE_RATE), "warning", "in which nothing is heard"),
    "a whisper of noise": (
        lambda f: soundfile.write(f, RNG.normal(0, 1e-3, 32_000), SAMPLE_RATE),
        "warning",
        "in which nothing is heard (nowhere louder than -55 dB)",
    ),
    "clipped": (
        lambda f: soundfile.write(f, loud(RNG), SAMPLE_RATE),
        "warning",
        "train: 1 utterance with clipped audio",
    ),
    "clipped, then turned down": (
        lambda f: soundfile.write(f, 0.3 * loud(RNG), SAMPLE_RATE),
        "warning",
        "train: 1 utterance with clipped audio",
    ),
    "8 kHz": (
        lambda f: soundfile.write(f, speech(RNG, rate=8000), 8000),
        "warning",
        "train: 1 utterance at 8,000 Hz instead of 16,000",
    ),
    "44.1 kHz": (
        lambda f: soundfile.write(f, speech(RNG, rate=44_100), 44_100),
        "note",
        "train: 1 utterance at 44,100 Hz instead of 16,000",
    ),
    "stereo": (
        lambda f: soundfile.write(f, np.stack([speech(RNG), speech(RNG)], axis=1), SAMPLE_RATE),
        "note",
        "train: 1 utterance with more than one channel",
    ),
    "shorter": (
        lambda f: soundfile.write(f, speech(RNG, 1.8), SAMPLE_RATE),
        "warning",
        "train: 1 utterance with less audio than 'seconds' says",
    ),
    "longer": (
        lambda f: soundfile.write(f, speech(RNG, 2.2), SAMPLE_RATE),
        "note",
        "train: 1 utterance whose file goes on after 'seconds'",
    ),
    "the recording of another, as flac": (
        lambda f: soundfile.write(
            f, soundfile.read(f.with_name("train1.wav"), dtype="int16")[0], SAMPLE_RATE, format="FLAC"
        ),
        "warning",
        "train: 1 recording that occur more than once, with different labels",
    ),
    "a recording of dev": (
        lambda f: shutil.copy(f.with_name("dev3.wav"), f),
        "warning",
        "dev: 1 of the 6 utterances whose recording is in train too",
    ),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_one_fault_of_audio(spoilt: Path, name: str) -> None:
    spoil, severity, sentence = SOUNDS[name]
    spoil(spoilt / "train0.wav")
    findings = heard(spoilt)
    assert len(findings) == bool(sentence)
    for finding in findings:
        assert finding.severity == severity and sentence in finding.sentence


def test_telephone_sound(spoilt: Path) -> None:
    """Upsampled from 8 kHz, as a corpus from elsewhere may be."""
    for place in range(5):
        narrow = soxr.resample(speech(RNG, rate=8000), 8000, SAMPLE_RATE)
        soundfile.write(spoilt / f"test{place}.wav", narrow, SAMPLE_RATE)
    (finding,) = heard(spoilt)
    assert finding.sentence.startswith("test: 5 of the 6 utterances with nothing above 4,100 Hz")


def test_parts_of_one_file(tmp_path: Path) -> None:
    """Each utterance is its stretch: neither copies of each other nor cut off."""
    wave = speech(RNG, 6.0)
    soundfile.write(tmp_path / "long.wav", wave, SAMPLE_RATE)
    utterances = [Utterance(f"u{k}", "long.wav", 2.0, DIGITS[:5], start=2.0 * k, folder=tmp_path) for k in range(3)]
    assert [sound.seconds for sound in measure_all(utterances, 2)] == [2.0] * 3
    assert len({sound.content for sound in measure_all(utterances, 2)}) == 3
    write_manifest(tmp_path / "train.jsonl", utterances)
    checks = {finding.check for finding in examine(gather([tmp_path / "train.jsonl"], jobs=1))}
    assert not checks & {"audio", "recordings"}
    beyond = measure(replace(utterances[0], start=7.0))
    assert "beyond the end" in beyond.problem and not beyond.missing


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 1e-3])
def test_level_of_a_tone(amplitude: float) -> None:
    """A tone of amplitude a has the power a² / 2."""
    tone = (amplitude * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)
    wave = np.concatenate([np.zeros(5000, np.float32), tone])
    assert loudest_db(wave, SAMPLE_RATE) == pytest.approx(10 * math.log10(amplitude**2 / 2), abs=0.05)
    assert loudest_db(np.zeros(7, np.float32), SAMPLE_RATE) == -math.inf


@pytest.mark.parametrize("hertz", [500, 3000, 7000])
def test_band_of_tones(hertz: int) -> None:
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    wave = (np.sin(2 * np.pi * 200 * time) + 0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    assert band_hz(wave, SAMPLE_RATE) == pytest.approx(hertz, abs=2)
    assert band_hz(np.zeros(100, np.float32), SAMPLE_RATE) == 0


def test_flat_tops_sample_by_sample() -> None:
    """Against counting in a loop."""
    rng = np.random.default_rng(6)
    for _ in range(50):
        wave = rng.choice(np.float32([-1, -0.5, 0, 0.5, 1]), size=60, p=[0.3, 0.1, 0.1, 0.1, 0.4])
        runs = [len(list(run)) for high, run in itertools.groupby(np.abs(wave) == np.abs(wave).max()) if high]
        assert flat_share(wave) == pytest.approx(sum(run for run in runs if run >= FLAT_SAMPLES) / len(wave))
    assert flat_share(np.zeros(9, np.float32)) == 0 and flat_share(np.ones(1, np.float32)) == 0


# Words.


def test_words() -> None:
    assert [many(1, "line"), many(1200, "line")] == ["1 line", "1,200 lines"]
    assert [part(1, 1, "line"), part(2, 2, "line"), part(2, 1200, "line")] == [
        "the only line", "all 2 lines", "2 of the 1,200 lines",
    ]  # fmt: skip
    assert [does(1, "say"), does(2, "say")] == ["says", "say"]


@pytest.mark.parametrize(
    ("text", "count"), [("你好", 2), ("你好，世界。", 4), ("3个", 0), ("卡拉OK", 0), ("", 0), ("，", 0)]
)
def test_counting_characters(text: str, count: int) -> None:
    assert labels.hanzi(text) == count


def test_characters_with_another_reading(tmp_path: Path) -> None:
    """剌 (là) stands where 刺 (cì) was meant; tones, polyphones, erhua and unknown characters are no fault."""
    corpus = healthy()
    for place, (text, pinyin) in enumerate(
        [
            ("一剌，九", "yi1 ci4 jiu3"),
            ("剌九一。", "ci4 jiu3 yi4"),
            ("重长了", "chong2 zhang3 liao3"),
            ("花儿", "hua1 er5"),
            ("女儿绿", "nv3 er2 lv4"),
            ("\u3402一", "si4 yi1"),
            ("1剌", "yi1 ci4"),
        ]
    ):
        change(corpus, "train", [place], text=text, pinyin=pinyin)
    (finding,) = [one for one in found(tmp_path, corpus) if one.check == "text"]
    assert finding.sentence == "train: 1 character with a syllable that is no reading of it, in 2 utterances"
    assert finding.examples == (f"剌 as ci4, in train0 ({tmp_path / 'train.jsonl'}:1) and 1 more",)


@pytest.mark.parametrize("character", "一行着儿女呣嗯")
def test_readings_are_those_of_the_dictionary(character: str) -> None:
    """Against the list of pypinyin itself, which leaves out tones in its own way."""
    import pypinyin

    listed = pypinyin.pinyin(character, style=pypinyin.Style.NORMAL, heteronym=True, v_to_u=False)[0]
    assert labels.readings(character) == {one.replace("ü", "v") for one in listed} - {"hm", "n\u0300"}


def test_labels_are_read_as_training_reads_them(tmp_path: Path) -> None:
    written = "lü4 nu:3 hua1r huar1 de Yī ni3hao3 r5"
    write_manifest(tmp_path / "a.jsonl", [Utterance("a", "a.wav", 9.0, written)])
    (tmp_path / "a.wav").touch()
    (trained,) = read_labelled(tmp_path / "a.jsonl")
    assert labels.read_label(written.split()) == trained.pinyin
    assert labels.read_label(["ba1", "bab1"]) is None


def test_findings_are_sorted_and_the_verdict_counts_them(tmp_path: Path) -> None:
    corpus = healthy()
    for name in ("few speakers", "no pinyin in train", "an empty label", "unknown in dev"):
        FAULTS[name][0](corpus)
    findings = found(tmp_path, corpus)
    assert [SEVERITIES.index(one.severity) for one in findings] == [0, 0, 1, 2]
    assert verdict(findings) == "training cannot start: 2 errors, 1 warning, 1 note"
    assert verdict(findings[2:]) == "training can start: 1 warning, 1 note"
    assert verdict([]) == "training can start: nothing found"


def test_every_check_is_in_the_list() -> None:
    """A check that is written and not listed would never run."""
    from dfcnn_ms.corpora.checks import leaks, lines, sound

    written = {
        function
        for module in (labels, leaks, lengths, lines, sound)
        for function in vars(module).values()
        if inspect.isgeneratorfunction(function) and [*inspect.signature(function).parameters] == ["material"]
    }
    assert written == set(CHECKS) and len(CHECKS) == len(set(CHECKS))


# The command.


def run(*arguments: object) -> int:
    return doctor_data.main([str(argument) for argument in arguments])


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = healthy()
    paths = saved(tmp_path, corpus)
    assert run(*paths, "--no-audio") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "training can start: nothing found"
    label(corpus, "dev", [0], "")
    saved(tmp_path, corpus)
    assert run(*paths, "--no-audio") == 0
    assert run(*paths, "--no-audio", "--strict") == 1
    assert run(*paths) == 1  # no audio file is there
    assert "error    train: 60 utterances without their audio file" in capsys.readouterr().out


def test_files_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = healthy()
    FAULTS["a leaked speaker"][0](corpus)
    paths = saved(tmp_path, corpus)
    names = {
        flag: tmp_path / f"data.{suffix}" for flag, suffix in (("json", "json"), ("picture", "png"), ("report", "html"))
    }
    assert run(*paths, "--no-audio", *itertools.chain(*((f"--{flag}", path) for flag, path in names.items()))) == 0
    (finding,) = json.loads(names["json"].read_text())
    assert finding["check"] == "speakers" and finding["count"] == 1 and finding["examples"] == ["train-1"]
    assert names["picture"].read_bytes().startswith(b"\x89PNG")
    assert finding["sentence"] in names["report"].read_text()
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {names['report']}"


def test_the_manifests_of_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = saved(tmp_path, healthy())
    named = [f"data.{path.stem}={path}" for path in paths]
    assert run("--config", "digits", *named, "--no-audio") == 0
    assert capsys.readouterr().out.startswith("train  60 utterances, 0.03 h, 5 speakers")
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl of page digits is not there"):
        run("--config", "digits", f"data.train={tmp_path / 'nowhere.jsonl'}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give manifests, or a page that names them with --config"),
        (["data.labels=as_written"], "data.labels=as_written changes a page, but none is given with --config"),
        (["none.jsonl"], "none.jsonl: no such manifest"),
        (["a.jsonl", "--jobs", "0"], "--jobs 0: wanted 1 or more"),
        (["a.jsonl", "--report", "page.txt"], "wanted a name that ends in .html"),
        (["a.jsonl", "--picture", "no/folder/a.png"], "the folder no/folder does not exist"),
        (["a.jsonl", "--config", "nothing"], "no such configuration"),
        (["a.jsonl", "--report"], "expected one argument; see python -m dfcnn_ms.doctor data --help"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=re.escape(message)):
        run(*arguments)


@pytest.mark.slow
def test_as_a_command(tmp_path: Path) -> None:
    """What the function returns is what the process leaves with."""
    program = [sys.executable, "-m", "dfcnn_ms.doctor", "data", *map(str, saved(tmp_path, healthy()))]
    done = subprocess.run(program, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "training cannot start: 2 errors, 1 warning")


# The page and the picture.


def odd_names() -> Corpus:
    corpus = healthy()
    change(corpus, "test", [0], speaker="<script>alert(1)</script>", id="<b>bold</b>", pinyin="ba1 lv4")
    change(corpus, "train", [0], speaker="<script>alert(1)</script>")
    return corpus


def test_the_page_says_all_and_loads_nothing(tmp_path: Path) -> None:
    material = gather(saved(tmp_path, odd_names()))
    findings = examine(material)
    text = data_page(material, findings, listened=False)
    assert len(findings) == 2 and all(finding.cure in text for finding in findings)
    assert "Training can start: 2 warnings" in text and "nobody listened to the audio" in text
    assert "<script>alert" not in text and "<b>bold" not in text and "&lt;b&gt;bold&lt;/b&gt;" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text) and "http" not in text.replace("http-equiv", "")


def test_the_page_of_a_healthy_corpus(tmp_path: Path) -> None:
    text = data_page(gather(saved(tmp_path, healthy())), [], listened=True)
    assert "What was found" not in text and "read and listened to" in text


def test_bars_of_the_picture_are_shares(tmp_path: Path) -> None:
    corpus = healthy()
    change(corpus, "train", [0], seconds=500.0)  # beyond the last bar, which counts it all the same
    figure = draw_data(gather(saved(tmp_path, corpus)))
    for axis in figure.axes[:3]:
        stairs = [patch for patch in axis.patches if hasattr(patch, "get_data")][::2]
        assert len(stairs) == 3
        for patch in stairs:
            assert patch.get_data().values.sum() == pytest.approx(100)
    bars = figure.axes[3].patches
    assert len(bars) == 30 and sum(bar.get_height() for bar in bars) == pytest.approx(300)


def test_many_units_are_drawn_by_rank(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    names = [
        f"{syllable}{tone}" for syllable in ("ba", "pa", "ma", "fa", "da", "ta", "na", "la") for tone in range(1, 6)
    ]
    utterances = [
        Utterance(f"u{place}", f"{place}.wav", 3.0, [names[k] for k in rng.integers(0, len(names), 7)])
        for place in range(50)
    ]
    write_manifest(tmp_path / "train.jsonl", utterances)
    material: Material = gather([tmp_path / "train.jsonl"])
    (line,) = draw_data(material).axes[3].lines
    counts = sorted((sum(one.pinyin.count(name) for one in utterances) for name in names), reverse=True)
    assert line.get_ydata().tolist() == [count for count in counts if count]
