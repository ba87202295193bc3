"""Times in the formats of others: written, and read back by small parsers that know only the format."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.line_breaks import Layout
from dfcnn_ms.reporting.timings import FORMATS, SUFFIXES, Recording, Timed, in_phrases, phrases

steady = settings(deadline=None)  # a busy machine is not a fault

Entry = tuple[str, float, float]
EXAMPLE = Recording(
    "a",
    2.0,
    (
        Timed("ni3", 0.25, 0.5, 0.9, goodness=-0.105, heard=None),
        Timed("hao3", 0.5, 0.81, 0.4, goodness=-2.5, heard="hao4"),
        Timed("ma5", 1.5, 1.75, 1.0, goodness=0.0, heard=""),
    ),
    0.36,
)
EMPTY = Recording("nothing", 1.5, ())


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Syllables one after the other, some with pauses between them, in a recording of up to some hours."""
    lengths = st.floats(0.02, 2000, allow_nan=False)
    texts = st.sampled_from(["ni3", "lv4", "一", 'say "so"', "a<b & c>d", "a  b"])
    now, syllables = draw(st.floats(0, 10)), []
    for text in draw(st.lists(texts, max_size=8)):
        start = now + draw(st.sampled_from([0.0, 0.0, 0.3, 70.0]))
        now = start + draw(lengths)
        syllables.append(Timed(text, start, now, draw(st.floats(0, 1))))
    return Recording(draw(st.sampled_from(["a", "two words", ""])), now + draw(st.floats(0.01, 5)), tuple(syllables))


def near(entries: list[Entry], syllables: tuple[Timed, ...], tolerance: float = 0.00051) -> None:
    assert [text for text, _, _ in entries] == [one.text for one in syllables]
    for (_, start, end), one in zip(entries, syllables, strict=True):
        assert start == pytest.approx(one.start_seconds, abs=tolerance)
        assert end == pytest.approx(one.end_seconds, abs=tolerance)


def clock(hours: str, minutes: str, seconds: str, milliseconds: str) -> float:
    assert int(minutes) < 60 and int(seconds) < 60
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(milliseconds) / 1000


def read_srt(text: str) -> list[Entry]:
    entries = []
    for number, block in enumerate(text.split("\n\n") if text else [], start=1):
        first, times, words = block.strip("\n").split("\n")
        match = re.fullmatch(r"(\d\d+):(\d\d):(\d\d),(\d{3}) --> (\d\d+):(\d\d):(\d\d),(\d{3})", times)
        assert int(first) == number and match
        entries.append((words, clock(*match.groups()[:4]), clock(*match.groups()[4:])))
    return entries


def read_vtt(text: str) -> list[Entry]:
    head, *blocks = text.split("\n\n")
    assert head.strip() == "WEBVTT"
    entries = []
    for block in blocks:
        times, words = block.strip("\n").split("\n")
        match = re.fullmatch(r"(\d\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d\d+):(\d\d):(\d\d)\.(\d{3})", times)
        assert match and "<" not in words and ">" not in words
        plain = words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        entries.append((plain, clock(*match.groups()[:4]), clock(*match.groups()[4:])))
    return entries


def read_ctm(text: str) -> list[tuple[str, str, float, float, str, float]]:
    rows = [line.split(" ") for line in text.splitlines()]
    assert all(len(row) == 6 for row in rows)
    return [(row[0], row[1], float(row[2]), float(row[3]), row[4], float(row[5])) for row in rows]


