"""Manifests: what is written is read back, and what is wrong is named with its line."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.corpora import manifest
from dfcnn_ms.corpora.manifest import Utterance, check_audio, iter_manifest, read_manifest, write_manifest
from dfcnn_ms.errors import DataError

steady = settings(deadline=None)  # a busy machine is not a fault

GOOD = {"id": "a", "audio": "audio/a.wav", "seconds": 1.5, "pinyin": "ni3 hao3"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(bool)
utterances = st.builds(
    Utterance,
    id=names,
    audio=names,
    seconds=st.floats(1e-3, 1e6),
    pinyin=st.lists(st.sampled_from(["ni3", "hao3", "lv4", "好"])).map(tuple),
    text=texts,
    speaker=texts,
    split=texts,
    start=st.floats(0, 1e6),
)


def write_lines(path: Path, *lines: object) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


@steady
@given(st.lists(utterances, min_size=1, unique_by=lambda utterance: utterance.id))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, written: list[Utterance]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    write_manifest(path, iter(written))
    assert read_manifest(path) == written


def test_a_line_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "test.jsonl"
    write_manifest(
        path,
        [
            Utterance("a", "audio/a.wav", 2, ("lv4", "de5")),
            Utterance("b", "b.wav", 1.5, (), text="绿的", speaker="S1", split="test", start=0.25),
        ],
    )
    assert path.read_text(encoding="utf-8").splitlines() == [
        '{"id": "a", "audio": "audio/a.wav", "seconds": 2.0, "pinyin": "lv4 de5"}',
        '{"id": "b", "audio": "b.wav", "seconds": 1.5, "pinyin": "", "text": "绿的", "speaker": "S1", '
        '"split": "test", "start": 0.25}',
    ]


def test_an_utterance_knows_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "test.jsonl", GOOD, "", {**GOOD, "id": "b", "audio": "/far/b.wav"})
    monkeypatch.chdir(tmp_path)
    near, far = read_manifest("test.jsonl")
    monkeypatch.chdir("/")
    assert near.path == tmp_path / "audio/a.wav"
    assert far.path == Path("/far/b.wav").absolute()
    assert (near.where, far.where) == ("test.jsonl:1", "test.jsonl:3")
    assert near.pinyin == ("ni3", "hao3")
    assert Utterance("x", "x.wav", 1.0, ()).path == Path("/x.wav").absolute()


def test_audio_is_still_found_from_a_manifest_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    here = write_lines(tmp_path / "corpus/train.jsonl", GOOD)
    there = tmp_path / "subsets/small/train.jsonl"
    write_manifest(there, read_manifest(here))
    (moved,) = read_manifest(there)
    assert moved.audio == "../../corpus/audio/a.wav"
    assert os.path.normpath(moved.path) == str(tmp_path / "corpus/audio/a.wav")


def test_iter_streams(tmp_path: Path) -> None:
    lines = iter_manifest(write_lines(tmp_path / "a.jsonl", GOOD, "not json"))
    assert next(lines).id == "a"
    with pytest.raises(DataError, match=r"a\.jsonl:2: not JSON"):
        next(lines)


def test_windows_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n")
    assert [utterance.id for utterance in read_manifest(path)] == ["a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"not JSON \(.+, column \d+\)"),
        ("[1]", "a line must be a JSON object; got a list"),
        ("7", "a line must be a JSON object; got the number 7"),
        ({**GOOD, "second": 1}, "unknown key 'second'; did you mean 'seconds'"),
        ({**GOOD, "xyz": 1}, "unknown key 'xyz'; known: audio, id"),
        ({"id": "a", "audio": "a.wav"}, "missing 'seconds', 'pinyin'"),
        ({**GOOD, "id": 7}, "'id' must be text; got the number 7"),
        ({**GOOD, "id": ""}, "'id' is empty"),
        ({**GOOD, "audio": ""}, "'audio' is empty"),
        ({**GOOD, "audio": None}, "'audio' must be text; got null"),
        ({**GOOD, "seconds": "1.5"}, "'seconds' must be a number; got text"),
        ({**GOOD, "seconds": True}, "'seconds' must be a number; got true or false"),
        ({**GOOD, "seconds": 0}, "'seconds' must be a positive number up to 10000000; got 0"),
        ({**GOOD, "seconds": float("nan")}, "'seconds' must be a positive number up to 10000000; got nan"),
        ({**GOOD, "seconds": float("inf")}, "'seconds' must be a positive number up to 10000000; got inf"),
        ({**GOOD, "start": -1}, "'start' must be zero or a positive number up to 10000000; got -1"),
        ({**GOOD, "pinyin": ["ni3"]}, "'pinyin' must be text; got a list"),
        ({**GOOD, "seconds": 1e7 + 1}, r"'seconds' must be a positive number up to 10000000; got 10000001\.0$"),
        ({**GOOD, "start": 1e308}, r"'start' must be zero or a positive number up to 10000000; got 1e\+308$"),
        ({**GOOD, "seconds": 10**400}, "'seconds' must be .+; got a whole number of 1329 bits$"),
        ({**GOOD, "id": 10**400}, "'id' must be text; got the number a whole number of 1329 bits$"),
        (f'{{"id": "b", "seconds": {"9" * 5000}}}', r"not JSON \(a number of thousands of digits, column 1\)"),
        ("[" * 200_000, r"not JSON \(nested too deep, column 1\); give one object per line$"),
        ('{"a":' * 200_000, r"not JSON \(nested too deep, column 1\)"),
        ({**GOOD, "text": "\ud800"}, r"'text' must be UTF-8 text; got '\\ud800'$"),
        ({**GOOD, "id": "\ud800"}, r"'id' must be UTF-8 text; got '\\ud800'$"),
        ({**GOOD, "audio": "\udcff.wav"}, r"'audio' must be UTF-8 text; got '\\udcff\.wav'$"),
        ({**GOOD, "pinyin": "ni3 \udcff"}, r"'pinyin' must be UTF-8 text; got 'ni3 \\udcff'$"),
        ({**GOOD, "x" * 10**6: 1}, "unknown key '(x+) [.]{3} (x+)'; known: "),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = write_lines(tmp_path / "test.jsonl", {**GOOD, "id": "first"}, line)
    with pytest.raises(DataError, match=rf"test\.jsonl:2: {message}") as caught:
        read_manifest(path)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_duplicate_ids_are_named_with_both_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", GOOD, {**GOOD, "id": "b"}, GOOD)
    with pytest.raises(DataError, match=r"test\.jsonl:3: id 'a' was used on line 1 already"):
        read_manifest(path)


def test_ids_of_one_hash_are_still_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every id seems to have been there before, so that each is looked up."""
    monkeypatch.setattr(
        manifest._Seen, "before", lambda self, name: self._buckets.setdefault(0, bytearray()) is not None
    )
    path = write_lines(tmp_path / "test.jsonl", *({**GOOD, "id": name} for name in "abc"))
    assert [utterance.id for utterance in read_manifest(path)] == ["a", "b", "c"]
    write_manifest(tmp_path / "again.jsonl", iter_manifest(path))
    assert (tmp_path / "again.jsonl").read_bytes() != b""
    twice = [Utterance("a", "a.wav", 1, ()), Utterance("b", "b.wav", 1, ()), Utterance("a", "c.wav", 1, ())]
    with pytest.raises(DataError, match="id 'a' is used by two utterances"):
        write_manifest(tmp_path / "twice.jsonl", twice)
    with pytest.raises(DataError, match=r"test\.jsonl:4: id 'b' was used on line 2 already"):
        read_manifest(write_lines(path, *({**GOOD, "id": name} for name in "abcb")))


