"""Strings of recordings: each recording is a tone of its own, so that a string's sound says what it is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.wave import SAMPLE_RATE, duration, read_wave, write_wave
from dfcnn_ms.corpora import strings
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.corpora.string_plan import LEVELS_DB, Deck
from dfcnn_ms.corpora.voices import people as voices
from dfcnn_ms.corpora.voices import praat
from dfcnn_ms.corpora.voices.praat import Change, Praat
from dfcnn_ms.corpora.voices.spoken import at_16_khz
from dfcnn_ms.errors import ConfigError, DataError, DeviceError

WORDS = ("yi1", "er4", "san1", "si4 wu3")
TEXTS = dict(zip(WORDS, ("一", "二", "三", "四五"), strict=True))
#: split -> recordings of each word by each speaker
TAKES = {"train": 2, "dev": 1, "test": 1}
SPEAKERS = ("ann", "bob")
FEW = {"train": 8, "dev": 3, "test": 3, "progress": False}


@dataclass(frozen=True)
class Take:
    """What a tone stands for."""

    split: str
    speaker: str
    word: str
    seconds: float


def hertz(number: int) -> float:
    return 500.0 + 100.0 * number


@pytest.fixture(scope="module")
def takes() -> dict[float, Take]:
    """Hertz -> the recording."""
    every = [
        (split, speaker, word)
        for split, count in TAKES.items()
        for _ in range(count)
        for speaker in SPEAKERS
        for word in WORDS
    ]
    return {hertz(number): Take(*one, 0.15 + 0.01 * (number % 10)) for number, one in enumerate(every)}


@pytest.fixture(scope="module")
def root(takes: dict[float, Take], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of tones with a nearly silent room around them, at 8 kHz."""
    root, rng = tmp_path_factory.mktemp("words"), np.random.default_rng(0)
    lines: dict[str, list[Utterance]] = {}
    for pitch, take in takes.items():
        tone = 0.2 * np.sin(2 * np.pi * pitch * np.arange(round(take.seconds * 8000)) / 8000)
        wave = np.pad(tone, (round(rng.uniform(0, 0.2) * 8000), round(rng.uniform(0, 0.2) * 8000)))
        wave = wave + 1e-4 * rng.standard_normal(len(wave))
        name = f"{take.speaker}{round(pitch)}"
        write_wave(root / f"{name}.flac", wave.astype(np.float32), 8000)
        lines.setdefault(take.split, []).append(
            Utterance(name, f"{name}.flac", len(wave) / 8000, tuple(take.word.split()), TEXTS[take.word], take.speaker)
        )
    for split, said in lines.items():
        write_manifest(root / f"{split}.jsonl", said)
    return root


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    manifests = strings.prepare(root=str(root), out=out, gaps="0.02,0.2", least=2, most=4, workers=1, **FEW)
    assert manifests == {split: out / f"{split}.jsonl" for split in TAKES}
    return out


