"""Manifests: one JSON object per line, one utterance per object, readable with `head`.

    {"id": "A11_0", "audio": "audio/A11_0.flac", "seconds": 9.8, "pinyin": "lv4 shi4 yang2 chun1"}

Keys, in this order: `id`, `audio`, `seconds`, `pinyin`, and where they say something `text`, `speaker`,
`split` and `start` (seconds into the audio file). `audio` is absolute or relative to the folder of the
manifest, so that a corpus can be moved as a whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.audio.wave import SAMPLE_RATE, read_wave
from dfcnn_ms.errors import DataError, suggestion
from dfcnn_ms.files import replacing
from dfcnn_ms.places import check_file
from dfcnn_ms.text.pinyin import parse
from dfcnn_ms.text.quoting import is_text, quoted

REQUIRED_KEYS = ("id", "audio", "seconds", "pinyin")
OPTIONAL_KEYS = ("text", "speaker", "split", "start")
KEYS = REQUIRED_KEYS + OPTIONAL_KEYS
NUMBERS = ("seconds", "start")
#: of `seconds` and of `start`: four months, more than any recording has
MOST_SECONDS = 1e7


@dataclass(frozen=True)
class Utterance:
    """A stretch of audio and what is said in it.

    `folder` and `where` say which manifest it was read from; they take no part in comparison. An
    utterance made in memory has no folder until a manifest with it is read.
    """

    id: str
    audio: str
    seconds: float
    pinyin: tuple[str, ...]
    text: str = ""
    speaker: str = ""
    split: str = ""
    start: float = 0.0
    folder: Path | None = field(default=None, compare=False, repr=False)
    where: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        pinyin: Any = self.pinyin
        object.__setattr__(self, "pinyin", tuple(pinyin.split() if isinstance(pinyin, str) else pinyin))
        complaint = _complaint(self)
        if complaint:
            raise DataError(f"{self.where or f'utterance {quoted(self.id)}'}: {complaint}")

    @property
    def path(self) -> Path:
        """The audio file, absolute."""
        return Path(self.folder or "", self.audio).absolute()


def read_manifest(path: str | os.PathLike[str]) -> list[Utterance]:
    """All utterances of a manifest.

    Raises:
        DataError: the manifest is missing, empty or wrong somewhere; the message names the line.
    """
    return list(iter_manifest(path))


def iter_manifest(path: str | os.PathLike[str]) -> Iterator[Utterance]:
    """The utterances of a manifest one by one; lines with nothing but blanks are passed over.

    Memory grows by some 15 bytes an utterance, for noticing an id that was used before.

    Raises:
        DataError: at the first line that is wrong, and at the end when there was no utterance at all.
    """
    path = Path(path)
    folder = path.absolute().parent
    seen = _Seen()
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        utterance = parse_line(line, folder, where)
        if seen.before(utterance.id):
            _check_id(path, utterance.id, number)
        yield utterance
    if not seen:
        raise DataError(f"{path}: the manifest is empty; it needs one JSON object per line")


def read_labelled(
    path: str | os.PathLike[str],
    labels: str = "pinyin",
    *,
    audio: bool = True,
    label: Callable[[Utterance], tuple[str, ...]] | None = None,
) -> list[Utterance]:
    """All utterances of a manifest, their audio there and their labels in the form that the network writes.

    Args:
        path: the manifest.
        labels: `pinyin` brings every syllable into its one canonical form, whatever habit the manifest has;
            `as_written` takes the labels as they are, such as characters or words.
        audio: whether the sound files must be there; packed ones need not.
        label: what a task makes of an utterance: its `label`.

    Raises:
        DataError: as :func:`read_manifest` and :func:`check_audio`, and for a label that is no pinyin.
    """
    utterances = read_manifest(path)
    if audio:
        check_audio(utterances)
    if labels != "as_written":
        utterances = [_labelled(one, tuple(parse(" ".join(one.pinyin), where=one.where))) for one in utterances]
    return utterances if label is None else [_labelled(one, label(one)) for one in utterances]


def _labelled(utterance: Utterance, pinyin: tuple[str, ...]) -> Utterance:
    return utterance if pinyin == utterance.pinyin else replace(utterance, pinyin=pinyin)


def write_manifest(path: str | os.PathLike[str], utterances: Iterable[Utterance]) -> None:
    """Writes a manifest whole or not at all.

    Utterances that were read from a manifest in another folder keep pointing at their audio.

    Raises:
        DataError: no utterances, or two with one id; what stood at `path` is untouched.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise DataError(f"{path}: is a directory; give a manifest file, such as {path / 'train.jsonl'}")
    folder = path.absolute().parent
    seen = _Seen()
    with replacing(path) as temporary, temporary.open("wb") as file:
        for utterance in utterances:
            if seen.before(utterance.id):
                file.flush()
                if any(json.loads(line)["id"] == utterance.id for _, line in numbered_lines(temporary)):
                    raise DataError(f"{path}: id {quoted(utterance.id)} is used by two utterances; ids must differ")
            file.write(_line(utterance, folder).encode())
        if not seen:
            raise DataError(f"{path}: a manifest needs at least one utterance; there are none to write")


