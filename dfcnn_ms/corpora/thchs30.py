"""THCHS-30: 34 hours of read news by Tsinghua University, with pinyin. Apache-2.0, OpenSLR 18.

`data/` holds every utterance: `A11_0.wav`, and `A11_0.wav.trn` with three lines (words, pinyin, phones). The folders
`train`, `dev` and `test` are the split: links into `data/`. Their `.trn` files may be text that names the real one
(`../data/A11_0.wav.trn`), and after some unpacking programs their `.wav` files are too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import SPLITS, Item, LeftOut, gather
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.corpora.options import READING, Option, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.text.pinyin import parse

LAYOUT = """\
data_thchs30/           unpacked from data_thchs30.tgz (6.5 GB)
  data/                 A11_0.wav, A11_0.wav.trn (words, pinyin, phones: a line each) ...
  train/ dev/ test/     links to those files, or files that name them: ../data/A11_0.wav.trn
  lm_word/ lm_phone/    not used"""

RESOURCE = Resource("18/data_thchs30.tgz", "data_thchs30", 6_453_425_169, md5="2d2252bde5c8429929e1841d4cb95e90")
OFFICIAL = {
    "train": Count(10_000, 25.0, 30),
    "dev": Count(893, 2.23, None),
    "test": Count(2_495, 6.25, 10),
}
PUBLISHED = ("published", "read")
OPTIONS = COMMON | READING
OPTIONS |= {"pinyin": Option(str, "published, or read from the characters (default: published)", PUBLISHED)}

#: a file shorter than this is no recording but the name of one
_POINTER_BYTES = 256


@with_options(Public)
def prepare(public: Public, *, pinyin: str = "published", sandhi: str = "yi_bu") -> dict[str, Path]:
    """Writes the manifests of THCHS-30, in its official splits.

    Args:
        public: where it is: the folder `data_thchs30`, or the one around it.
        pinyin: `published` takes the second line of each `.trn` file, `read` reads its characters.
        sandhi: tone sandhi to write with `read`.
    """
    if pinyin not in PUBLISHED:
        raise ConfigError(f"pinyin must be one of: {', '.join(PUBLISHED)}; got {pinyin!r}")
    plan = public.plan(OFFICIAL, sandhi)
    home = public.obtain(RESOURCE, is_there)
    return gather(_items(home, published=pinyin == "published"), plan)


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    listed = any(next((folder / split).glob("*.wav"), None) for split in SPLITS)
    return listed and (folder / "data").is_dir()


def _items(home: Path, *, published: bool) -> Iterator[Item | LeftOut]:
    for split in SPLITS:
        for listed in sorted((home / split).glob("*.wav")):
            yield _item(listed, home / "data", split, published)


def _item(listed: Path, data: Path, split: str, published: bool) -> Item | LeftOut:
    name = listed.stem
    transcript = _real(listed.with_name(f"{name}.wav.trn"), data)
    try:
        lines = transcript.read_text(encoding="utf-8").splitlines()
        words, pinyin = lines[0], lines[1]
        labels = tuple(parse(pinyin, where=f"{transcript}:2")) if published else None
    except (OSError, IndexError, UnicodeDecodeError):
        return LeftOut(name, "no transcript", f"{transcript}: wanted three lines: words, pinyin, phones")
    except DataError as error:
        return LeftOut(name, "pinyin that is none", str(error))
    speaker = name.split("_")[0]
    text = "".join(words.split())
    return Item(name, _real(listed, data), split, labels, text, speaker, where=f"{transcript}:1")


def _real(listed: Path, data: Path) -> Path:
    """The file that a file of a split stands for: itself, or the one in `data/` that it links to or names."""
    target = data / listed.name
    try:
        small = listed.stat().st_size <= _POINTER_BYTES
        if small and listed.read_bytes().strip().endswith(f"data/{listed.name}".encode()):
            return target
    except OSError:  # a link whose target is gone, or nothing at all
        return target
    return listed
