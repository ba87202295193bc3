"""Damaged files are used or refused in one sentence; they never end the interpreter, hang it or fill the memory.

`make abuse MUTANTS=2000` reads so many mutants of each format, for hours if that is wanted.
"""

from __future__ import annotations

import os

import pytest
import soundfile
from reading import read_apart

#: format -> the module that knows it, and how many of its mutants are read in every run of the tests
FORMATS = {
    "arpa": ("language_models", 60),
    "arpa_gz": ("language_models", 60),
    "binary": ("language_models", 60),
    "compact": ("language_models", 60),
    "characters": ("language_models", 60),
    "characters_compact": ("language_models", 60),
    "wav": ("sounds", 60),
    "flac": ("sounds", 60),
    "ogg": ("sounds", 60),
    "mp3": ("sounds", 60),
    "page": ("pages", 20),
    "overrides": ("pages", 20),
    "manifest": ("manifests", 60),
    "tsv": ("manifests", 60),
    "csv": ("manifests", 60),
    "json": ("manifests", 60),
    "kaldi": ("manifests", 60),
    "checkpoint": ("checkpoints", 10),
    "bundle": ("bundles", 60),
    "half": ("bundles", 60),
    "tar_gz": ("archives", 60),
    "zip": ("archives", 60),
}

#: they need MindSpore, which takes seconds to load
SLOW = ("checkpoint",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in FORMATS]
)
def test_a_damaged_file_is_used_or_refused(name: str) -> None:
    if name == "mp3" and "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    module, few = FORMATS[name]
    count = int(os.environ.get("DFCNN_ABUSE", few))
    reading = read_apart(module, name, 0, count)
    print(f"{name}: {count} mutants, {reading.used} used, {reading.refused} refused, {len(reading.complaints)} failed")
    assert not reading.complaints, "\n\n".join(reading.complaints)
    assert reading.used + reading.refused == count
