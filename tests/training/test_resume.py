"""An interrupted training goes on as if nothing had happened: the same bits, the same figures, nothing lost."""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dfcnn_ms import train as command
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.corpora.manifest import read_manifest, write_manifest
from dfcnn_ms.corpora.synth import prepare
from dfcnn_ms.errors import CheckpointError, ConfigError, DfcnnError, Interrupted
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.training import interrupt, trainer
from dfcnn_ms.training.callbacks import Bookkeeper, SaveState
from dfcnn_ms.training.interrupt import Interrupt
from dfcnn_ms.training.run_folder import states

SETTINGS = [
    "model.blocks=[{channels: 4, convs: 1, stride: [2, 2], pool: [2, 2]}, {channels: 6, convs: 1, pool: [1, 2]}]",
    "model.hidden=[8]", "model.dropout=0.3", "train.epochs=3", "train.buckets=2", "train.batch_size=4",
    "train.save_steps=2", "train.ema=0.9", "train.mode=pynative", "train.summary_every=2", "train.gradient_report=1",
    "train.schedule={kind: plateau, patience: 1, warmup_epochs: 0}", "train.accumulate=2", "train.coach=off",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    prepare(folder, "digits", train=14, dev=4, test=2, workers=1, progress=False)
    return folder


def page(corpus: Path, *more: str) -> Config:
    splits = [f"data.{split}={corpus / split}.jsonl" for split in ("train", "dev", "test")]
    return load_config("digits", [*splits, *SETTINGS, *more])


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory) -> Path:
    """The run that nothing interrupts."""
    run = tmp_path_factory.mktemp("whole") / "run"
    trainer.train(page(corpus), device_target="CPU", run=run)
    return run


def last(run: Path) -> checkpoint.Checkpoint:
    return checkpoint.load(run / "checkpoints" / "last.ckpt")


def assert_same(run: Path, other: Path) -> None:
    ours, theirs = last(run), last(other)
    assert ours.parameters.keys() == theirs.parameters.keys()
    for name, parameter in ours.parameters.items():
        assert parameter.asnumpy().tobytes() == theirs.parameters[name].asnumpy().tobytes(), name
    for name in ("metrics.jsonl", "gradients.jsonl"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


class Died(Exception):  # noqa: N818 (not an error of the package)
    """Stands for a machine that dies."""


def die_at(monkeypatch: pytest.MonkeyPatch, cls: type, method: str, count: int) -> None:
    """Lets the process "die" when a callback's method is called for the ``count``-th time."""
    original = getattr(cls, method)
    calls = [0]

    def counted(self: object, *arguments: object) -> None:
        calls[0] += 1
        if calls[0] == count:
            raise Died
        original(self, *arguments)

    monkeypatch.setattr(cls, method, counted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "method", "count"),
    [
        (Bookkeeper, "on_train_step_end", 3),  # in the middle of the first epoch, between two states
        pytest.param(Bookkeeper, "on_train_step_end", 7, marks=pytest.mark.long),
        # Evaluated and written down, but not saved.
        pytest.param(SaveState, "on_train_epoch_end", 2, marks=pytest.mark.long),
    ],
)
def test_a_run_that_died_ends_with_the_same_bits(cls, method, count, corpus, whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patched, pytest.raises(Died):
        die_at(patched, cls, method, count)
        trainer.train(page(corpus, "train.read_every=3", "train.summary_every=9"), device_target="CPU", run=run)
    trainer.resume(run, device_target="CPU")
    assert_same(run, whole)


@pytest.mark.slow
def test_a_damaged_state_is_named_and_the_one_before_is_used(corpus, whole, tmp_path, monkeypatch, caplog):
    run = tmp_path / "run"
    with monkeypatch.context() as patched, pytest.raises(Died):
        die_at(patched, Bookkeeper, "on_train_step_end", 9)
        trainer.train(page(corpus), device_target="CPU", run=run)
    newest, before = states(run)
    assert [path.name for path in (newest, before)] == ["last.ckpt", "last-2.ckpt"]
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, logger="dfcnn_ms"):
        trainer.resume(run, device_target="CPU")
    assert "last.ckpt: cannot be read" in caplog.text
    assert_same(run, whole)


