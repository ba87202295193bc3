"""Manifests, and what `prepare` makes them from, as formats that can be damaged."""

from __future__ import annotations

import json
import math
import shutil
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from mutate import damaged_text, damaged_values
from reading import Format

from dfcnn_ms.corpora import kaldi, tables
from dfcnn_ms.corpora.manifest import read_labelled, read_manifest, write_manifest
from dfcnn_ms.text.pinyin import parse

SECONDS = 0.5
#: between the files of a folder that is one mutant
BETWEEN = b"\x1d"

LINES = (
    {"id": "one", "audio": "a.wav", "seconds": 0.5, "pinyin": "lv4 shi4 yang2", "speaker": "ann", "split": "train"},
    {"id": "two", "audio": "b.wav", "seconds": 0.25, "pinyin": "ba1 qi1 jiu3", "text": "八七九", "start": 0.125},
    {"id": "three", "audio": "c.wav", "seconds": 0.5, "pinyin": "r5 nv3 er2 dian3r5", "speaker": "bob"},
    {"id": "four", "audio": "/else/where/d.flac", "seconds": 10, "pinyin": "lu:4 hao3"},
)
HEADER = ("id", "audio", "pinyin", "speaker", "split", "start", "seconds")
ROWS = (
    *(("one", "a.wav", "lv4 shi4", "ann", "train", "", ""), ("two", "b.wav", "ba1", "bob", "valid", "0.1", "0.25")),
    *(("three", "c.wav", "qi1 jiu3", "cat", "test", "", "0.5"), ("four", "a.wav", "hao3", "dan", "", "0.25", "0.25")),
)
KALDI = {
    "wav.scp": "r1 a.wav\nr2 b.wav\nr3 c.wav\n",
    "text": "u1 lv4 shi4\nu2 ba1\nu3 qi1 jiu3\nu4 hao3\n",
    "utt2spk": "u1 ann\nu2 bob\nu3 cat\nu4 dan\n",
    "segments": "u1 r1 0 0.25\nu2 r1 0.25 0.5\nu3 r2 0.1 -1\nu4 r3 0 0.5\n",
}


def _manifest() -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()


def _use_manifest(path: Path) -> None:
    """What is read can be written, and reads the same then."""
    utterances = read_manifest(path)
    assert all(0 < one.seconds < math.inf and 0 <= one.start < math.inf for one in utterances)
    assert len({one.id for one in utterances}) == len(utterances)
    again = path.with_name("again.jsonl")
    write_manifest(again, utterances)
    assert read_manifest(again) == utterances
    for one in read_labelled(path, audio=False):
        assert tuple(parse(" ".join(one.pinyin), where="")) == one.pinyin


def _separated(sign: str) -> bytes:
    return "".join(sign.join(row) + "\n" for row in (HEADER, *ROWS)).encode()


def _with_sounds(folder: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        if not (folder / name).exists():
            with wave.open(str(folder / name), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(bytes(2 * round(SECONDS * 16_000)))


def _prepared(prepare: Callable[..., Mapping[str, Path]], root: Path) -> None:
    """Every utterance of the manifests lies inside its file, and is in one of them only."""
    out = root.with_name("out")
    _with_sounds(root if root.is_dir() else root.parent)
    shutil.rmtree(out, ignore_errors=True)
    made = [one for path in prepare(root, out, dev=0, test=0, workers=1).values() for one in read_labelled(path)]
    assert made and len({one.id for one in made}) == len(made)
    assert all(one.pinyin and one.start + one.seconds <= SECONDS + 1e-5 for one in made)


def _table(kind: str, sign: str) -> Format:
    prepare = tables.recipe(kind)
    return Format(lambda: _separated(sign), damaged_text, lambda path: _prepared(prepare, path), f".{kind}")


def _listed(kind: str, mutant: Callable[[bytes, Random], bytes]) -> Format:
    prepare = tables.recipe(kind)
    rows = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    return Format(lambda: json.dumps(rows, indent=1).encode(), mutant, lambda path: _prepared(prepare, path), ".json")


def _one_of_them(data: bytes, random: Random) -> bytes:
    parts = data.split(BETWEEN)
    place = random.randrange(len(parts))
    parts[place] = damaged_text(parts[place], random).replace(BETWEEN, b"")
    return BETWEEN.join(parts)


def _use_kaldi(path: Path) -> None:
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, content in zip(KALDI, path.read_bytes().split(BETWEEN), strict=True):
        (folder / name).write_bytes(content)
    _prepared(kaldi.prepare, folder)


FORMATS = {
    "manifest": Format(_manifest, damaged_values, _use_manifest, ".jsonl"),
    "tsv": _table("tsv", "\t"),
    "csv": _table("csv", ","),
    "json": _listed("json", damaged_values),
    "kaldi": Format(lambda: BETWEEN.join(map(str.encode, KALDI.values())), _one_of_them, _use_kaldi, ".kaldi"),
}
