"""The transcribe command on a language whose sound is known: every format, every destination, every refusal."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tones import PAUSE, TONE, VOCABULARY, Speller, begins, classifier, listener, speak, wave

from dfcnn_ms import transcribe
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer, Transcript
from dfcnn_ms.runtime import in_the_box
from dfcnn_ms.text.pinyin import from_hanzi

SAID = {"long.wav": "yi1 er4 san1 si4 yi1", "short.flac": "si4", "middle.wav": "er4 er4 san1", "nothing.wav": ""}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sounds to transcribe, and the recognizer of their language in the place of a checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "nothing")
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    for name, said in SAID.items():
        speak(Path(name), said)
    speak(Path("set/a.wav"), "yi1")
    speak(Path("set/deep/b.FLAC"), "er4")
    Path("set/notes.txt").write_text("no sound\n")
    Path("empty").mkdir()
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    transcribe.main(list(arguments))
    return capsys.readouterr().out


def test_one_line_for_each_file_in_the_order_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *SAID).splitlines() == [f"{name}\t{said}" for name, said in SAID.items()]
    assert run(capsys, "short.flac", "long.wav", "short.flac").splitlines() == [
        f"{name}\t{SAID[name]}" for name in ("short.flac", "long.wav", "short.flac")
    ]


def test_a_folder_stands_for_its_sounds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "set", "short.flac").splitlines() == [
        "set/a.wav\tyi1",
        "set/deep/b.FLAC\ter4",
        "short.flac\tsi4",
    ]


def test_json_knows_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--format", "json", "middle.wav", "nothing.wav").splitlines()
    middle, nothing = map(json.loads, lines)
    assert (middle["file"], middle["text"]) == ("middle.wav", "er4 er4 san1")
    assert middle["seconds"] == pytest.approx(3 * (TONE + PAUSE) + PAUSE)
    assert [one["text"] for one in middle["syllables"]] == ["er4", "er4", "san1"]
    for one, begin in zip(middle["syllables"], begins(middle["syllables"]), strict=True):
        assert one["start"] == pytest.approx(begin, abs=0.05)
        assert one["start"] < one["end"] <= middle["seconds"]
        assert 0.9 < one["score"] <= 1
    assert 0.8 < middle["confidence"] <= 1
    assert middle["log_prob"] == middle["score"] < 0
    assert (nothing["text"], nothing["syllables"], nothing["confidence"]) == ("", [], 1.0)


def test_subtitles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    srt = run(capsys, "--format", "srt", "long.wav")
    assert re.fullmatch(r"1\n00:00:00,\d{3} --> 00:00:01,\d{3}\nyi1 er4 san1 si4 yi1\n", srt)
    vtt = run(capsys, "--format", "vtt", "long.wav")
    assert re.fullmatch(r"WEBVTT\n\n00:00:00\.\d{3} --> 00:00:01\.\d{3}\nyi1 er4 san1 si4 yi1\n", vtt)
    assert run(capsys, "--format", "vtt", "nothing.wav") == "WEBVTT\n"


def test_textgrid_covers_the_recording(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "--format", "textgrid", "middle.wav")
    assert [found for found in re.findall(r'text = "(.*)"', text) if found] == ["er4", "er4", "san1"]
    starts = [float(found) for found in re.findall(r"xmin = ([\d.]+)", text)][2:]
    ends = [float(found) for found in re.findall(r"xmax = ([\d.]+)", text)][2:]
    assert starts[0] == 0 and ends[-1] == pytest.approx(1.0)
    assert starts[1:] == ends[:-1]


def test_ctm_holds_several_recordings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split() for line in run(capsys, "--format", "ctm", "short.flac", "middle.wav").splitlines()]
    assert [(name, unit) for name, _, _, _, unit, _ in rows] == [
        ("short", "si4"), ("middle", "er4"), ("middle", "er4"), ("middle", "san1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("txt", ".txt"), ("json", ".json"), ("srt", ".srt"), ("vtt", ".vtt"), ("textgrid", ".TextGrid"), ("ctm", ".ctm")],
)
def test_a_file_for_each_recording(folder: Path, capsys: pytest.CaptureFixture[str], form: str, suffix: str) -> None:
    output = run(capsys, "--format", form, "--out", "made", "long.wav", "short.flac", "set")
    assert output == "transcripts: 4 in made\n"
    written = {str(path.relative_to("made")) for path in Path("made").rglob("*") if path.is_file()}
    assert written == {f"long{suffix}", f"short{suffix}", f"a{suffix}", f"deep/b{suffix}"}
    if form not in ("json", "txt"):
        assert Path(f"made/short{suffix}").read_text() == run(capsys, "--format", form, "short.flac")
    assert "si4" in Path(f"made/short{suffix}").read_text()


def test_alternatives(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split("\t") for line in run(capsys, "--nbest", "3", "short.flac", "middle.wav").splitlines()]
    assert [(row[0], row[1]) for row in rows if row[1] == "1"] == [("short.flac", "1"), ("middle.wav", "1")]
    assert [row[3] for row in rows if row[1] == "1"] == ["si4", "er4 er4 san1"]
    for name in ("short.flac", "middle.wav"):
        scores = [float(score) for file, _, score, _ in rows if file == name]
        assert scores == sorted(scores, reverse=True)
    (page,) = map(json.loads, run(capsys, "--nbest", "3", "--format", "json", "short.flac").splitlines())
    assert 1 <= len(page["alternatives"]) <= 2
    assert "si4" not in [one["text"] for one in page["alternatives"]]


def test_a_beam_hears_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--decoder", "beam", "--beam", "4", *SAID) == run(capsys, *SAID)


def test_hotwords_are_preferred(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tones at once, the first a little louder: a hotword with the second turns the scale."""
    write_wave("both.wav", 0.52 * wave("er4") + 0.48 * wave("si4"))
    Path("words.txt").write_text("si4\t5\n")
    assert run(capsys, "both.wav") == "both.wav\ter4\n"
    assert "si4" in run(capsys, "--hotwords", "words.txt", "both.wav")


