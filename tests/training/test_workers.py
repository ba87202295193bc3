"""Several processes that train together: their shares, their sums, and that they learn what one alone would learn."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.corpora.manifest import read_manifest
from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.batches import FILLER, BatchSource
from dfcnn_ms.training.corpus import open_corpus
from dfcnn_ms.training.plan import plan_batches
from dfcnn_ms.training.workers import Workers, expected, only_arranges

UTTERANCES = 45  # no multiple of a batch: the last one has fillers


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    prepare(folder, "digits", train=UTTERANCES, dev=7, test=2, workers=1, progress=False)
    return folder


@pytest.mark.parametrize("workers", [2, 3])
def test_shares_are_the_rows_of_the_whole_batch_and_nobody_has_the_same(corpus, workers):
    utterances = read_manifest(corpus / "train.jsonl")
    vocabulary = Vocabulary.build(one.pinyin for one in utterances)
    labels = [vocabulary.encode(one.pinyin) for one in utterances]
    opened = open_corpus(utterances, labels, Frontend(LogMel(n_mels=20)))
    frames = [opened.frames(index) for index in range(len(opened))]
    whole = BatchSource(opened, plan_batches(frames, 2 * workers, 2, shuffle=True, seed=1))
    shares = [whole.share(rank, workers) for rank in range(workers)]
    seen = 0
    for batch in whole.plan(3):
        arrays = whole.arrays(batch, 3)
        parts = [share.arrays(batch, 3) for share in shares]
        for rank, part in enumerate(parts):
            for all_rows, rows in zip(arrays, part, strict=True):
                np.testing.assert_array_equal(rows, all_rows[rank::workers])
            seen += int((part[3] != FILLER).sum())
    assert seen == len(utterances)
    assert len({len(share) for share in shares}) == 1


def test_the_environment_says_who_we_are(monkeypatch):
    for name in ("MS_ROLE", "RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE", "MS_WORKER_NUM", "MS_NODE_ID"):
        monkeypatch.delenv(name, raising=False)
    assert expected() == Workers(0, 1)
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    monkeypatch.setenv("MS_WORKER_NUM", "8")
    monkeypatch.setenv("RANK_ID", "5")
    assert expected() == Workers(5, 8) and not expected().is_first
    assert not only_arranges()
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    monkeypatch.delenv("RANK_ID")
    assert expected().count == 1 and only_arranges()


def test_alone_sums_are_what_was_given():
    assert Workers().sum([3, 0.25]) == [3, 0.25]


# The real thing: processes started by MindSpore's own msrun.

# Rounding now and then lets a ReLU or a max-pool decide otherwise, and gradients jump there: with short steps that
# stays far below the tolerance, and a wrong gradient does not (local batch norms: see docs/training.md).
SETTINGS = [
    "model.blocks=[{channels: 4, convs: 1, stride: [2, 2], pool: [1, 1]}, {channels: 6, convs: 1, pool: [2, 2]}]",
    "model.hidden=[8]", "model.dropout=0", "augment.features=[]", "train.buckets=1", "train.save_every=1",
    "train.optimizer=sgd", "train.rate=0.0001", "train.schedule={kind: constant, warmup_epochs: 0}",
    "train.batch_norm=synchronised", "train.coach=off",
]  # fmt: skip
EPOCHS = 3


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(corpus: Path, folder: Path, run: str, workers: int, *more: str) -> subprocess.Popen[str]:
    """A training in processes of its own."""
    splits = [f"data.{split}={corpus / split}.jsonl" for split in ("train", "dev", "test")]
    outputs = ["--device_target", "CPU", "--ckpt", str(folder / f"{run}.ckpt")]
    outputs += ["--summary-base-dir", str(folder), "--run", run]
    training = [sys.executable, "-m", "dfcnn_ms.train", *outputs, *splits, *SETTINGS, *more]
    if workers > 1:
        msrun = Path(sys.executable).with_name("msrun")
        job = [str(msrun), f"--worker_num={workers}", f"--local_worker_num={workers}"]
        job += [f"--master_port={free_port()}", f"--log_dir={folder / 'log'}", "--join=True"]
        training = [*job, "python", *training[1:]]
    # msrun starts the `python` that is first on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "GLOG_v": "3"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(training, env=environment, text=True, start_new_session=True, **output)


def said_by(job: subprocess.Popen[str]) -> str:
    """The end of what a job has said; it is killed, with all that it started, if it is still running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    return job.communicate()[0][-4000:]


