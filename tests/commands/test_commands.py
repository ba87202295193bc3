"""Every command as a stranger uses it: help, wrong files, wrong flags; one sentence and exit code 2."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms import cli
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.config import load_config
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.text.vocabulary import Vocabulary

COMMANDS = (
    "train", "eval", "transcribe", "plot", "prepare", "demo", "align", "calibrate", "doctor", "average", "ngram",
    "hanzi", "pack", "adapt", "box",
)  # fmt: skip


def run(capsys, monkeypatch, command: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, run in this process as `python -m` would."""
    module = importlib.import_module(f"dfcnn_ms.{command}")
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: module.main(list(arguments)))
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with one good file of each sort and some bad ones."""
    files = tmp_path_factory.mktemp("files")
    wave = 0.1 * np.sin(np.arange(16_000) / 10).astype(np.float32)
    write_wave(files / "good.wav", wave)
    (files / "text.wav").write_text("this is text\n")
    (files / "empty.wav").touch()
    (files / "cut.wav").write_bytes((files / "good.wav").read_bytes()[:9000])
    (files / "a_folder").mkdir()
    (files / "empty.jsonl").touch()
    (files / "gone.jsonl").write_text('{"id": "a", "audio": "gone.wav", "seconds": 1, "pinyin": "yi1"}\n')
    (files / "good.jsonl").write_text('{"id": "a", "audio": "good.wav", "seconds": 1, "pinyin": "yi1"}\n')
    shutil.copy(files / "good.jsonl", files / "other.jsonl")
    (files / "silent.jsonl").write_text('{"id": "a", "audio": "good.wav", "seconds": 1, "pinyin": ""}\n')
    shutil.copy(files / "good.wav", files / "-dash.wav")
    shutil.copy(files / "good.wav", files / "sound.ctm")
    (files / "words.txt").write_text("yi1\n")
    for name in ("link.png", "link.arpa"):
        (files / name).symlink_to("words.txt")
    config = load_config("digits", ["model.hidden=[4]", "data.test=never.jsonl"])
    vocabulary = Vocabulary(("yi1",))
    network = config.model.build(num_bins=40, num_units=len(vocabulary))
    meta = Meta(config, vocabulary, manifests={"test": "/never.jsonl"})
    checkpoint.save(files / "good.ckpt", network, meta)
    (files / "cut.ckpt").write_bytes((files / "good.ckpt").read_bytes()[:5000])
    return files


@pytest.fixture
def folder(files, tmp_path, monkeypatch) -> Path:
    """A copy of these files, to stand in."""
    shutil.copytree(files, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


HELP = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"dfcnn_ms.{name}").main(["--help"])
    except SystemExit as left:
        assert left.code == 0, name
    assert "mindspore" not in sys.modules, name
    print(end="\\f")
"""


