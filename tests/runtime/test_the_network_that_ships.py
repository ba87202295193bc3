"""The network that comes with the package, as somebody meets it who names none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfcnn_ms.metrics import edits

PERSON = Path(__file__).parents[2] / "docs" / "example" / "person.flac"
SAID = ["cong2", "lai2", "dou1", "bu4", "shi4", "ting2", "zhi3", "lian4", "xi2", "de5", "jie4", "kou3"]


@pytest.mark.slow
def test_it_hears_a_person(tmp_path: Path) -> None:
    """A person whom it never heard, in a folder without a checkpoint; guesses among 1,357 syllables hit nothing."""
    command = [sys.executable, "-m", "dfcnn_ms.transcribe", str(PERSON)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    _, syllables, characters = done.stdout.strip().split("\t")
    assert edits(SAID, syllables.split()).rate <= 0.75
    assert characters.startswith("从来")
