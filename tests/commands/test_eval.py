"""The eval command on a language whose sound is known: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tones import PAUSE, TONE, Speller, classifier, listener, speak

from dfcnn_ms import eval as evaluation
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.decoding.choice import Choice
from dfcnn_ms.decoding.hanzi import Sentence
from dfcnn_ms.decoding.ngram import train
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.runs import read_run
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import in_the_box

#: what is said, and what the manifest claims: three edits in nine syllables
SAID = {"a": "yi1 er4 san1", "b": "si4 si4", "c": "er4 er4 san1"}
CLAIMED = {"a": "yi1 er4 san1", "b": "si4", "c": "er4 yi1 er4 er4 san1"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to stand in, with a test set, and the recognizer of its language in the place of every checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "nothing")
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    utterances = []
    for id, said in SAID.items():
        seconds = round(len(said.split()) * (TONE + PAUSE) + PAUSE, 3)
        speak(Path(f"{id}.wav"), said)
        utterances.append(Utterance(id, f"{id}.wav", seconds, tuple(CLAIMED[id].split()), speaker=f"s{id}"))
    write_manifest("test.jsonl", utterances)
    train([said.split() for said in SAID.values()], order=2).save(Path("lm.bin"))
    yield tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    evaluation.main(["--manifest", "test.jsonl", *arguments])
    return capsys.readouterr().out.splitlines()


def test_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys)
    assert [lines[0], lines[3]] == ["b", "c"]  # only what has errors
    assert lines[1].split() in (["said", "*", "si4"], ["said", "si4", "*"])
    assert lines[2] == "  heard  si4 si4"
    assert lines[4] == "  said   er4 yi1 er4 er4 san1"
    assert sorted(lines[5].split()) == ["*", "*", "er4", "er4", "heard", "san1"]
    table = lines[6:]
    assert table[0] == "test set             test.jsonl"
    assert re.fullmatch(r"syllable error rate  33\.33 %  \(95 % interval \d+\.\d\d to \d+\.\d\d\)", table[1])
    assert table[2] == "edits                3 of 9 syllables: 0 substituted, 2 deleted, 1 inserted"
    assert table[3] == "sentences            1 of 3 without an error"
    assert table[4].startswith("tones left out       33.33 %")
    assert re.fullmatch(
        r"real-time factor     [\d.e-]+  \([\d.]+ s for 3 s of sound; CPU, \d+ cores, .*busy\)", table[5]
    )
    assert table[6:8] == ["", "decoder              error rate   edits   per sentence"]
    assert [row.split()[:4] for row in table[8:]] == [["greedy", "*", "33.33", "%"], ["beam", "33.33", "%", "3"]]


def test_three_decoders_with_a_language_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--lm", "lm.bin", "--lm-weight", "0.1")
    rows = lines[lines.index("decoder              error rate   edits   per sentence") + 1 :]
    assert [row[:20].rstrip() for row in rows] == ["greedy", "beam", "beam + lm *"]
    assert all(row.endswith(" ms") for row in rows)
    rows = run(capsys, "--lm", "lm.bin", "--decoder", "greedy")
    assert [row[:20].rstrip() for row in rows[-3:]] == ["greedy *", "beam", "beam + lm"]


def test_a_greater_weight_changes_what_is_heard(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Far more than any sound: the model alone decides, and likes short sentences."""
    run(capsys, "--lm", "lm.bin", "--lm-weight", "50", "--json", "heavy.json")
    run(capsys, "--lm", "lm.bin", "--lm-weight", "50", "--length-bonus", "200", "--json", "long.json")
    heavy, long = (json.loads(Path(name).read_text()) for name in ("heavy.json", "long.json"))
    assert heavy["deletions"] > 2
    assert long["deletions"] < heavy["deletions"]


def test_every_utterance_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "  heard  yi1 er4 san1" not in run(capsys)
    assert "  heard  yi1 er4 san1" in run(capsys, "--all")


def test_what_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--json", "r.json", "--report", "r.html", "--decoder", "beam")
    assert lines[-2:] == ["figures: r.json", "report: r.html"]
    page = json.loads(Path("r.json").read_text())
    assert (page["edits"], page["reference_length"], page["utterances"], page["decoder"]) == (3, 9, 3, "beam")
    assert [one["decoder"] for one in page["decoders"]] == ["greedy", "beam"]
    assert page["time"]["real_time_factor"] > 0
    assert page["rates"].keys() == {"syllable", "toneless"}
    assert [(one["id"], one["hypothesis"]) for one in page["results"]] == list(SAID.items())
    assert [one["reference"] for one in page["results"]] == list(CLAIMED.values())
    html = Path("r.html").read_text(encoding="utf-8")
    assert html.count("<audio") == 2
    assert "Real-time factor" in html


