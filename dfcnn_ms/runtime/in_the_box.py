"""The network that comes with the package, and when it is the one that listens.

It lies in ``dfcnn_ms/assets`` with its language model and, where it brings one, a model of the characters; a table of
contents says how long each file is and what is in it. ``python -m dfcnn_ms.box`` writes that folder.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dfcnn_ms.decoding import DECODERS
from dfcnn_ms.errors import CheckpointError, DataError

log = logging.getLogger(__name__)

#: the folder, inside the package in a checkout and in a wheel
ASSETS = Path(__file__).parents[1] / "assets"
CONTENTS = "contents.json"
NETWORK, LANGUAGE, CHARACTERS = "mandarin.npz", "syllables.lmz", "hanzi.xz"
#: of the table of contents
FORMAT = 1
#: bytes of all files together
MOST_BYTES = 15_000_000
#: what training leaves in the folder that it runs in: it goes before the network in the box
TRAINED_HERE = Path("dfcnn.ckpt")
#: names the network in the box where another one would be named, unless a file is called so
BOX = Path("box")
_CURE = "install dfcnn-ms again, or name another network with --ckpt"


@dataclass(frozen=True)
class Box:
    """What is in the box.

    Attributes:
        network: in half precision, with the weights of its language model.
        language: n-grams of its syllables.
        characters: a compact model of the characters; None: jieba's dictionary is enough.
    """

    network: Path
    language: Path
    characters: Path | None = None


def opened() -> Box | None:
    """What is in the box, every byte of it verified; None where the box is empty.

    Raises:
        CheckpointError: something is missing or damaged.
    """
    if not (ASSETS / CONTENTS).is_file():
        return None
    known = _contents(ASSETS / CONTENTS)
    for name, wanted in known.items():
        _verify(ASSETS / name, wanted)
    return Box(ASSETS / NETWORK, ASSETS / LANGUAGE, ASSETS / CHARACTERS if CHARACTERS in known else None)


def contents_of(files: Mapping[str, bytes]) -> bytes:
    """The table of contents of files, by name."""
    table = {name: sha256(files[name]) for name in sorted(files)}
    return (json.dumps({"format": FORMAT, "sha256": table}, indent=2) + "\n").encode()


def sha256(content: bytes) -> str:
    """Of what is in a file, in hexadecimal."""
    return hashlib.sha256(content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Chosen:
    """The network that listens.

    Attributes:
        network: its file.
        box: what lies beside it, where it is the one in the box.
        sentence: says which one it is, where nobody named one.
    """

    network: Path
    box: Box | None = None
    sentence: str = ""

    def say(self) -> None:
        """Says it, in the log, just before it is loaded: what is wrong with the flags has been said by then."""
        if self.sentence:
            log.info(self.sentence)


def choose(named: Path | None) -> Chosen:
    """The network that was named, else ``dfcnn.ckpt`` of this folder, else the one in the box.

    Raises:
        CheckpointError: that one is damaged, or named where there is none.
    """
    if named == BOX and not os.path.lexists(BOX):
        box = opened()
        if box is None:
            raise CheckpointError(f"box: no network lies in {ASSETS}; {_CURE}")
        return Chosen(box.network, box)
    if named is not None:
        return Chosen(named)
    if os.path.lexists(TRAINED_HERE):
        return Chosen(TRAINED_HERE, sentence=f"listening with {TRAINED_HERE} of this folder; --ckpt takes another")
    box = opened()
    if box is None:
        return Chosen(TRAINED_HERE)  # whoever loads it says that it is not there
    return Chosen(box.network, box, "listening with the Mandarin network in the box; --ckpt takes another")


def fill_in(options: argparse.Namespace, *, characters: bool = True) -> Chosen:
    """Writes into the flags of a command which network listens, where nobody named one; and what it brings along.

    Args:
        options: with the flags of decoding.
        characters: whether the network in the box writes them unasked.

    Raises:
        CheckpointError: the network in the box is damaged.
    """
    chosen = choose(options.ckpt)
    options.ckpt = chosen.network
    if chosen.box is None:
        return chosen
    if options.lm is None and (options.decoder is None or "lm" in DECODERS[options.decoder].hears):
        options.lm = chosen.box.language
    options.hanzi = options.hanzi or characters
    if options.hanzi and options.hanzi_model is None and chosen.box.characters:
        options.hanzi_model = unpacked(chosen.box.characters)
    return chosen


def _contents(path: Path) -> dict[str, str]:
    """The hash of each file that should be there."""
    try:
        table = json.loads(path.read_bytes())
        known = table["sha256"] if table["format"] == FORMAT else {}
        if {NETWORK, LANGUAGE} <= set(known) <= {NETWORK, LANGUAGE, CHARACTERS}:
            return dict(known)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        pass
    raise CheckpointError(f"{path}: the table of the network in the box is damaged; {_CURE}")


def _verify(path: Path, wanted: str) -> None:
    try:
        got = sha256(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: is missing, a part of the network in the box; {_CURE}") from None
    except OSError as error:
        reason = f"{error.strerror}, a part of the network in the box"
        raise CheckpointError(f"{path}: cannot be read: {reason}; {_CURE}") from None
    if got != wanted:
        raise CheckpointError(f"{path}: is damaged, a part of the network in the box; {_CURE}")


def unpacked(characters: Path) -> Path | None:
    """The model of the characters as ``--hanzi-model`` takes it: unpacked once into the user's cache folder.

    Where nothing can be kept, it is unpacked for this process alone. None: it is about the words of another jieba.
    """
    from dfcnn_ms.decoding.hanzi import compact
    from dfcnn_ms.decoding.hanzi.lexicon import cache_folder

    content = characters.read_bytes()
    name = f"hanzi-{sha256(content)[:12]}-jieba{version('jieba')}-pypinyin{version('pypinyin')}.bin"
    place = cache_folder() / name
    if place.is_file():
        return place
    model = compact.unpacked(content, str(characters))
    if model is None:
        log.warning(
            "the words of jieba %s are not those of the box: characters by its dictionary alone", version("jieba")
        )
        return None
    try:
        model.save(place)
    except DataError:
        folder = tempfile.mkdtemp(prefix="dfcnn_ms")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        place = Path(folder, name)
        model.save(place)
    return place