def test_characters(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Speller() if choice.wants_characters else None)
    assert run(capsys, "--hanzi", "long.wav", "nothing.wav").splitlines() == [
        "long.wav\tyi1 er4 san1 si4 yi1\t一二三四一",
        "nothing.wav\t\t",
    ]
    page = json.loads(run(capsys, "--hanzi", "--format", "json", "short.flac"))
    assert page["characters"] == {"text": "四", "score": -1.0, "perplexity": pytest.approx(math.e, abs=0.01)}
    assert run(capsys, "--hanzi", "--format", "srt", "long.wav").splitlines()[-1] == "一二三四一"
    assert [one["characters"] for one in page["syllables"]] == ["四"]
    grid = run(capsys, "--hanzi", "--format", "textgrid", "short.flac")
    assert [text for text in re.findall(r'text = "(.*)"', grid) if text] == ["si4", "四"]
    ranked = run(capsys, "--hanzi", "--nbest", "2", "short.flac").splitlines()
    assert ranked[0].endswith("\tsi4\t四")


@pytest.mark.slow
def test_characters_of_the_dictionary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, syllables, characters = run(capsys, "--hanzi", "short.flac").rstrip("\n").split("\t")
    assert (file, syllables, len(characters)) == ("short.flac", "si4", 1)
    assert from_hanzi(characters) == ["si4"]


