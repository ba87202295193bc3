"""Every command without --ckpt, beside a network in the box that hears the language of tones."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import box_of_tones
import numpy as np
import pytest
import tone_checkpoint
import tones

from dfcnn_ms import align, eval, serve, spot, transcribe
from dfcnn_ms.decoding import BeamSearch, Greedy
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.options import choice_of
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import in_the_box
from dfcnn_ms.runtime.in_the_box import LANGUAGE, NETWORK, fill_in

SAID = tone_checkpoint.SAID
FILES = [f"sounds/{number}.wav" for number in range(len(SAID))]
HEARING = (
    (transcribe, FILES),
    (eval, ["--manifest", "dev.jsonl"]),
    (align, ["--audio", FILES[2], "--text", SAID[2]]),
    (spot, FILES),
)
LISTENING = "listening with the Mandarin network in the box; --ckpt takes another"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the box, and with sounds and their manifest."""
    folder = tmp_path_factory.mktemp("boxed")
    box_of_tones.make(folder)
    manifest = tone_checkpoint.speak(folder)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    texts = [line | {"text": box_of_tones.characters(line["pinyin"])} for line in lines]
    manifest.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in texts), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    """A folder to stand in, without a checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_the_box, "ASSETS", made / "assets")
    monkeypatch.setenv("XDG_CACHE_HOME", str(made / "cache"))
    for name in ("sounds", "dev.jsonl"):
        Path(name).symlink_to(made / name)
    caplog.set_level(logging.INFO, logger=in_the_box.__name__)
    return tmp_path


def said_of_it(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == in_the_box.__name__]


def lines(*numbers: int) -> list[str]:
    return [f"{FILES[number]}\t{SAID[number]}\t{box_of_tones.characters(SAID[number])}" for number in numbers]


def test_transcribe_writes_syllables_and_characters(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    transcribe.main(FILES)
    assert capsys.readouterr().out.splitlines() == lines(*range(len(SAID)))
    assert said_of_it(caplog) == [LISTENING]


def test_transcribe_hears_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros(tones.RATE, np.float32)
    samples = np.concatenate([silence, tones.wave(SAID[0]), silence])
    content = io.BytesIO(np.rint(samples * 32767).astype("<i2").tobytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content, isatty=lambda: False))
    transcribe.main(["--stdin"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split("\t")[2:] == [SAID[0], box_of_tones.characters(SAID[0])]


@pytest.mark.slow
def test_transcribe_hears_many(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In other processes, which are told what was chosen here."""
    transcribe.main(["--out", "all.jsonl", "--manifest", "dev.jsonl", "--workers", "1"])
    found = [json.loads(line) for line in Path("all.jsonl").read_text(encoding="utf-8").splitlines()]
    heard = [(one["text"], one["characters"]["text"]) for one in found]
    assert heard == [(said, box_of_tones.characters(said)) for said in SAID]
    assert {one["made_with"]["ckpt"] for one in found} == {
        in_the_box.sha256((made / "assets" / NETWORK).read_bytes())[:12]
    }


def decoder_for(*arguments: str) -> tuple[BeamSearch | Greedy, bool]:
    """What is decoded with, and whether characters are written."""
    options = transcribe._parser().parse_args([*arguments, "a.wav"])
    fill_in(options)
    recognizer = transcribe.loaded(options, choice_of(options))
    assert isinstance(recognizer.decoder, BeamSearch | Greedy)
    return recognizer.decoder, recognizer.hanzi is not None


def test_the_language_model_counts_as_the_network_says() -> None:
    decoder, characters = decoder_for()
    assert isinstance(decoder, BeamSearch) and decoder.language is not None and characters
    assert {name: getattr(decoder, name) for name in box_of_tones.DECODING} == box_of_tones.DECODING


def test_flags_mean_what_they_always_mean(made: Path) -> None:
    assert decoder_for("--decoder", "greedy") == (Greedy(), True)
    decoder, _ = decoder_for("--lm-weight", "0.125", "--beam", "7", "--nbest", "3")
    assert isinstance(decoder, BeamSearch) and decoder.language is not None
    assert (decoder.lm_weight, decoder.length_bonus, decoder.beam) == (0.125, 0.5, 7)
    assert decoder.nbest == 7  # characters come along, and are chosen over as many as the beam has
    # A network that is named brings nothing along, this one neither.
    assert decoder_for("--ckpt", str(made / "assets" / NETWORK)) == (Greedy(), False)


