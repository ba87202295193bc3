"""The sets of an adaptation: nobody is in two, minutes are nested, what is held out does not depend on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tone_checkpoint
import tones

from dfcnn_ms.adapting.page import RATE, Course, default_rate, page
from dfcnn_ms.adapting.sets import LEAST_HELD_OUT, MOST_KNOWN, Drawn, Sets, Wanted, draw
from dfcnn_ms.config import parse_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest
from dfcnn_ms.runtime.meta import Meta

CONFIG = parse_config(tone_checkpoint.CONFIG, "page")


def manifest(folder: Path, name: str, count: int, unit: str = "yi1") -> Path:
    """A manifest of utterances of 3 to 5 seconds whose sound nobody reads."""
    path = folder / f"{name}.jsonl"
    path.touch()
    lines = [{"id": f"{name}-{n}", "audio": path.name, "seconds": 3.0 + n % 3, "pinyin": unit} for n in range(count)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def drawn(folder: Path, meta: Meta | None = None, **wanted: object) -> Drawn:
    manifests = {split: str(folder / f"{split}.jsonl") for split in ("train", "dev")}
    return draw(meta or Meta(CONFIG, tones.VOCABULARY, manifests=manifests), Wanted(folder / "mine.jsonl", **wanted))  # type: ignore[arg-type]


def ids(utterances: Sequence[Utterance]) -> set[str]:
    return {one.id for one in utterances}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("mine", 60), ("train", 300), ("dev", MOST_KNOWN + 20)):
        manifest(tmp_path, name, count)
    return tmp_path


def test_nobody_is_in_two_sets_and_everybody_of_the_voice_is_in_one(folder: Path) -> None:
    found = drawn(folder)
    assert len(found.held_out) == 6 and not ids(found.held_out) & ids(found.taught)
    assert len(ids(found.held_out) | ids(found.taught)) == 60
    assert len(found.known) == MOST_KNOWN and ids(found.known) <= {f"dev-{n}" for n in range(MOST_KNOWN + 20)}


@pytest.mark.parametrize("share, count", [(0.0, 0), (0.25, 18), (0.5, 54), (0.75, 162), (0.95, 300)])
def test_the_rehearsal_has_its_share_as_far_as_there_is_enough(folder: Path, share: float, count: int) -> None:
    assert len(drawn(folder, share=share).rehearsed) == count


def test_fewer_minutes_are_part_of_more_and_no_longer_than_asked_for(folder: Path) -> None:
    found = [drawn(folder, minutes=minutes) for minutes in (1.0, 2.0, 3.0, 99.0)]
    assert all(ids(one.held_out) == ids(found[0].held_out) for one in found)
    for minutes, less, more in zip((1.0, 2.0, 3.0), found, found[1:], strict=False):
        assert ids(less.taught) < ids(more.taught)
        assert minutes - 5 / 60 < sum(one.seconds for one in less.taught) / 60 <= minutes


def test_draws_depend_on_the_seed_alone(folder: Path) -> None:
    assert drawn(folder) == drawn(folder)
    one, other = (drawn(folder, seed=seed) for seed in (0, 1))
    assert all(ids(getattr(one, name)) != ids(getattr(other, name)) for name in vars(one))


def test_of_few_recordings_a_few_are_held_out(folder: Path) -> None:
    manifest(folder, "mine", 8)
    assert len(drawn(folder).held_out) == LEAST_HELD_OUT


def test_a_dev_set_of_its_own_leaves_all_of_the_manifest(folder: Path) -> None:
    found = drawn(folder, dev=manifest(folder, "others", 7))
    assert (len(found.taught), len(found.held_out)) == (60, 7)


def test_other_sound_can_be_rehearsed_and_part_of_it_is_held_out_where_nothing_is_remembered(folder: Path) -> None:
    forgetful = Meta(CONFIG, tones.VOCABULARY)
    alone = drawn(folder, forgetful)
    assert (alone.rehearsed, alone.known) == ([], [])
    found = drawn(folder, forgetful, rehearse=folder / "train.jsonl")
    assert (len(found.rehearsed), len(found.known)) == (54, 30)
    assert not ids(found.rehearsed) & ids(found.known)


@pytest.mark.parametrize(
    ("weights", "share", "wanted"),
    [
        ({"often": 3.0, "seldom": 0.5}, 0.5, {"train": 12, "often": 36, "seldom": 6}),
        ({"often": 3.0, "gone": 5.0}, 0.5, {"train": 14, "often": 40}),  # what is gone takes no part; often has but 40
        ({"often": 3.0, "seldom": 0.5}, 0.75, {"train": 102, "often": 40, "seldom": 20}),  # both small ones are used up
    ],
)
def test_all_corpora_of_a_mixture_are_rehearsed_by_their_weights(
    folder: Path, weights: dict[str, float], share: float, wanted: dict[str, int]
) -> None:
    for name, count in (("often", 40), ("seldom", 20)):
        manifest(folder, name, count)
    data = CONFIG.data.model_copy(
        update={
            "train": Path("train.jsonl"),
            "mix": {Path(f"{name}.jsonl"): weight for name, weight in weights.items()},
        }
    )
    manifests = {split: str(folder / f"{split}.jsonl") for split in ("train", "dev")}
    meta = Meta(CONFIG.model_copy(update={"data": data}), tones.VOCABULARY, manifests=manifests)
    found = drawn(folder, meta, share=share).rehearsed
    assert Counter(one.audio.removesuffix(".jsonl") for one in found) == wanted


@pytest.mark.parametrize(("share", "complaints"), [(0.0, 0), (0.5, 1)])
def test_a_corpus_is_not_read_where_nothing_is_rehearsed(
    folder: Path, share: float, complaints: int, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "train.jsonl").write_text("not a manifest\n", encoding="utf-8")
    found = drawn(folder, share=share)
    assert (len(found.rehearsed), len(found.known)) == (0, MOST_KNOWN)
    assert sum("cannot be used" in one.message for one in caplog.records) == complaints


def test_corpora_that_name_their_utterances_alike_are_rehearsed_together(folder: Path, tmp_path: Path) -> None:
    """Whether what it knew has a set of its own or is held out of them."""
    (folder / "other").mkdir()
    manifest(folder / "other", "train", 300)
    data = CONFIG.data.model_copy(update={"train": Path("train.jsonl"), "mix": {Path("other/train.jsonl"): 1.0}})
    config = CONFIG.model_copy(update={"data": data})
    for split in (("train", "dev"), ("train",)):
        meta = Meta(config, tones.VOCABULARY, manifests={name: str(folder / f"{name}.jsonl") for name in split})
        found = drawn(folder, meta, share=0.9).written(tmp_path)
        assert found.rehearsed is not None and found.known is not None
        rehearsed, known = read_manifest(found.rehearsed), read_manifest(found.known)  # each id once
        assert len(rehearsed) == 9 * found.recordings
        assert not {(one.path, one.id) for one in rehearsed} & {(one.path, one.id) for one in known}


def test_what_the_network_cannot_write_is_not_rehearsed(folder: Path) -> None:
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    foreign = [line.replace("yi1", "ma3") for line in lines[:290]]
    (folder / "train.jsonl").write_text("".join([*foreign, *lines[290:]]))
    assert ids(drawn(folder).rehearsed) == {f"train-{n}" for n in range(290, 300)}


def test_a_training_set_whose_sound_is_gone_is_not_rehearsed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = (folder / "train.jsonl").read_text()
    (folder / "train.jsonl").write_text(lines.replace("train.jsonl", "gone.flac"))
    assert drawn(folder).rehearsed == []
    assert "train.jsonl, which the network remembers, cannot be used" in caplog.text


def sets(rehearsed: Path | None) -> Sets:
    return Sets(Path("/a/taught.jsonl"), Path("/a/held_out.jsonl"), rehearsed, None, 10, 1.0, 1.0)


def test_the_page_keeps_what_the_network_is_and_mixes_the_rehearsal_by_its_share() -> None:
    meta = Meta(CONFIG, tones.VOCABULARY)
    found = page(meta, sets(Path("/a/rehearsed.jsonl")), Course(epochs=3, share=0.75), ["blocks.0"], "net")
    kept = ("task", "features", "cmvn", "augment", "model")
    assert all(getattr(found, name) == getattr(CONFIG, name) for name in kept)
    assert found.data.mix == {Path("/a/rehearsed.jsonl"): 3.0}  # the voice counts 1: three quarters are other sound
    assert (found.train.epochs, found.train.freeze) == (3, ("blocks.0",))
    assert page(meta, sets(None), Course(), [], "net").data.mix == {}


def test_the_rate_does_not_shrink_from_adaptation_to_adaptation() -> None:
    meta = Meta(CONFIG, tones.VOCABULARY)
    once = replace(meta, config=page(meta, sets(None), Course(), [], "net"), adapted={"minutes": 1.0})
    assert default_rate(meta) == RATE * CONFIG.train.rate
    assert default_rate(once) == default_rate(meta)
    assert once.config.name == "tones-adapted" == page(once, sets(None), Course(), [], "net").name