def read_textgrid(text: str) -> tuple[float, dict[str, list[Entry]]]:
    """The end of a grid, and the intervals of each of its tiers, by the keys of Praat's long format."""
    lines = iter(text.splitlines())

    def value(key: str) -> str:
        found, _, rest = next(lines).partition("=")
        assert found.strip() == key, (found, key)
        return rest.strip()

    assert value("File type") == '"ooTextFile"' and value("Object class") == '"TextGrid"' and not next(lines)
    assert float(value("xmin")) == 0
    end = float(value("xmax"))
    assert next(lines) == "tiers? <exists>"
    count = int(value("size"))
    assert next(lines) == "item []:"
    tiers: dict[str, list[Entry]] = {}
    for item in range(1, count + 1):
        assert next(lines).strip() == f"item [{item}]:" and value("class") == '"IntervalTier"'
        name = value("name").strip('"')
        assert float(value("xmin")) == 0 and float(value("xmax")) == end
        tiers[name] = []
        for number in range(1, int(value("intervals: size")) + 1):
            assert next(lines).strip() == f"intervals [{number}]:"
            start, stop, quoted = float(value("xmin")), float(value("xmax")), value("text")
            assert quoted[0] == quoted[-1] == '"' and '"' not in quoted[1:-1].replace('""', "")
            tiers[name].append((quoted[1:-1].replace('""', '"'), start, stop))
    assert not list(lines)
    return end, tiers


@steady
@given(recordings())
def test_subtitles_are_read_back(recording: Recording) -> None:
    said = tuple(replace(one, text=" ".join(one.text.split())) for one in recording.syllables)
    near(read_srt(FORMATS["srt"](recording)), said)
    near(read_vtt(FORMATS["vtt"](recording)), said)


@steady
@given(recordings())
def test_a_textgrid_is_read_back_and_covers_the_recording(recording: Recording) -> None:
    end, tiers = read_textgrid(FORMATS["textgrid"](recording))
    intervals = tiers["syllables"]
    assert len(tiers) == 1
    assert end == pytest.approx(recording.seconds, abs=1e-6)
    near([interval for interval in intervals if interval[0]], recording.syllables, 1e-6)
    assert intervals[0][1] == 0 and intervals[-1][2] == end
    assert all(before[2] == after[1] for before, after in pairwise(intervals))
    assert all(start < stop for _, start, stop in intervals)  # Praat refuses a file with an empty interval


@steady
@given(recordings())
def test_a_ctm_is_read_back(recording: Recording) -> None:
    rows = read_ctm(FORMATS["ctm"](recording))
    said = tuple(replace(one, text="_".join(one.text.split())) for one in recording.syllables)
    near([(row[4], row[2], row[2] + row[3]) for row in rows], said, 0.0011)
    assert {row[0] for row in rows} <= {"_".join(recording.name.split()) or "-"}
    assert [row[5] for row in rows] == pytest.approx([one.score for one in said], abs=0.00051)


@steady
@given(recordings())
def test_json_is_read_back(recording: Recording) -> None:
    page = json.loads(FORMATS["json"](recording))
    near([(one["text"], one["start"], one["end"]) for one in page["syllables"]], recording.syllables)
    assert page["seconds"] == pytest.approx(recording.seconds, abs=0.00051)


def test_json_says_what_is_known_and_nothing_else() -> None:
    page: dict[str, Any] = json.loads(timings.as_json(EXAMPLE))
    assert page["text"] == "ni3 hao3 ma5" and page["confidence"] == 0.36
    assert page["syllables"] == [
        {"text": "ni3", "start": 0.25, "end": 0.5, "score": 0.9, "goodness": -0.105},
        {"text": "hao3", "start": 0.5, "end": 0.81, "score": 0.4, "goodness": -2.5, "heard": "hao4"},
        {"text": "ma5", "start": 1.5, "end": 1.75, "score": 1.0, "goodness": 0.0, "heard": ""},
    ]
    assert "confidence" not in timings.to_dict(EMPTY)


def test_golden_files() -> None:
    assert timings.ctm(EXAMPLE) == "a 1 0.250 0.250 ni3 0.900\na 1 0.500 0.310 hao3 0.400\na 1 1.500 0.250 ma5 1.000\n"
    assert timings.srt(EXAMPLE).startswith("1\n00:00:00,250 --> 00:00:00,500\nni3\n\n2\n")
    assert timings.vtt(EXAMPLE).startswith("WEBVTT\n\n00:00:00.250 --> 00:00:00.500\nni3\n\n00:")


