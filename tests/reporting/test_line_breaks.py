"""Lines of subtitles: every syllable once, none too long, and the best of all ways to break them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_timings import read_srt, read_vtt

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.decoding.hanzi import Sentence
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Transcript
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.line_breaks import (
    AT_A_WAIT,
    CHINESE,
    INSIDE_A_WORD,
    LETTERS,
    NEARLY_EMPTY,
    Layout,
    Piece,
    lines,
)
from dfcnn_ms.reporting.timings import Recording, Timed, in_phrases
from dfcnn_ms.reporting.transcripts import Writer, page

steady = settings(deadline=None)
layouts = st.builds(
    Layout,
    characters=st.none() | st.integers(1, 60),
    seconds=st.floats(0.3, 8),
    pause=st.floats(0.1, 1),
    shown=st.floats(0, 3),
)


@st.composite
def spoken(draw: st.DrawFn, most: int = 30) -> tuple[Timed, ...]:
    """Syllables with waits between them, written in characters or not."""
    now, found = draw(st.floats(0, 3)), []
    is_written = draw(st.sampled_from([True, False, None]))
    for _ in range(draw(st.integers(0, most))):
        now += draw(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.2, 0.7, 5.0]))
        start, now = now, now + draw(st.floats(0.001, 0.6))
        written = draw(st.sampled_from(["", "好"])) if is_written is None else "好" * is_written
        text = draw(st.sampled_from(["a1", "hao3", "zhuang4"]))
        found.append(Timed(text, start, now, 0.5, characters=written, continues=draw(st.booleans())))
    return tuple(found)


@steady
@given(spoken(), layouts)
def test_lines_hold_every_syllable_once_and_are_not_too_long(syllables: tuple[Timed, ...], layout: Layout) -> None:
    pieces = [Piece(one.text, one.characters, one.start_seconds, one.end_seconds, one.continues) for one in syllables]
    found = list(lines(pieces, layout))
    assert [place for line in found for place in line] == list(range(len(pieces)))
    assert all(found)
    for line in found:
        inside = [pieces[place] for place in line]
        assert all(after.start - before.end < layout.pause for before, after in pairwise(inside))
        if len(line) > 1:
            assert inside[-1].end - inside[0].start <= layout.seconds
            assert width(inside) <= (layout.characters or (CHINESE if is_written(inside) else LETTERS))


@steady
@given(spoken(), layouts, st.floats(0, 4))
def test_subtitles_never_overlap_and_their_times_increase(
    syllables: tuple[Timed, ...], layout: Layout, rest: float
) -> None:
    end = syllables[-1].end_seconds if syllables else 0.0
    shown = in_phrases(Recording("a", end + rest, syllables), layout)
    for read, written in ((read_srt, timings.srt(shown)), (read_vtt, timings.vtt(shown))):
        cues = read(written)
        assert all(start <= stop for _, start, stop in cues)
        assert all(stop <= start for (_, _, stop), (_, start, _) in pairwise(cues))
        assert all(stop <= end + rest + 0.0005 for _, _, stop in cues)
    for one, following in pairwise([*shown.syllables, Timed("end", end + rest, end + rest, 1)]):
        is_long = one.seconds >= layout.shown - 1e-9
        assert is_long or one.end_seconds == pytest.approx(following.start_seconds)


def is_written(inside: Sequence[Piece]) -> bool:
    return all(one.characters for one in inside)


def width(inside: Sequence[Piece]) -> int:
    return len(
        "".join(one.characters for one in inside) if is_written(inside) else " ".join(one.text for one in inside)
    )


def cost(pieces: Sequence[Piece], cuts: Sequence[int], layout: Layout) -> float:
    """What a way to break costs, from its definition; too long a line costs everything."""
    total, edges = 0.0, [0, *cuts, len(pieces)]
    for first, stop in pairwise(edges):
        inside = pieces[first:stop]
        most = layout.characters or (CHINESE if is_written(inside) else LETTERS)
        full = max(width(inside) / most, (inside[-1].end - inside[0].start) / layout.seconds)
        if full > 1 and len(inside) > 1:
            return math.inf
        total += 1 + NEARLY_EMPTY * (1 - min(full, 1)) ** 2
        if first:
            wait = pieces[first].start - pieces[first - 1].end
            total += INSIDE_A_WORD * pieces[first].continues - AT_A_WAIT * min(1.0, wait / layout.pause)
    return total


@steady
@given(spoken(most=9), layouts)
def test_no_other_way_to_break_is_better(syllables: tuple[Timed, ...], layout: Layout) -> None:
    """All of them, one by one, for what is said without a pause."""
    pieces = [Piece(one.text, one.characters, one.start_seconds, one.end_seconds, one.continues) for one in syllables]
    groups: list[list[Piece]] = [[]]
    for piece in pieces:
        if groups[-1] and piece.start - groups[-1][-1].end >= layout.pause:
            groups.append([])
        groups[-1].append(piece)
    for group in filter(None, groups):
        ways = (cuts for count in range(len(group)) for cuts in itertools.combinations(range(1, len(group)), count))
        best = min(cost(group, cuts, layout) for cuts in ways)
        assert cost(group, [line.start for line in list(lines(group, layout))[1:]], layout) == pytest.approx(best)


def heard(count: int = 24) -> tuple[SoundFile, Transcript]:
    """Two words of six characters, again and again, without a pause."""
    starts = tuple(0.2 * place for place in range(count))
    ends = tuple(0.2 * (place + 1) for place in range(count))
    units = tuple("一二三四五六" * (count // 6))
    sentence = Sentence("".join(units), units, ("一二三四五六",) * (count // 6), -1.0)
    spoken = ("yi1", "er4", "san1", "si4", "wu3", "liu4") * (count // 6)
    sure = (0.9,) * count
    transcript = Transcript(spoken, 0.9, -1.0, -1.0, starts, ends, sure, sentence)
    return SoundFile("a.wav", Path("a.wav"), ends[-1] + 1), transcript


def test_words_stay_whole_where_the_lines_allow_it() -> None:
    """16 characters have room for two words and a part of the third."""
    sound, transcript = heard()
    for form, read in (("srt", read_srt), ("vtt", read_vtt)):
        texts = [text for text, _, _ in read(Writer(form, None, 1).text(sound, transcript))]
        assert texts == ["一二三四五六一二三四五六"] * 2
    texts = [one["characters"] for one in page(sound, transcript)["lines"]]
    assert texts == ["一二三四五六一二三四五六"] * 2


def test_the_lines_of_json_last_as_long_as_they_are_said() -> None:
    sound, transcript = heard()
    entries = json.loads(Writer("json", None, 1, Layout(characters=6)).text(sound, transcript))["lines"]
    assert [(one["start"], one["end"]) for one in entries] == [(0.0, 1.2), (1.2, 2.4), (2.4, 3.6), (3.6, 4.8)]
    assert entries[0]["text"] == "yi1 er4 san1 si4 wu3 liu4"
    one = replace(transcript, syllables=("yi1",), starts=(0.0,), ends=(0.1,), confidences=(0.9,), sentence=None)
    assert [cue[2] for cue in read_srt(Writer("srt", None, 1).text(sound, one))] == [1.0]
    assert [cue["end"] for cue in page(sound, one)["lines"]] == [0.1]


@pytest.mark.parametrize("wrong", [{"characters": 0}, {"seconds": 0.0}, {"seconds": math.nan}, {"pause": -1.0}])
def test_lines_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a line "):
        Layout(**wrong)  # type: ignore[arg-type]
