"""Your own data as lhotse manifests: `cuts.jsonl.gz`, or `recordings.jsonl.gz` with `supervisions.jsonl.gz`.

Each supervision is an utterance. In a cut its time counts from the beginning of the cut, in a set of supervisions from
that of the recording. Cuts of several tracks and recordings that are not files are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from dfcnn_ms.corpora.gather import Item, LeftOut
from dfcnn_ms.corpora.options import with_options
from dfcnn_ms.corpora.own_data import OPTIONS, Own, sources
from dfcnn_ms.corpora.tables import read_objects
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.quoting import quoted

LAYOUT = """\
mine/[x_]cuts[_train].jsonl[.gz]           or
mine/[x_]recordings[_train].jsonl[.gz]     with
mine/[x_]supervisions[_train].jsonl[.gz]"""

__all__ = ["LAYOUT", "OPTIONS", "prepare"]

_SUFFIXES = (".jsonl", ".jsonl.gz")

Object: TypeAlias = Mapping[str, Any]


class _Segment(NamedTuple):
    """A supervision, its recording, where in that its time begins, the line it stands on and the folder of the file."""

    supervision: Object
    recording: Object
    begin: float
    where: str
    folder: Path


@with_options(Own)
def prepare(own: Own) -> dict[str, Path]:
    """Writes the manifests of lhotse's; the root is their folder, or one file of cuts or supervisions."""
    files = _files(own.root)
    own.check_output(path for path, _ in files)
    return own.gather(_item(one, split, own) for path, split in files for one in _segments(path))


def _files(root: Path) -> list[tuple[Path, str]]:
    if root.is_file():
        return sources(root, _SUFFIXES, "cuts")
    for kind in ("cuts", "supervisions"):
        paths = sorted(path for path in root.glob(f"*{kind}*") if path.name.endswith(_SUFFIXES))
        if paths:
            return [pair for path in paths for pair in sources(path, _SUFFIXES, kind)]
    raise DataError(f"{root}: no lhotse manifests; wanted cuts.jsonl.gz, or recordings and supervisions, in it")


def _segments(path: Path) -> Iterator[_Segment]:
    """Every supervision of a file, with its recording and with the place in it that its time counts from."""
    recordings = _recordings(path) if "supervisions" in path.name else None
    for number, entry in read_objects(path):
        where = f"{path}:{number}"
        if recordings is not None:
            yield _Segment(entry, recordings.get(str(entry.get("recording_id")), {}), 0.0, where, path.parent)
            continue
        supervisions, recording = entry.get("supervisions", []), entry.get("recording") or {}
        if not isinstance(supervisions, list):
            raise DataError(f"{where}: 'supervisions' must be a list; got {quoted(supervisions)}")
        for supervision in supervisions:
            yield _Segment(supervision, recording, entry.get("start", 0.0), where, path.parent)


def _recordings(path: Path) -> dict[str, Object]:
    """The recordings that belong to a file of supervisions, by id."""
    beside = path.with_name(path.name.replace("supervisions", "recordings"))
    if not beside.is_file():
        raise DataError(f"{path}: wanted {beside.name} beside it; put it there, or give cuts")
    return {str(entry.get("id")): entry for _, entry in read_objects(beside)}


def _item(one: _Segment, split: str, own: Own) -> Item | LeftOut:
    try:
        return _located(one, split, own)
    except (AttributeError, KeyError, TypeError, OverflowError):
        return LeftOut(one.where, "not of lhotse", f"{one.where}: {quoted(one.supervision)}")


def _located(one: _Segment, split: str, own: Own) -> Item | LeftOut:
    name = str(one.supervision.get("id", one.where))
    source = next((source for source in one.recording.get("sources", []) if source.get("type") == "file"), None)
    if source is None:
        return LeftOut(name, "no recording", f"{one.where}: no recording that is a file")
    try:
        start, seconds = (float(one.supervision[key]) for key in ("start", "duration"))
    except (KeyError, TypeError, ValueError):
        return LeftOut(name, "not a number", f"{one.where}: a supervision needs 'start' and 'duration' in seconds")
    text, speaker = (str(one.supervision.get(key) or "") for key in ("text", "speaker"))
    audio = (own.audio or one.folder) / source["source"]
    start = round(one.begin + start, 6)
    return own.item(Item(name, audio, split, None, text, speaker, start, seconds, one.where), "")
