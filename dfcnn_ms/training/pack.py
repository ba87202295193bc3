"""Packs: the sound or the features of a whole manifest in a few MindRecord files, read at any place.

The pack of ``train.jsonl`` is the folder ``train.pack`` beside it: ``pack.json`` says what is in it, and each shard is
a MindRecord file with its index, which ``mindspore.dataset.MindDataset`` reads as well. MindDataset goes from the first
record to the last; here every record is one seek and one read, at the place that the shard's own index (SQLite) names.
So a pack can be read in any order, by any number of processes, without MindSpore and with nothing kept in memory.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import SAMPLE_RATE
from dfcnn_ms.corpora.manifest import Utterance, read_labelled, read_utterance
from dfcnn_ms.errors import ConfigError, DataError

KINDS = ("audio", "features")
#: bytes after which a new shard begins
SHARD_BYTES = 256 * 2**20
#: utterances handed to MindRecord at once
_AT_ONCE = 64
_PAGE_BYTES = 4 * 2**20
_HEADER_BYTES = 2**20
#: MindRecord writes the length of a blob before it
_LENGTH = struct.Struct("<Q")
#: how far the length of a stored utterance may be from what the manifest says
_SLACK_SECONDS = 0.1

log = logging.getLogger(__name__)


def pack_of(manifest: Path) -> Path:
    """The folder of a manifest's pack: ``data/train.jsonl`` -> ``data/train.pack``."""
    return manifest.with_suffix(".pack")


@dataclass(frozen=True)
class Records:
    """Where the records of some utterances lie, in their order; pickled, it is a few bytes for each.

    Attributes:
        files: the shards.
        file: (utterances,) which of them.
        start: (utterances,) first byte of the record.
        size: (utterances,) its bytes.
        bins: F, if the records are features; 0 if they are sound.
    """

    files: tuple[Path, ...]
    file: np.ndarray
    start: np.ndarray
    size: np.ndarray
    bins: int = 0

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, index: int) -> np.ndarray:
        """Samples (N,) or features (T, F) of one utterance, float32."""
        data = self._read(index)
        if self.bins:
            return np.frombuffer(data, np.float32).reshape(-1, self.bins).copy()
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)

    def _read(self, index: int) -> bytes:
        path, size = self.files[self.file[index]], int(self.size[index])
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(int(self.start[index]))
                data = file.read(size)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); pack the manifest again") from None
        if len(data) != size or _LENGTH.unpack_from(data)[0] != size - _LENGTH.size:
            raise DataError(f"{path}: damaged at byte {self.start[index]}; pack the manifest again")
        return data[_LENGTH.size :]

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """The records of several packs, one after the other."""
        firsts = np.cumsum([0, *(len(part.files) for part in parts)])
        return cls(
            tuple(file for part in parts for file in part.files),
            np.concatenate([part.file + first for part, first in zip(parts, firsts, strict=False)]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.size for part in parts]),
            parts[0].bins,
        )


def open_pack(manifest: Path, utterances: Sequence[Utterance], frontend: Frontend) -> Records:
    """The records of all ``utterances`` of a manifest, checked against it and against the features wanted.

    Raises:
        DataError: there is no pack, or it is of other utterances or other features.
    """
    folder = pack_of(manifest)
    again = f"make it with: python -m dfcnn_ms.pack {manifest}"
    about = _about(folder, again)
    if about["what"] == "features" and about["features"] != _name(frontend):
        raise DataError(
            f"{folder}: holds {about['features']}, the page asks for {_name(frontend)}; {again} --what features"
        )
    bins = frontend.features.num_bins if about["what"] == "features" else 0
    places = _places(folder, about["shards"])
    found = [places.get(utterance.id) for utterance in utterances]
    for utterance, place in zip(utterances, found, strict=True):
        if place is None or abs(_seconds(place[2], bins, frontend) - utterance.seconds) > _SLACK_SECONDS:
            state = "is not in" if place is None else "has another length in"
            raise DataError(f"{utterance.where or utterance.id}: {utterance.id!r} {state} {folder}; {again}")
    table = np.array(found, np.int64).reshape(-1, 3)
    files = tuple((folder / name).absolute() for name in about["shards"])
    return Records(files, table[:, 0], table[:, 1], table[:, 2], bins)


def _about(folder: Path, again: str) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "pack.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{folder}: no such pack; {again}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: pack.json cannot be read ({error}); {again}") from None