def heard(wave: np.ndarray) -> float:
    """The tone in some samples, as a recording has it."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 15))
    return hertz(round((float(np.argmax(spectrum)) * SAMPLE_RATE / (1 << 15) - 500) / 100))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(manifest: Path, name: str) -> list[tuple[float, float, str]]:
    """Start, end and label of each recording in a string."""
    lines = [line.split() for line in manifest.with_suffix(".ctm").read_text(encoding="utf-8").splitlines()]
    return [(float(line[2]), float(line[2]) + float(line[3]), line[4]) for line in lines if line[0] == name]


def parts_of(utterance: Utterance, manifest: Path) -> list[float]:
    """The tones that are heard where the times say that something is said."""
    wave = read_wave(utterance.path)
    spans = [(start, end) for start, end, _ in times(manifest, utterance.id)]
    return [
        heard(wave[round((start + 0.02) * SAMPLE_RATE) : round((end - 0.02) * SAMPLE_RATE)]) for start, end in spans
    ]


# --- what a string is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", TAKES)
def test_a_string_is_its_recordings_in_order_where_the_times_say(
    made: Path, takes: dict[float, Take], split: str
) -> None:
    """Heard by their tones: the label, one speaker, this split, no recording twice, and as long as they were."""
    manifest = made / f"{split}.jsonl"
    utterances = read_manifest(manifest)
    assert len(utterances) == FEW[split]
    for one in utterances:
        said = [takes[pitch] for pitch in parts_of(one, manifest)]
        assert 2 <= len(said) == len(set(said)) <= 4
        assert {(take.split, take.speaker) for take in said} == {(split, one.speaker)} and one.split == split
        assert one.pinyin == tuple(" ".join(take.word for take in said).split())
        assert one.text == "".join(TEXTS[take.word] for take in said)
        spans = times(manifest, one.id)
        assert [label.replace("_", " ") for _, _, label in spans] == [take.word for take in said]
        for (start, end, _), take in zip(spans, said, strict=True):
            assert end - start == pytest.approx(take.seconds, abs=0.021)
        assert all(0.019 < later[0] - before[1] < 0.201 for before, later in pairwise(spans))
        assert spans[0][0] > 0.09 and one.seconds - spans[-1][1] > 0.09
        assert len(read_wave(one.path)) == round(one.seconds * SAMPLE_RATE)


def test_loudness_varies_between_strings_and_nowhere_is_digital_silence(made: Path) -> None:
    levels = []
    for one in read_manifest(made / "train.jsonl"):
        wave = read_wave(one.path)
        levels.append(20 * np.log10(np.std(wave)))
        assert all(part.any() for part in np.split(wave[: len(wave) // 160 * 160], len(wave) // 160))
    assert LEVELS_DB[0] - 0.5 < min(levels) < max(levels) - 3 and max(levels) < LEVELS_DB[1] + 0.5


def test_recordings_that_overlap_share_an_edge(root: Path, takes: dict[float, Take], tmp_path: Path) -> None:
    strings.prepare(root=str(root), out=tmp_path, gaps="-0.06,-0.04", least=3, most=3, workers=1, **FEW)
    for one in read_manifest(tmp_path / "train.jsonl"):
        spans = times(tmp_path / "train.jsonl", one.id)
        assert all(later[0] == pytest.approx(before[1], abs=0.002) for before, later in pairwise(spans))
        assert [takes[pitch].word for pitch in parts_of(one, tmp_path / "train.jsonl")] == [
            label.replace("_", " ") for _, _, label in spans
        ]


def test_everybody_is_drawn_before_anybody_is_drawn_again() -> None:
    deck, rng, counts = Deck(7, np.random.default_rng(0)), np.random.default_rng(1), Counter[int]()
    for _ in range(300):
        hand = deck.draw(int(rng.integers(1, 8)))
        assert len(hand) == len(set(hand))
        counts.update(hand)
        assert max(counts.values()) - min(counts[card] for card in range(7)) <= 1


# --- the same bytes --------------------------------------------------------------------------------------------------


def test_two_processes_and_an_interruption_change_no_byte(
    root: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"root": str(root), "gaps": "0.02,0.2", "least": 2, "most": 4, **FEW}
    written, write = list[Path](), strings._write

    def interrupted(string: strings.String) -> None:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(string.path)
        write(string)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(strings, "_write", interrupted)
        strings.prepare(out=tmp_path, workers=1, **asked)
    assert len(list(tmp_path.rglob("*.flac"))) == 4 and not list(tmp_path.glob("*.jsonl"))
    before = {path: path.stat().st_mtime_ns for path in written}
    strings.prepare(out=tmp_path, workers=2, **asked)
    assert {path: path.stat().st_mtime_ns for path in written} == before
    assert files(tmp_path) == files(made)


def test_more_strings_and_another_seed(root: Path, made: Path, tmp_path: Path) -> None:
    asked = {"root": str(root), "gaps": "0.02,0.2", "least": 2, "most": 4, "workers": 1, **FEW, "train": 5}
    strings.prepare(out=tmp_path / "fewer", **asked)
    strings.prepare(out=tmp_path / "other", **asked, seed=1)
    fewer, other, more = files(tmp_path / "fewer"), files(tmp_path / "other"), files(made)
    sound = [name for name in fewer if name.endswith(".flac")]
    assert len(sound) == 11 and all(fewer[name] == more[name] for name in sound)
    assert all(other[name] != more[name] for name in sound)
    with pytest.raises(ConfigError, match=r"holds another corpus .*train 5"):
        strings.prepare(out=tmp_path / "fewer", **asked | {"train": 6})


# --- people ----------------------------------------------------------------------------------------------------------


class StandIn:
    """A Praat that only notes what it is asked, and loses its first call."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Change]] = []

    def change(self, wave: np.ndarray, rate: int, change: Change) -> np.ndarray | None:
        self.asked.append((len(wave), rate, change))
        return None if len(self.asked) == 1 else -7 * wave[: round(len(wave) * change.pace)]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    changer = StandIn()
    monkeypatch.setattr(praat, "of_this_process", lambda: changer)
    monkeypatch.setattr(praat, "find_spec", lambda name: object())
    return changer


