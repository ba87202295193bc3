"""AISHELL-1: archives in an archive, recordings without transcripts, letters among the characters."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from miniatures import aishell_archive, ids, left_out, lines, put

from dfcnn_ms.corpora import aishell
from dfcnn_ms.corpora.manifest import read_labelled
from dfcnn_ms.errors import DataError

EXPECTED = {
    "train": ["BAC009S0002W0122", "BAC009S0002W0123"],
    "dev": ["BAC009S0724W0121"],
    "test": ["BAC009S0764W0121"],
}
LEFT = {
    "BAC009S0002W0124": "no transcript",
    "BAC009S0724W0408": "no Mandarin reading",
    "BAC009S0764W0999": "no recording",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / "root" / "data_aishell.tgz", aishell_archive())
    return tmp_path / "root"


def test_archives_inside_the_archive_are_unpacked(root: Path, tmp_path: Path) -> None:
    made = aishell.prepare(root, tmp_path / "out")
    assert ids(made) == EXPECTED
    first, second = lines(made["train"])
    assert (first["pinyin"], first["speaker"], first["seconds"]) == ("er2 dui4 lou2 shi4 cheng2 jiao1", "S0002", 0.5)
    assert (second["text"], second["pinyin"]) == ("绿色的战略", "lv4 se4 de5 zhan4 lve4")
    assert left_out(tmp_path / "out") == LEFT
    assert all(utterance.path.is_file() for path in made.values() for utterance in read_labelled(path))


def test_unpacked_by_hand_is_the_same(root: Path, tmp_path: Path) -> None:
    """As everybody unpacks it: each archive in the folder `wav`, where it stays."""
    aishell.prepare(root, tmp_path / "out")
    wav = root / "data_aishell" / "wav"
    for speaker, split in (("S0002", "train"), ("S0724", "dev"), ("S0764", "test")):
        (wav / split).mkdir()
        (wav / speaker / split / speaker).rename(wav / split / speaker)
        for rest in sorted((wav / speaker).rglob("*"), reverse=True):
            rest.rmdir() if rest.is_dir() else rest.unlink()
        (wav / speaker).rmdir()
    put(wav / "train" / "S0002" / "._BAC009S0002W0122.wav", "left by macOS")
    before = sorted(wav.rglob("*"))
    made = aishell.prepare(root / "data_aishell", tmp_path / "again")
    assert ids(made) == EXPECTED
    assert left_out(tmp_path / "again") == LEFT
    assert sorted(wav.rglob("*")) == before, "nothing is unpacked twice"


def test_a_recording_that_is_there_twice_counts_once(root: Path, tmp_path: Path) -> None:
    aishell.prepare(root, tmp_path / "out")
    wav = root / "data_aishell" / "wav"
    one = wav / "S0724" / "dev" / "S0724" / "BAC009S0724W0121.wav"
    put(wav / "dev" / "S0724x" / one.name, one.read_bytes())
    assert ids(aishell.prepare(root, tmp_path / "out")) == EXPECTED
    assert left_out(tmp_path / "out")["BAC009S0724W0121"] == "same id again"


@pytest.fixture
def server(tmp_path: Path):
    """A mirror of OpenSLR on this machine; its address."""
    put(tmp_path / "site" / "33" / "data_aishell.tgz", aishell_archive())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "site")) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_it_is_downloaded_from_a_mirror(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = (tmp_path / "site" / "33" / "data_aishell.tgz").read_bytes()
    resource = replace(aishell.RESOURCE, size=len(archive), md5=hashlib.md5(archive).hexdigest())
    monkeypatch.setattr(aishell, "RESOURCE", resource)
    made = aishell.prepare(tmp_path / "data", tmp_path / "data", download=True, mirror=server)
    assert ids(made) == EXPECTED
    (tmp_path / "data" / "data_aishell.tgz").unlink()
    assert ids(aishell.prepare(tmp_path / "data", tmp_path / "data", download=True)) == EXPECTED, "it was there"


def test_a_transcript_in_another_encoding_is_named(root: Path, tmp_path: Path) -> None:
    aishell.prepare(root, tmp_path / "out")
    transcript = root / "data_aishell" / aishell.TRANSCRIPT
    transcript.write_bytes("BAC009S0002W0122 而 对\n".encode("gbk"))
    with pytest.raises(DataError, match=r"aishell_transcript_v0\.8\.txt: not UTF-8 text"):
        aishell.prepare(root, tmp_path / "out")


def test_nothing_but_transcripts_is_an_error(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "bare" / aishell.TRANSCRIPT, "BAC009S0002W0122 而 对\n")
    with pytest.raises(DataError, match=r"1 were left out, such as BAC009S0002W0122: no recording \(.*:1\)$"):
        aishell.prepare(tmp_path / "bare", tmp_path / "out")
