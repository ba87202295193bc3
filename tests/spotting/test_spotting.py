"""Keywords in streams of pure tones: what is heard and when, causality, counting against the best assignment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tones import PAUSE, RATE, TONE, classifier, listener, wave

from dfcnn_ms import spot
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting.detections import draw_det
from dfcnn_ms.reporting.timings import Recording, Timed, ctm
from dfcnn_ms.runtime import in_the_box
from dfcnn_ms.spotting import Detection, Spotter, Spotting
from dfcnn_ms.spotting.curve import LATE_SECONDS, Counts, Heard, Point, at_most, count, counted, curve
from dfcnn_ms.spotting.spotter import Scorer, Scores, Trigger, scores_of
from dfcnn_ms.spotting.streams import read_streams

#: the classifier of tones is never sure, and short windows suit its short words
TONES = Spotting(window_seconds=0.2, hop_seconds=0.04, smoothing_seconds=0.08, threshold=0.4, refractory_seconds=0.1)


def stream(said: Sequence[str], seconds: float = 0.6) -> tuple[np.ndarray, list[Timed]]:
    """Samples (N,) of words with silence between them, and when they are said."""
    rng = np.random.default_rng(0)
    parts, words, place = [], [], 0.0
    for word in said:
        tone = wave(word)[round(PAUSE * RATE) : round((PAUSE + TONE) * RATE)]
        parts += [1e-4 * rng.standard_normal(round(seconds * RATE)), tone]
        words.append(Timed(word, place + seconds, place + seconds + TONE, 1.0))
        place += seconds + TONE
    return np.concatenate([*parts, 1e-4 * rng.standard_normal(RATE)]).astype(np.float32), words


def heard(samples: np.ndarray, cuts: Sequence[int] = (), words: Sequence[str] = ()) -> list[Detection]:
    """What a spotter hears in samples that come in pieces."""
    spotter = Spotter(classifier(), TONES, words)
    found = [one for piece in np.split(samples, cuts) for one in spotter.feed(piece)]
    return found + spotter.finish()


SAID = ["er4", "yi1", "si4", "si4", "san1", "er4"]


def test_each_word_is_heard_once_and_soon() -> None:
    samples, words = stream(SAID)
    found = heard(samples)
    assert [one.word for one in found] == SAID
    for one, word in zip(found, words, strict=True):
        assert word.start_seconds < one.seconds < word.end_seconds + 0.2
        assert TONES.threshold <= one.confidence <= 1


def test_only_the_words_that_matter_are_heard() -> None:
    samples, _ = stream(SAID)
    assert [one.word for one in heard(samples, words=["si4", "yi1"])] == ["yi1", "si4", "si4"]


def test_however_the_sound_is_cut_the_same_is_heard() -> None:
    samples, _ = stream(SAID)
    whole, rng = heard(samples), np.random.default_rng(1)
    for pieces in (1, 3, 50, 400):
        found = heard(samples, sorted(rng.integers(0, len(samples), pieces).tolist()))
        assert [(one.seconds, one.word) for one in found] == [(one.seconds, one.word) for one in whole]
        assert [one.confidence for one in found] == pytest.approx([one.confidence for one in whole], abs=1e-6)


def test_what_is_said_depends_on_nothing_that_comes_later() -> None:
    """What follows a moment may be anything; a detection is given out at most 200 ms after its moment."""
    samples, _ = stream(SAID)
    rng, whole = np.random.default_rng(2), heard(samples)
    for end in rng.integers(RATE, len(samples), 5):
        spotter = Spotter(classifier(), TONES)
        found = spotter.feed(samples[:end])
        known = [one for one in whole if one.seconds <= end / RATE]
        assert [(one.seconds, one.word) for one in found] == [(one.seconds, one.word) for one in known][: len(found)]
        assert all(one.seconds > end / RATE - 0.2 - TONES.hop_seconds for one in known[len(found) :])
        loud = (0.5 * rng.standard_normal(RATE)).astype(np.float32)
        later = [*found, *spotter.feed(loud), *spotter.finish()]
        assert [one for one in later if one.seconds <= end / RATE] == later[: len(known)]


def test_scores_are_means_of_the_last_windows_each_heard_alone() -> None:
    samples, _ = stream(["er4", "si4"])
    recognizer = classifier()
    scores = scores_of(Scorer(recognizer, TONES, ["si4", "er4"]), [samples[:5000], samples[5000:]])
    features = recognizer.frontend.features
    frames, length, hop = features(samples), features.num_frames(round(0.2 * RATE)), 4
    alone = []
    for start in range(0, len(frames) - length + 1, hop):
        outputs = recognizer.outputs([recognizer.frontend.normalised(frames[start : start + length])])
        alone.append(np.exp(outputs.log_probs[0, 0, recognizer.vocabulary.encode(["si4", "er4"])]))
    means = [np.mean(alone[max(0, place - 1) : place + 1], axis=0) for place in range(len(alone))]
    np.testing.assert_allclose(scores.probabilities, means, atol=1e-6)
    ends = np.arange(len(alone)) * 0.04 + (length - 1) * 0.01 + 0.025
    np.testing.assert_allclose(scores.seconds, ends, atol=1e-9)


def test_sound_shorter_than_a_window_has_no_word() -> None:
    assert heard(wave("er4")[: RATE // 10]) == []
    assert heard(np.zeros(0, np.float32)) == []


def test_a_trigger_is_armed_again_when_the_word_is_over_and_some_time_has_passed() -> None:
    """Rows of two words at one a second; above 0.5 counts, and nothing for 2 s after a word."""
    rows = [
        (0.9, 0),
        (0.9, 0),
        (0.1, 0),
        (0.9, 0),
        (0.1, 0),
        (0, 0.9),
        (0.1, 0),
        (0.1, 0),
        (0, 0.8),
        (0.9, 0.8),
        (0.9, 0),
    ]
    scores = Scores(np.arange(len(rows)) * 1.0, np.array(rows))
    found = list(Trigger(["a", "b"], 0.5, 2.5)(scores))
    assert [(one.seconds, one.word) for one in found] == [(0, "a"), (3, "a"), (8, "b")]
    assert [(one.seconds, one.word) for one in Trigger(["a", "b"], 0.5, 0.5)(scores)] == [
        (0, "a"), (3, "a"), (5, "b"), (8, "b"), (9, "a"),
    ]  # fmt: skip


# Counting.


def most_right(detections: Sequence[Detection], said: Sequence[Timed]) -> int:
    """The largest number of detections that can be given a word each, by trying all ways."""
    if not detections:
        return 0
    first, rest = detections[0], detections[1:]
    ways = [most_right(rest, said)]
    for place, word in enumerate(said):
        if word.text == first.word and word.start_seconds <= first.seconds <= word.end_seconds + LATE_SECONDS:
            ways.append(1 + most_right(rest, [*said[:place], *said[place + 1 :]]))
    return max(ways)


def test_counts_are_those_of_the_best_assignment() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        starts = np.sort(rng.uniform(0, 4, rng.integers(0, 6)))
        said = [Timed(rng.choice(["a", "b"]), start, start + rng.uniform(0.1, 1.0), 1.0) for start in starts]
        times = np.sort(rng.uniform(0, 5, rng.integers(0, 6)))
        detections = [Detection(time, rng.choice(["a", "b"]), 1.0) for time in times]
        right = most_right(detections, said)
        found = count(detections, said, 10.0)
        assert (found.words, found.missed, found.false_alarms) == (len(said), len(said) - right, len(times) - right)


def test_counts_add_up_and_become_rates() -> None:
    one = Counts(words=8, missed=2, false_alarms=1, seconds=900.0, delay=0.6)
    both = one + Counts(words=2, missed=0, false_alarms=4, seconds=900.0, delay=-0.2)
    assert (both.miss_rate, both.alarms_an_hour) == (0.2, 10.0)
    assert both.mean_delay == pytest.approx(0.05)


def test_a_curve_counts_each_threshold_and_finds_what_is_bearable() -> None:
    rng = np.random.default_rng(0)
    scores = Scores(np.arange(400) * 0.1, rng.uniform(0, 1, (400, 2)) ** 4)
    said = [Timed("ab"[place % 2], place, place + 0.3, 1.0) for place in range(1, 39)]
    points = curve([Heard(scores, said, 40.0)], ["a", "b"], 0.3)
    for point in points[::7]:
        detections = list(Trigger(["a", "b"], point.threshold, 0.3)(scores))
        assert point.counts == count(detections, said, 40.0)
        assert point.counts == counted([Heard(scores, said, 40.0)], ["a", "b"], point.threshold, 0.3)
    assert points[-1].counts.false_alarms <= points[0].counts.false_alarms
    bearable = at_most(points, 900.0)
    allowed = [point for point in points if point.counts.false_alarms <= 10]
    assert bearable is not None and bearable.counts.missed == min(point.counts.missed for point in allowed)
    assert at_most(points, -1.0) is None


def test_the_picture_stands_where_the_counts_say() -> None:
    numbers = [(0.2, 50, 10), (0.5, 84, 1), (0.9, 100, 0)]
    points = [Point(threshold, Counts(100, missed, alarms, 3600.0)) for threshold, missed, alarms in numbers]
    axis = draw_det({"clean": points}, {"clean": points[1]}).axes[0]
    xs, ys = axis.lines[0].get_data()
    assert list(xs) == [10, 1, 0.5]
    assert list(ys) == pytest.approx([0.0, 0.9945, 2.5758], abs=1e-3)  # of the normal distribution: 50, 84, 99.5 %
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["clean"]
    assert axis.lines[1].get_data()[0] == [1]


# The command.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two streams with known words, and the classifier of tones in the place of a checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "nothing")
    monkeypatch.setattr(Recognizer, "load", lambda *_: classifier())
    lines, times = [], []
    for name, said in (("one", SAID), ("two", SAID[::-1])):
        samples, words = stream(said)
        write_wave(f"{name}.flac", samples)
        seconds = len(samples) / RATE
        lines.append(Utterance(name, f"{name}.flac", seconds, tuple(said)))
        times.append(ctm(Recording(name, seconds, tuple(words))))
    write_manifest("clean.jsonl", lines)
    Path("clean.ctm").write_text(";; a comment\n" + "".join(times))
    return tmp_path


FLAGS = ("--window", "0.2", "--hop", "0.04", "--smoothing", "0.08", "--threshold", "0.4", "--refractory", "0.1")


def test_a_line_for_each_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spot.main([*FLAGS, "one.flac"])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(file, word) for file, _, word, _ in rows] == [("one.flac", word) for word in SAID]
    spot.main([*FLAGS, "--words", "yi1", "."])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(file, word) for file, _, word, _ in rows] == [("one.flac", "yi1"), ("two.flac", "yi1")]


def test_streams_are_measured_and_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spot.main([*FLAGS, "--streams", "clean.jsonl", "--det", "det.png"])
    head, row, bearable, picture = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["streams", "words", "hours"]
    assert row.split()[:6] == ["clean", "12", "0.00", "0.00", "%", "0.0"]
    assert bearable.startswith("clean: with at most 1 false alarms an hour 0.00 % missed")
    assert picture == "picture: det.png" and Path("det.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], r"^spot: give either sound files or --streams$"),
        (["one.flac", "--streams", "clean.jsonl"], r"^spot: give either"),
        (["one.flac", "--det", "det.png"], r"^--det: draws what is missed in streams"),
        (["--streams", "clean.jsonl", "--det", "det.txt"], r"^--det det\.txt: wanted a name that ends in \.png"),
        (["one.flac", "--window", "0"], r"^--window 0: wanted more than 0 and at most 60$"),
        (["one.flac", "--threshold", "1.5"], r"^--threshold 1\.5: wanted more than 0 and at most 1$"),
        (["one.flac", "--words", "ba1"], r"^--words ba1: the network does not know it; known: yi1, er4, san1, si4$"),
        (["no.wav"], r"^no\.wav: no such file"),
        (["--streams", "no.jsonl"], r"^no\.jsonl: no such manifest"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises((ConfigError, DataError), match=sentence):
        spot.main(arguments)


def test_a_network_that_writes_sentences_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    with pytest.raises(
        ConfigError, match=r"^this network writes sentences; spotting wants one that was trained with task"
    ):
        spot.main(["one.flac"])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("one 1 0.5 0.2\n", r"^clean\.ctm:1: wanted name, channel, start, seconds and word; got 'one 1 0\.5 0\.2'"),
        ("one 1 x 0.2 yi1\n", r"^clean\.ctm:1: start and seconds must be numbers from 0; got x and 0\.2"),
        ("one 1 0.1 -0.2 yi1\n", r"^clean\.ctm:1: start and seconds must be numbers"),
        ("\nthree 1 0.1 0.2 yi1\n", r"^clean\.ctm:2: no stream of clean\.jsonl is called 'three'"),
    ],
)
def test_a_table_of_times_that_is_wrong_is_one_sentence(folder: Path, table: str, sentence: str) -> None:
    Path("clean.ctm").write_text(table)
    with pytest.raises(DataError, match=sentence):
        read_streams(Path("clean.jsonl"))
    Path("clean.ctm").unlink()
    with pytest.raises(DataError, match=r"^clean\.ctm: not there; it says which word is said when"):
        read_streams(Path("clean.jsonl"))