def parameters(folder: Path, run: str) -> dict[str, np.ndarray]:
    stored = checkpoint.load(folder / run / "checkpoints" / f"epoch{EPOCHS:03d}.ckpt").weights
    return {name: value.asnumpy().astype(np.float64) for name, value in stored.items()}


def metrics(folder: Path, run: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()[:EPOCHS]]


@pytest.mark.long
@pytest.mark.slow
def test_two_workers_with_half_the_batch_learn_what_one_learns_with_all_of_it(corpus, tmp_path):
    """And one that dies ends their job: it is killed when three epochs are over."""
    job = start(corpus, tmp_path, "two", 2, "train.batch_size=3", "train.epochs=2000")
    alone = start(corpus, tmp_path, "one", 1, "train.batch_size=6", f"train.epochs={EPOCHS}")
    said, _ = alone.communicate(timeout=400)
    assert alone.returncode == 0, said[-4000:]
    end = time.monotonic() + 400
    while not (tmp_path / "two" / "metrics.jsonl").exists() or len(metrics(tmp_path, "two")) < EPOCHS:
        assert job.poll() is None and time.monotonic() < end, said_by(job)
        time.sleep(0.1)
    os.kill(worker(tmp_path, 1), signal.SIGKILL)
    died = time.monotonic()
    said, _ = job.communicate(timeout=120)
    assert job.returncode != 0
    assert time.monotonic() - died < 60
    assert "rank" in said.lower() or "worker" in said.lower()

    state = checkpoint.load(tmp_path / "two" / "checkpoints" / "last.ckpt")  # it can go on from here
    assert state.meta.training is not None and state.meta.training["workers"] == 2
    assert metrics(tmp_path, "one")[-1]["step"] >= 20
    one, two = parameters(tmp_path, "one"), parameters(tmp_path, "two")
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    for by_one, by_two in zip(metrics(tmp_path, "one"), metrics(tmp_path, "two"), strict=True):
        assert by_two["train_loss"] == pytest.approx(by_one["train_loss"], rel=1e-4)
        for figure in ("dev_syllable_error_rate", "dev_deletions", "dev_insertions", "blank_fraction"):
            assert by_two[figure] == pytest.approx(by_one[figure], abs=1e-6), figure
        assert by_two["entropy"] == pytest.approx(by_one["entropy"], rel=1e-3)
    first, second = ((tmp_path / "log" / f"worker_{rank}.log").read_text() for rank in (0, 1))
    assert "2 workers on CPU" in first
    assert len(re.findall(r"^epoch +1/2000", first, re.MULTILINE)) == 1
    assert not re.search(r"^epoch +1/2000", second, re.MULTILINE)  # only the first one talks
    # The scheduler is nobody's first worker, and has written nothing. Who is killed leaves the file of its lock.
    assert sorted(path.name for path in tmp_path.iterdir()) == [".two.lock", "log", "one", "one.ckpt", "two"]


def worker(folder: Path, rank: int) -> int:
    """The process of a rank, found by its environment."""
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        mine = str(folder / "two.ckpt").encode() in arguments and b"dfcnn_ms.train" in arguments
        if mine and f"RANK_ID={rank}".encode() in variables and b"MS_ROLE=MS_WORKER" in variables:
            return int(entry.name)
    raise AssertionError(f"no process of rank {rank}")
