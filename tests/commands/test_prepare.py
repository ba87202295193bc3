"""The command as a stranger types it: a page of help for each corpus, manifests, and one sentence when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import lines, put, sound, thchs30_archive

from dfcnn_ms import cli
from dfcnn_ms.corpora.recipes import RECIPES
from dfcnn_ms.prepare import main, parser


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: main(list(arguments)))
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("name", RECIPES)
def test_each_corpus_has_its_own_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, page, _ = run(capsys, name, "--help")
    assert code == 0
    flags = {line.split()[0] for line in page.splitlines() if line.startswith("  --")}
    own = {f"--{option.replace('_', '-')}" for option in RECIPES[name].options}
    assert flags == own | {"--out", "--pack", "--config"}
    for line in RECIPES[name].layout.splitlines():
        assert f"  {line}" in page.splitlines()
    assert page.rstrip().splitlines()[-1].startswith(f"  python -m dfcnn_ms.prepare {name} --")


def test_the_help_lists_every_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    _, page, _ = run(capsys, "--help")
    for name, recipe in RECIPES.items():
        assert name in page and recipe.about in page


@pytest.mark.parametrize("name", RECIPES)
def test_the_example_of_each_corpus_can_be_typed(name: str) -> None:
    """Its flags exist and its values are of the right types."""
    typed = vars(parser().parse_args([name, *RECIPES[name].example.split()]))
    for key, option in RECIPES[name].options.items():
        if typed[key] is not None:
            option.value(key, typed[key])


def test_manifests_stand_beside_a_public_corpus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    put(tmp_path / "data_thchs30.tgz", thchs30_archive())
    main(["thchs30", "--root", str(tmp_path)])
    assert len(lines(tmp_path / "train.jsonl")) == 2
    assert caplog.messages[-1].startswith(f"thchs30 corpus: train {tmp_path / 'train.jsonl'}, dev ")


def test_a_table_of_your_own(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    put(tmp_path / "mine.csv", "path,sentence,speaker\na.wav,重庆,ann\n")
    main(["csv", "--root", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "out"), "--dev", "0", "--test", "0"])
    assert lines(tmp_path / "out" / "train.jsonl")[0]["pinyin"] == "chong2 qing4"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "the following arguments are required: CORPUS"),
        (("thchs31",), "invalid choice: 'thchs31'"),
        (("thchs30",), "prepare thchs30: the following arguments are required: --root"),
        (("tsv", "--root", "x"), "the following arguments are required: --out"),
        (("synth",), "the following arguments are required: --out"),
        (
            ("thchs30", "--root", "nowhere"),
            "nowhere: no such folder; unpack data_thchs30.tgz there, or add --download",
        ),
        (
            ("thchs30", "--root", "nowhere", "--task", "digits"),
            "prepare thchs30: there is no --task; did you mean",
        ),
        (("fsdd", "--root", "nowhere", "--dev", "few"), "argument --dev: invalid int value: 'few'"),
        (("aishell", "--root", "a_file"), "--root a_file: is a file; give a folder"),
        (("csv", "--root", "a_file", "--out", "out"), "a_file:1: the header needs a column 'audio'"),
        (("aishell", "--root", "nowhere", "--out", "a_file"), "--out a_file: is a file; give a folder"),
        (("fsdd", "--root", "nowhere", "--wokers", "2"), "there is no --wokers; did you mean 'workers'?"),
        (("folder", "--root", "nowhere", "--out", "out"), "nowhere: no such folder"),
        (("all", "--root", "nowhere"), "nowhere: holds none of thchs30, aishell"),
        (("all", "--root", "nowhere", "--corpora", "all"), "there is no 'all' to merge"),
    ],
)
def test_bad_input_gets_one_sentence(
    capsys, monkeypatch, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a_file", "some text\n")
    code, _, err = run(capsys, *arguments)
    assert code == cli.USER_ERROR
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_what_training_reads_is_packed(tmp_path: Path, capsys, cpu: None) -> None:
    rows = "".join(f"{split}{n}\ta.wav\tni3\t{split}\n" for split in ("train", "dev", "test") for n in range(2))
    table = put(tmp_path / "mine" / "mine.tsv", f"id\taudio\ttext\tsplit\n{rows}")
    sound(table.with_name("a.wav"))
    main(["tsv", "--root", str(table), "--out", str(tmp_path / "out"), "--pack", "audio"])
    packs = [tmp_path / "out" / f"{split}.pack" for split in ("train", "dev")]
    assert sorted(tmp_path.glob("out/*.pack")) == sorted(packs)
    assert capsys.readouterr().out == f"packed: {packs[0]}, {packs[1]}; train with data.packed=true\n"