def test_an_hour_is_an_hour() -> None:
    assert "01:01:01,001 --> 27:46:39,999" in timings.srt(Recording("a", 1e5, (Timed("a1", 3661.001, 99999.999, 1),)))
    # Rounding must not write 60 seconds.
    assert "00:01:00,000 --> 01:00:00,000" in timings.srt(Recording("a", 3600, (Timed("a1", 59.9996, 3599.9999, 1),)))


@pytest.mark.parametrize("form", FORMATS)
def test_silence_is_a_whole_file(form: str) -> None:
    text = FORMATS[form](EMPTY)
    if form == "textgrid":
        assert read_textgrid(text) == (1.5, {"syllables": [("", 0, 1.5)]})
    elif form == "json":
        assert json.loads(text) == {"name": "nothing", "seconds": 1.5, "text": "", "syllables": []}
    else:
        assert text == {"srt": "", "ctm": "", "vtt": "WEBVTT\n"}[form]


def test_each_format_has_a_suffix() -> None:
    assert set(SUFFIXES) == set(FORMATS)
    assert len(set(SUFFIXES.values())) == len(SUFFIXES)


def test_phrases_end_at_pauses_and_do_not_grow_too_long() -> None:
    joined = phrases(EXAMPLE.syllables, Layout(pause=0.5))
    assert [(one.text, one.start_seconds, one.end_seconds) for one in joined] == [
        ("ni3 hao3", 0.25, 0.81),
        ("ma5", 1.5, 1.75),
    ]
    assert joined[0].score == pytest.approx(0.65)
    assert [one.text for one in phrases(EXAMPLE.syllables, Layout(pause=0.8))] == ["ni3 hao3 ma5"]
    assert [one.text for one in phrases(EXAMPLE.syllables, Layout(pause=0.8, seconds=0.6))] == ["ni3 hao3", "ma5"]
    assert phrases(()) == []


@steady
@given(recordings())
def test_phrases_keep_every_syllable(recording: Recording) -> None:
    whole = in_phrases(recording)
    assert " ".join(one.text for one in whole.syllables) == " ".join(one.text for one in recording.syllables)
    assert all(before.end_seconds <= after.start_seconds for before, after in pairwise(whole.syllables))


def test_characters_have_a_tier_and_are_the_subtitles() -> None:
    known = tuple(replace(one, characters=c) for one, c in zip(EXAMPLE.syllables, "你好吗", strict=True))
    recording = replace(EXAMPLE, syllables=known)
    tiers = read_textgrid(timings.textgrid(recording))[1]
    assert [text for text, _, _ in tiers["syllables"] if text] == ["ni3", "hao3", "ma5"]
    assert [text for text, _, _ in tiers["characters"] if text] == ["你", "好", "吗"]
    assert [row[1:] for row in tiers["characters"]] == [row[1:] for row in tiers["syllables"]]
    assert [text for text, _, _ in read_srt(timings.srt(recording))] == ["你", "好", "吗"]
    assert [text for text, _, _ in read_vtt(timings.vtt(in_phrases(recording)))] == ["你好", "吗"]
    assert [one["characters"] for one in json.loads(timings.as_json(recording))["syllables"]] == ["你", "好", "吗"]
    assert [row[4] for row in read_ctm(timings.ctm(recording))] == ["ni3", "hao3", "ma5"]
    partly = replace(EXAMPLE, syllables=(known[0], *EXAMPLE.syllables[1:]))
    assert [one.characters for one in in_phrases(partly).syllables] == ["", ""]


@pytest.mark.parametrize(("start", "end"), [(-0.1, 1), (1, 0.5), (float("nan"), 1)])
def test_a_syllable_lasts_some_time(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Timed("a1", start, end, 1.0)


def test_syllables_follow_each_other_inside_the_recording() -> None:
    with pytest.raises(ValueError, match="'b1' begins before 'a1' ends"):
        Recording("a", 3, (Timed("a1", 0, 2, 1), Timed("b1", 1, 3, 1)))
    with pytest.raises(ValueError, match="'a1' ends after the recording"):
        Recording("a", 3, (Timed("a1", 0, 3.5, 1),))