def _places(folder: Path, shards: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Id -> shard, first byte and bytes, as the index of each shard has it."""
    places = {}
    columns = "id_0, PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END"
    for number, name in enumerate(shards):
        try:
            header, page = _layout(folder / name)
            with closing(sqlite3.connect(f"file:{folder / name}.db?mode=ro&immutable=1", uri=True)) as index:
                for key, page_id, start, end in index.execute(f"SELECT {columns} FROM INDEXES"):
                    places[key] = (number, header + page_id * page + start, end - start)
        except (OSError, ValueError, KeyError, struct.error, sqlite3.Error) as error:
            raise DataError(
                f"{folder / name}: not a whole MindRecord file ({error}); pack the manifest again"
            ) from None
    return places


def _layout(path: Path) -> tuple[int, int]:
    """Bytes of the header and of every page, from a MindRecord file's first bytes."""
    with path.open("rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        if length > path.stat().st_size:
            raise ValueError("its first bytes make no sense")
        header = json.loads(file.read(length))
    return int(header["header_size"]), int(header["page_size"])


def _seconds(size: int, bins: int, frontend: Frontend) -> float:
    values = size - _LENGTH.size
    if bins:
        return values / 4 / bins * frontend.features.hop_ms / 1000 + 0.02  # the last window is longer than a hop
    return values / 2 / SAMPLE_RATE


def write_pack(manifest: Path, what: str, frontend: Frontend, *, shard_bytes: int = SHARD_BYTES) -> Path:
    """Packs every utterance of a manifest, beside it; what was there before is replaced at the end, or not at all.

    Args:
        manifest: such as ``data/digits/train.jsonl``.
        what: ``audio``, samples as 16 bit at 16 kHz; or ``features`` as they enter the network, float32.
        frontend: whose features.
        shard_bytes: a shard with more than this is closed and another one begun.

    Returns:
        The folder.
    """
    if what not in KINDS:
        raise ConfigError(f"pack: got {what!r}, wanted one of: {', '.join(KINDS)}")
    if what == "features" and frontend.wants_statistics:
        raise ConfigError(f"pack: statistics of cmvn={frontend.cmvn} are not known before training; pack audio instead")
    utterances = read_labelled(manifest, "as_written")
    folder = pack_of(manifest)
    if folder.exists() and not (folder / "pack.json").is_file():
        raise DataError(f"{folder}: is there and is no pack; move it away")
    with _replacing_folder(folder) as part:
        shards = _write_shards(part, utterances, _Record(what, frontend), shard_bytes)
        about = {"what": what, "features": _name(frontend) if what == "features" else None, "shards": shards}
        for file in part.iterdir():
            file.chmod(0o644)  # MindRecord keeps them to their owner
        (part / "pack.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return folder


def _name(frontend: Frontend) -> str:
    return f"{frontend.features!r}, cmvn {frontend.cmvn}"


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """A folder that takes the name ``folder`` when the block is done, and vanishes if it fails."""
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{name}") for name in ("part", "old"))
    try:
        for left in (part, old):  # of a killed process that had our number, as in a container
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            os.replace(folder, old)
        os.replace(part, folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class _Record:
    """What is stored of an utterance."""

    what: str
    frontend: Frontend

    @property
    def schema(self) -> dict[str, Any]:
        bins = self.frontend.features.num_bins
        data = {"type": "bytes"} if self.what == "audio" else {"type": "float32", "shape": [-1, bins]}
        return {"id": {"type": "string"}, "pinyin": {"type": "string"}, self.what: data}

    def __call__(self, utterance: Utterance) -> dict[str, Any]:
        wave = read_utterance(utterance)
        data: Any = self.frontend(wave)
        if self.what == "audio":
            data = np.clip(np.rint(wave * 32768), -32768, 32767).astype("<i2").tobytes()
        return {"id": utterance.id, "pinyin": " ".join(utterance.pinyin), self.what: data}

    def most_bytes(self, utterances: Sequence[Utterance]) -> int:
        """Of the longest record, at least."""
        samples = int(max(utterance.seconds for utterance in utterances) * SAMPLE_RATE) + SAMPLE_RATE
        bins = self.frontend.features.num_bins
        return 2 * samples if self.what == "audio" else 4 * bins * self.frontend.features.num_frames(samples)


def _write_shards(folder: Path, utterances: Sequence[Utterance], record: _Record, shard_bytes: int) -> list[str]:
    page = _PAGE_BYTES
    while page < record.most_bytes(utterances):
        page *= 2
    names: list[str] = []
    writer, room = None, 0
    bar = tqdm(total=len(utterances), desc="packing", unit="utt", disable=None, leave=False)
    for start in range(0, len(utterances), _AT_ONCE):
        records = [record(utterance) for utterance in utterances[start : start + _AT_ONCE]]
        if writer is None or room <= 0:
            _commit(writer)
            names.append(f"{len(names):04d}.mindrecord")
            writer, room = _writer(folder / names[-1], record.schema, page), shard_bytes
        with _in_our_words():
            writer.write_raw_data(records)
        room -= sum(getattr(one[record.what], "nbytes", len(one[record.what])) for one in records)
        bar.update(len(records))
    bar.close()
    _commit(writer)
    return names


def _writer(path: Path, schema: dict[str, Any], page_bytes: int) -> Any:
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(path), 1)
    writer.set_header_size(_HEADER_BYTES)
    writer.set_page_size(page_bytes)
    writer.add_schema(schema, "utterances of dfcnn_ms")
    writer.add_index(["id"])
    return writer


def _commit(writer: Any) -> None:
    if writer is not None:
        with _in_our_words():
            writer.commit()


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What MindRecord cannot write it tells on pages, in errors of its own, and seldom why."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError("MindRecord gave up; is there room for it on the disk?") from error