@pytest.mark.long
@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_there(corpus, whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patched, pytest.raises(Died):
        die_at(patched, Bookkeeper, "on_train_step_end", 3)
        trainer.train(page(corpus), device_target="CPU", run=run)
    before = {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(DfcnnError, match="No space left on device"):
        patched.setattr(os, "fsync", full)
        trainer.resume(run, device_target="CPU")
    assert {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before
    trainer.resume(run, device_target="CPU")
    assert_same(run, whole)


@pytest.mark.slow
def test_a_finished_run_stays_as_it_is(whole, caplog):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file() and path.name != "log.txt"}
    with caplog.at_level(logging.INFO, logger="dfcnn_ms"):
        result = trainer.resume(whole, device_target="CPU")
    assert "nothing is left to do" in caplog.text
    records = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert result.dev_error == min(record["dev_syllable_error_rate"] for record in records)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_what_was_written_into_the_network_of_a_finished_run_stays(whole, tmp_path, caplog):
    """`calibrate` and `tune` write into dfcnn.ckpt, which resuming a finished run would bring back as it was."""
    mine = tmp_path / "dfcnn.ckpt"
    command.main(["--resume", str(whole), "--ckpt", str(mine), "--device_target", "CPU"])
    assert mine.read_bytes() == (whole / "checkpoints" / "best.ckpt").read_bytes()  # there was none
    mine.write_bytes(b"tuned")
    with caplog.at_level(logging.INFO, logger="dfcnn_ms"):
        command.main(["--resume", str(whole), "--ckpt", str(mine), "--device_target", "CPU"])
    assert mine.read_bytes() == b"tuned" and f"{mine} stays as it is" in caplog.text


@pytest.mark.slow
def test_another_training_set_is_refused(corpus, whole, tmp_path):
    others = read_manifest(corpus / "train.jsonl")[:-1]
    moved = tmp_path / "moved"
    run = moved / "run"
    (run / "checkpoints").mkdir(parents=True)
    write_manifest(moved / "train.jsonl", others)
    stored = last(whole)
    data = stored.meta.config.data.model_copy(update={"train": moved / "train.jsonl"})
    meta = checkpoint.replace(stored.meta, config=stored.meta.config.model_copy(update={"data": data}))
    checkpoint.save(run / "checkpoints" / "last.ckpt", stored.parameters, meta)
    with pytest.raises(ConfigError, match=r"the training set .*train\.jsonl is not the one"):
        trainer.resume(run, device_target="CPU")


def test_what_cannot_be_resumed_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no such run; give a run's folder"):
        trainer.resume(tmp_path / "nothing", device_target="CPU")
    with pytest.raises(CheckpointError, match="before its first state was saved"):
        trainer.resume(tmp_path, device_target="CPU")
    with pytest.raises(ConfigError, match="leave out --config"):
        command.main(["--resume", str(tmp_path), "train.epochs=3"])


# Real processes and real signals.


def start(corpus: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    splits = [f"data.{split}={corpus / split}.jsonl" for split in ("train", "dev", "test")]
    outputs = ["--device_target", "CPU", "--ckpt", str(folder / "dfcnn.ckpt")]
    settings = [*SETTINGS, "train.mode=graph", "train.epochs=400", "train.gradient_report=0"]
    arguments = more or ("--summary-base-dir", str(folder), "--run", "run", *splits, *settings)
    return subprocess.Popen(
        [sys.executable, "-m", "dfcnn_ms.train", *outputs, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GLOG_v": "3"},
    )


def wait_until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 240
    while not there():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on_and_so_does_sigterm(corpus, tmp_path):
    process = start(corpus, tmp_path)
    state = tmp_path / "run" / "checkpoints" / "last.ckpt"
    wait_until(state.exists, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert f"go on with: python -m dfcnn_ms.train --resume {tmp_path / 'run'}" in said
    assert "Traceback" not in said
    stopped = checkpoint.load(state).meta.training
    assert stopped is not None and f"everything up to step {stopped['history']['step']} " in said

    process = start(corpus, tmp_path, "--resume", str(tmp_path / "run"))
    before = state.stat().st_mtime_ns
    wait_until(lambda: state.stat().st_mtime_ns != before, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "go on with" in said
    assert f"going on after step {stopped['history']['step']}" in said


def test_being_interrupted_is_no_error(capsys):
    from dfcnn_ms import cli

    def work(_: object) -> None:
        raise Interrupted("everything is saved")

    with pytest.raises(SystemExit) as left:
        cli.run(work)
    assert left.value.code == 130
    assert capsys.readouterr().err == "stopped: everything is saved\n"


def test_the_first_ctrl_c_asks_and_the_second_stops_at_once():
    with Interrupt() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # Python's own handler is back
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(os.name != "posix", reason="fork and libc's signal() are POSIX")
def test_a_handler_put_over_ours_is_replaced_and_forked_helpers_have_none_of_it():
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    with Interrupt() as asked:
        libc.signal(signal.SIGINT, int(signal.SIG_IGN))  # as MindSpore's loader does, behind Python's back
        signal.raise_signal(signal.SIGINT)
        assert not asked.requested
        worker = threading.Thread(target=asked.insist)
        worker.start()
        worker.join()
        signal.raise_signal(signal.SIGINT)
        assert asked.requested
        child = os.fork()
        if child == 0:
            signal.raise_signal(signal.SIGINT)  # not heard
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


@pytest.mark.skipif(os.name != "posix", reason="fork is POSIX")
def test_one_hook_for_all_forks_and_none_of_it_after_training(monkeypatch):
    hooks = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hook: hooks.append(hook))
    as_if_new = functools.cache(interrupt._register_fork_hook.__wrapped__)
    monkeypatch.setattr(interrupt, "_register_fork_hook", as_if_new)
    for _ in range(3):
        with Interrupt():
            pass
    assert len(hooks) == 1
    (restore_signals,) = hooks[0].values()
    mine = signal.getsignal(signal.SIGTERM)
    restore_signals()  # as in a child that is forked now: no training is open
    assert signal.getsignal(signal.SIGTERM) is mine
