"""Your own data as a folder: sound files, each with a text file beside it.

`a.wav` with `a.txt`, `a.lab`, `a.trn` or `a.wav.trn`. What is written is pinyin or characters; in a file of several
lines the first is the characters and the second the pinyin, as in THCHS-30. The folder just above is the speaker, and a
folder called train, dev or test (or validation, eval ...) is the split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.audio.wave import SOUND_SUFFIXES
from dfcnn_ms.corpora.gather import Item, LeftOut, split_named
from dfcnn_ms.corpora.options import with_options
from dfcnn_ms.corpora.own_data import OPTIONS as OWN
from dfcnn_ms.corpora.own_data import Own
from dfcnn_ms.errors import DataError
from dfcnn_ms.text.characters import has_hanzi

LAYOUT = """\
mine/[train/][speaker/]a.wav    or .flac, .ogg, .mp3; any rate, any channels
mine/[train/][speaker/]a.txt    or .lab, .trn, .wav.trn: pinyin or characters, UTF-8"""

TEXT_SUFFIXES = (".txt", ".lab", ".trn")
OPTIONS = {name: option for name, option in OWN.items() if name != "audio"}


@with_options(Own)
def prepare(own: Own) -> dict[str, Path]:
    """Writes the manifests of a folder of sound files with texts beside them."""
    if not own.root.is_dir():
        raise DataError(f"{own.root}: no such folder; give the one that holds the sound files")
    return own.gather(_items(own))


def _items(own: Own) -> Iterator[Item | LeftOut]:
    for audio in sorted(path for path in own.root.rglob("*") if path.suffix.lower() in SOUND_SUFFIXES):
        if audio.name.startswith("."):
            continue
        folders = audio.relative_to(own.root).parts[:-1]
        name = "-".join([*folders, audio.stem])
        text = _beside(audio)
        if text is None:
            yield LeftOut(name, "no transcript", f"{audio}: no {', '.join(TEXT_SUFFIXES)} beside it")
            continue
        split = next((split_named(folder) for folder in folders if split_named(folder)), "")
        speaker = folders[-1] if folders and not split_named(folders[-1]) else ""
        try:
            said, pinyin = _said(text)
        except UnicodeDecodeError:
            yield LeftOut(name, "transcript not in UTF-8", f"{text}: save it as UTF-8")
            continue
        except OSError as error:
            yield LeftOut(name, "no transcript", f"{text}: cannot be read ({error.strerror})")
            continue
        yield own.item(Item(name, audio, split, text=said, speaker=speaker, where=f"{text}:1"), pinyin)


def _beside(audio: Path) -> Path | None:
    """The text file of a sound file."""
    names = [audio.with_suffix(suffix) for suffix in TEXT_SUFFIXES]
    names += [audio.with_name(audio.name + suffix) for suffix in TEXT_SUFFIXES]
    return next((name for name in names if name.is_file()), None)


def _said(path: Path) -> tuple[str, str]:
    """What a text file says, and its pinyin if it is on a second line."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not lines:
        return "", ""
    with_pinyin = len(lines) > 1 and has_hanzi(lines[0]) and not has_hanzi(lines[1])
    return lines[0], lines[1] if with_pinyin else ""
