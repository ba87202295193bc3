"""The frame around every command: what becomes a sentence, how a command stops, and that no output is an input."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfcnn_ms import cli
from dfcnn_ms.errors import ConfigError, DataError


def outcome(capsys: pytest.CaptureFixture[str], main: Callable[[list[str] | None], None]) -> tuple[object, str]:
    """Exit code and stderr of a command that does this."""
    with pytest.raises(SystemExit) as left:
        cli.run(main)
    return left.value.code, capsys.readouterr().err


def raising(error: BaseException) -> Callable[[list[str] | None], None]:
    def main(_: list[str] | None) -> None:
        raise error

    return main


MACHINE: dict[str, tuple[Exception, str]] = {
    "no permission": (
        PermissionError(errno.EACCES, "Permission denied", "closed/a.bin"),
        "closed/a.bin: Permission denied; check the permissions of the file and of the folders above it",
    ),
    "full": (OSError(errno.ENOSPC, "x", "b.bin"), "b.bin: No space left on device; make room on the disk"),
    "full, nobody knows where": (OSError(errno.ENOSPC, "x"), "No space left on device; make room on the disk"),
    "read only": (OSError(errno.EROFS, "x", b"c"), "c: Read-only file system; choose a place"),
    "many files": (OSError(errno.EMFILE, "x", "d"), "d: Too many open files; allow more"),
    "memory": (MemoryError(), "not enough memory; close other programs, or give the work in smaller pieces"),
    "memory for an array": (MemoryError("Unable to allocate 9 GiB"), "not enough memory: Unable to allocate 9 GiB;"),
    "memory in C++": (RuntimeError("std::bad_alloc"), "not enough memory: std::bad_alloc;"),
    "memory for a library": (
        ImportError("x.so: failed to map segment from shared object"),
        "not enough memory: x.so: failed to map segment",
    ),
    "our own": (DataError("a.wav: cut"), "a.wav: cut"),
}


@pytest.mark.parametrize("case", MACHINE)
def test_what_the_machine_refuses_is_one_sentence(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, sentence = MACHINE[case]
    code, err = outcome(capsys, raising(error))
    assert code == cli.USER_ERROR
    assert err.startswith("error: ") and sentence in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError("ours"),
        RuntimeError("ours"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),  # of which there is always little
        FileNotFoundError(2, "x"),
    ],
)
def test_everything_else_is_ours(error: Exception) -> None:
    with pytest.raises(type(error)):
        cli.run(raising(error))


def test_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, err = outcome(capsys, raising(ZeroDivisionError()))
    assert (code, err) == (2, "error: the folder that this command runs in was deleted; change into another one\n")


PROGRAM = """
import os, sys, time, types
from pathlib import Path
from dfcnn_ms import cli
from dfcnn_ms.files import replacing

def wait():
    print("ready", flush=True)
    time.sleep(20)

def main(_):
    {body}

cli.run(main)
"""


def start(body: str, folder: Path) -> subprocess.Popen[str]:
    """A process with this command."""
    code = PROGRAM.format(body=body.replace("\n", "\n    "))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=pipe, stderr=pipe, text=True)


WAITING = {
    "while it writes": "with replacing('a.txt') as part:\n    part.write_text('half')\n    wait()",
    "in code that makes another error of it": "try:\n    wait()\nexcept BaseException:\n    raise ValueError('?')",
    "in a callback, where Python drops exceptions": (
        "class Late:\n    def __del__(self):\n        wait()\nlate = Late()\ndel late\nwait()"
    ),
    "while MindSpore loads": (
        "half = types.ModuleType('mindspore')\nhalf.__spec__ = types.SimpleNamespace(_initializing=True)\n"
        "sys.modules['mindspore'] = half\ntry:\n    wait()\nfinally:\n    os.abort()"
    ),
}


@pytest.mark.parametrize(
    ("where", "number"), [*((where, signal.SIGINT) for where in WAITING), ("while it writes", signal.SIGTERM)]
)
def test_a_signal_stops_with_one_word_and_130(where: str, number: signal.Signals, tmp_path: Path) -> None:
    process = start(WAITING[where], tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (cli.INTERRUPTED, "stopped\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_behind_standard_output(lines: int, tmp_path: Path) -> None:
    code = PROGRAM.format(body=f"print('line\\n' * {lines})")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == cli.USER_ERROR
    assert re.fullmatch(r"error: [^\n]*No space left on device; [^\n]*\n", done.stderr)


def test_what_the_way_out_meets_again_is_not_told_again(tmp_path: Path) -> None:
    """As an archive that is closed once more when it is thrown away, on a disk that is still full."""
    body = "class Late:\n    def __del__(self):\n        raise OSError(28, 'full')\nlate = Late()\n"
    process = start(body + "with replacing('a.txt'):\n    raise OSError(28, 'full')", tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (cli.USER_ERROR, "")
    assert err == "error: a.txt: cannot be written: full; what was there is untouched\n"


def test_a_reader_that_has_left_is_no_error() -> None:
    code = PROGRAM.format(body="print('line\\n' * 100_000)")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("closed", "left"), [("stdout", "err\n"), ("stderr", "out\n"), ("stdin", "out\nerr\n")])
def test_a_stream_that_is_closed_is_nowhere(closed: str, left: str) -> None:
    body = "print('out')\nsys.stdout.flush()\nprint('err', file=sys.stderr)\nsys.exit(bool(list(sys.stdin)))"
    number = ("stdin", "stdout", "stderr").index(closed)
    command = f'exec {number}<&-; exec "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, PROGRAM.format(body=body.replace("\n", "\n    "))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, left)


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"the folder .*no does not exist; make it first"):
        cli.check_output("--out", tmp_path / "no" / "x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"--out .*x: .* gives no permission to write into it; choose another folder"):
        cli.check_output("--out", tmp_path / "x")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(ConfigError, match=r"--json .*x: Permission denied; check the permissions"):
        cli.check_output("--json", tmp_path / "x")


def test_a_name_with_a_dash_in_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-dash.wav").touch()
    arguments = cli.parser("transcribe", "", "")
    arguments.add_argument("files", nargs="+")
    with pytest.raises(
        ConfigError, match=r"required: files; a file .* begins with a dash is written \./-dash\.wav; see"
    ):
        arguments.parse_args(["-dash.wav"])
    with pytest.raises(ConfigError, match="required: files; see"):
        arguments.parse_args(["-other.wav"])
    assert arguments.parse_args(["./-dash.wav"]).files == ["./-dash.wav"]


def test_what_a_stream_cannot_say_is_escaped() -> None:
    program = "from dfcnn_ms import cli; cli.run(lambda _: print('ni3 你 \\udce9.wav'))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ni3 \\u4f60 \\udce9.wav\n", "")
