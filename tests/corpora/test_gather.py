"""What all recipes share: sound looked at, utterances held out, counts compared, archives found."""

from __future__ import annotations

import inspect
import logging
import math
import os
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniatures import left_out, lines, put, sound

from dfcnn_ms.corpora.counts import ALL, Count, compare, table
from dfcnn_ms.corpora.gather import Gathering, Item, LeftOut, gather, hold_out
from dfcnn_ms.corpora.manifest import Utterance, iter_manifest, read_labelled, write_manifest
from dfcnn_ms.corpora.obtain import Resource, is_at_hand, obtain
from dfcnn_ms.corpora.options import Manifests, Option, with_options
from dfcnn_ms.errors import ConfigError, DataError

steady = settings(deadline=None)  # a busy machine is not a fault


def test_manifests_point_at_sound_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(tmp_path / "corpus" / "a.wav", 0.5)
    monkeypatch.chdir(tmp_path)
    made = gather([Item("a", Path("corpus/a.wav"), pinyin=("ni3",))], Gathering(Path("deep/out"), {}))
    assert lines(made["train"])[0]["audio"] == "../../corpus/a.wav"
    (tmp_path / "moved").mkdir()
    for name in ("corpus", "deep"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert Path("moved/deep/out", "../../corpus/a.wav").is_file()


def test_manifests_behind_a_link_point_at_sound_too(tmp_path: Path) -> None:
    sound(tmp_path / "corpus" / "a.wav", 0.5)
    (tmp_path / "other" / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "other" / "disk" / "deep")
    made = gather([Item("a", tmp_path / "corpus" / "a.wav", pinyin=("ni3",))], Gathering(tmp_path / "data" / "x", {}))
    assert all(utterance.path.is_file() for utterance in read_labelled(made["train"]))
    write_manifest(tmp_path / "copy.jsonl", iter_manifest(made["train"]))
    assert lines(tmp_path / "copy.jsonl")[0]["audio"] == "corpus/a.wav"


def test_manifests_of_an_earlier_run_are_named_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    item = Item("a", sound(tmp_path / "a.wav"), split="dev", pinyin=("yi1",))
    gather([item], Gathering(tmp_path, {}))
    assert "not of this run" not in caplog.text
    gather([Item("a", item.audio, split="train", pinyin=("yi1",))], Gathering(tmp_path, {}))
    assert f"{tmp_path / 'dev.jsonl'}: is not of this run; delete it" in caplog.text
    assert len(lines(tmp_path / "dev.jsonl")) == 1


def test_labels_that_are_no_pinyin_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for words in (False, True):
        caplog.clear()
        gather([Item("a", sound(tmp_path / "a.wav"), pinyin=("four",))], Gathering(tmp_path, {}, words=words))
        assert ("set data.labels=as_written" in caplog.text) == words


def test_nothing_at_all_is_told_in_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(DataError, match="no utterance was found; compare the folder with what --help"):
        gather(hold_out([], 0.1, 0.1, lambda item: item.speaker), Gathering(tmp_path / "out", {}))
    assert not caplog.text and not (tmp_path / "out").exists()


def test_pieces_of_one_damaged_file_are_one_damaged_file(tmp_path: Path) -> None:
    bad = put(tmp_path / "bad.wav", "no sound")
    items = [Item(str(number), bad, pinyin=("yi1",), start=number, seconds=1) for number in range(5)]
    items.append(Item("good", sound(tmp_path / "good.wav"), pinyin=("yi1",)))
    gather(items, Gathering(tmp_path / "out", {}, damaged=1))
    assert len(left_out(tmp_path / "out")) == 5


def test_a_few_damaged_files_are_no_error_many_are(tmp_path: Path) -> None:
    items = [Item(str(number), put(tmp_path / f"{number}.wav", "no sound"), pinyin=("yi1",)) for number in range(3)]
    items.append(Item("good", sound(tmp_path / "good.wav"), pinyin=("yi1",)))
    made = gather(items, Gathering(tmp_path / "out", {}, damaged=3))
    assert [line["id"] for line in lines(made["train"])] == ["good"]
    assert left_out(tmp_path / "out") == dict.fromkeys("012", "damaged sound")
    with pytest.raises(
        DataError, match=r"^3 of 4 sound files are damaged or missing, and --damaged allows 2; .*0\.wav"
    ):
        gather(items, Gathering(tmp_path / "out", {}, damaged=2))


def test_wrong_plans_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sandhi cannot be 'fulll'; did you mean 'full'"):
        Gathering(tmp_path, {}, sandhi="fulll")
    put(tmp_path / "file", "")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(ConfigError, match=r"cannot be made a folder, .*file is a file; choose another with --out"):
            Gathering(out, {})


def test_what_is_left_out_is_said_once_for_each_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    left = [LeftOut(f"u{number}", "no text") for number in range(7)]
    gather([*left, Item("good", sound(tmp_path / "good.wav"), pinyin=("yi1",))], Gathering(tmp_path, {}))
    assert "left out, no text: 7 (u0, u1, u2, u3, u4 ...); see " in caplog.text


groups = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)
shares = st.sampled_from([0.0, 0.05, 0.2, 0.4])


