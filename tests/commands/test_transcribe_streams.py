"""What transcribe makes of pipes and of long recordings, on a language whose sound is known."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tones import Speller, classifier, listener, wave

from dfcnn_ms import transcribe
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.errors import ConfigError, DataError, DeviceError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import in_the_box

RATE = 16_000
SAID = ("yi1 er4", "si4 san1 yi1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "nothing")
    return tmp_path


def sound(gap: float = 1.0) -> np.ndarray:
    silence = np.zeros(round(gap * RATE), np.float32)
    return np.concatenate([silence, wave(SAID[0]), silence, wave(SAID[1]), silence])


def pipe(monkeypatch: pytest.MonkeyPatch, samples: np.ndarray, *, terminal: bool = False) -> None:
    content = io.BytesIO(np.rint(samples * 32768).astype("<i2").tobytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content, isatty=lambda: terminal))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    transcribe.main(list(arguments))
    return capsys.readouterr().out


def test_a_line_for_each_segment_of_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, sound())
    rows = [line.split("\t") for line in run(capsys, "--stdin").splitlines()]
    assert [row[2] for row in rows] == list(SAID)
    assert 0.6 <= float(rows[0][0]) <= 1.1 and 1.7 <= float(rows[0][1]) <= 2.2


def test_a_terminal_sees_what_is_not_final(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, sound())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    transcribe.main(["--stdin"])
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert "\ryi1" in shown.err and shown.err.endswith("\r\x1b[K")


def test_json_of_a_pipe_is_an_object_a_segment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Speller() if choice.wants_characters else None)
    pipe(monkeypatch, sound())
    pages = [json.loads(line) for line in run(capsys, "--stdin", "--format", "json", "--hanzi").splitlines()]
    assert [(one["index"], one["text"], one["characters"]["text"]) for one in pages] == [
        (0, SAID[0], "一二"),
        (1, SAID[1], "四三一"),
    ]
    for one in pages:
        assert one["start"] <= one["syllables"][0]["start"] < one["syllables"][-1]["end"] <= one["end"]


@pytest.mark.parametrize("form", ["srt", "vtt", "ctm", "textgrid"])
def test_other_formats_of_a_pipe_are_those_of_the_file(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is long enough to be cut at its pauses too."""
    write_wave("stdin.wav", sound(15))
    pipe(monkeypatch, sound(15))
    assert run(capsys, "--stdin", "--format", form) == run(capsys, "--format", form, "stdin.wav") != ""


def test_long_recordings_are_cut_at_pauses(capsys: pytest.CaptureFixture[str]) -> None:
    write_wave("long.wav", sound(15))
    assert run(capsys, "long.wav") == f"long.wav\t{' '.join(SAID)}\n"
    page = json.loads(run(capsys, "--format", "json", "long.wav"))
    starts = [one["start"] for one in page["syllables"]]
    np.testing.assert_allclose(starts, [15.1, 15.4, 30.8, 31.1, 31.4], atol=0.05)
    assert [one["text"] for one in page["lines"]] == list(SAID)
    assert listener().transcribe("long.wav").text == " ".join(SAID)


def test_long_silence_has_no_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Speller() if choice.wants_characters else None)
    write_wave("long.wav", np.zeros(40 * RATE, np.float32))
    assert run(capsys, "--hanzi", "long.wav") == "long.wav\t\t\n"


def test_a_long_clip_of_a_classifier_is_heard_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recognizer, "load", lambda *_: classifier())
    write_wave("long.wav", np.concatenate([wave("si4"), np.zeros(31 * RATE, np.float32)]))
    assert run(capsys, "long.wav") == "long.wav\tsi4\n"


def test_lines_of_subtitles_are_as_long_as_one_wishes(capsys: pytest.CaptureFixture[str]) -> None:
    write_wave("a.wav", wave("yi1 er4 san1 si4"))
    cues = run(capsys, "--format", "srt", "--line-characters", "8", "a.wav").split("\n\n")
    assert [cue.strip().splitlines()[2] for cue in cues] == ["yi1 er4", "san1 si4"]
    cues = run(capsys, "--format", "srt", "--line-seconds", "0.35", "a.wav").split("\n\n")
    assert [cue.strip().splitlines()[2] for cue in cues] == ["yi1", "er4", "san1", "si4"]


REFUSED = {
    "rate of files": (("--rate", "8000", "a.wav"), "--rate 8000: says how raw sound is piped in; give --stdin too"),
    "two streams": (("--stdin", "--mic"), "--stdin: hears one stream and writes to standard output; leave out --mic"),
    "stream and file": (("--stdin", "a.wav"), "leave out a file"),
    "stream into a folder": (("--mic", "--out", "made"), "--mic: hears one stream"),
    "alternatives": (("--stdin", "--nbest", "2"), "only json has room for alternatives"),
    "nothing piped in": (("--stdin",), "--stdin: nothing is piped in; such as: ffmpeg"),
    "no pause": (("--pause", "0", "a.wav"), "pause is 0 s"),
    "short": (("--longest", "0.1", "a.wav"), "longest is 0.1 s"),
    "no line": (("--line-characters", "0", "a.wav"), "a line of 0 characters"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_heard(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, sound(), terminal=True)
    arguments, sentence = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        transcribe.main(list(arguments))
    assert sentence in str(caught.value)


def test_a_pipe_without_sound_and_a_machine_without_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, np.zeros(0))
    with pytest.raises(DataError, match="got no sound"):
        transcribe.main(["--stdin"])
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match="needs the package sounddevice"):
        transcribe.main(["--mic"])


def test_ctrl_c_ends_the_microphone_and_what_was_said_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recording:
        rate = RATE

        def __iter__(self):  # type: ignore[no-untyped-def]
            yield sound()[: -RATE // 2]
            raise KeyboardInterrupt

    monkeypatch.setattr("dfcnn_ms.streaming.command.Microphone", Recording)
    assert [line.split("\t")[2] for line in run(capsys, "--mic").splitlines()] == list(SAID)
