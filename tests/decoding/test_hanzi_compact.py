"""The compact form of a model of the characters: what it keeps, what it leaves to jieba, and what it refuses."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable
from pathlib import Path

import box_of_tones
import numpy as np
import pytest

from dfcnn_ms.decoding.hanzi import HanziModel, compact
from dfcnn_ms.decoding.hanzi.compact import packed, unpacked
from dfcnn_ms.errors import DataError

TEXTS = ["我们在上海植物园等你", "职务上的变动很大", "植物的叶子是绿的", "他的职务是经理", "上海的园子里有植物"] * 2
SAID = [
    text.split() for text in ("zhi2 wu4 de5 ye4 zi5", "ta1 de5 zhi2 wu4 shi4 jing1 li3", "wo3 men5 zai4 shang4 hai3")
]
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def model() -> HanziModel:
    return HanziModel.train(TEXTS)


@pytest.fixture(scope="module")
def content(model: HanziModel) -> bytes:
    return packed(model)


def opened(content: bytes) -> Arrays:
    with np.load(io.BytesIO(lzma.decompress(content))) as stored:
        return {name: stored[name] for name in stored.files}


def closed(arrays: Arrays) -> bytes:
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    return lzma.compress(memory.getvalue())


def test_pairs_are_kept_and_their_numbers_to_a_twentieth(model: HanziModel, content: bytes) -> None:
    found = unpacked(content, "here")
    assert found is not None
    for name in ("firsts", "seconds", "class_counts"):
        assert np.array_equal(getattr(found.statistics, name), getattr(model.statistics, name)), name
    seen, wanted = found.statistics.seen, model.statistics.seen
    assert len(np.unique(wanted)) > 1000  # so that much is rounded
    assert np.array_equal(seen > 0, wanted > 0)
    assert np.allclose(seen, wanted, rtol=0.05, atol=0)
    for source in range(2):  # after each word there is as much as its pairs have
        given = np.bincount(found.statistics.firsts, seen[:, source], minlength=len(found.statistics.given))
        assert np.allclose(found.statistics.given[:, source], np.minimum(given, 1))


def test_the_same_is_written_for_what_is_said(model: HanziModel, content: bytes) -> None:
    found, plain = unpacked(content, "here"), HanziModel.default()
    assert found is not None
    written = {name: [one.decode([(said, 0.0)])[0].text for said in SAID] for name, one in
               (("found", found), ("model", model), ("plain", plain))}  # fmt: skip
    assert written["found"] == written["model"] != written["plain"]


def test_words_and_readings_are_those_of_jieba_and_not_in_it(model: HanziModel, content: bytes, tmp_path: Path) -> None:
    model.save(tmp_path / "model.bin")
    assert "words" not in opened(content)
    assert len(content) < (tmp_path / "model.bin").stat().st_size / 30


def test_words_of_ones_own_are_in_it(tmp_path: Path) -> None:
    own = HanziModel.load(box_of_tones.parts(tmp_path).characters)
    found = unpacked(packed(own), "here")
    assert found is not None
    before, after = own.lexicon.arrays(), found.lexicon.arrays()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_the_same_model_gives_the_same_bytes(model: HanziModel, content: bytes) -> None:
    assert packed(model) == content


def test_with_another_jieba_there_is_none(content: bytes) -> None:
    assert unpacked(closed(opened(content) | {compact.WORDS_OF: np.array("0" * 64)}), "here") is None


def _without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


DAMAGED = {
    "no pairs": _without("seconds"),
    "no steps": _without("steps_0"),
    "words of nobody": _without(compact.WORDS_OF),
    "fewer words after all": lambda arrays: arrays | {"follow": arrays["follow"] - (arrays["follow"] > 1)},
    "a number below nothing": lambda arrays: arrays | {"follow": arrays["follow"] - 1},
    "no word": lambda arrays: arrays | {"seconds": arrays["seconds"] + 10**6},
    "out of order": lambda arrays: arrays | {"seconds": arrays["seconds"][::-1]},
    "too few codes": lambda arrays: arrays | {"codes_1": arrays["codes_1"][:-1]},
    "no numbers": lambda arrays: arrays | {"steps_0": arrays["steps_0"] * np.nan},
    "pickles": lambda arrays: arrays | {"follow": np.array([{}])},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_so_is_refused(content: bytes, name: str) -> None:
    with pytest.raises(DataError, match=r"^here: damaged: its \w+ cannot be so; copy or make it again$"):
        unpacked(closed(DAMAGED[name](opened(content))), "here")


@pytest.mark.parametrize("cut", [0, 10, 1000, -1])
def test_what_is_cut_is_refused(content: bytes, cut: int) -> None:
    with pytest.raises(DataError, match="here: damaged"):
        unpacked(content[:cut], "here")