@steady
@given(groups, shares, shares)
def test_held_out_groups_are_whole_and_always_the_same(names: list[str], dev: float, test: float) -> None:
    items = [Item(f"{number}", Path("x.wav"), speaker=name) for number, name in enumerate(names)]
    groups = len(set(names)) if len(set(names)) >= 3 else len(names)
    if math.ceil(dev * groups) + math.ceil(test * groups) >= groups:
        with pytest.raises(ConfigError, match="leave none for training"):
            hold_out(items, dev, test, lambda item: item.speaker)
        return
    once = hold_out(items, dev, test, lambda item: item.speaker)
    again = hold_out(reversed(items), dev, test, lambda item: item.speaker)
    splits = {one.id: one.split for one in once if isinstance(one, Item)}
    assert splits == {one.id: one.split for one in again if isinstance(one, Item)}
    assert len(splits) == len(items)
    if len(set(names)) >= 3:
        for name in set(names):
            assert len({splits[item.id] for item in items if item.speaker == name}) == 1
    if not dev:
        assert "dev" not in splits.values()


def utterances(count: int, speakers: int, seconds: float = 36.0) -> list[Utterance]:
    return [Utterance(str(n), "a.wav", seconds, ("yi1",), speaker=str(n % speakers)) for n in range(count)]


def test_counts_beside_the_official_ones() -> None:
    official = {"train": Count(1200, 10.0, 8), "test": Count(100, 1.0, 4)}
    rows = compare({"train": utterances(900, 8), "dev": utterances(100, 8), "test": utterances(100, 4)}, official)
    assert rows["train"] == (Count(1000, 10.0, 8), official["train"]), "dev was taken out of training"
    assert [line.split() for line in table(rows).splitlines()] == [
        ["utterances", "hours", "speakers"],
        ["split", *["found", "official", "missing"] * 3],
        ["train", "1,000", "1,200", "200", "10.00", "10.00", "0.00", "8", "8", "0"],
        ["test", "100", "100", "0", "1.00", "1.00", "0.00", "4", "4", "0"],
    ]


def test_counts_of_a_corpus_without_splits() -> None:
    rows = compare({"train": utterances(9, 3), "dev": utterances(1, 1)}, {ALL: Count(20, None, 3)})
    (row,) = [line.split() for line in table(rows).splitlines() if line.startswith("all")]
    assert row == ["all", "10", "20", "10", "0.10", "3", "3", "0"]


