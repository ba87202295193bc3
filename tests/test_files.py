"""Files: read or refused in one sentence, written through links, into devices and never over what is read."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import check_outputs, is_device, is_same, read_text, write_text

WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot be read: No such file or directory"),
    "a directory": (lambda path: path.mkdir(), "is a directory, wanted a text file"),
    "another encoding": (
        lambda path: path.write_bytes("你好".encode("gb18030")),
        "not a text file in UTF-8; save it as such",
    ),
    "half a character": (lambda path: path.write_bytes("你".encode()[:2]), "not a text file in UTF-8; save it as such"),
}


def test_text_comes_back_without_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "marked.txt").write_bytes("\ufeff你好\r\nni3\n".encode())
    assert read_text(tmp_path / "marked.txt") == "你好\nni3\n"
    assert read_text(str(tmp_path / "marked.txt"), "--text") == "你好\nni3\n"


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_read_is_one_sentence(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    path = tmp_path / "notes.txt"
    make(path)
    with pytest.raises(DataError) as error:
        read_text(path)
    assert str(error.value) == f"{path}: {message}"
    with pytest.raises(DataError) as error:
        read_text(path, f"--text @{path.name}")
    assert str(error.value) == f"--text @notes.txt: {message}"


def test_a_permission_error_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(DataError, match=r"secret\.txt: cannot be read: Permission denied"):
        read_text(tmp_path / "secret.txt")


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(DataError, match="cannot be read: embedded null"):
        read_text("a\0b.txt")


def test_a_symbolic_link_stays_one_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name, before in (("there.txt", "old"), ("not_yet.txt", None)):
        target, link = tmp_path / "far" / name, tmp_path / name
        if before:
            target.write_text(before)
        link.symlink_to(target)
        write_text(link, "new")
        assert link.is_symlink() and target.read_text() == link.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "far", "not_yet.txt", "not_yet.txt", "there.txt", "there.txt",
    ]  # fmt: skip


def test_links_in_a_ring_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="a: cannot be written: Too many levels of symbolic links"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").is_symlink()


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    assert heard == ["through"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one() -> None:
    write_text("/dev/null", "away")
    with pytest.raises(DataError, match="/dev/full: cannot be written: No space left on device"):
        write_text("/dev/full", "away")
    assert all(stat.S_ISCHR(os.stat(name).st_mode) for name in ("/dev/null", "/dev/full"))
    assert is_device("/dev/stdout") and not is_device("/dev/shm") and not is_device("nowhere")


OTHER_NAMES: dict[str, Callable[[Path], object]] = {
    "itself": lambda path: path,
    "another way": lambda path: path.parent / ".." / path.parent.name / path.name,
    "as text": str,
    "a link": lambda path: (path.parent / "link").symlink_to(path) or path.parent / "link",
    "a hard link": lambda path: os.link(path, path.parent / "hard") or path.parent / "hard",
}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_no_output_is_an_input_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("by hand")
    other: Any = OTHER_NAMES[name](source)
    with pytest.raises(ConfigError) as caught:
        check_outputs([("--out", other)], [tmp_path / "gone", source])
    assert str(caught.value) == f"--out {other}: would be written over {source}, which is read; give another"
    assert is_same(other, source)
    check_outputs([("--out", tmp_path / "new")], [source, tmp_path / "new"])  # nothing is there to be lost


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--report .*x: --json .*x is the same file; give each a file of its own"):
        check_outputs([("--json", tmp_path / "x"), ("--report", tmp_path / "y" / ".." / "x")], [])
    check_outputs([("--json", "/dev/null"), ("--report", "/dev/null")], ["/dev/null"])


def test_a_name_that_is_no_text_is_written_as_an_escape(tmp_path):
    write_text(tmp_path / "a.txt", "caf\udce9.wav 你\n")
    assert (tmp_path / "a.txt").read_bytes() == "caf\\udce9.wav 你\n".encode()