def test_every_help_ends_with_an_example_and_costs_no_mindspore():
    """One fresh process asks them all, because each start takes a second."""
    done = subprocess.run([sys.executable, "-c", HELP, *COMMANDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *pages, rest = done.stdout.split("\f")
    assert not rest
    for command, page in zip(COMMANDS, pages, strict=True):
        assert page.rstrip().splitlines()[-1].strip().startswith(f"python -m dfcnn_ms.{command}")


TRAIN = ("train", "data.train=good.jsonl", "data.dev=other.jsonl")
BAD = {
    "no config": (("train", "--config", "nowhere.yaml"), "nowhere.yaml: no such configuration"),
    "a folder as config": (("train", "--config", "a_folder"), "a_folder: is a directory"),
    "misspelt key": (("train", "train.epoch=3"), "did you mean 'epochs'?"),
    "wrong type": (("train", "train.epochs=many"), "train.epochs: got 'many', wanted a whole number"),
    "unknown flag": (("train", "--devise", "CPU"), "see python -m dfcnn_ms.train --help"),
    "unknown device": (("train", "--device_target", "TPU"), "invalid choice: 'TPU'"),
    "no gpu": ((*TRAIN, "--device_target", "GPU"), "go on with --device_target CPU"),
    "no ascend": ((*TRAIN, "--device_target", "Ascend"), "go on with --device_target CPU"),
    "empty manifest": ((*TRAIN, "data.train=empty.jsonl"), "empty.jsonl: the manifest is empty"),
    "missing manifest, no recipe": (
        ("train", "data.train=no.jsonl", "data.recipe=null"),
        "no.jsonl: no such manifest",
    ),
    "unknown recipe": (
        ("train", "data.train=x/train.jsonl", "data.dev=x/dev.jsonl", "data.recipe.corpus=foo"),
        "unknown corpus 'foo'",
    ),
    "a manifest that no recipe makes": (
        ("train", "data.train=x/mine.jsonl"),
        "x/mine.jsonl: no such manifest, and data.recipe would make x/train.jsonl",
    ),
    "a folder as manifest": (("train", "data.train=a_folder"), "a_folder: is a directory; give a manifest file"),
    "run with a path": ((*TRAIN, "--run", "../x"), "--run ../x: wanted a plain name"),
    "summaries into a file": ((*TRAIN, "--summary-base-dir", "text.wav"), "text.wav: is a file, wanted a folder"),
    "manifest with a missing file": ((*TRAIN, "data.train=gone.jsonl"), "gone.jsonl:1: audio file"),
    "ckpt is a folder": (("train", "--ckpt", "a_folder.ckpt/x"), "wanted a name that ends in .ckpt"),
    "ckpt in no folder": (("train", "--ckpt", "nowhere/x.ckpt"), "the folder nowhere does not exist"),
    "too few bins": ((*TRAIN, "features.n_mels=3"), "pool less over frequency"),
    "eval: no checkpoint": (("eval", "--ckpt", "no.ckpt"), "no.ckpt: no such checkpoint"),
    "eval: truncated": (("eval", "--ckpt", "cut.ckpt"), "cut.ckpt: cannot be read"),
    "eval: folder": (("eval", "--ckpt", "a_folder"), "a_folder: is a directory"),
    "eval: forgotten test set": (
        ("eval", "--ckpt", "good.ckpt"),
        "the test set it remembers, /never.jsonl, is not",
    ),
    "eval: empty manifest": (
        ("eval", "--ckpt", "good.ckpt", "--manifest", "empty.jsonl"),
        "the manifest is empty",
    ),
    "eval: missing file": (
        ("eval", "--ckpt", "good.ckpt", "--manifest", "gone.jsonl"),
        "gone.jsonl:1: audio file",
    ),
    "eval: json into a folder": (
        ("eval", "--ckpt", "good.ckpt", "--json", "a_folder"),
        "a_folder: is a directory",
    ),
    "transcribe: no file": (
        ("transcribe", "--ckpt", "good.ckpt"),
        "the following arguments are required: FILE",
    ),
    "transcribe: missing": (("transcribe", "--ckpt", "good.ckpt", "no.wav"), "no.wav: no such file"),
    "transcribe: text": (("transcribe", "--ckpt", "good.ckpt", "text.wav"), "text.wav: not an audio file"),
    "transcribe: empty": (("transcribe", "--ckpt", "good.ckpt", "empty.wav"), "empty.wav: empty file"),
    "transcribe: cut": (("transcribe", "--ckpt", "good.ckpt", "cut.wav"), "cut.wav: truncated"),
    "transcribe: a dash": (
        ("transcribe", "--ckpt", "good.ckpt", "-dash.wav"),
        "begins with a dash is written ./-dash.wav",
    ),
    "train: dev is train": ((*TRAIN, "data.dev=good.jsonl"), "data.dev good.jsonl: is what is trained on"),
    "train: out is init": ((*TRAIN, "--init", "good.ckpt", "--ckpt", "good.ckpt"), "would be written over good.ckpt"),
    "eval: json is the manifest": (
        ("eval", "--ckpt", "good.ckpt", "--manifest", "good.jsonl", "--json", "good.jsonl"),
        "--json good.jsonl: would be written over good.jsonl, which is read; give another",
    ),
    "eval: json is the checkpoint": (
        ("eval", "--ckpt", "good.ckpt", "--json", "./good.ckpt"),
        "--json good.ckpt: would be written over good.ckpt",
    ),
    "eval: report is a model": (
        ("eval", "--ckpt", "good.ckpt", "--hotwords", "words.txt", "--report", "a_folder/../words.txt"),
        "would be written over words.txt",
    ),
    "eval: report is what is compared": (
        ("eval", "--compare", "good.ckpt", "words.txt", "--report", "words.txt"),
        "--report words.txt: would be written over words.txt",
    ),
    "eval: two outputs": (
        ("eval", "--ckpt", "good.ckpt", "--json", "new", "--report", "./new"),
        "--report new: --json new is the same file",
    ),
    "eval: nothing is said": (
        ("eval", "--ckpt", "good.ckpt", "--manifest", "silent.jsonl"),
        "silent.jsonl: nothing is said in it",
    ),
    "average: out is one of them": (
        ("average", "good.ckpt", "cut.ckpt", "--out", "cut.ckpt"),
        "--out cut.ckpt: would be written over cut.ckpt",
    ),
    "align: out is the manifest": (
        ("align", "--ckpt", "good.ckpt", "--manifest", "good.jsonl", "--out", "good.jsonl"),
        "--out good.jsonl: would be written over good.jsonl",
    ),
    "align: out is the text": (
        ("align", "--ckpt", "good.ckpt", "--audio", "good.wav", "--text", "@words.txt", "--out", "words.txt"),
        "--out words.txt: would be written over words.txt",
    ),
    "align: out is the sound": (
        ("align", "--ckpt", "good.ckpt", "--audio", "sound.ctm", "--text", "yi1", "--out", "sound.ctm"),
        "--out sound.ctm: would be written over sound.ctm",
    ),
    "calibrate: picture is the manifest": (
        ("calibrate", "--ckpt", "good.ckpt", "--manifest", "link.png", "--picture", "link.png"),
        "--picture link.png: would be written over link.png",
    ),
    "plot: out is the sound": (("plot", "link.png", "--out", "./link.png"), "would be written over link.png"),
    "plot: a version is the sound": (
        ("plot", "good.wav", "--augment", "1", "--wavs", "."),
        "--wavs good.wav: would be written over",
    ),
    "ngram: out is the text": (
        ("ngram", "train", "--text", "link.arpa", "--out", "link.arpa"),
        "--out link.arpa: would be written over link.arpa",
    ),
    "ngram: out is the manifest": (
        ("ngram", "train", "--manifest", "good.jsonl", "link.arpa", "--out", "link.arpa"),
        "--out link.arpa: would be written over link.arpa",
    ),
    "ngram: out is the model": (
        ("ngram", "prune", "--lm", "link.arpa", "--threshold", "1e-7", "--out", "link.arpa"),
        "--out link.arpa: would be written over link.arpa",
    ),
    "ngram: converted onto itself": (
        ("ngram", "convert", "--lm", "link.arpa", "--out", "a_folder/../link.arpa"),
        "would be written over link.arpa",
    ),
    "hanzi: out is the text": (
        ("hanzi", "train", "--text", "good.jsonl", "words.txt", "--out", "words.txt"),
        "--out words.txt: would be written over words.txt",
    ),
    "transcribe: folder": (("transcribe", "--ckpt", "good.ckpt", "a_folder"), "a_folder: is a directory"),
    "plot: nothing": (("plot",), "give either one sound file or --batch"),
    "plot: both": (("plot", "good.wav", "--batch"), "give either one sound file or --batch"),
    "plot: nowhere": (("plot", "good.wav", "--out", "nowhere/p.png"), "the folder nowhere does not exist"),
    "plot: no such format": (("plot", "good.wav", "--out", "p.xyz"), "ends in .png or .svg or .pdf"),
    "align: nothing": (("align",), "give either --audio and --text, or --manifest"),
    "align: no checkpoint": (
        ("align", "--ckpt", "no.ckpt", "--audio", "good.wav", "--text", "yi1"),
        "no.ckpt: no such checkpoint",
    ),
    "align: never trained": (
        ("align", "--ckpt", "good.ckpt", "--audio", "good.wav", "--text", "ma3"),
        "unit 'ma3' is not one of",
    ),
    "calibrate: forgotten dev set": (
        ("calibrate", "--ckpt", "good.ckpt"),
        "remembers no dev set; give one with --manifest",
    ),
    "calibrate: truncated": (("calibrate", "--ckpt", "cut.ckpt"), "cut.ckpt: cannot be read"),
    "train: resume of nothing": (("train", "--resume", "no_run"), "no_run: no such run"),
    "train: resume of a folder": (("train", "--resume", "a_folder"), "before its first state was saved"),
    "train: begin with nothing": ((*TRAIN, "--init", "no.ckpt"), "no.ckpt: no such checkpoint"),
    "train: no such layer": ((*TRAIN, "train.freeze=[block]"), "did you mean 'blocks'?"),
    "average: nothing": (("average",), "give either checkpoints or --run"),
    "average: another network": (("average", "good.ckpt", "cut.ckpt"), "cut.ckpt: cannot be read"),
    "average: a run that kept none": (("average", "--run", "a_folder"), "wanted at least 2 to average"),
    "adapt: no manifest": (("adapt", "--ckpt", "good.ckpt", "--manifest", "no.jsonl"), "no.jsonl: no such manifest"),
    "adapt: truncated": (("adapt", "--ckpt", "cut.ckpt", "--manifest", "good.jsonl"), "cut.ckpt: cannot be read"),
    "adapt: one recording": (("adapt", "--ckpt", "good.ckpt", "--manifest", "good.jsonl"), "leaves 0 recordings"),
    "adapt: out is there": (
        ("adapt", "--ckpt", "good.ckpt", "--manifest", "good.jsonl", "--out", "cut.ckpt"),
        "--out cut.ckpt: is there already",
    ),
    "pack: missing file": (("pack", "gone.jsonl"), "gone.jsonl:1: audio file"),
    "pack: empty": (("pack", "empty.jsonl"), "the manifest is empty"),
    "eval: no model": (("eval", "--ckpt", "good.ckpt", "--lm", "no.bin"), "--lm no.bin: no such file"),
    "eval: no results": (("eval", "--compare", "no.json", "good.ckpt"), "no.json: no such file"),
    "eval: text as results": (("eval", "--compare", "text.wav", "good.ckpt"), "text.wav: cannot be read as JSON"),
    "transcribe: two subtitles": (
        ("transcribe", "--ckpt", "good.ckpt", "--format", "srt", "good.wav", "good.wav"),
        "need --out FOLDER",
    ),
    "transcribe: out is a file": (
        ("transcribe", "--ckpt", "good.ckpt", "--out", "good.wav", "good.wav"),
        "is a file, wanted a folder",
    ),
    "doctor: wrong flag": (("doctor", "--operator"), "see python -m dfcnn_ms.doctor --help"),
    "doctor: no manifest": (("doctor", "data", "no.jsonl"), "no.jsonl"),
    "prepare: unknown": (("prepare", "thchs31", "--out", "x"), "invalid choice: 'thchs31'"),
    "demo: misspelt key": (("demo", "train.epoch=3"), "did you mean 'epochs'?"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_sentence_and_exit_code_2(folder, capsys, monkeypatch, name):
    (command, *arguments), sentence = BAD[name]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, err = run(capsys, monkeypatch, command, *arguments)
    assert code == cli.USER_ERROR
    assert sentence in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1, err
    assert {path: path.read_bytes() for path in before} == before


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(_: list[str] | None) -> None:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError):
        cli.run(broken)


@pytest.mark.long
@pytest.mark.slow
def test_the_demo_leaves_everything_it_promises(tmp_path):
    small = [
        "data.recipe.train=24",
        "data.recipe.dev=8",
        "data.recipe.test=8",
        "data.recipe.voices=espeak",
        "train.epochs=1",
        "train.buckets=1",
    ]
    done = subprocess.run([sys.executable, "-m", "dfcnn_ms.demo", *small], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("dfcnn.ckpt", "report.html", "spectrogram.png", "summary/numbers/metrics.jsonl"):
        assert (tmp_path / name).stat().st_size > 0
    assert done.stdout.count("  said ") >= 3
    assert "syllable error rate" in done.stdout
    assert "mindinsight start --summary-base-dir summary" in done.stdout


@pytest.mark.slow
def test_the_transcript_of_a_command_is_one_tab_separated_line(folder):
    done = subprocess.run(
        [sys.executable, "-m", "dfcnn_ms.transcribe", "--ckpt", "good.ckpt", "good.wav"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("good.wav\t")


def test_figures_are_json(tmp_path):
    from dfcnn_ms.corpora.manifest import Utterance
    from dfcnn_ms.evaluation.results import Heard
    from dfcnn_ms.evaluation.runs import Run, figures

    heard = (Heard(Utterance("a", "a.wav", 1.0, ("yi1", "er4")), ("yi1", "er4", "san1")),)
    assert json.loads(json.dumps(figures(Run("a", Path("a.jsonl"), heard)))) == {
        "syllable_error_rate": 0.5, "edits": 1, "substitutions": 0, "deletions": 0, "insertions": 1,
        "reference_length": 2, "utterances": 1,
    }  # fmt: skip