def test_a_long_manifest_is_read_in_little_memory(tmp_path: Path) -> None:
    """Beyond the line itself, some bytes for each id."""
    path = tmp_path / "long.jsonl"
    with path.open("w") as file:
        for number in range(10_000):
            file.write(json.dumps({**GOOD, "id": f"BAC009S{number:08d}", "text": "x" * 240}) + "\n")
    tracemalloc.start()
    assert sum(1 for _ in iter_manifest(path)) == 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 3e6
    assert peak < 2.5e6


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + "绿".encode("gbk") + b"\n")
    with pytest.raises(DataError, match=r"test\.jsonl:2: not UTF-8 text"):
        read_manifest(path)


def test_a_manifest_must_exist_and_hold_something(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: no such manifest"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="is a directory"):
        read_manifest(tmp_path)
    with pytest.raises(DataError, match=r"empty\.jsonl: the manifest is empty"):
        read_manifest(write_lines(tmp_path / "empty.jsonl", "", "  "))


def test_an_utterance_is_checked_when_it_is_made() -> None:
    with pytest.raises(DataError, match=r"^utterance 'a': 'seconds' must be a positive number up to 10000000; got -1"):
        Utterance("a", "a.wav", -1, ())
    with pytest.raises(DataError, match="'pinyin' must be syllables without blanks in them; got 'ni3 hao3'"):
        Utterance("a", "a.wav", 1, ("ni3 hao3",))
    assert Utterance("a", "a.wav", 1, "ni3 hao3").pinyin == ("ni3", "hao3")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [[], [Utterance("a", "a.wav", 1, ()), Utterance("a", "b.wav", 1, ())]])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, bad: list[Utterance]) -> None:
    path = write_lines(tmp_path / "test.jsonl", GOOD)
    with pytest.raises(DataError, match=r"test\.jsonl: "):
        write_manifest(path, bad)
    assert [utterance.id for utterance in read_manifest(path)] == ["a"]
    assert os.listdir(tmp_path) == ["test.jsonl"]