def relative(audio: Path, folder: Path) -> str:
    """A sound file as seen from the folder of a manifest, wherever symbolic links lead on the way."""
    try:
        seen = os.path.relpath(os.path.join(_real(str(audio.parent)), audio.name), _real(str(folder)))
    except ValueError:  # another drive on Windows has no relative path
        return audio.absolute().as_posix()
    return Path(seen).as_posix()


def check_audio(utterances: Iterable[Utterance]) -> None:
    """Makes sure that the audio file of every utterance is there.

    Raises:
        DataError: names the first that is not, and how many more there are.
    """
    missing = [utterance for utterance in utterances if not os.path.isfile(utterance.path)]
    if missing:
        first = missing[0]
        state = "does not exist"
        if os.path.exists(first.path):
            state = "is a directory" if os.path.isdir(first.path) else "is no file"
        more = f" (and {len(missing) - 1} more like it)" if len(missing) > 1 else ""
        where = first.where or first.id
        raise DataError(f"{where}: audio file {first.path} {state}{more}; was the corpus moved?")


def read_utterance(utterance: Utterance, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The samples (N,) of an utterance; an error names the line of the manifest as well as the file."""
    try:
        return read_wave(utterance.path, sample_rate=sample_rate, start=utterance.start, seconds=utterance.seconds)
    except DataError as error:
        raise DataError(f"{utterance.where}: {error}" if utterance.where else str(error)) from None


class _Seen:
    """Which ids were there before, in few bytes: a hash of 8 bytes for each, in 65,536 buckets.

    Two ids may have one hash, once in a million manifests of a million lines; so a hit has to be looked up.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, bytearray] = {}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def before(self, name: str) -> bool:
        """Whether the id seems to have been there; from now on it has."""
        number = hash(name) & 0xFFFF_FFFF_FFFF_FFFF
        bucket = self._buckets.setdefault(number & 0xFFFF, bytearray())
        rest = (number >> 16).to_bytes(6, "little")
        hit = rest in bucket
        if not hit:
            bucket += rest
        return hit


def _check_id(path: Path, name: str, line: int) -> None:
    """Reads again what stands above a line whose id seems to have been used there."""
    for number, text in numbered_lines(path):
        if number == line:
            return
        if json.loads(text)["id"] == name:
            raise DataError(f"{path}:{line}: id {quoted(name)} was used on line {number} already; ids must differ")