def test_what_was_trained_here_listens_as_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("dfcnn.ckpt").touch()

    def load(path: Path, device_target: str) -> None:
        raise CheckpointError(f"asked for {path}")

    monkeypatch.setattr(Recognizer, "load", load)
    for command, arguments in HEARING:
        with pytest.raises(CheckpointError, match=r"^asked for dfcnn\.ckpt$"):
            command.main(arguments)
    assert said_of_it(caplog) == ["listening with dfcnn.ckpt of this folder; --ckpt takes another"] * len(HEARING)


def test_eval_wants_a_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"mandarin\.npz: remembers no test set; give one with --manifest t"):
        eval.main([])
    eval.main(["--manifest", "dev.jsonl"])
    said = capsys.readouterr().out
    assert "syllable error rate  0.00 %" in said and "character error rate" not in said
    assert [line.split("  ")[0] for line in said.splitlines()[-3:]] == ["greedy", "beam", "beam + lm *"]
    eval.main(["--manifest", "dev.jsonl", "--hanzi"])
    assert "character error rate 0.00 %" in capsys.readouterr().out


def test_eval_that_compares_needs_no_network(caplog: pytest.LogCaptureFixture) -> None:
    for name in "ab":
        eval.main(["--manifest", "dev.jsonl", "--json", f"{name}.json"])
    caplog.clear()
    eval.main(["--compare", "a.json", "b.json"])
    assert said_of_it(caplog) == []


def test_align(capsys: pytest.CaptureFixture[str]) -> None:
    align.main(["--audio", FILES[2], "--text", SAID[2]])
    begin, end, *_, syllable = capsys.readouterr().out.splitlines()[1].split()
    assert syllable == SAID[2] == "er4"
    assert (float(begin), float(end)) == pytest.approx((tones.PAUSE, tones.PAUSE + tones.TONE), abs=0.03)


def test_spot_wants_another_kind(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=r"^this network writes sentences; spotting wants one that was tr"):
        spot.main(FILES)
    assert said_of_it(caplog) == [LISTENING]


def test_serve(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its language, with all that came along."""
    pytest.importorskip("fastapi")
    asked: list[tuple[dict[str, Path], Choice]] = []
    monkeypatch.setattr(serve, "serve", lambda _, named, choice: asked.append((named, choice)))
    serve.main([])
    serve.main(["--ckpt", "mine=my.ckpt"])
    (named, choice), others = asked
    assert named == {"mandarin": made / "assets" / NETWORK}
    assert (choice.lm, choice.hanzi) == (made / "assets" / LANGUAGE, True)
    assert others == ({"mine": Path("my.ckpt")}, Choice())
    (model,) = serve.load(named, choice, "CPU")
    heard = model.recognizer.transcribe(FILES[0])
    assert (heard.text, heard.characters) == (SAID[0], box_of_tones.characters(SAID[0]))


def test_what_is_wrong_with_the_flags_is_all_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    wrong = (
        (transcribe, ["no.wav"]),
        (transcribe, ["--lm", "no.bin", *FILES]),
        (eval, ["--json", "no/a.json"]),
        (align, ["--audio", "no.wav", "--text", "er4"]),
        (spot, ["--threshold", "2", *FILES]),
        (serve, ["--hotwords", "no.txt"]),
    )
    for command, arguments in wrong:
        with pytest.raises((ConfigError, DataError)):
            command.main(arguments)
    assert said_of_it(caplog) == []


def test_a_box_that_is_not_whole_is_one_sentence(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (made / "assets").iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / LANGUAGE).unlink()
    monkeypatch.setattr(in_the_box, "ASSETS", broken)
    for command, arguments in (*HEARING, (serve, [])):
        with pytest.raises(CheckpointError, match=r"syllables\.lmz: is missing, .*; install dfcnn-ms again, or name"):
            command.main(arguments)


def test_an_empty_box_is_as_if_there_were_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path)
    with pytest.raises(CheckpointError, match=r"^dfcnn\.ckpt: no such checkpoint; train one with: python -m dfc"):
        transcribe.main(FILES)