def test_a_manifest_can_be_rewritten_from_itself(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "test.jsonl", GOOD, {**GOOD, "id": "b"})
    write_manifest(path, (utterance for utterance in iter_manifest(path) if utterance.id == "b"))
    assert [utterance.id for utterance in read_manifest(path)] == ["b"]
    assert os.listdir(tmp_path) == ["test.jsonl"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    good = [Utterance("a", "a.wav", 1, ())]
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_manifest(tmp_path / "file" / "test.jsonl", good)
    with pytest.raises(DataError, match="is a directory"):
        write_manifest(tmp_path, good)


def test_missing_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "here.wav").touch()
    (tmp_path / "folder").mkdir()
    lines = [{**GOOD, "id": name, "audio": name} for name in ("here.wav", "gone.wav", "folder")]
    utterances = read_manifest(write_lines(tmp_path / "test.jsonl", *lines))
    check_audio(utterances[:1])
    with pytest.raises(DataError, match=r"test\.jsonl:2: audio file .+gone\.wav does not exist \(and 1 more"):
        check_audio(utterances)
    with pytest.raises(DataError, match=r"test\.jsonl:3: audio file .+folder is a directory; "):
        check_audio(utterances[2:])


def test_keys_are_the_fields_that_are_stored() -> None:
    stored = [field.name for field in fields(Utterance) if field.compare]
    assert stored == list(manifest.KEYS)


def test_labels_of_any_habit_become_one_form_and_what_is_no_pinyin_is_named(tmp_path: Path) -> None:
    from dfcnn_ms.corpora.manifest import read_labelled

    (tmp_path / "a.wav").touch()
    lines = ["LU:4 lü4 lv4 de", "hǎo ju4"]
    entries = [{"id": str(i), "audio": "a.wav", "seconds": 1, "pinyin": line} for i, line in enumerate(lines)]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert [one.pinyin for one in read_labelled(manifest)] == [("lv4", "lv4", "lv4", "de5"), ("hao3", "ju4")]
    assert read_labelled(manifest, "as_written")[1].pinyin == ("hǎo", "ju4")
    manifest.write_text(manifest.read_text() + json.dumps({**entries[0], "id": "x", "pinyin": "ni3 qqq1"}) + "\n")
    with pytest.raises(DataError, match=r"m\.jsonl:3: .*qqq1"):
        read_labelled(manifest)


def test_what_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    """To open a pipe that nobody writes into would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is a pipe, not a file"):
        read_manifest(tmp_path / "pipe")
    with pytest.raises(DataError, match="null: is a device, not a file"):
        read_manifest("/dev/null")
    with pytest.raises(DataError, match=r"test\.jsonl:1: audio file .+pipe is no file; "):
        check_audio(read_manifest(write_lines(tmp_path / "test.jsonl", {**GOOD, "audio": "pipe"})))


def test_names_that_no_file_has_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\); check the path"):
        read_manifest(tmp_path / ("m" * 300))
    with pytest.raises(DataError, match="null byte"):
        read_manifest(tmp_path / "m\0m")
    for name in ("a" * 300, "a\0a"):
        path = write_lines(tmp_path / "test.jsonl", {**GOOD, "audio": name})
        with pytest.raises(DataError, match=r"test\.jsonl:1: audio file .+ does not exist"):
            check_audio(read_manifest(path))


def test_a_label_of_a_million_letters_is_one_short_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    path = write_lines(tmp_path / "m.jsonl", {**GOOD, "audio": "a.wav", "pinyin": "a" * 10**6})
    with pytest.raises(DataError, match=r"m\.jsonl:1: 'a+ [.]{3} a+' is not a pinyin syllable; put blanks") as caught:
        manifest.read_labelled(path)
    assert len(str(caught.value)) < 200 + len(str(path))
