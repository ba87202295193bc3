"""AISHELL-1: 179 hours of read Mandarin by 400 speakers. Apache-2.0, OpenSLR 33.

Archives inside an archive: `data_aishell.tgz` holds one `wav/S0002.tar.gz` for each speaker, and in that lies
`train/S0002/BAC009S0002W0122.wav`. All transcripts are in one file; a few hundred recordings have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from dfcnn_ms.corpora.archives import extract
from dfcnn_ms.corpora.counts import Count
from dfcnn_ms.corpora.gather import SPLITS, Item, LeftOut, gather
from dfcnn_ms.corpora.obtain import Resource
from dfcnn_ms.corpora.options import READING, with_options
from dfcnn_ms.corpora.public import OPTIONS as COMMON
from dfcnn_ms.corpora.public import Public
from dfcnn_ms.errors import DataError

LAYOUT = """\
data_aishell/                                   unpacked from data_aishell.tgz (15.6 GB)
  transcript/aishell_transcript_v0.8.txt        BAC009S0002W0122 而 对 楼市 成交 ...
  wav/S0002.tar.gz ...                          one for each speaker; unpacked here if they are not yet
  wav/train/S0002/BAC009S0002W0122.wav ...      or wav/S0002/train/S0002/...; so for dev and test"""

RESOURCE = Resource("33/data_aishell.tgz", "data_aishell", 15_582_913_665, md5="2f494334227864a8a8fec932999db9d8")
TRANSCRIPT = Path("transcript", "aishell_transcript_v0.8.txt")
OFFICIAL = {
    "train": Count(120_098, 151.0, 340),
    "dev": Count(14_326, None, 40),
    "test": Count(7_176, None, 20),
}
OPTIONS = COMMON | READING


@with_options(Public)
def prepare(public: Public, *, sandhi: str = "yi_bu") -> dict[str, Path]:
    """Writes the manifests of AISHELL-1, in its official splits; its characters are read.

    Args:
        public: where it is: the folder `data_aishell`, or the one around it.
        sandhi: tone sandhi to write.
    """
    plan = public.plan(OFFICIAL, sandhi)
    home = public.obtain(RESOURCE, is_there)
    unpack_speakers(home / "wav")
    return gather(_items(home), plan)


def is_there(folder: Path) -> bool:
    """Whether a folder is that of the corpus."""
    return (folder / TRANSCRIPT).is_file()


def unpack_speakers(wav: Path) -> None:
    """Unpacks the archives of those speakers whose recordings are not there yet."""
    archives = sorted(wav.glob("S*.tar.gz"))
    missing = [archive for archive in archives if not _is_unpacked(wav, _speaker(archive))]
    for archive in tqdm(missing, unit="speaker", disable=None, leave=False):
        extract(archive, wav / _speaker(archive))


def _speaker(archive: Path) -> str:
    return archive.name.split(".")[0]


def _is_unpacked(wav: Path, speaker: str) -> bool:
    return any((wav / split / speaker).is_dir() for split in SPLITS)


def _items(home: Path) -> Iterator[Item | LeftOut]:
    texts = _transcripts(home / TRANSCRIPT)
    unheard = dict.fromkeys(texts)
    for audio in sorted((home / "wav").rglob("*.wav")):
        if audio.name.startswith("."):  # what macOS leaves in archives
            continue
        split = next((part for part in reversed(audio.parts[:-1]) if part in SPLITS), "")
        unheard.pop(audio.stem, None)
        line, text = texts.get(audio.stem, (0, ""))
        where = f"{home / TRANSCRIPT}:{line}"
        if not line:
            yield LeftOut(audio.stem, "no transcript", str(audio))
        elif not split:
            yield LeftOut(audio.stem, "in no split", f"{audio}: wanted a folder train, dev or test above it")
        else:
            yield Item(audio.stem, audio, split, text=text, speaker=audio.parent.name, where=where)
    yield from (LeftOut(name, "no recording", f"{home / TRANSCRIPT}:{texts[name][0]}") for name in unheard)


def _transcripts(path: Path) -> dict[str, tuple[int, str]]:
    """Id -> line and characters; words are set apart by blanks, one or more."""
    texts = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            name, *words = line.split() or [""]
            if name:
                texts[name] = (number, "".join(words))
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; unpack it again") from None
    return texts