REFUSED = {
    "several into one": (("--format", "srt", "long.wav", "short.flac"), "several recordings need --out FOLDER"),
    "alternatives of subtitles": (("--format", "vtt", "--nbest", "2", "long.wav"), "vtt holds one hypothesis"),
    "into a file": (("--out", "long.wav", "short.flac"), "--out long.wav: is a file"),
    "into nowhere": (("--out", "no/where", "short.flac"), "the folder no does not exist"),
    "beam of greedy": (
        ("--decoder", "greedy", "--beam", "3", "long.wav"),
        "--decoder greedy takes no --beam; leave it out, or say --decoder beam",
    ),
    "classes of a network of sentences": (
        ("--decoder", "classes", "long.wav"),
        "--decoder classes: does not read what this network writes; use --decoder greedy or beam",
    ),
    "no model": (("--lm", "no.arpa", "long.wav"), "--lm no.arpa: no such file"),
    "no format": (("--format", "doc", "long.wav"), "invalid choice: 'doc'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_heard(folder: Path, name: str) -> None:
    arguments, sentence = REFUSED[name]
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        transcribe.main(list(arguments))
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("made").exists()


def test_the_class_of_each_clip(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recognizer, "load", lambda *_: classifier())
    assert run(capsys, "short.flac", "set").splitlines() == [
        "short.flac\tsi4",
        "set/a.wav\tyi1",
        "set/deep/b.FLAC\ter4",
    ]
    rows = [line.split("\t") for line in run(capsys, "--nbest", "4", "short.flac").splitlines()]
    assert [row[1] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0][3] == "si4" and {row[3] for row in rows} == set(VOCABULARY.units)
    page = json.loads(run(capsys, "--nbest", "4", "--format", "json", "short.flac"))
    assert [row[2] for row in rows] == [f"{one['confidence']:.4f}" for one in (page, *page["alternatives"])]
    (one,) = page["syllables"]
    assert (one["text"], one["start"], one["score"]) == ("si4", 0.0, page["confidence"])
    assert page["seconds"] - 0.01 < one["end"] <= page["seconds"]  # where the last frame ends
    with pytest.raises(ConfigError, match="--beam: means nothing to what this network writes; use --decoder classes"):
        transcribe.main(["--beam", "3", "short.flac"])
    with pytest.raises(ConfigError, match="--decoder greedy: does not read what this network writes"):
        transcribe.main(["--decoder", "greedy", "short.flac"])


def test_two_recordings_of_one_name(folder: Path) -> None:
    speak(Path("other/long.flac"), "yi1")
    with pytest.raises(ConfigError, match=r"long\.wav and other/long\.flac would be written to the same file"):
        transcribe.main(["--out", "made", "long.wav", "other/long.flac"])


def test_a_folder_without_sound(folder: Path) -> None:
    with pytest.raises(DataError, match="empty: is a directory without a sound file"):
        transcribe.main(["empty"])


def test_one_damaged_file_is_named_before_anything_is_heard(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recognizer, "load", lambda *_: pytest.fail("the network was loaded"))
    Path("cut.wav").write_bytes(Path("long.wav").read_bytes()[:9000])
    with pytest.raises(DataError, match=r"^cut\.wav: truncated"):
        transcribe.main(["cut.wav"])
    with pytest.raises(DataError, match=r"^2 of 2 recordings could not be heard; see above$"):
        transcribe.main(["cut.wav", "no.wav"])
    out, err = capsys.readouterr()
    assert out == "" and [line.split(":")[1] for line in err.splitlines()] == [" cut.wav", " no.wav"]


def test_a_damaged_file_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cut.wav").write_bytes(Path("long.wav").read_bytes()[:9000])
    Path("set/deep/text.wav").write_text("no sound\n")
    with pytest.raises(DataError, match=r"^4 of 8 recordings could not be heard; see above$"):
        transcribe.main(["short.flac", "cut.wav", "set", "no.wav", "empty", "long.wav"])
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "short.flac\tsi4", "set/a.wav\tyi1", "set/deep/b.FLAC\ter4", f"long.wav\t{SAID['long.wav']}",
    ]  # fmt: skip
    assert [line.split(":")[:2] for line in err.splitlines()] == [
        ["left out", f" {name}"] for name in ("cut.wav", "set/deep/text.wav", "no.wav", "empty")
    ]


def test_a_file_that_is_damaged_later_does_not_stop_its_batch(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One vanishes after it was found, one makes the network complain, one may no longer be read."""
    for name in ("vanishes.wav", "loud.wav", "closed.wav"):
        speak(Path(name), "yi1")
    loud = read_wave("loud.wav")
    write_wave("loud.wav", np.append(loud, loud))

    class Deaf(Recognizer):
        def hear(self, waves: Sequence[np.ndarray]) -> list[Transcript]:
            if any(len(wave) == 2 * len(loud) for wave in waves):
                raise DataError("sample 3 is beyond all loudness")
            return super().hear(waves)

    def read(file: str) -> np.ndarray:
        if file == "closed.wav":
            raise PermissionError(13, "Permission denied")
        return read_wave(file)

    def deaf() -> Recognizer:
        Path("vanishes.wav").unlink()
        recognizer = listener()
        recognizer.__class__ = Deaf
        return recognizer

    monkeypatch.setattr(Recognizer, "load", lambda *_: deaf())
    monkeypatch.setattr(transcribe, "read_wave", read)
    with pytest.raises(DataError, match=r"^3 of 5 recordings could not be heard"):
        transcribe.main(["--out", "made", "long.wav", "vanishes.wav", "loud.wav", "closed.wav", "short.flac"])
    out, err = capsys.readouterr()
    assert out == "transcripts: 2 in made\n"
    assert sorted(path.name for path in Path("made").iterdir()) == ["long.txt", "short.txt"]
    assert sorted(err.splitlines()) == [
        "left out: closed.wav: cannot be read: Permission denied; check its permissions and those above it",
        "left out: loud.wav: sample 3 is beyond all loudness",
        "left out: vanishes.wav: no such file; check the path",
    ]


def test_a_folder_that_may_not_be_looked_into_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str = ".") -> Any:
        if Path(path).name in ("deep", "empty"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"^empty: cannot be read: Permission denied; check its permissions"):
        transcribe.main(["empty"])
    with pytest.raises(DataError, match=r"^1 of 2 recordings could not be heard"):
        transcribe.main(["set"])
    out, err = capsys.readouterr()
    assert out == "set/a.wav\tyi1\n" and err.startswith("left out: set/deep: cannot be read: Permission denied")


def test_a_transcript_is_not_written_over_what_is_read(folder: Path) -> None:
    Path("long.txt").write_text("yi1\n")
    with pytest.raises(ConfigError, match=r"--out long\.txt: would be written over long\.txt, which is read"):
        transcribe.main(["--out", ".", "--hotwords", "long.txt", "long.wav"])
    assert Path("long.txt").read_text() == "yi1\n"