def test_people_say_what_the_speaker_said(
    root: Path, takes: dict[float, Take], stand_in: StandIn, tmp_path: Path
) -> None:
    strings.prepare(root=str(root), out=tmp_path, people=40, unchanged=0.3, workers=1, **FEW | {"train": 40})
    changed = 0
    for split in TAKES:
        known = {one.name: one for one in voices.people()[split][: 40 if split == "train" else None]}
        manifest = tmp_path / f"{split}.jsonl"
        for one in read_manifest(manifest):
            speaker, _, person = one.speaker.partition("-")
            said = [takes[pitch] for pitch in parts_of(one, manifest)]
            assert {(take.split, take.speaker) for take in said} == {(split, speaker)}
            assert one.pinyin == tuple(" ".join(take.word for take in said).split())
            assert not person or person in known
            changed += bool(person)
    assert 0.4 * 46 < changed < 0.95 * 46
    assert len(stand_in.asked) == changed + 1
    lengths = {round(24 * 1000 * one.seconds) for split in TAKES for one in read_manifest(tmp_path / f"{split}.jsonl")}
    assert {rate for _, rate, _ in stand_in.asked} == {24_000} and {size for size, _, _ in stand_in.asked} <= lengths


@pytest.mark.parametrize(("unchanged", "share"), [(0.0, 1), (1.0, 0)])
def test_all_or_none_are_changed(root: Path, stand_in: StandIn, tmp_path: Path, unchanged: float, share: int) -> None:
    strings.prepare(root=str(root), out=tmp_path, people=300, unchanged=unchanged, workers=1, **FEW)
    names = [one.speaker for split in TAKES for one in read_manifest(tmp_path / f"{split}.jsonl")]
    assert sum("-" in name for name in names) == share * len(names) and bool(stand_in.asked) == bool(share)


def test_people_hurry_and_the_times_with_them(root: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """The same strings in the same order, each of another's as much shorter as Praat was asked for."""
    asked = {"root": str(root), "people": 40, "unchanged": 0.3, "workers": 1, **FEW}
    strings.prepare(out=tmp_path / "slow", **asked)
    stand_in.asked.clear()
    strings.prepare(out=tmp_path / "fast", pace="0.5,0.9", **asked)
    paces = [change.pace for _, _, change in stand_in.asked[1:]]
    assert len(set(paces)) == len(paces) > 3 and min(paces) >= 0.5 and max(paces) <= 0.9
    hurried = []
    for split in TAKES:
        before, after = (read_manifest(tmp_path / name / f"{split}.jsonl") for name in ("slow", "fast"))
        lines = [(tmp_path / name / f"{split}.ctm").read_text().splitlines() for name in ("slow", "fast")]
        times = [[[float(part) for part in line.split()[2:4]] for line in every] for every in lines]
        names = [line.split()[0].replace("strings-", "")[7:] for line in lines[0]]
        shares = {}
        for slow, fast in zip(before, after, strict=True):
            assert (slow.pinyin, slow.speaker) == (fast.pinyin, fast.speaker)
            assert duration(fast.path) == fast.seconds
            shares[slow.id.replace("strings-", "")[7:]] = fast.seconds / slow.seconds
            hurried += [fast.seconds / slow.seconds] if "-" in fast.speaker else []
            assert "-" in fast.speaker or fast.seconds == slow.seconds
        for name, slow_times, fast_times in zip(names, *times, strict=True):
            assert fast_times == pytest.approx([shares[name] * one for one in slow_times], abs=0.002)
    assert sorted(hurried) == pytest.approx(sorted(paces), abs=0.002)


needs_praat = pytest.mark.skipif(
    not praat.find_spec("parselmouth"), reason="Praat is optional: pip install dfcnn-ms[voices]"
)


@needs_praat
def test_a_man_becomes_a_woman() -> None:
    time = np.arange(24_000) / 24_000
    man = 0.1 * sum(np.sin(2 * np.pi * 110 * number * time) / number for number in range(1, 60))
    source = voices.Source.of(voices.median_hz(at_16_khz(man, 24_000)))
    with Praat() as changer:
        woman = changer.change(man, 24_000, source.made(Change(1.0, 205.0, 1.0)))
    assert woman is not None and voices.median_hz(at_16_khz(woman, 24_000)) == pytest.approx(205, rel=0.03)


@needs_praat
@pytest.mark.slow
@pytest.mark.long
def test_two_processes_make_the_same_people(root: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        strings.prepare(root=str(root), out=tmp_path / str(workers), people=50, workers=workers, **FEW)
    assert files(tmp_path / "1") == files(tmp_path / "2")


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"train": 0}, "train: cannot make 0 strings; give 1 or more"),
        ({"least": 0}, "least must be 1 to 100 recordings; got 0"),
        ({"least": 4, "most": 3}, r"most must be 4 \(least\) to 100 recordings; got 3"),
        ({"gaps": "0.4,0.1"}, "gaps must be two numbers of seconds .* the smaller first"),
        ({"gaps": "0.1"}, "gaps must be two numbers of seconds .* got '0.1'"),
        ({"gaps": "nan,nan"}, "gaps must be two numbers"),
        ({"people": 301}, "people must be 0 to 300; got 301"),
        ({"unchanged": 1.5}, "unchanged must be a share from 0 to 1; got 1.5"),
        ({"people": 9, "pace": "0.2,1"}, "pace must be two shares of a length from 0.4 to 1.0, .* such as 0.55,1; got"),
        ({"people": 9, "pace": "0.9,0.6"}, "pace must be two shares of a length .* the smaller first"),
        ({"pace": "0.6,1"}, "pace: 0.6,1 wants people, whom Praat lets hurry"),
        ({"seed": -1}, "seed must be 0 or more; got -1"),
        ({"workers": 0}, "workers must be 1 or more; got 0"),
        ({"root": " , "}, "root: got ' , ', wanted a folder with manifests"),
    ],
)
def test_options_that_cannot_be(root: Path, tmp_path: Path, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as error:
        strings.prepare(out=tmp_path / "new", **{"root": str(root), "workers": 1} | options)
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()


def one(root: Path) -> Utterance:
    return read_manifest(root / "train.jsonl")[0]


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("train", {"audio": "gone.flac"}, "audio file .*gone.flac does not exist .and 1 more like it."),
        ("words", {"split": "exam"}, "wanted a recording of train, dev or test; got split 'exam'"),
        ("words", {}, "wanted a recording of train, dev or test; it names none, and neither does its manifest"),
        ("train", {"speaker": ""}, "needs 2 recordings of one speaker; got 2, 0 of them by one whom 'speaker' names"),
    ],
)
def test_recordings_of_which_nothing_can_be_made(
    root: Path, tmp_path: Path, name: str, change: dict[str, str], complaint: str
) -> None:
    lines = [replace(first, **change) for first in read_manifest(root / "train.jsonl")[:2]]
    write_manifest(tmp_path / f"{name}.jsonl", lines)
    with pytest.raises(DataError, match=complaint) as error:
        strings.prepare(root=str(tmp_path), out=tmp_path / "new", workers=1, progress=False)
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()