@lru_cache(maxsize=10_000)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _complaint(utterance: Utterance) -> str:
    """What is wrong with the values of an utterance, or nothing."""
    for key in ("id", "audio", "text", "speaker", "split"):
        if not is_text(getattr(utterance, key)):
            return f"{key!r} must be UTF-8 text; got {quoted(getattr(utterance, key))}"
    if not utterance.id:
        return "'id' is empty; every utterance needs a name"
    if not utterance.audio:
        return "'audio' is empty; it must name a file"
    if not 0 < utterance.seconds <= MOST_SECONDS:
        return f"'seconds' must be a positive number up to {MOST_SECONDS:.0f}; got {quoted(utterance.seconds)}"
    if not 0 <= utterance.start <= MOST_SECONDS:
        return f"'start' must be zero or a positive number up to {MOST_SECONDS:.0f}; got {quoted(utterance.start)}"
    label = " ".join(utterance.pinyin)
    if tuple(label.split()) != utterance.pinyin:
        unit = next(unit for unit in utterance.pinyin if unit.split() != [unit])
        return f"'pinyin' must be syllables without blanks in them; got {quoted(unit)}"
    if not is_text(label):
        return f"'pinyin' must be UTF-8 text; got {quoted(label)}"
    return ""


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines with something on them."""
    missing = "no such manifest; `python -m dfcnn_ms.prepare` makes manifests"
    check_file(path, f"a manifest file, such as {path / 'test.jsonl'}", missing)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, start=1):
            text = _decode(line, f"{path}:{number}")
            if text.strip():
                yield number, text


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")  # editors on Windows put a byte order mark first
    except UnicodeDecodeError:
        raise DataError(f"{where}: not UTF-8 text; save the manifest as UTF-8") from None


def parse_line(line: str, folder: Path, where: str) -> Utterance:
    """The utterance on one line of a manifest in ``folder``; ``where`` names the line in errors."""
    try:
        entry = parse_json(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}, column {error.colno}); give one object per line") from None
    if not isinstance(entry, dict):
        raise DataError(f"{where}: a line must be a JSON object; got {_kind(entry)}")
    _check_keys(entry, where)
    for key, value in entry.items():
        _check_type(key, value, where)
    return Utterance(**entry, folder=folder, where=where)


def parse_json(text: str) -> Any:
    """The value that a JSON text is.

    Raises:
        json.JSONDecodeError: it is not JSON, or has numbers or nesting beyond what can be read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError("nested too deep", text, 0) from None
    except ValueError:
        raise json.JSONDecodeError("a number of thousands of digits", text, 0) from None


def _check_keys(entry: dict[str, Any], where: str) -> None:
    for key in entry:
        if key not in KEYS:
            raise DataError(f"{where}: unknown key {quoted(key)}; {suggestion(key, KEYS)}")
    missing = [key for key in REQUIRED_KEYS if key not in entry]
    if missing:
        raise DataError(f"{where}: missing {', '.join(repr(key) for key in missing)}; every line needs it")


def _check_type(key: str, value: object, where: str) -> None:
    wanted = (int, float) if key in NUMBERS else (str,)
    if not isinstance(value, wanted) or isinstance(value, bool):
        kind = "a number" if key in NUMBERS else "text"
        raise DataError(f"{where}: {key!r} must be {kind}; got {_kind(value)}")


def _kind(value: object) -> str:
    names = {bool: "true or false", list: "a list", dict: "an object", str: "text", type(None): "null"}
    return names.get(type(value), f"the number {quoted(value)}")


def _line(utterance: Utterance, folder: Path) -> str:
    utterance = _moved(utterance, folder)
    entry: dict[str, Any] = {key: getattr(utterance, key) for key in KEYS}
    entry |= {"pinyin": " ".join(utterance.pinyin)} | {key: float(entry[key]) for key in NUMBERS}
    kept = {key: value for key, value in entry.items() if key in REQUIRED_KEYS or value}
    return json.dumps(kept, ensure_ascii=False) + "\n"


def _moved(utterance: Utterance, folder: Path) -> Utterance:
    """The same utterance seen from another folder."""
    if utterance.folder is None or utterance.folder == folder or Path(utterance.audio).is_absolute():
        return utterance
    return replace(utterance, audio=relative(utterance.path, folder), folder=folder)
