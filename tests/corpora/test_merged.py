"""Several corpora as one: nothing lost, nothing mixed up."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import aishell_archive, ids, lines, put, thchs30_archive

from dfcnn_ms.corpora import merged
from dfcnn_ms.corpora.manifest import read_labelled
from dfcnn_ms.errors import ConfigError, DataError

EXPECTED = {
    "train": ["thchs30-A11_0", "thchs30-B2_3", "aishell-BAC009S0002W0122", "aishell-BAC009S0002W0123"],
    "dev": ["thchs30-A11_1", "aishell-BAC009S0724W0121"],
    "test": ["thchs30-D4_750", "aishell-BAC009S0764W0121"],
}


@pytest.fixture(params=["side by side", "in folders"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two archives in one folder, or each in one named after its recipe."""
    apart = request.param == "in folders"
    put(tmp_path / "data" / ("thchs30" if apart else "") / "data_thchs30.tgz", thchs30_archive())
    put(tmp_path / "data" / ("aishell" if apart else "") / "data_aishell.tgz", aishell_archive())
    return tmp_path / "data"


def test_whatever_is_there_is_merged(root: Path, tmp_path: Path) -> None:
    made = merged.prepare(root, tmp_path / "out")
    assert ids(made) == EXPECTED
    for path in made.values():
        for utterance in read_labelled(path):
            assert utterance.path.is_file()
            assert utterance.speaker.startswith(utterance.id.split("-")[0])
    parts = {
        line["id"]: line for name in ("thchs30", "aishell") for line in lines(tmp_path / "out" / name / "dev.jsonl")
    }
    whole = {str(line["id"]).split("-", 1)[1]: line for line in lines(made["dev"])}
    assert {name: line["pinyin"] for name, line in whole.items()} == {
        name: line["pinyin"] for name, line in parts.items()
    }


def test_some_can_be_chosen(root: Path, tmp_path: Path) -> None:
    assert ids(merged.prepare(root, tmp_path / "out", corpora="aishell"))["dev"] == ["aishell-BAC009S0724W0121"]
    assert ids(merged.prepare(root, tmp_path / "out", corpora="thchs30, aishell"))["dev"] == EXPECTED["dev"]


def test_all_labels_can_be_of_one_making(root: Path, tmp_path: Path) -> None:
    labels = {}
    for pinyin in ("published", "read"):
        made = merged.prepare(root, tmp_path / pinyin, pinyin=pinyin, sandhi="full")
        labels[pinyin] = next(line["pinyin"] for line in lines(made["test"]) if line["id"] == "thchs30-D4_750")
    assert labels == {"published": "yi1 xie1 yu3 san3", "read": "yi4 xie1 yu2 san3"}


def test_what_cannot_be_merged_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no 'thchs' to merge; did you mean 'thchs30'"):
        merged.prepare(root, tmp_path / "out", corpora="thchs")
    with pytest.raises(DataError, match="no ST-CMDS-20170001_1-OS in it"):
        merged.prepare(root, tmp_path / "out", corpora="thchs30,stcmds")
    with pytest.raises(ConfigError, match="say which with --corpora"):
        merged.prepare(root, tmp_path / "out", download=True)
    with pytest.raises(DataError, match="holds none of thchs30, aishell, stcmds, primewords"):
        merged.prepare(tmp_path / "empty", tmp_path / "out")
