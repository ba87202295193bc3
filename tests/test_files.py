"""Text files: read with one sentence about what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dfcnn_ms.errors import DataError
from dfcnn_ms.files import read_text

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