def test_more_than_official_is_nothing_missing_and_hours_are_rounded() -> None:
    rows = {"train": (Count(11, 9.95, 12), Count(10, 10.0, None)), "dev": (Count(0, 0.0, 0), Count(1, 1.0, 1))}
    train, dev = (line.split() for line in table(rows).splitlines()[2:])
    assert train == ["train", "11", "10", "0", "9.95", "10.00", "0.00", "12", "-", "-"]
    assert dev == ["dev", "0", "1", "1", "0.00", "1.00", "1.00", "0", "1", "1"]


def test_a_split_that_is_missing_altogether_has_its_row() -> None:
    rows = compare({"train": utterances(5, 1)}, {"train": Count(5), "test": Count(3, 1.0, 2)})
    assert table(rows).splitlines()[-1].split() == ["test", "0", "3", "3", "0.00", "1.00", "1.00", "0", "2", "2"]


RESOURCE = Resource("18/data_x.tgz", "data_x")


def is_there(folder: Path) -> bool:
    return (folder / "data").is_dir()


def test_a_corpus_is_found_wherever_it_is(tmp_path: Path) -> None:
    assert not is_at_hand(tmp_path, RESOURCE, is_there)
    (tmp_path / "data_x" / "data").mkdir(parents=True)
    assert obtain(tmp_path, RESOURCE, is_there) == tmp_path / "data_x"
    assert obtain(tmp_path / "data_x", RESOURCE, is_there) == tmp_path / "data_x"
    assert is_at_hand(tmp_path, RESOURCE, is_there) and is_at_hand(tmp_path / "data_x", RESOURCE, is_there)


def test_half_a_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_x").mkdir()
    with pytest.raises(DataError, match=r"data_x: is there, but not the whole corpus; delete it or move it away"):
        obtain(tmp_path, RESOURCE, is_there, download=True)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    from miniatures import tar_bytes

    put(tmp_path / "data_x.tgz", tar_bytes({"data_x/readme": "another corpus"}))
    with pytest.raises(DataError, match=r"unpacked from data_x\.tgz, but its content is not that of the corpus"):
        obtain(tmp_path, RESOURCE, is_there)
    put(tmp_path / "data_x.tgz", "no archive")
    with pytest.raises(DataError, match=r"data_x"):
        obtain(tmp_path / "nowhere", RESOURCE, is_there)


def test_the_mirror_asked_for_comes_first() -> None:
    official = "https://www.openslr.org/resources/18/data_x.tgz"
    assert RESOURCE.urls()[0] == official
    urls = RESOURCE.urls("http://mirror/resources")
    assert urls[0] == "http://mirror/resources/18/data_x.tgz" and official in urls
    whole = Resource("https://site/a/b.tar.gz", "b")
    assert whole.urls() == ("https://site/a/b.tar.gz",)
    assert whole.urls("http://mirror/") == ("http://mirror/b.tar.gz", "https://site/a/b.tar.gz")


@dataclass(frozen=True)
class Told:
    """What two recipes would be told."""

    root: str
    _: KW_ONLY
    workers: int = 8


@with_options(Told)
def recipe(told: Told, *, dev: int = 5) -> Manifests:
    """Says what it was told."""
    return {"train": Path(f"{told.root} {told.workers} {dev}")}


def test_a_recipe_is_called_with_what_its_value_holds_and_its_own_options() -> None:
    assert recipe("a") == recipe(root="a", workers=8, dev=5) == {"train": Path("a 8 5")}
    assert recipe("a", dev=1, workers=2) == {"train": Path("a 2 1")}
    assert str(inspect.signature(recipe)).startswith("(root: 'str', *, workers: 'int' = 8, dev: 'int' = 5) ->")
    for wrong in (lambda: recipe(), lambda: recipe("a", 2), lambda: recipe("a", worker=2)):
        with pytest.raises(TypeError):
            wrong()


@pytest.mark.parametrize(
    ("option", "given_value", "wanted"),
    [
        (Option(Path, ""), "a/b", Path("a/b")),
        (Option(Path, ""), Path("a"), Path("a")),
        (Option(float, ""), 1, 1.0),
        (Option(int, ""), 3, 3),
        (Option(bool, ""), True, True),
        (Option(str, "", ("a", "b")), "b", "b"),
    ],
)
def test_options_take_their_values(option: Option, given_value: object, wanted: object) -> None:
    value = option.value("x", given_value)
    assert value == wanted and type(value) is type(wanted)