def test_the_page_shows_when_the_chosen_decoder_heard_what(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that outweighs the sound: greedy decoding hears something else."""
    run(capsys, "--lm", "lm.bin", "--lm-weight", "50", "--report", "heavy.html", "--json", "heavy.json")
    results = json.loads(Path("heavy.json").read_text())["results"]
    assert [one["hypothesis"] for one in results] != list(SAID.values())
    wrong = [one["hypothesis"].split() for one in results if one["hypothesis"] != one["reference"]]
    places = re.findall(r'<li class="[^"]*" style="left:', Path("heavy.html").read_text(encoding="utf-8"))
    assert len(places) == sum(map(len, wrong)) > 0


def test_a_classifier_is_measured_by_its_classes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clips of one syllable each, of which the manifest claims another one for the last."""
    monkeypatch.setattr(Recognizer, "load", lambda *_: classifier())
    said, claimed = ("yi1", "si4", "er4"), ("yi1", "si4", "san1")
    sounds = [speak(Path(f"{unit}.wav"), unit) for unit in said]
    clips = [Utterance(unit, str(path), 0.4, (unit,)) for unit, path in zip(said, sounds, strict=True)]
    write_manifest("test.jsonl", [replace(one, pinyin=(unit,)) for one, unit in zip(clips, claimed, strict=True)])
    lines = run(capsys, "--json", "r.json", "--report", "r.html")
    assert lines[:3] == ["er4", "  said   san1", "  heard  er4"]
    assert lines[4].startswith("class error rate     33.33 %  (95 % interval ")
    assert lines[5] == "edits                1 of 3 classes: 1 substituted, 0 deleted, 0 inserted"
    assert lines[7] == "accuracy             66.67 %"
    rows = lines[lines.index("decoder              error rate   edits   per sentence") + 1 : -2]
    assert [row.split()[:4] for row in rows] == [["classes", "*", "33.33", "%"]]
    page = json.loads(Path("r.json").read_text())
    assert (page["class_error_rate"], page["accuracy"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (page["unit"], page["decoder"]) == ("class", "classes")
    assert [one["decoder"] for one in page["decoders"]] == ["classes"]
    html = Path("r.html").read_text(encoding="utf-8")
    assert "of the classes wrong" in html and "accuracy" in html
    compared = "\n".join(run(capsys, "--compare", "one.ckpt", "r.json"))
    assert "\nclass error rate\n  A            33.33 %  (1 of 3)" in compared
    with pytest.raises(ConfigError, match="--beam: means nothing to what this network writes"):
        run(capsys, "--beam", "3")


def test_two_checkpoints_and_a_file_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--json", "r.json")
    text = "\n".join(run(capsys, "--compare", "one.ckpt", "two.ckpt"))
    assert "A              one.ckpt, greedy" in text
    assert "p-value      1.0000: as many errors in both" in text
    file = read_run(Path("r.json"))
    assert [one.syllables for one in file.heard] == [tuple(said.split()) for said in SAID.values()]
    assert "B              r.json, greedy" in run(capsys, "--compare", "one.ckpt", "r.json", "--decoder", "beam")


def test_characters_are_counted_where_there_is_a_text(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written of the three is 一二三, 四四 and 二二三."""
    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Speller() if choice.wants_characters else None)
    utterances = read_manifest("test.jsonl")
    texts = ["一，二，三。", "", "二儿散"]  # right, not known, two substituted
    write_manifest("test.jsonl", [replace(one, text=text) for one, text in zip(utterances, texts, strict=True)])
    lines = run(capsys, "--hanzi", "--json", "r.json", "--report", "r.html")
    (line,) = (line for line in lines if line.startswith("character error rate"))
    assert line.startswith("character error rate 33.33 %  (95 % interval ")
    assert line.endswith("; 2 sentences have a text)")
    counted = json.loads(Path("r.json").read_text(encoding="utf-8"))["rates"]["character"]
    assert (counted["substitutions"], counted["reference_length"], counted["utterances"]) == (2, 6, 2)
    assert "heard: 二二三" in Path("r.html").read_text(encoding="utf-8")
    compared = "\n".join(run(capsys, "--hanzi", "--compare", "one.ckpt", "r.json"))
    assert "\ncharacter error rate\n  A            33.33 %  (2 of 6)" in compared


def test_characters_are_chosen_over_several_hypotheses(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[int] = []

    class Counter(Speller):
        def decode(self, nbest: Sequence[tuple[Sequence[str], float]], n: int = 1) -> list[Sentence]:
            handed.append(len(nbest))
            return super().decode(nbest, n)

    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Counter())
    write_manifest("test.jsonl", [replace(one, text="一二") for one in read_manifest("test.jsonl")])
    counts = []
    for flags in (["--decoder", "greedy"], ["--nbest", "1"], ["--nbest", "3"], []):
        handed.clear()
        run(capsys, "--hanzi", *flags)
        assert set(handed) == {1}
        counts.append(len(handed))
    warm, of_one, of_three, of_ten = 1, 3, 9, 30  # one sentence before the clock runs; what three recordings have
    assert counts[0] == counts[1] == warm + of_one < counts[2] <= warm + of_three < counts[3] <= warm + of_ten


def test_unknown_syllables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("test.jsonl").read_text().replace('"si4"', '"ba1"')
    Path("test.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"test\.jsonl:2: unit 'ba1' .*--allow-unknown counts such"):
        run(capsys)
    assert "edits                4 of 9 syllables: 1 substituted, 2 deleted, 1 inserted" in run(
        capsys, "--allow-unknown"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (["--lm", "no.bin"], ConfigError, "--lm no.bin: no such file"),
        (["--beam", "0"], ConfigError, "--beam 0: wanted 1 or more"),
        (["--nbest", "3"], ConfigError, "--nbest 3: is for the characters; ask for them with --hanzi"),
        (["--hanzi"], DataError, "no utterance has a 'text'"),
        (["--compare", "a.json"], ConfigError, "expected 2 arguments"),
        (["--compare", "a.json", "b.json"], DataError, "a.json: no such file"),
        (["--json", "no/r.json"], ConfigError, "the folder no does not exist"),
    ],
)
def test_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        run(capsys, *arguments)
    assert len(str(caught.value).splitlines()) == 1


def test_no_test_set_is_remembered(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"dfcnn\.ckpt: remembers no test set; give one with --manifest"):
        evaluation.main([])


def changed(**values: object) -> None:
    """The test set with other values for its first utterance."""
    first, *others = (json.loads(line) for line in Path("test.jsonl").read_text().splitlines())
    lines = [first | values, *others]
    Path("test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_length_that_the_sound_does_not_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(seconds=9999)
    with pytest.raises(DataError, match=r"test\.jsonl:1: 'seconds' is 9999, and .*a\.wav has 1\.\d\d s from there; "):
        run(capsys)


def test_the_clock_counts_the_sound_that_was_heard(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table may round up by a little, which is nobody's sound."""
    run(capsys, "--json", "before.json")
    first = json.loads(Path("test.jsonl").read_text().splitlines()[0])
    changed(seconds=first["seconds"] + 0.4)
    run(capsys, "--json", "after.json")
    before, after = (json.loads(Path(name).read_text())["time"] for name in ("before.json", "after.json"))
    assert before["sound_seconds"] == after["sound_seconds"] > 0


def test_a_recording_that_counts_more_than_once_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run(capsys)
    assert not caplog.messages
    line = json.loads(Path("test.jsonl").read_text().splitlines()[0])
    with Path("test.jsonl").open("a") as file:
        for number in range(11):
            file.write(json.dumps(line | {"id": f"again{number}"}) + "\n")
        file.write(json.dumps(line | {"id": "part", "seconds": 0.5}) + "\n")
    run(capsys)
    (told,) = caplog.messages
    assert re.search(
        r"test\.jsonl: 12 utterances are the same sound, .*a\.wav; each counts, so the intervals are", told
    )


def test_a_text_of_punctuation_has_no_rate(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choice, "load_hanzi", lambda choice: Speller() if choice.wants_characters else None)
    changed(text="。")
    assert "character error rate" not in "\n".join(run(capsys, "--hanzi", "--json", "r.json"))
    assert "Infinity" not in Path("r.json").read_text() and "NaN" not in Path("r.json").read_text()


@pytest.mark.parametrize("flag", ["--json", "--report"])
def test_no_output_takes_the_place_of_a_recording(folder: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    before = Path("c.wav").read_bytes()
    with pytest.raises(ConfigError, match=rf"{flag} c\.wav: would be written over .*c\.wav, which is read"):
        run(capsys, flag, "c.wav")
    assert Path("c.wav").read_bytes() == before
