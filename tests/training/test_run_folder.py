"""The folder of a run: one training at a time, whatever is started beside it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from dfcnn_ms import train
from dfcnn_ms.config import Config, load_config
from dfcnn_ms.errors import CheckpointError, ConfigError
from dfcnn_ms.training.run_folder import begun, held, name_of, opened, resumed
from dfcnn_ms.training.run_state import RunState


@contextmanager
def another_training(run: Path) -> Iterator[None]:
    """The lock of a run as another process would hold it."""
    with (run.parent / f".{run.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_trainings_that_begin_together_get_folders_of_their_own(tmp_path: Path) -> None:
    with another_training(tmp_path / "a"), another_training(tmp_path / "a-2"):
        with begun(tmp_path, "a") as run:
            assert run == tmp_path / "a-3"
        with begun(tmp_path, "a", is_first=False) as run:  # another worker of the same training writes nothing
            assert run == tmp_path / "a"
    with begun(tmp_path / "new", "a") as run:
        assert run == tmp_path / "new" / "a" and everything(tmp_path / "new") == [".a.lock"]
    assert everything(tmp_path / "new") == []


def test_a_folder_that_another_training_has_just_left_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FileLock.acquire

    def late(lock: FileLock, *arguments: Any, **options: Any) -> object:
        (tmp_path / "a").mkdir(exist_ok=True)
        return acquire(lock, *arguments, **options)

    monkeypatch.setattr(FileLock, "acquire", late)
    with begun(tmp_path, "a") as run:
        assert run == tmp_path / "a-2"
    assert everything(tmp_path) == ["a"]


def test_a_run_that_is_trained_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "summary" / "a"
    run.mkdir(parents=True)
    (tmp_path / "link").symlink_to(run)
    with another_training(run):
        for name in (str(run), "summary/a/", "link"):
            with pytest.raises(ConfigError, match="another training is at work on it; let it end, or stop it"):
                train.main(["--resume", name, "--device_target", "CPU"])
        with resumed(run, is_first=False):
            pass
        assert everything(run) == []
    with pytest.raises(CheckpointError, match="before its first state was saved"):
        train.main(["--resume", str(run), "--device_target", "CPU"])
    with pytest.raises(ConfigError, match="--resume no/such: no such run"), resumed(Path("no/such")):
        pass
    assert everything(tmp_path) == ["link", "summary", "summary/a"]


def test_who_holds_a_run_may_hold_it_again(tmp_path: Path) -> None:
    run = tmp_path / "a"
    with held(run):
        with opened(run, load_config("digits"), "CPU"):
            assert (tmp_path / ".a.lock").exists() and (run / "config.yaml").is_file()
        assert (tmp_path / ".a.lock").exists()
    assert not (tmp_path / ".a.lock").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_disk_without_locks_keeps_nobody_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with begun(tmp_path, "a") as run:
        assert run == tmp_path / "a"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"cannot be made: .*; choose another --summary-base-dir"),
        held(tmp_path / "file" / "a"),
    ):
        pass


def page(**data: Any) -> Config:
    config = load_config("digits")
    return config.model_copy(update={"data": config.data.model_copy(update=data)})


def test_what_is_trained_on_is_no_dev_set(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.touch()
    two.touch()
    (tmp_path / "link.jsonl").symlink_to(one)
    train.check_sets(page(train=one, dev=two))
    gone = tmp_path / "gone.jsonl"
    wrong: list[dict[str, Any]] = [
        {"train": one, "dev": one},
        {"train": one, "dev": tmp_path / "link.jsonl"},
        {"train": gone, "dev": tmp_path / "x" / ".." / "gone.jsonl"},
        {"train": two, "dev": one, "mix": {one: 1.0}},
    ]
    for sets in wrong:
        with pytest.raises(ConfigError, match=r"data\.dev .*: is what is trained on"):
            train.check_sets(page(**sets))


def test_a_state_with_a_history_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    stored = {"history": {"hystory": 1}, "workers": 1, "fingerprint": "f", "network": []}
    training: Any = SimpleNamespace(
        config=load_config("digits"),
        datasets=SimpleNamespace(fingerprint="f"),
        run=tmp_path,
        network=None,
        step=SimpleNamespace(state=dict),
        workers=SimpleNamespace(count=1, is_first=True),
    )
    state: Any = SimpleNamespace(meta=SimpleNamespace(training=stored), parameters={})
    with pytest.raises(CheckpointError, match=r"its history is damaged \(.*hystory.*\); start it anew"):
        RunState(training, state)
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("asked", "overrides", "name"),
    [
        (None, [], "commands"),
        ("mine", [], "mine"),
        ("auto", [], "wrn-52-10-sgd-plateau-b96-r0.01-d0.01"),
        (
            "auto",
            ["model={kind: vgg}", "train.optimizer=adam", "train.rate=0.0005"],
            "vgg19-bn-adam-plateau-b96-r0.0005",
        ),
        ("auto", ["model={kind: resnext}", "train.schedule={kind: step}"], "resnext-29-8x64-sgd-step-b96-r0.01-d0.01"),
    ],
)
def test_a_name_says_how_a_run_is_trained_where_that_is_asked(
    asked: str | None, overrides: list[str], name: str
) -> None:
    assert name_of(asked, load_config("commands", overrides)).startswith(name)
