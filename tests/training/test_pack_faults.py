"""A pack that cannot be written: one sentence, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import put, sound

from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.errors import DataError
from dfcnn_ms.training import pack


class FullDisk:
    """A writer of MindRecord that fails where it is told to."""

    def __init__(self, path: Path, place: str) -> None:
        self.path, self.place = path, place

    def _work(self, place: str) -> None:
        put(self.path, "half")
        if place == self.place:
            raise RuntimeError("Exception thrown from dataset pipeline.\n - C++ call stack\n ...")

    def write_raw_data(self, records: object) -> None:
        self._work("write")

    def commit(self) -> None:
        self._work("commit")


@pytest.mark.parametrize("place", ["write", "commit"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    sound(tmp_path / "a.wav")
    manifest = put(tmp_path / "m.jsonl", '{"id": "a", "audio": "a.wav", "seconds": 0.1, "pinyin": "ba1"}\n')
    old = put(tmp_path / "m.pack" / "pack.json", "{}")
    monkeypatch.setattr(pack, "_writer", lambda path, *_: FullDisk(path, place))
    with pytest.raises(DataError) as caught:
        pack.write_pack(manifest, "audio", Frontend(LogMel()))
    folder = tmp_path / "m.pack"
    assert str(caught.value) == f"{folder}: cannot be written: MindRecord gave up; is there room for it on the disk?"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "m.jsonl", "m.pack"]
    assert old.read_text() == "{}"
