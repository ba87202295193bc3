"""What the recipes for your own data share: which files, which labels, which splits."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from dfcnn_ms.corpora.gather import (
    LEFT_OUT,
    MOST_DAMAGED,
    SPLITS,
    WORKERS,
    Gathering,
    Item,
    LeftOut,
    gather,
    hold_out,
    split_named,
)
from dfcnn_ms.corpora.options import LABELS, READING, SOUND, Option, held_out
from dfcnn_ms.errors import ConfigError, DataError, suggestion
from dfcnn_ms.files import is_same, read_text, write_text
from dfcnn_ms.places import check_file
from dfcnn_ms.text.characters import has_hanzi
from dfcnn_ms.text.pinyin import parse

DEV = TEST = 0.05
#: what has been written into a folder: name -> SHA-256
NOTE = ".prepared.json"
OPTIONS = (
    {
        "root": Option(Path, "the folder, or the one file in it, that says what there is", required=True),
        "labels": Option(str, "pinyin, read from characters if need be (default); or how it is written", LABELS),
        "audio": Option(Path, "folder that the names of sound files begin in (default: that of the file)"),
    }
    | READING
    | SOUND
    | held_out(DEV, TEST)
)


@dataclass(frozen=True)
class Own:
    """What every recipe for your own data is told.

    Attributes:
        root: the folder, or the file, that says what there is.
        out: folder for the manifests.
        labels: `pinyin` brings pinyin into its one form and reads characters where there is none, `characters` makes
            each character a label, `as_written` splits what is written at blanks (words).
        audio: the folder that the names of sound files begin in.
        sandhi: tone sandhi to write when characters are read.
        dev, test: shares of the speakers held out, if the data says nothing about splits.
        damaged: more damaged files than this are an error.
        workers: threads that look at sound files.
    """

    root: Path
    out: Path
    _: KW_ONLY
    labels: str = "pinyin"
    audio: Path | None = None
    sandhi: str = "yi_bu"
    dev: float = DEV
    test: float = TEST
    damaged: int = MOST_DAMAGED
    workers: int = WORKERS

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise ConfigError(f"labels cannot be {self.labels!r}; {suggestion(self.labels, LABELS)}")

    def gather(self, found: Iterable[Item | LeftOut]) -> dict[str, Path]:
        """The manifests; speakers are held out if no utterance has a split.

        Raises:
            ConfigError: a file made by hand is in the place of a manifest.
            DataError: no sound file is where it should be, or nothing can be used.
        """
        plan = Gathering(self.out, {}, self.sandhi, self.damaged, self.workers, words=self.labels != "pinyin")
        every = list(found)
        items = [one for one in every if isinstance(one, Item)]
        if items and not any(os.path.exists(one.audio) for one in items):
            first = items[0]
            raise DataError(
                f"{first.where}: {first.audio}: no such file, nor is any other that is named; "
                "say with --audio in which folder their names begin"
            )
        if not any(isinstance(one, Item) and one.split for one in every):
            every = hold_out(every, self.dev, self.test, lambda item: item.speaker)
        splits = {one.split or "train" for one in every if isinstance(one, Item)}
        with written_here(self.out, [LEFT_OUT, *(f"{split}.jsonl" for split in splits)]):
            return gather(every, plan)

    def check_output(self, sources: Iterable[Path]) -> None:
        """Makes sure that no manifest takes the place of a file that it is made from."""
        for source in sources:
            if any(is_same(source, self.out / f"{split}.jsonl") for split in SPLITS):
                raise ConfigError(f"{source}: would be overwritten by its own manifest; give another folder with --out")

    def item(self, item: Item, pinyin: str) -> Item | LeftOut:
        """The utterance with its labels.

        Args:
            item: everything but the labels; its `text` as it is written, with blanks.
            pinyin: what is written where pinyin should be; empty if nothing is.
        """
        if self.labels == "as_written":
            return replace(item, pinyin=tuple((pinyin or item.text).split()))
        text = re.sub(r"\s", "", item.text) if has_hanzi(item.text) else item.text
        if self.labels == "characters":
            return replace(item, pinyin=tuple(one for one in text if one.isalnum()), text=text)
        if not has_hanzi(text):
            pinyin, text = pinyin or text, ""
        try:
            return replace(item, pinyin=tuple(parse(pinyin, where=item.where)) if pinyin else None, text=text)
        except DataError as error:
            return LeftOut(item.id, "pinyin that is none", str(error))


@contextmanager
def written_here(out: Path, names: Sequence[str]) -> Iterator[None]:
    """Lets files of a folder be written that are not there, or that were written so before and not changed since.

    A note in the folder keeps their checksums; while they are written it says so, in case the process is killed.

    Raises:
        ConfigError: one is there and was made by somebody else.
    """
    before, was_there = _note_of(out), out.exists()
    for name in names:
        if os.path.lexists(out / name) and before.get(name, "") not in (None, _checksum(out / name)):
            raise ConfigError(
                f"{out / name}: would be overwritten, and was not made by this command, or was changed since; move it "
                "away, or give another folder with --out"
            )
    write_text(out / NOTE, json.dumps(before | dict.fromkeys(names)) + "\n")
    try:
        yield
    finally:
        made = {name: _checksum(out / name) for name in sorted({*before, *names}) if (out / name).is_file()}
        if made:
            write_text(out / NOTE, json.dumps(made, indent=2) + "\n")
        else:
            (out / NOTE).unlink(missing_ok=True)
        if not was_there:
            with suppress(OSError):
                out.rmdir()  # if nothing came of it


def _note_of(out: Path) -> dict[str, str | None]:
    """Name -> checksum, None for one that was being written; a note that cannot be read is none."""
    try:
        noted = json.loads(read_text(out / NOTE))
    except (DataError, ValueError):
        return {}
    return dict(noted) if isinstance(noted, dict) else {}


def _checksum(path: Path) -> str:
    checksum = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(2**20):
                checksum.update(part)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return checksum.hexdigest()


def sources(root: Path, suffixes: tuple[str, ...], what: str) -> list[tuple[Path, str]]:
    """The files to read and the split that each is named after: one file, or those of a folder.

    A folder may hold one such file, or one for each split: `train.tsv`, `dev.tsv`, `my_test.tsv`; then others are
    passed over.

    Raises:
        DataError: there is none, or several and no telling which.
    """
    if root.is_file():
        return [(root, split_in(root.name))]
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; wanted {what}")
    files = sorted(path for path in root.glob("*") if path.name.lower().endswith(suffixes) and path.is_file())
    named = [(path, split_in(path.name)) for path in files if split_in(path.name)]
    if named:
        return named
    if len(files) == 1:
        return [(files[0], "")]
    some = f"{len(files)} files and no split in their names: {files[0].name} ..." if files else "none"
    raise DataError(f"{root}: wanted {what} there; got {some}; give --root the file itself")


def split_in(name: str) -> str:
    """The split that a file or folder is named after: `test` of `my_test.tsv`."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((split_named(word) for word in words if split_named(word)), "")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file, packed by gzip or not, without their ends; empty ones are passed over.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    check_file(path, "a text file")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); copy it again") from None