def test_one_recording_gives_no_string_unless_strings_are_of_one(root: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "train.jsonl", [one(root)])
    with pytest.raises(DataError, match="no string can be made for train, which needs 2 recordings of one speaker"):
        strings.prepare(root=str(tmp_path), out=tmp_path / "new")
    strings.prepare(root=str(tmp_path), out=tmp_path / "new", most=1, train=2, workers=1, progress=False)
    assert [line.pinyin for line in read_manifest(tmp_path / "new" / "train.jsonl")] == [one(root).pinyin] * 2
    assert not (tmp_path / "new" / "dev.jsonl").exists()


def test_a_recording_of_silence(root: Path, tmp_path: Path) -> None:
    write_wave(tmp_path / "silent.wav", np.zeros(1600, np.float32))
    first, second = read_manifest(root / "train.jsonl")[:2]
    write_manifest(tmp_path / "train.jsonl", [first, replace(second, audio=str(tmp_path / "silent.wav"), seconds=0.1)])
    with pytest.raises(DataError, match=r"train.jsonl:2: .*silent.wav holds nothing but silence"):
        strings.prepare(root=str(tmp_path), out=tmp_path / "new", workers=1, progress=False)


def test_a_recording_in_two_splits(root: Path, tmp_path: Path) -> None:
    lines = read_manifest(root / "train.jsonl")
    write_manifest(tmp_path / "train.jsonl", lines)
    write_manifest(tmp_path / "test.jsonl", lines[2:4])
    with pytest.raises(DataError, match=r"train.jsonl:3: the same recording as .*test.jsonl:1; one recording cannot"):
        strings.prepare(root=str(tmp_path), out=tmp_path / "new")


def test_several_folders_are_one_and_none_is_written_over(root: Path, tmp_path: Path) -> None:
    for name in ("train", "dev"):
        write_manifest(tmp_path / name / f"{name}.jsonl", read_manifest(root / f"{name}.jsonl"))
    both = f"{tmp_path / 'train'}, {tmp_path / 'dev'}"
    made = strings.prepare(root=both, out=tmp_path / "new", workers=1, **FEW)
    assert list(made) == ["train", "dev"]
    with pytest.raises(ConfigError, match=r"train.jsonl: would be overwritten; give another folder with --out"):
        strings.prepare(root=both, out=tmp_path / "train")
    with pytest.raises(DataError, match=r"no such file or folder; wanted manifests such as train\.jsonl"):
        strings.prepare(root=str(tmp_path / "nowhere"), out=tmp_path / "new")


def test_people_without_praat(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(praat, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"needs praat-parselmouth, .* pip install \"dfcnn-ms\[voices\]\"") as error:
        strings.prepare(root=str(root), out=tmp_path / "new", people=3)
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()
