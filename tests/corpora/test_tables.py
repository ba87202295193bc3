"""Tables of your own: any usual names of columns, pieces of long files, and every way to get it wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from miniatures import ids, left_out, lines, put, sound

from dfcnn_ms.corpora import tables
from dfcnn_ms.errors import ConfigError, DataError

RECIPES = {kind: tables.recipe(kind) for kind in tables.READERS}
ALL = {"dev": 0, "test": 0}


@pytest.fixture(autouse=True)
def sounds(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        sound(tmp_path / "mine" / "audio" / f"{name}.wav", 0.5)
    sound(tmp_path / "mine" / "audio" / "long.wav", 10.0)


ROWS = [
    {"id": "one", "audio": "audio/a.wav", "text": "重庆，银行", "speaker": "ann", "split": "train"},
    {"id": "two", "audio": "audio/b.wav", "text": "绿", "speaker": "bob", "split": "validation"},
    {"id": "three", "audio": "audio/c.wav", "text": "七", "speaker": "cat", "split": "test"},
]


def write(folder: Path, kind: str, rows: list[dict[str, str]], name: str = "mine") -> Path:
    """The same rows in any kind of table."""
    path = folder / f"{name}.{kind}"
    folder.mkdir(exist_ok=True)
    if kind == "json":
        return put(path, json.dumps(rows, ensure_ascii=False, indent=1))
    if kind == "jsonl":
        return put(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if kind == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("kind", tables.READERS)
def test_every_kind_of_table_says_the_same(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "mine"
    table = write(root, kind, ROWS)
    for place in (root, table):
        made = RECIPES[kind](place, tmp_path / "out")
        assert ids(made) == {"train": ["one"], "dev": ["two"], "test": ["three"]}
        (line,) = lines(made["train"])
        assert line == {
            "id": "one",
            "audio": "../mine/audio/a.wav",
            "seconds": 0.5,
            "pinyin": "chong2 qing4 yin2 hang2",
            "text": "重庆，银行",
            "speaker": "ann",
            "split": "train",
        }


@pytest.mark.parametrize(
    "row",
    [
        {"utt_id": "a", "path": "audio/a.wav", "pinyin": "lu:4", "hanzi": "绿"},
        {"audio_filepath": "audio/a.wav", "duration": 0.5, "text": "绿"},
        {"client_id": "x", "path": "audio/a.wav", "sentence": "绿", "age": "thirties"},
        {"file": "audio/a.wav", "syllables": ["lv4"]},
        {"wav": "audio/a.wav", "transcript": "lü4"},
        {"key": "a", "wav": "audio/a.wav", "txt": "绿"},
        {"utt": "a", "utt2spk": "S1", "feat": "audio/a.wav", "feat_shape": [0.5], "text": "绿"},
    ],
)
def test_columns_have_many_names(tmp_path: Path, row: dict) -> None:
    write(tmp_path / "mine", "jsonl", [row])
    (line,) = lines(RECIPES["jsonl"](tmp_path / "mine", tmp_path / "out", **ALL)["train"])
    assert (line["id"], line["pinyin"]) == ("a", "lv4")


def test_pieces_of_a_long_file(tmp_path: Path) -> None:
    piece = {"audio_filepath": "audio/long.wav", "text": "七"}
    rows = [{"id": str(number), "offset": 2.5 * number, "duration": 2.5, **piece} for number in range(4)]
    rows.append({"id": "rest", "offset": 9, **piece})
    rows.append({"id": "rounded", "offset": 9.5, "duration": 0.55, **piece})
    rows.append({"id": "beyond", "offset": 9.5, "duration": 2, **piece})
    rows.append({"id": "before", "offset": -1, "duration": 2, **piece})
    rows.append({"id": "at the end", "offset": 10.05, **piece})
    rows.append({"id": "nan", "offset": "nan", "duration": 1, **piece})
    rows.append({"id": "whole", "duration": 3, **piece})
    write(tmp_path / "mine", "jsonl", rows)
    made = RECIPES["jsonl"](tmp_path / "mine", tmp_path / "out", **ALL)
    spans = {line["id"]: (line.get("start", 0.0), line["seconds"]) for line in lines(made["train"])}
    assert spans == {
        **{str(number): (2.5 * number, 2.5) for number in range(4)},
        "rest": (9.0, 1.0),
        "rounded": (9.5, 0.5),
        "whole": (0.0, 10.0),
    }
    assert left_out(tmp_path / "out") == dict.fromkeys(["beyond", "before", "at the end", "nan"], "not inside its file")


def test_a_table_for_each_split(tmp_path: Path) -> None:
    for row in ROWS:
        plain = {key: row[key] for key in ("audio", "text")}
        write(tmp_path / "mine", "tsv", [plain], row["split"])
    write(tmp_path / "mine", "tsv", [{"audio": "audio/none.wav", "text": "x"}], "other")
    made = RECIPES["tsv"](tmp_path / "mine", tmp_path / "out")
    assert ids(made) == {"train": ["a"], "dev": ["b"], "test": ["c"]}


def test_audio_may_lie_elsewhere(tmp_path: Path) -> None:
    table = write(tmp_path / "tables", "csv", [{"path": "a.wav", "sentence": "绿"}])
    made = RECIPES["csv"](table, tmp_path / "out", audio=tmp_path / "mine" / "audio", **ALL)
    assert lines(made["train"])[0]["audio"] == "../mine/audio/a.wav"


def test_json_by_id_and_json_that_is_lines(tmp_path: Path) -> None:
    entry = {"audio": "audio/a.wav", "text": "绿"}
    put(tmp_path / "mine" / "a.json", json.dumps({"utt1": entry}))
    assert ids(RECIPES["json"](tmp_path / "mine", tmp_path / "out", **ALL)) == {"train": ["utt1"]}
    put(tmp_path / "mine" / "a.json", f"{json.dumps(entry)}\n{json.dumps({'id': 'z', **entry})}\n")
    assert ids(RECIPES["json"](tmp_path / "mine", tmp_path / "out", **ALL)) == {"train": ["a", "z"]}


def test_rows_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    rows = [
        *ROWS[:1],
        {"id": "no file", "audio": "", "text": "绿"},
        {"id": "gone", "audio": "audio/gone.wav", "text": "绿"},
        {"id": "number", "audio": "audio/a.wav", "text": "绿", "start": "soon"},
        {"id": "one", "audio": "audio/b.wav", "text": "绿"},
        {"id": "silent", "audio": "audio/b.wav", "text": ""},
    ]
    write(tmp_path / "mine", "jsonl", rows)
    made = RECIPES["jsonl"](tmp_path / "mine", tmp_path / "out")
    assert ids(made) == {"train": ["one"]}
    assert left_out(tmp_path / "out") == {
        "no file": "no sound file named",
        "gone": "no sound file",
        "number": "not a number",
        "one": "same id again",
        "silent": "no text",
    }
    details = (tmp_path / "out" / "left_out.tsv").read_text(encoding="utf-8")
    assert "mine.jsonl:4: 'start' must be seconds; got 'soon'" in details


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("tsv", "id\ttext\na\t绿\n", r"mine\.tsv:1: the header needs a column 'audio' \(or 'path'\); got id, text"),
        ("tsv", "audio,text\na.wav,绿\n", r"mine\.tsv:1: its columns are set apart by commas: use `prepare csv`"),
        ("csv", "audio\ttext\na.wav\t绿\n", r"mine\.csv:1: its columns are set apart by tabs: use `prepare tsv`"),
        ("csv", "audio;text\na.wav;绿\n", r"set apart by semicolons: save it with commas"),
        ("csv", "audio\na.wav\n", r"needs a column 'text' or 'pinyin'"),
        (
            "csv",
            f'id,"aud\n{"9" * 5000}\n"\na,b\n',
            r"mine\.csv:1: .* 'audio' \(or 'path'\); got id, aud 9+ [.]{3} 9+$",
        ),
        ("csv", "", r"mine\.csv: is empty; it needs a header"),
        ("csv", "audio,text\n", r"mine\.csv: no utterance in it; it needs a header"),
        ("tsv", "audio\ttext\na.wav\t绿\n".encode("gbk"), r"mine\.tsv: not UTF-8 text"),
        ("json", "[", r"mine\.json:1: not JSON"),
        ("json", "[1]", r"wanted a list of objects"),
        ("json", "[]", r"no utterance in it; it needs an object"),
        ("json", "", r"no utterance in it; it needs an object"),
        ("jsonl", "", r"no utterance in it; it needs an object"),
        ("jsonl", '{"audio": "a.wav", "text": "x"}\n{', r"mine\.jsonl:2: not JSON"),
        ("jsonl", "[" * 200_000, r"mine\.jsonl:1: not JSON \(nested too deep\); give one object per line$"),
        ("json", "[" * 200_000, r"mine\.json:1: not JSON \(nested too deep\)"),
        ("json", f"[{'9' * 5000}]", r"mine\.json:1: not JSON \(a number of thousands of digits\)"),
        ("jsonl", "[1]\n", r"mine\.jsonl:1: wanted an object; got list"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_table_that_is_none_is_named(tmp_path: Path, kind: str, content: str | bytes, complaint: str) -> None:
    put(tmp_path / "mine" / f"mine.{kind}", content)
    with pytest.raises(DataError, match=complaint):
        RECIPES[kind](tmp_path / "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_without_an_id_get_one_each_and_true_repeats_do_not(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in ("s1/001.wav", "s2/001.wav", "long.wav"):
        sound(root / name, 0.5)
    rows = [{"audio_filepath": name, "text": "绿"} for name in ("s1/001.wav", "s2/001.wav", "s1/001.wav")]
    rows += [{"audio_filepath": "long.wav", "text": "绿", "offset": 0.1 * n, "duration": 0.1} for n in range(3)]
    write(root, "jsonl", rows)
    made = RECIPES["jsonl"](root, tmp_path / "out", dev=0, test=0)
    assert ids(made) == {"train": ["001", "long", "long-2", "long-3", "s2-001"]}
    assert left_out(tmp_path / "out") == {"001": "same id again"}


def test_a_list_may_be_wrapped_and_told_by_other_names(tmp_path: Path) -> None:
    sound(tmp_path / "mine" / "a.wav")
    page = {"version": 1, "data": [{"wav": "a.wav", "words": "ni3 hao3", "spk_id": "s"}]}
    put(tmp_path / "mine" / "mine.json", json.dumps(page))
    made = RECIPES["json"](tmp_path / "mine", tmp_path / "out", dev=0, test=0)
    (row,) = lines(made["train"])
    assert (row["id"], row["pinyin"], row["speaker"]) == ("a", "ni3 hao3", "s")


def test_sound_that_is_nowhere_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "mine", "jsonl", [{"audio": f"{n}.wav", "text": "绿"} for n in range(200)])
    with pytest.raises(DataError, match=r"mine\.jsonl:1: .*0\.wav: no such file, nor is any other .* --audio"):
        RECIPES["jsonl"](tmp_path / "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_is_not_overwritten_by_its_manifest(tmp_path: Path) -> None:
    table = write(tmp_path / "mine", "jsonl", ROWS, "train")
    before = table.read_bytes()
    with pytest.raises(ConfigError, match=r"train\.jsonl: would be overwritten by its own manifest"):
        RECIPES["jsonl"](tmp_path / "mine", tmp_path / "mine")
    assert table.read_bytes() == before


def test_our_own_manifests_are_such_tables(tmp_path: Path) -> None:
    write(tmp_path / "mine", "tsv", ROWS)
    made = RECIPES["tsv"](tmp_path / "mine", tmp_path / "out")
    again = RECIPES["jsonl"](tmp_path / "out", tmp_path / "out2")
    for split, path in made.items():
        assert lines(again[split]) == lines(path)


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_zero_bytes_in_a_table_are_told(tmp_path: Path, kind: str) -> None:
    rows = [ROWS[0] | {"split": ""}, ROWS[1] | {"split": "", "audio": "audio/\0.wav"}]
    root = write(tmp_path / "mine", kind, rows)
    try:
        made = RECIPES[kind](root, tmp_path / "out", **ALL)
    except DataError as error:  # before Python 3.11 such a table cannot be read at all
        assert f"mine.{kind}: not a table" in str(error)
    else:
        assert (ids(made), left_out(tmp_path / "out")) == ({"train": ["one"]}, {"two": "no sound file"})