@pytest.mark.parametrize(
    ("option", "given_value", "complaint"),
    [
        (Option(Path, ""), 3, "x must be a path; got 3"),
        (Option(float, ""), "0.1", "x must be a number; got '0.1'"),
        (Option(float, ""), True, "x must be a number; got True"),
        (Option(int, ""), 1.5, "x must be a whole number; got 1.5"),
        (Option(int, ""), True, "x must be a whole number; got True"),
        (Option(bool, ""), 1, "x must be true or false; got 1"),
        (Option(str, ""), None, "x must be text; got None"),
        (Option(str, "", ("none", "full")), "ful", "x cannot be 'ful'; did you mean 'full'"),
    ],
)
def test_options_refuse_other_values(option: Option, given_value: object, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        option.value("x", given_value)


@pytest.mark.parametrize(
    ("start", "seconds", "inside"),
    [
        (0.1, 0.3, True),
        (0.1, 0.45, True),
        (0.1, 0.6, False),
        (0.55, 0.01, False),
        (-0.1, 0.3, False),
        (0.2, 0.0, False),
    ],
)
def test_a_segment_lies_inside_its_file(tmp_path: Path, start: float, seconds: float, inside: bool) -> None:
    """A table may round the end; neither end may lie elsewhere."""
    whole = sound(tmp_path / "a.wav", 0.5)
    items = [Item("a", whole, pinyin=("ni3",), start=start, seconds=seconds), Item("b", whole, pinyin=("ni3",))]
    made = gather(items, Gathering(tmp_path / "out", {}))
    assert [line["id"] for line in lines(made["train"])] == (["a", "b"] if inside else ["b"])
    if inside:
        assert lines(made["train"])[0]["seconds"] == pytest.approx(min(seconds, 0.5 - start))
    else:
        assert left_out(tmp_path / "out") == {"a": "not inside its file"}


def test_names_that_are_not_utf8_are_left_out_and_listed(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff")
    items = [
        Item(odd, sound(tmp_path / "a.wav"), pinyin=("ni3",)),
        Item("b", sound(tmp_path / f"{odd}.wav"), pinyin=("ni3",)),
        Item("c", sound(tmp_path / "c.wav"), pinyin=("ni3",), speaker=odd),
        LeftOut(odd, odd, odd),
        *(Item(f"d{n}", sound(tmp_path / "d.wav"), pinyin=("ni3",), speaker=f"S{n}") for n in range(4)),
    ]
    made = gather(hold_out(items, 0, 0, lambda item: item.speaker), Gathering(tmp_path / "out", {}))
    assert [line["id"] for line in lines(made["train"])] == ["d0", "d1", "d2", "d3"]
    reasons = left_out(tmp_path / "out")
    assert reasons == {"\\udcff": "\\udcff"} | dict.fromkeys("bc", "cannot stand in a manifest")
    text = (tmp_path / "out" / "left_out.tsv").read_text(encoding="utf-8")
    assert "'id' must be UTF-8 text; got '\\udcff'" in text and "'audio' must be UTF-8 text" in text


def test_sound_that_is_no_file_is_left_out_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    names = {"pipe": "pipe.wav", "long": "a" * 300 + ".wav", "nul": "a\0.wav", "good": "good.wav"}
    sound(tmp_path / "good.wav")
    items = [Item(name, tmp_path / file, pinyin=("ni3",)) for name, file in names.items()]
    made = gather(items, Gathering(tmp_path / "out", {}))
    assert [line["id"] for line in lines(made["train"])] == ["good"]
    missing = "no sound file"
    assert left_out(tmp_path / "out") == {"pipe": "damaged sound", "long": missing, "nul": missing}
