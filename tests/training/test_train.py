"""Training, evaluation and transcription through the commands, on a corpus so small that it takes seconds."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import yaml

from dfcnn_ms import eval as evaluation
from dfcnn_ms import plot, train, transcribe
from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import read_manifest, write_manifest
from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.errors import DataError, DfcnnError
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.training import trainer
from dfcnn_ms.training.run_folder import new_run

TINY = [
    "model.blocks=[{channels: 8, convs: 1, stride: [2, 2], pool: [2, 2]}, {channels: 12, convs: 1, pool: [1, 2]}]",
    "model.hidden=[8]",
    "train.epochs=2",
    "train.buckets=1",
    "train.batch_size=8",
    "train.summary_every=2",
]
#: where the mode does not matter: nothing has to be compiled
LINE_BY_LINE = "train.mode=pynative"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    prepare(folder, "digits", train=20, dev=6, test=5, workers=1, progress=False)
    return folder


def overrides(corpus: Path, *more: str) -> list[str]:
    splits = [f"data.{split}={corpus / split}.jsonl" for split in ("train", "dev", "test")]
    return [*splits, *TINY, *more]


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory) -> Path:
    """A folder in which two epochs were trained by the command."""
    folder = tmp_path_factory.mktemp("run")
    logging.getLogger("dfcnn_ms").setLevel(logging.INFO)
    arguments = ["--device_target", "CPU", "--summary-base-dir", str(folder / "summary")]
    train.main([*arguments, "--ckpt", str(folder / "dfcnn.ckpt"), *overrides(corpus)])
    return folder


@pytest.mark.slow
def test_the_run_folder_says_what_was_run_and_how_it_went(trained, corpus):
    run = trained / "summary" / "digits"
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert [epoch["step"] for epoch in epochs] == [3, 6]  # 20 utterances in batches of 8
    assert load_config("digits", overrides(corpus)) == load_config(str(run / "config.yaml"))
    assert json.loads((run / "environment.json").read_text())["mindspore"] == ms.__version__
    assert "dev syllable error" in (run / "log.txt").read_text()
    assert sorted(file.name for file in (run / "checkpoints").iterdir()) == ["best.ckpt", "last-2.ckpt", "last.ckpt"]


@pytest.mark.slow
def test_the_rate_that_was_noted_is_that_of_the_schedule(trained):
    run = trained / "summary" / "digits"
    config = load_config(str(run / "config.yaml"))
    factors = config.train.schedule.factors(2, 3)
    noted = [json.loads(line)["learning_rate"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    # After the last step of an epoch the optimiser shows the rate of the next step, or the last of all.
    np.testing.assert_allclose(noted, config.train.rate * factors[[3, 5]], rtol=1e-6)


@pytest.mark.slow
def test_dev_error_in_training_is_that_of_the_recognizer_afterwards(trained, corpus):
    stored = checkpoint.load(trained / "dfcnn.ckpt")
    recognizer = Recognizer.load(trained / "dfcnn.ckpt", "CPU")
    dev = read_manifest(corpus / "dev.jsonl")
    total = sum((edits(one.pinyin, recognizer.transcribe(one.path).syllables) for one in dev), Edits())
    assert stored.meta.metrics["dev_syllable_error_rate"] == pytest.approx(total.rate)


@pytest.mark.slow
def test_eval_finds_its_test_set_from_another_folder_and_its_figures_add_up(
    trained, corpus, tmp_path, monkeypatch, capsys
):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "moved.ckpt").write_bytes((trained / "dfcnn.ckpt").read_bytes())
    monkeypatch.chdir(moved)
    evaluation.main(["--ckpt", "moved.ckpt", "--json", "r.json", "--all"])
    figures = json.loads((moved / "r.json").read_text())
    assert list(figures)[:7] == [
        "syllable_error_rate", "edits", "substitutions", "deletions", "insertions", "reference_length", "utterances",
    ]  # fmt: skip
    assert figures["edits"] == figures["substitutions"] + figures["deletions"] + figures["insertions"]
    assert figures["syllable_error_rate"] == figures["edits"] / figures["reference_length"]
    test_set = read_manifest(corpus / "test.jsonl")
    assert figures["utterances"] == len(test_set)
    assert figures["reference_length"] == sum(len(one.pinyin) for one in test_set)
    output = capsys.readouterr().out
    assert all(one.id in output for one in test_set)


@pytest.mark.slow
def test_eval_says_which_syllable_the_network_cannot_write(trained, corpus, tmp_path):
    utterances = read_manifest(corpus / "test.jsonl")
    foreign = [*utterances[:2], replace(utterances[2], pinyin=("ni3",))]
    write_manifest(tmp_path / "foreign.jsonl", foreign)
    arguments = ["--ckpt", str(trained / "dfcnn.ckpt"), "--manifest", str(tmp_path / "foreign.jsonl")]
    with pytest.raises(DataError, match=r"foreign\.jsonl:3: unit 'ni3'"):
        evaluation.main(arguments)
    evaluation.main([*arguments, "--allow-unknown"])


@pytest.mark.slow
def test_transcribe_prints_one_line_for_each_file(trained, corpus, capsys):
    files = [str(one.path) for one in read_manifest(corpus / "test.jsonl")[:2]]
    transcribe.main(["--ckpt", str(trained / "dfcnn.ckpt"), *files])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == files


@pytest.mark.slow
def test_heard_in_a_batch_as_alone(trained, corpus):
    from dfcnn_ms.corpora.manifest import read_utterance

    recognizer = Recognizer.load(trained / "dfcnn.ckpt", "CPU")
    waves = [read_utterance(one) for one in read_manifest(corpus / "test.jsonl")]
    together = recognizer.hear(waves)
    for wave, transcript in zip(waves, together, strict=True):
        alone = recognizer.hear([wave])[0]
        assert alone.syllables == transcript.syllables
        np.testing.assert_allclose(alone.confidences, transcript.confidences, atol=1e-5)
        assert alone.log_prob == pytest.approx(transcript.log_prob, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["FILE"], ["FILE", "--ckpt", "CKPT"], ["--batch"]])
def test_plot_draws(trained, corpus, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    page = load_config("digits", overrides(corpus)).to_yaml()
    Path("page.yaml").write_text(page)
    names = {"FILE": str(read_manifest(corpus / "test.jsonl")[0].path), "CKPT": str(trained / "dfcnn.ckpt")}
    plot.main([*(names.get(word, word) for word in arguments), "--config", "page.yaml", "--out", "p.png"])
    from matplotlib.image import imread

    picture = imread("p.png")
    assert picture.shape[1] > 500
    assert picture[..., :3].std() > 0.1


@pytest.mark.long
@pytest.mark.slow
def test_two_runs_with_one_seed_are_one_run_and_line_by_line_the_same_is_learnt(corpus, tmp_path):
    """The second in sink mode and looking on seldom, which must change nothing; the third, not compiled, rounds.

    Without the coach, which also says how long was waited for the loader.
    """
    for name, *changes in (
        ("a", "train.sink=false"),
        ("b", "train.sink=true", "train.read_every=5"),
        ("c", LINE_BY_LINE),
    ):
        config = load_config("digits", overrides(corpus, "model.dropout=0.3", "train.coach=off", *changes))
        trainer.train(config, device_target="CPU", run=tmp_path / name)
    first, second = (checkpoint.load(tmp_path / name / "checkpoints" / "last.ckpt").parameters for name in "ab")
    for key, value in first.items():
        np.testing.assert_array_equal(value.asnumpy(), second[key].asnumpy())
    noted = [(tmp_path / name / "metrics.jsonl").read_text() for name in "abc"]
    assert noted[0] == noted[1]
    compiled, by_line = (json.loads(text.splitlines()[0])["train_loss"] for text in noted[1:])
    assert by_line == pytest.approx(compiled, rel=1e-4)


@pytest.mark.slow
def test_nan_stops_training_with_step_and_utterances_and_harms_no_weight(corpus, tmp_path):
    config = load_config(
        "digits",
        overrides(
            corpus, "train.rate=1000", "train.clip_norm=0", "train.optimizer=sgd", "train.epochs=9", LINE_BY_LINE
        ),
    )
    with pytest.raises(DfcnnError, match=r"step \d+ \(epoch \d\): .*not finite.*digits-train-\d+"):
        trainer.train(config, device_target="CPU", run=tmp_path / "run")


@pytest.mark.slow
def test_a_sound_file_that_breaks_while_training_is_named_with_its_line(corpus, tmp_path):
    utterances = read_manifest(corpus / "train.jsonl")
    broken = tmp_path / "broken.flac"
    broken.write_bytes(utterances[4].path.read_bytes()[:3000])
    write_manifest(tmp_path / "train.jsonl", [*utterances[:4], replace(utterances[4], audio=str(broken))])
    changes = ["data.cache=false", f"data.train={tmp_path / 'train.jsonl'}", LINE_BY_LINE]
    with pytest.raises(DataError, match=r"train\.jsonl:5: .*broken\.flac: .*truncated"):
        trainer.train(load_config("digits", overrides(corpus, *changes)), device_target="CPU", run=tmp_path / "run")


@pytest.mark.slow
def test_early_stopping_and_plateau_act_on_the_dev_error(corpus, tmp_path):
    # At this rate nothing is learnt, and with this bias nothing is written: the first epoch stays the best.
    schedule = "train.schedule={kind: plateau, patience: 1, factor: 0.25}"
    still = ["train.rate=1e-12", "train.blank_bias=20", "train.epochs=9", "train.early_stopping=3", LINE_BY_LINE]
    config = load_config("digits", overrides(corpus, schedule, *still))
    trainer.train(config, device_target="CPU", run=tmp_path / "run")
    epochs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = np.array([epoch["learning_rate"] for epoch in epochs]) / 1e-12
    np.testing.assert_allclose(rates, [1, 1, 0.25, 0.0625], rtol=1e-4)


@pytest.mark.slow
def test_save_every_keeps_epochs(corpus, tmp_path):
    config = load_config(
        "digits", overrides(corpus, "train.save_every=2", "train.epochs=3", "cmvn=global", LINE_BY_LINE)
    )
    result = trainer.train(config, device_target="CPU", run=tmp_path / "run")
    kept = sorted(file.name for file in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["best.ckpt", "epoch002.ckpt", "last-2.ckpt", "last.ckpt"]
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "epoch002.ckpt").meta.epoch == 2
    assert checkpoint.load(result.best).meta.cmvn is not None


def test_a_second_run_gets_a_folder_of_its_own(tmp_path):
    assert new_run(tmp_path, "digits") == tmp_path / "digits"
    (tmp_path / "digits").mkdir()
    assert new_run(tmp_path, "digits") == tmp_path / "digits-2"


def test_a_resolved_page_is_yaml(corpus):
    assert yaml.safe_load(load_config("digits", overrides(corpus)).to_yaml())["train"]["epochs"] == 2
