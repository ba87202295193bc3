"""Locks: one process at a time, whatever happens to the one that holds it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dfcnn_ms.corpora.locks import alone
from dfcnn_ms.errors import DataError

HOLD = """
import sys, time
from pathlib import Path
from dfcnn_ms.corpora.locks import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_another_process_is_waited_for_and_that_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started = time.monotonic()
    with holder(tmp_path / "a", 0.5), alone(tmp_path / "a"):
        assert time.monotonic() - started >= 0.5
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == [f"another process is making {tmp_path / 'a'}; waiting for it"]


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "a", 60) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
    started = time.monotonic()
    with alone(tmp_path / "a"):
        assert time.monotonic() - started < 5


def test_never_two_inside(tmp_path: Path) -> None:
    """The lock file comes and goes all the time; a count that is not guarded by anything else stays at one."""
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(50):
            with alone(tmp_path / "a"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0002)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] and list(tmp_path.iterdir()) == []


def test_two_names_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        pass


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"file/a: cannot be written: .*; choose another folder"),
        alone(tmp_path / "file/a"),
    ):
        pass


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), alone(tmp_path / "a"):
        raise ValueError("mine")
    with alone(tmp_path / "a"):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / "a"), alone(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []
