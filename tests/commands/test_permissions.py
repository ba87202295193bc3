"""Files in a folder that may not be searched: every command that is given one says so in one sentence."""

from __future__ import annotations

import errno
import importlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from miniatures import put, sound

from dfcnn_ms import cli
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import in_the_box


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose files nobody can look at; root could, so the system calls are told to refuse."""
    monkeypatch.chdir(tmp_path)
    sound(Path("a.wav"))
    put(Path("closed/file"), "secret")

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | os.PathLike) and "closed/" in os.fspath(path):
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
            return call(path, *arguments, **options)

        return refuse

    for module, name in ((os, "stat"), (os, "lstat"), (os, "open"), (io, "open")):
        monkeypatch.setattr(module, name, refusing(getattr(module, name)))
    monkeypatch.setattr("builtins.open", io.open)
    monkeypatch.setattr(os, "access", lambda path, _: "closed" not in os.fspath(path))


COMMANDS = {
    "audio": ("transcribe", "closed/a.wav"),
    "audio to align": ("align", "--audio", "closed/a.wav", "--text", "ba1"),
    "audio to draw": ("plot", "closed/a.wav"),
    "--ckpt": ("eval", "--ckpt", "closed/a.ckpt"),
    "--lm": ("transcribe", "--lm", "closed/lm.bin", "a.wav"),
    "--hotwords": ("transcribe", "--hotwords", "closed/words.txt", "a.wav"),
    "--json": ("eval", "--json", "closed/r.json"),
    "--manifest": ("eval", "--manifest", "closed/m.jsonl"),
    "--compare": ("eval", "--compare", "closed/a.json", "closed/b.json"),
    "--text": ("ngram", "train", "--text", "closed/t.txt", "--out", "lm.bin"),
    "--text of characters": ("hanzi", "train", "--text", "closed/t.txt", "--out", "h.bin"),
    "--out of a model": ("ngram", "convert", "--lm", "a.wav", "--out", "closed/lm.bin"),
    "a manifest to pack": ("pack", "closed/m.jsonl"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_folder_that_may_not_be_searched(
    case: str, closed: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tones import listener

    if case == "--manifest":
        monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
        monkeypatch.setattr(in_the_box, "ASSETS", Path("nothing"))
    command, *arguments = COMMANDS[case]
    with pytest.raises(SystemExit) as left:
        cli.run(lambda _: importlib.import_module(f"dfcnn_ms.{command}").main(arguments))
    _, err = capsys.readouterr()
    assert left.value.code == cli.USER_ERROR, err
    assert err.startswith("error: ") and "closed" in err and "permission" in err.lower()
    assert len(err.splitlines()) == 1
