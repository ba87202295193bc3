"""Two evaluations compared: the file that keeps one, the figures of both, and what is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfcnn_ms import eval as evaluation
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.evaluation.comparison import compare, figures
from dfcnn_ms.evaluation.results import Heard, counts, rate_name
from dfcnn_ms.evaluation.runs import Clock, Decoded, Run, details, read_run
from dfcnn_ms.evaluation.runs import figures as corpus_figures
from dfcnn_ms.metrics import Edits, paired_bootstrap
from dfcnn_ms.reporting.comparison import comparison_page, in_words


def heard(id: str, said: str, written: str, **rest: Any) -> Heard:
    known = {key: rest.pop(key) for key in ("characters", "snr_db") if key in rest}
    return Heard(Utterance(id, f"{id}.wav", 1.5, tuple(said.split()), **rest), tuple(written.split()), **known)


def run(name: str, found: Sequence[Heard], **rest: Any) -> Run:
    return Run(name, Path("test.jsonl"), tuple(found), **rest)


def write(path: Path, one: Run) -> Path:
    """What `eval --json` writes."""
    path.write_text(json.dumps(corpus_figures(one) | details(one)), encoding="utf-8")
    return path


@pytest.fixture
def sides() -> tuple[Run, Run]:
    """A hundred sentences of five syllables by twenty speakers; A has 30 errors, B 12 of them and 2 others."""
    said = "ba1 er4 san1 si4 wu3"
    a, b = [], []
    for index in range(100):
        rest = {"speaker": f"s{index % 20}"}
        wrong = "ba1 er4 san1 si4"
        a.append(heard(f"u{index}", said, wrong if index < 30 else said, **rest))
        b.append(heard(f"u{index}", said, wrong if index < 12 or index >= 98 else said, **rest))
    return run("a.json", a), run("b.json", b[::-1], decoder="beam")


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    found = [
        heard("a", "ba1 er4", "ba1", text="八二", speaker="Annie", characters="八", snr_db=12.34),
        heard("b", "", "ba1"),
        heard("c", "ba1", "", text="八", characters="", snr_db=0.0),
    ]
    clock = Clock(4.5, 0.1, 0.15, 2, "CPU")
    decoders = (Decoded("greedy", Edits(0, 2, 1, 3, 3), 0.01),)
    back = read_run(write(tmp_path / "a.json", run("digits", found, decoders=decoders, clock=clock)))
    assert (back.name, back.manifest, back.decoder) == ("digits", Path("test.jsonl"), "greedy")
    for one, other in zip(found, back.heard, strict=True):
        assert other.utterance == replace(one.utterance, audio=other.utterance.audio)
        assert (other.syllables, other.characters, other.edits) == (one.syllables, one.characters, one.edits)
    assert back.heard[0].snr_db == 12.3
    assert math.isnan(back.heard[1].snr_db)


def test_a_file_keeps_its_required_figures_first() -> None:
    one = run("x", [heard("a", "ba1 er4", "ba1")])
    page = corpus_figures(one) | details(one)
    required = ["syllable_error_rate", "edits", "substitutions", "deletions", "insertions", "reference_length"]
    assert list(page)[:7] == [*required, "utterances"]
    (entry,) = page["results"]
    assert (entry["id"], entry["reference"], entry["hypothesis"], entry["deletions"]) == ("a", "ba1 er4", "ba1", 1)


def test_errors_are_counted_in_the_unit_of_the_task(tmp_path: Path) -> None:
    """Three clips of two classes that are no syllables, one of them wrong."""
    found = [heard("a", "yes", "yes"), heard("b", "no", "yes"), heard("c", "no", "no")]
    one = run("words", found, unit="class", also={"accuracy": 2 / 3}, decoder="classes")
    assert corpus_figures(one) == {
        "class_error_rate": pytest.approx(1 / 3),
        "accuracy": 2 / 3,
        "edits": 1,
        "substitutions": 1,
        "deletions": 0,
        "insertions": 0,
        "reference_length": 3,
        "utterances": 3,
    }
    page = details(one)
    assert (page["unit"], page["rates"].keys()) == ("class", {"class"})
    assert page["matrix"] == {"no": {"no": 1, "yes": 1}, "yes": {"yes": 1}}
    assert page["rates"]["class"]["error_rate"] == pytest.approx(1 / 3)
    assert read_run(write(tmp_path / "a.json", one)).unit == "class"
    (row,) = compare(one, replace(one, name="others")).rows
    assert row.name == "class error rate"


def test_sets_are_compared_as_sets_from_a_file_too(tmp_path: Path) -> None:
    one = run("labels", [replace(heard("a", "ba1 er4", "er4 san1"), ordered=False)], unit="label", decoder="labels")
    (again,) = read_run(write(tmp_path / "a.json", one)).heard
    assert again.edits == one.heard[0].edits
    assert (again.edits.substitutions, again.edits.deletions, again.edits.insertions) == (0, 1, 1)


def test_a_file_without_a_unit_is_one_of_syllables(tmp_path: Path) -> None:
    """As versions wrote it that knew no other task."""
    path = write(tmp_path / "a.json", run("x", [heard("a", "ba1", "er4")]))
    page = json.loads(path.read_text())
    del page["unit"]
    path.write_text(json.dumps(page))
    assert read_run(path).unit == "syllable"


def test_networks_of_two_tasks_are_not_compared(sides: tuple[Run, Run]) -> None:
    sentence = "a.json counts in syllables, b.json in classes; compare networks of one task"
    with pytest.raises(DataError, match=f"^{sentence}$"):
        compare(sides[0], replace(sides[1], unit="class"))


def test_every_rate_has_a_name() -> None:
    syllables, words = heard("a", "ba1 er4", "ba4", text="八二", characters="八"), heard("a", "hello world", "hello")
    found = {rate_name(name): sum(edits, Edits()).total for name, edits in counts([syllables]).items()}
    assert found == {"syllable error rate": 2, "tones left out": 1, "character error rate": 1}
    found = {rate_name(name): sum(edits, Edits()).total for name, edits in counts([words], "word").items()}
    assert found == {"word error rate": 1}


def test_figures_are_those_of_the_counts(sides: tuple[Run, Run]) -> None:
    page = figures(compare(*sides))
    syllable, toneless, by_speaker = page["rates"]
    assert page["utterances"] == 100
    assert (syllable["a"], syllable["b"]) == (30 / 500, 14 / 500)
    assert syllable["difference"] == pytest.approx(-16 / 500)
    assert (syllable["better"], syllable["worse"]) == (18, 2)
    assert syllable["interval"][0] < -16 / 500 < syllable["interval"][1] < 0
    assert syllable["p_value"] < 0.01
    assert toneless["p_value"] == syllable["p_value"]  # no tone was wrong
    assert by_speaker["difference"] == syllable["difference"]


def test_speakers_are_drawn_with_all_their_sentences(sides: tuple[Run, Run]) -> None:
    first, second = sides
    by_name = {one.utterance.id: one for one in second.heard}
    gathered: list[list[Edits]] = [[Edits()] * 20, [Edits()] * 20]
    for index, one in enumerate(first.heard):
        gathered[0][index % 20] += one.edits
        gathered[1][index % 20] += by_name[one.utterance.id].edits
    found = compare(first, second).rows[-1]
    assert found.name == "syllable error rate, drawn by speaker"
    assert found.difference == paired_bootstrap(*gathered, rng=np.random.default_rng(0))


def test_few_speakers_are_not_drawn(sides: tuple[Run, Run]) -> None:
    def by_nine(one: Heard) -> Heard:
        return replace(one, utterance=replace(one.utterance, speaker=one.utterance.id[:2]))

    few = [replace(side, heard=tuple(map(by_nine, side.heard))) for side in sides]
    assert [row.name for row in compare(*few).rows] == ["syllable error rate", "tones left out"]


def test_order_does_not_matter(sides: tuple[Run, Run]) -> None:
    first, second = sides
    assert compare(first, replace(second, heard=second.heard[::-1])).rows == compare(first, second).rows


def test_characters_are_compared_where_both_have_them() -> None:
    a = run(
        "a",
        [heard("1", "ba1", "ba1", text="八", characters="八"), heard("2", "ba1", "ba1", text="巴", characters="八")],
    )
    b = run("b", [replace(one, characters="巴") for one in a.heard])
    last = compare(a, b).rows[-1]
    assert (last.name, last.first.total, last.second.total) == ("character error rate", 1, 1)
    without = run("b", [replace(one, characters=None) for one in a.heard])
    assert "character error rate" not in [row.name for row in compare(a, without).rows]


def test_words_say_who_is_better(sides: tuple[Run, Run]) -> None:
    text = in_words(compare(*sides))
    assert "B              b.json, beam" in text
    assert "  A            6.00 %  (30 of 500)" in text
    assert "  B minus A    -3.20 points" in text
    assert "B makes fewer errors" in text
    assert "A makes fewer errors" in in_words(compare(*sides[::-1]))
    assert "p-value      1.0000: as many errors in both" in in_words(compare(sides[0], sides[0]))
    few = [run(side.name, [one for one in side.heard if one.utterance.id < "u14"]) for side in sides]
    assert "the difference may be chance" in in_words(compare(*few))
    assert text.isascii()  # any terminal can print it


def test_page_shows_both_and_fetches_nothing(sides: tuple[Run, Run]) -> None:
    page = comparison_page(compare(*sides))
    assert "://" not in page
    assert page.count("<article>") == 20
    assert "B is better in 18\N{NO-BREAK SPACE}sentences and worse in 2: B makes fewer errors." in page
    assert "Where they differ" not in comparison_page(compare(sides[0], sides[0]))


def test_what_data_says_is_text() -> None:
    evil = '"><script>alert(1)</script>'
    side = run(evil, [heard(evil, "ba1", "", speaker=evil, text=evil), heard("b", "ba1", "ba1")])
    other = replace(side, heard=(replace(side.heard[0], syllables=("ba1",)), side.heard[1]))
    page = comparison_page(compare(side, other))
    assert page.count("<script>") == 1
    assert "alert(1)" in page


def test_other_utterances_are_refused(sides: tuple[Run, Run]) -> None:
    first, second = sides
    with pytest.raises(DataError, match=r"b\.json: has no utterance 'u99' \(1 in only one of the two\)"):
        compare(first, replace(second, heard=second.heard[1:]))
    with pytest.raises(DataError, match=r"a\.json: has no utterance"):
        compare(replace(first, heard=first.heard[1:]), second)
    other = replace(second.heard[0], utterance=replace(second.heard[0].utterance, pinyin=("yi1",)))
    with pytest.raises(DataError, match=r"b\.json: utterance 'u99' has another reference than in a\.json"):
        compare(first, replace(second, heard=(other, *second.heard[1:])))
    with pytest.raises(DataError, match=r"a\.json: utterance 'u0' occurs twice"):
        compare(replace(first, heard=(first.heard[0], *first.heard)), second)


BROKEN = {
    "": "cannot be read as JSON",
    "{": "cannot be read as JSON",
    "[]": "holds no JSON object",
    '{"edits": 3}': "has no 'results'",
    '{"results": [], "name": "x", "manifest": "m"}': "has no 'decoder'",
    '{"results": [{"id": "a"}], "name": "x", "manifest": "m", "decoder": "greedy"}': "has no 'seconds'",
    '{"results": 3, "name": "x", "manifest": "m", "decoder": "greedy"}': "no results of an evaluation",
    '{"results": [3], "name": "x", "manifest": "m", "decoder": "greedy"}': "no results of an evaluation",
    '{"results": [], "name": "x", "manifest": "m", "decoder": "greedy"}': "every 'reference' is empty",
    "[" * 100_000: "cannot be read as JSON",
}
ENTRY = {"id": "a", "seconds": 1.0, "reference": "yi1", "hypothesis": "yi1"}
BROKEN |= {
    json.dumps({"results": [ENTRY | wrong], "name": "x", "manifest": "m", "decoder": "greedy"}): sentence
    for wrong, sentence in (
        ({"id": ["a"]}, r"'id' cannot be \['a'\]"),
        ({"seconds": "1"}, "'seconds' cannot be 1"),
        ({"seconds": True}, "'seconds' cannot be True"),
        ({"hypothesis": 3}, "'hypothesis' cannot be 3"),
        ({"reference": [1]}, r"'reference' cannot be \[1\]"),
        ({"snr_db": "loud"}, "'snr_db' cannot be loud"),
        ({"speaker": {}}, "'speaker' cannot be {}"),
        ({"reference": ""}, "every 'reference' is empty"),
    )
}


@pytest.mark.parametrize("content", BROKEN)
def test_files_that_eval_did_not_write(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DataError, match=BROKEN[content]) as caught:
        read_run(path)
    assert str(caught.value).startswith(str(path))
    assert "eval --json" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_run(tmp_path / "x.json")
    with pytest.raises(DataError, match="is a directory"):
        read_run(tmp_path)


def test_the_command_compares_files(
    sides: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, side in zip(("a.json", "b.json"), sides, strict=True):
        write(Path(name), side)
    evaluation.main(["--compare", "a.json", "b.json", "--json", "c.json", "--report", "c.html"])
    output = capsys.readouterr().out
    assert in_words(compare(*sides)) in output
    assert output.splitlines()[-1] == "report: c.html"
    assert json.loads(Path("c.json").read_text())["rates"][0]["worse"] == 2
    assert Path("c.html").read_text(encoding="utf-8") == comparison_page(compare(*sides))


def test_the_command_compares_files_without_mindspore(sides: tuple[Run, Run], tmp_path: Path) -> None:
    for name, side in zip(("a.json", "b.json"), sides, strict=True):
        write(tmp_path / name, side)
    program = "import sys, dfcnn_ms.eval as e; e.main(['--compare', 'a.json', 'b.json'])"
    program += "; assert 'mindspore' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "B makes fewer errors" in done.stdout


def test_flags_that_a_comparison_does_not_hear(sides: tuple[Run, Run], tmp_path: Path) -> None:
    paths = [str(write(tmp_path / f"{side.name}", side)) for side in sides]
    with pytest.raises(ConfigError, match="--all"):
        evaluation.main(["--compare", *paths, "--all"])
