"""Forced alignment: the trellis against the enumeration of all paths, boundaries where the sound says, the command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tones import Strided

from dfcnn_ms import align as command
from dfcnn_ms import aligner
from dfcnn_ms.audio.features import LogMel
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora.espeak import Espeak
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.decoding import BeamSearch, decode_greedy
from dfcnn_ms.decoding.align import Alignment, align_ctc, steps_needed
from dfcnn_ms.decoding.boundaries import SHARE, USUAL_SECONDS, Sound, boundaries
from dfcnn_ms.decoding.pronunciation import pronunciation, pronunciation_of
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.tasks import Classify
from dfcnn_ms.text.pinyin import DIGITS
from dfcnn_ms.text.vocabulary import Vocabulary

Array = NDArray[np.float64]
steady = settings(deadline=None)  # a busy machine is not a fault


def random_log_probs(seed: int, steps: int, units: int, scale: float = 2.0) -> Array:
    logits = np.random.default_rng(seed).normal(size=(steps, units)) * scale
    logits = logits.astype(np.float32).astype(np.float64)  # the outputs of a network
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


def spelt(path: tuple[int, ...]) -> tuple[int, ...]:
    """The units of a path, the slow and obvious way."""
    return tuple(id for id, _ in groupby(path) if id)


def every_path(log_probs: Array) -> dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]]:
    """Text -> every path that spells it, with its log-probability."""
    texts: dict[tuple[int, ...], list[tuple[float, tuple[int, ...]]]] = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        value = sum(log_probs[step, id] for step, id in enumerate(path))
        texts.setdefault(spelt(path), []).append((value, path))
    return texts


def path_of(alignment: Alignment, steps: int) -> tuple[int, ...]:
    path = [0] * steps
    for id, first, last in zip(alignment.ids, alignment.first, alignment.last, strict=True):
        path[first : last + 1] = [id] * (last - first + 1)
    return tuple(path)


small = given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 4), st.integers(0, 10**6))


@settings(deadline=None, max_examples=60)
@small
def test_the_alignment_is_the_best_of_all_paths(seed: int, steps: int, units: int, pick: int) -> None:
    log_probs = random_log_probs(seed, steps, units)
    texts = every_path(log_probs)
    ids = sorted(texts)[pick % len(texts)]  # repeats, one unit, no unit, and as many units as steps among them
    best, path = max(texts[ids])
    alignment = align_ctc(log_probs, ids)
    assert alignment.log_prob == pytest.approx(best, abs=1e-5)
    assert path_of(alignment, steps) == path
    for id, first, last, peak, score in zip(
        alignment.ids, alignment.first, alignment.last, alignment.peaks, alignment.scores, strict=True
    ):
        assert score == pytest.approx(np.exp(log_probs[first : last + 1, id]).max())
        assert first <= peak <= last and score == pytest.approx(np.exp(log_probs[peak, id]))


@settings(deadline=None, max_examples=60)
@small
def test_goodness_compares_with_every_other_text(seed: int, steps: int, units: int, pick: int) -> None:
    log_probs = random_log_probs(seed, steps, units)
    texts = every_path(log_probs)
    ids = sorted(texts)[pick % len(texts)]
    total = {text: np.logaddexp.reduce([value for value, _ in paths]) for text, paths in texts.items()}
    judged = pronunciation(log_probs, ids)
    assert len(judged) == len(ids)
    for place, one in enumerate(judged):
        others: dict[int | None, float] = {
            id: total.get((*ids[:place], id, *ids[place + 1 :]), -np.inf) for id in range(1, units)
        }
        others[None] = total.get((*ids[:place], *ids[place + 1 :]), -np.inf)
        truth = others[ids[place]] - np.logaddexp.reduce(list(others.values()))
        assert one.goodness == pytest.approx(truth, abs=1e-6)
        assert others[one.heard] == pytest.approx(max(others.values()), abs=1e-9)


def test_goodness_of_a_long_peaked_sentence_is_exact() -> None:
    """Against logarithms all the way, where products of probabilities would underflow many times over."""
    log_probs = random_log_probs(0, 300, 6, scale=12.0)
    ids = decode_greedy(log_probs).ids[:25]
    assert slow_log_prob(log_probs, ids) < -2000
    for place in (0, 12, 24):
        total = {
            id: slow_log_prob(log_probs, (*ids[:place], *([id] if id else []), *ids[place + 1 :])) for id in range(6)
        }
        truth = total[ids[place]] - np.logaddexp.reduce(list(total.values()))
        found = pronunciation(log_probs, ids)[place]
        assert found.goodness == pytest.approx(truth, abs=1e-6)
        assert (found.heard or 0) == max(total, key=lambda id: total[id])


def test_a_long_text_is_judged_in_pieces() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 8, size=120)
    logits = rng.normal(size=(120 * 5, 8))
    logits[:, 0] += 8  # blanks with one peak in five steps, as a trained network writes
    logits[2::5] -= 8 * np.eye(8)[0] - 6 * np.eye(8)[ids]
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    said = [int(id) for id in ids]
    said[30] = said[30] % 7 + 1  # one was not said
    whole, alignment = pronunciation(log_probs, said), align_ctc(log_probs, said)
    pieces = pronunciation_of(log_probs, alignment, piece=25)
    assert [one.heard for one in pieces] == [one.heard for one in whole]
    assert [one.goodness for one in pieces] == pytest.approx([one.goodness for one in whole], abs=0.05)
    assert pieces[30].goodness < -3 and whole[30].heard == ids[30]
    assert pronunciation_of(log_probs, alignment, piece=120) == whole
    assert pronunciation_of(log_probs, align_ctc(log_probs, [])) == []


def slow_log_prob(log_probs: Array, ids: tuple[int, ...]) -> float:
    """CTC's sum over all paths of a text, in logarithms, a state at a time."""
    states = [0, *(state for id in ids for state in (id, 0))]
    table = np.full((len(log_probs), len(states)), -np.inf)
    table[0, :2] = log_probs[0, states[:2]]
    for step in range(1, len(log_probs)):
        for state, id in enumerate(states):
            ways = list(table[step - 1, max(0, state - 1) : state + 1])
            if state > 1 and id and id != states[state - 2]:
                ways.append(table[step - 1, state - 2])
            table[step, state] = np.logaddexp.reduce(ways) + log_probs[step, id]
    return float(np.logaddexp.reduce(table[-1, -2:]))


@steady
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(2, 9))
def test_what_greedy_decoding_wrote_lies_on_the_path_that_greedy_decoding_took(
    seed: int, steps: int, units: int
) -> None:
    """The likeliest unit of each step, in runs: no path is better, so that of the alignment is the same."""
    log_probs = random_log_probs(seed, steps, units, scale=4.0)
    runs = [[*run] for id, run in groupby(range(steps), key=lambda step: int(log_probs[step].argmax()))]
    spoken = [(int(log_probs[run[0]].argmax()), run) for run in runs if log_probs[run[0]].argmax()]
    hypothesis = decode_greedy(log_probs)
    alignment = align_ctc(log_probs, hypothesis.ids)
    assert alignment.ids == hypothesis.ids == tuple(id for id, _ in spoken)
    assert alignment.first == tuple(run[0] for _, run in spoken)
    assert alignment.last == tuple(run[-1] for _, run in spoken)
    assert alignment.peaks == tuple(max(run, key=lambda step: log_probs[step, id]) for id, run in spoken)
    assert alignment.scores == pytest.approx([np.exp(log_probs[run, id]).max() for id, run in spoken])
    assert alignment.log_prob == pytest.approx(hypothesis.log_prob)


@pytest.mark.parametrize(
    ("path", "ids", "first", "last"),
    [
        ([2, 0, 0], (2,), (0,), (0,)),  # a unit at the very first step
        ([0, 0, 2], (2,), (2,), (2,)),
        ([2, 2, 2], (2,), (0,), (2,)),  # a repeat is one unit
        ([2, 0, 2], (2, 2), (0, 2), (0, 2)),  # a blank between makes it two
        ([1, 1, 2, 2, 0, 0, 2, 3], (1, 2, 2, 3), (0, 2, 6, 7), (1, 3, 6, 7)),
        ([0, 2, 4, 4, 0, 4, 2, 0], (2, 4, 4, 2), (1, 2, 5, 6), (1, 3, 5, 6)),
        ([1, 1, 0, 1], (1, 1), (0, 3), (1, 3)),
        ([0, 0, 0], (), (), ()),
        ([], (), (), ()),
    ],
)
@pytest.mark.parametrize("peak", [0.7, 0.98, 1.0])
def test_golden_paths(
    path: list[int], ids: tuple[int, ...], first: tuple[int, ...], last: tuple[int, ...], peak: float
) -> None:
    """The other units share what the peak leaves over; nothing at all, at last."""
    probabilities = np.full((len(path), 5), (1 - peak) / 4)
    probabilities[np.arange(len(path)), path] = peak
    with np.errstate(divide="ignore"):
        alignment = align_ctc(np.log(probabilities), ids)
    assert (alignment.ids, alignment.first, alignment.last) == (ids, first, last)
    assert alignment.scores == pytest.approx([peak] * len(ids))
    assert alignment.log_prob == pytest.approx(len(path) * np.log(peak))


@steady
@given(st.integers(0, 10**6), st.integers(0, 9), st.integers(2, 6))
def test_every_text_of_a_beam_can_be_aligned(seed: int, steps: int, units: int) -> None:
    """One path of a text is at most as probable as all of them, and its units follow each other."""
    log_probs = random_log_probs(seed, steps, units)
    for hypothesis in BeamSearch(nbest=10)(log_probs[None], [steps])[0]:
        alignment = align_ctc(log_probs, hypothesis.ids)
        assert alignment.ids == hypothesis.ids
        assert list(alignment.first) == sorted(set(alignment.first))
        assert all(0 < score <= 1 for score in alignment.scores)
        assert alignment.log_prob <= hypothesis.log_prob + 1e-5


def test_a_score_is_that_of_the_surest_step_of_a_run() -> None:
    probabilities = np.array([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    alignment = align_ctc(np.log(probabilities), [1, 1])
    assert (alignment.peaks, alignment.scores) == ((0, 3), pytest.approx((0.9, 0.7)))


def test_an_alignment_is_plain_python() -> None:
    alignment = align_ctc(random_log_probs(0, 9, 4).astype(np.float32), np.array([2, 3]))
    whole = (*alignment.ids, *alignment.first, *alignment.last, *alignment.peaks)
    assert {type(number) for number in whole} == {int}
    assert {type(number) for number in (*alignment.scores, alignment.log_prob)} == {float}


def test_one_unit_fills_one_step() -> None:
    alignment = align_ctc(np.log([[0.3, 0.7]]), [1])
    assert (alignment.first, alignment.last, alignment.scores) == ((0,), (0,), pytest.approx((0.7,)))


def test_as_many_steps_as_needed_leave_no_choice() -> None:
    log_probs = random_log_probs(3, 5, 4)
    assert steps_needed([2, 2, 3, 3]) == 6 and steps_needed([2, 2, 3, 1]) == 5 and steps_needed([]) == 0
    assert path_of(align_ctc(log_probs, [2, 2, 3, 1]), 5) == (2, 0, 2, 3, 1)
    with pytest.raises(DataError, match="4 units needs at least 6 output steps, the sound has 5"):
        align_ctc(log_probs, [2, 2, 3, 3])
    with pytest.raises(DataError, match="at least 6 output steps"):
        pronunciation(log_probs, [2, 2, 3, 3])


def test_nothing_said_and_nothing_heard() -> None:
    assert align_ctc(np.zeros((0, 3)), []) == Alignment((), (), (), (), (), 0.0)
    silent = align_ctc(np.log([[0.5, 0.5], [0.25, 0.75]]), [])
    assert silent.ids == () and silent.log_prob == pytest.approx(np.log(0.125))
    assert pronunciation(np.zeros((4, 3)), []) == []


def test_a_probability_of_zero_is_no_obstacle_elsewhere() -> None:
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert align_ctc(log_probs, [1, 2]).log_prob == 0.0
    assert [one.goodness for one in pronunciation(log_probs, [1, 2])] == pytest.approx([0, 0])
    impossible = pronunciation(log_probs, [2, 2])
    assert impossible[0].heard == 1 and impossible[0].goodness < -500


@pytest.mark.parametrize(
    ("log_probs", "ids", "message"),
    [
        (np.zeros((2, 3, 4)), [1], r"\(U, V\)"),
        (np.zeros((3, 4)), [4], "between 1 and 3"),
        (np.zeros((3, 4)), [0], "between 1 and 3"),
        (np.zeros((3, 4)), [-1], "between 1 and 3"),
    ],
)
def test_what_is_no_alignment_at_all_is_refused(log_probs: Array, ids: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        align_ctc(log_probs, ids)


def test_a_network_that_says_no_number_is_refused() -> None:
    for ask in (align_ctc, pronunciation):
        with pytest.raises(CheckpointError, match="scores hold NaN: the network has diverged"):
            ask(np.full((3, 4), np.nan), [1])


# --- boundaries -------------------------------------------------------------------------------------------------------

HOP, WINDOW, STEP_FRAMES = 0.01, 0.025, 4
STEP = STEP_FRAMES * HOP
#: the middle of a window lies so far behind that of its hop
OFFSET = (WINDOW - HOP) / 2


def sound(features: Array, first_frame: float = 0.0) -> Sound:
    return Sound(features, HOP, WINDOW, STEP_FRAMES, first_frame)


@pytest.mark.parametrize("first_frame", [0.0, -1.5, 3.0])
def test_the_clock_of_a_sound(first_frame: float) -> None:
    """Frame n sees from n hops to a window later, and between two frames lies the middle of what both see."""
    here = sound(np.zeros((7, 8)), first_frame)
    assert here.seconds == pytest.approx(6 * HOP + WINDOW)
    assert here.step_seconds == pytest.approx(STEP)
    middles = np.array([(n * HOP + (n * HOP + WINDOW)) / 2 for n in range(7)])
    assert here.between_frames(np.arange(1, 7)) == pytest.approx((middles[:-1] + middles[1:]) / 2)
    begins = [first_frame + step * STEP_FRAMES for step in range(3)]
    assert here.step_begins(np.arange(3)) == pytest.approx(here.between_frames(np.array(begins)))


def test_a_network_that_looks_ahead_hears_the_same_earlier() -> None:
    """Its first step begins half a step before the first frame: the same steps mean what was half a step earlier."""
    flat = np.full((100, 8), 0.1)
    usual, ahead = (boundaries(at(4, 10), sound(flat, first)) for first in (0.0, -STEP_FRAMES / 2))
    for later, earlier in zip(usual, ahead, strict=True):
        assert earlier == pytest.approx(later - STEP / 2)


def at(*steps: int) -> Alignment:
    """An alignment with one step for each unit."""
    return Alignment(tuple(range(1, len(steps) + 1)), steps, steps, steps, (1.0,) * len(steps), 0.0)


def patches(*edges: int, frames: int = 100) -> Array:
    """Silence, and from edge to edge sounds that differ and are a little weaker each than the one before."""
    features = np.full((frames, 8), -3.0)
    for number, (start, end) in enumerate(pairwise(edges)):
        features[start:end] = 4.0 * np.eye(8)[number] - 0.02 * number
    return features


def test_boundaries_lie_where_the_sound_changes() -> None:
    edges = (12, 33, 58, 80)
    starts, ends = boundaries(at(4, 10, 16), sound(patches(*edges)))
    truth = np.array(edges) * HOP + OFFSET
    assert starts == pytest.approx(truth[:-1]) and ends == pytest.approx(truth[1:])


def test_without_a_change_boundaries_lie_at_the_usual_place() -> None:
    starts, ends = boundaries(at(4, 10), sound(np.full((100, 8), 0.1)))
    middles = np.array([4.5, 10.5]) * STEP + OFFSET
    inner = middles[0] + SHARE * (middles[1] - middles[0])
    expected = [middles[0] - (1 - SHARE) * USUAL_SECONDS, inner, middles[1] + SHARE * USUAL_SECONDS]
    assert [*starts, ends[-1]] == pytest.approx(expected, abs=HOP / 2 + 1e-9)  # the times of frames, and no others
    assert starts[1] == ends[0]


def test_a_pause_belongs_to_nobody() -> None:
    features = patches(10, 35, 60, frames=220)
    features[150:200] = patches(0, 25, 50, frames=50)
    starts, ends = boundaries(at(4, 10, 39, 45), sound(features))
    assert starts == pytest.approx(np.array([10, 35, 150, 175]) * HOP + OFFSET)
    assert ends == pytest.approx(np.array([35, 60, 175, 200]) * HOP + OFFSET)


def test_without_a_change_a_pause_is_as_long_as_usual_syllables_leave_it() -> None:
    starts, ends = boundaries(at(4, 10, 39, 45), sound(np.full((220, 8), 0.1)))
    middles = np.array([4.5, 10.5, 39.5, 45.5]) * STEP + OFFSET
    usual = middles[1] - middles[0]
    assert ends[1] == pytest.approx(middles[1] + SHARE * usual, abs=HOP / 2 + 1e-9)
    assert starts[2] == pytest.approx(middles[2] - (1 - SHARE) * usual, abs=HOP / 2 + 1e-9)


def test_a_change_nearby_begins_a_syllable_and_not_a_greater_one_far_away() -> None:
    """One syllable is expected to begin at frame 36, and a step is 4 frames."""
    features = np.zeros((100, 8))
    features[6:] += 3.0
    features[36:] += 1.0
    starts, _ = boundaries(at(11), sound(features))
    assert starts == pytest.approx([36 * HOP + OFFSET])


def test_a_louder_recording_has_the_same_boundaries() -> None:
    """Features are logarithms: to be louder is to be more in all of them."""
    features = patches(10, 35, 60, frames=220)
    features[150:200] = patches(0, 25, 50, frames=50)
    alignment = at(4, 10, 39, 45)
    np.testing.assert_allclose(boundaries(alignment, sound(features + 100)), boundaries(alignment, sound(features)))


def test_boundaries_of_speech_are_found_within_half_a_step() -> None:
    """Speech whose syllable starts espeak-ng tells, and steps about where a network recognises a syllable."""
    rng, espeak, kind = np.random.default_rng(0), Espeak(), LogMel(n_mels=40)
    errors: list[float] = []
    for voice in ("f1", "m4", "john"):
        pinyin = rng.choice(DIGITS, size=12).tolist()
        speech, starts = espeak.say_words(" ".join(pinyin), voice)
        wave = soxr.resample(speech / 32768, espeak.sample_rate, 16_000)
        wave = np.pad(wave, 4800) + 0.001 * rng.standard_normal(len(wave) + 9600)
        edges = np.array([*starts, len(speech)]) / espeak.sample_rate + 0.3
        heard = edges[:-1] + np.diff(edges) * rng.uniform(0.3, 0.6, size=12)
        alignment = at(*(heard / STEP).astype(int).tolist())
        features = Frontend(kind)(wave.astype(np.float32))
        found_starts, found_ends = boundaries(alignment, sound(features))
        errors += [*np.abs(found_starts - edges[:-1]), *np.abs(found_ends - edges[1:])]
    assert np.median(errors) < STEP / 2
    assert np.mean(np.array(errors) < STEP) > 0.75


@steady
@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(0, 12))
def test_times_rise_and_stay_inside(seed: int, frames: int, units: int) -> None:
    rng = np.random.default_rng(seed)
    steps = max(frames // 4, units)  # a short sound is padded: it has steps beyond its end
    places = tuple(sorted(rng.choice(steps, size=min(units, steps), replace=False).tolist())) if steps else ()
    here = sound(rng.normal(size=(frames, 5)))
    starts, ends = boundaries(at(*places), here)
    assert len(starts) == len(ends) == len(places)
    assert (starts <= ends).all() and (ends[:-1] <= starts[1:]).all()
    assert not len(starts) or (starts[0] >= 0 and ends[-1] <= here.seconds + 1e-9)


# --- the command ------------------------------------------------------------------------------------------------------

VOCABULARY = Vocabulary(tuple(sorted(DIGITS)))


@dataclass
class Acoustics:
    """Hears something else in every sound, and in the padding too; alone or in a batch the same."""

    seed: int = 0

    def __call__(self, features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batch, _, frames, bins = features.shape
        mixed = features[:, 0, : frames // 4 * 4].reshape(batch, -1, 4 * bins)
        logits = mixed @ np.random.default_rng(self.seed).normal(size=(4 * bins, len(VOCABULARY)))
        return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True), lengths // 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three sounds, their manifest, and a checkpoint that needs no MindSpore."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    said = [("ba1", "er4", "er4"), ("qi1",), ("san1", "ling2", "jiu3", "wu3", "yi1")]
    utterances = []
    for number, (seconds, pinyin) in enumerate(zip((0.9, 0.5, 1.7), said, strict=True)):
        write_wave(f"{number}.wav", 0.1 * rng.standard_normal(round(16_000 * seconds)).astype(np.float32))
        utterances.append(Utterance(f"utt{number}", f"{number}.wav", seconds, pinyin))
    write_manifest("all.jsonl", utterances)
    recognizer = Recognizer(Acoustics(), Frontend(LogMel(n_mels=20)), VOCABULARY, Strided(4))
    monkeypatch.setattr(Recognizer, "load", lambda path, device_target: recognizer)
    return tmp_path


def run(*arguments: str) -> None:
    command.main(list(arguments))


def test_a_file_is_aligned_to_the_screen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--audio", "0.wav", "--text", "ba1 er4 er4")
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["start", "end", "score", "goodness", "syllable"]
    assert [row.split()[4] for row in rows] == ["ba1", "er4", "er4"]
    times = [float(number) for row in rows for number in row.split()[:2]]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 0.9
    assert last.startswith("confidence of the whole sentence: 0.")


def test_pinyin_characters_and_a_file_are_the_same_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("said.txt").write_text("\ufeff八，二二。\n", encoding="utf-8")
    pages = []
    for text in ("ba1 er4 er4", "Bā èr èr!", "八二二", "八2 2", "@said.txt"):
        run("--audio", "0.wav", "--text", text, "--format", "json")
        pages.append(json.loads(capsys.readouterr().out))
    assert pages[0]["text"] == "ba1 er4 er4"
    written = ["".join(one.pop("characters", "") for one in page["syllables"]) for page in pages]
    assert written == ["", "", "八二二", "八22", "八二二"]
    assert all(page == pages[0] for page in pages)


def test_the_scores_are_those_of_the_rooms(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dfcnn_ms.audio.wave import read_wave

    recognizer = Recognizer.load("any", "CPU")
    outputs = recognizer.outputs([recognizer.frontend(read_wave("0.wav"))])
    log_probs, ids = outputs.log_probs[0, : outputs.steps[0]], VOCABULARY.encode(["ba1", "er4", "er4"])
    run("--audio", "0.wav", "--text", "八二二", "--format", "json")
    page = json.loads(capsys.readouterr().out)
    assert [one["score"] for one in page["syllables"]] == pytest.approx(align_ctc(log_probs, ids).scores, abs=1e-4)
    judged = pronunciation(log_probs, ids)
    assert [one["goodness"] for one in page["syllables"]] == pytest.approx([one.goodness for one in judged], abs=1e-3)
    assert page["confidence"] == pytest.approx(np.prod(align_ctc(log_probs, ids).scores), abs=1e-4)
    assert page["seconds"] == 0.9


@pytest.mark.parametrize("name", ["a.json", "a.TextGrid", "a.srt", "a.vtt", "a.ctm", "a.txt"])
def test_the_name_of_the_output_is_its_format(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("--audio", "0.wav", "--text", "ba1 er4 er4")
    screen = capsys.readouterr().out
    run("--audio", "0.wav", "--text", "ba1 er4 er4", "--out", name)
    assert capsys.readouterr().out == f"times: {name}\n"
    text = Path(name).read_text(encoding="utf-8")
    heads = {
        "a.json": "{",
        "a.TextGrid": "File type",
        "a.srt": "1\n",
        "a.vtt": "WEBVTT",
        "a.ctm": "0 1 ",
        "a.txt": screen,
    }
    assert text.startswith(heads[name]) and "ba1" in text


def test_subtitles_of_phrases(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--audio", "0.wav", "--text", "ba1 er4 er4", "--format", "srt")
    assert capsys.readouterr().out.count("-->") == 3
    run("--audio", "0.wav", "--text", "ba1 er4 er4", "--format", "srt", "--phrases")
    out = capsys.readouterr().out
    assert out.count("-->") < 3 and "ba1" in out


@pytest.mark.parametrize(
    ("text", "count", "characters"),
    [
        ("你好，吗？", 3, ["你", "好", "吗"]),
        ("你 好\n〇", 3, ["你", "好", "〇"]),
        ("三.五", 3, ["", "", ""]),  # the point is read, and no character of the text
        ("ni3 hao3", 2, ["", ""]),
        ("", 0, []),
    ],
)
def test_characters_belong_to_syllables_or_to_none(text: str, count: int, characters: list[str]) -> None:
    assert aligner.characters_of(text, count) == characters


def test_a_manifest_in_one_file_or_in_many(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--manifest", "all.jsonl", "--out", "all.ctm")
    run("--manifest", "all.jsonl", "--out", "times.jsonl")
    run("--manifest", "all.jsonl", "--out", "grids")
    assert "times of 3 utterances: grids" in capsys.readouterr().out
    rows = [row.split() for row in Path("all.ctm").read_text().splitlines()]
    assert [row[0] for row in rows] == ["utt0"] * 3 + ["utt1"] + ["utt2"] * 5
    assert [row[4] for row in rows][4:] == ["san1", "ling2", "jiu3", "wu3", "yi1"]
    pages = [json.loads(line) for line in Path("times.jsonl").read_text().splitlines()]
    assert [page["name"] for page in pages] == ["utt0", "utt1", "utt2"]
    assert sorted(path.name for path in Path("grids").iterdir()) == ["utt0.TextGrid", "utt1.TextGrid", "utt2.TextGrid"]


def test_a_batch_is_its_utterances(folder: Path) -> None:
    from dfcnn_ms.corpora.manifest import read_manifest

    recognizer, utterances = Recognizer.load("any", "CPU"), read_manifest("all.jsonl")
    together = aligner.aligned(recognizer, utterances)
    assert together == [aligner.aligned(recognizer, [one])[0] for one in utterances]
    assert dict(aligner.align_all(recognizer, utterances)) == dict(enumerate(together))


def test_a_text_that_cannot_be_is_left_out_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    too_long = {"id": "long", "audio": "1.wav", "seconds": 0.5, "pinyin": " ".join(["ba1"] * 20)}
    Path("odd.jsonl").write_text(Path("all.jsonl").read_text() + json.dumps(too_long) + "\n")
    run("--manifest", "odd.jsonl", "--out", "odd.ctm")
    assert "times of 3 utterances: odd.ctm; 1 left out, such as " in capsys.readouterr().out
    assert "long" not in Path("odd.ctm").read_text()


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "give either --audio and --text, or --manifest"),
    "no text": (("--audio", "0.wav"), "give either --audio and --text, or --manifest"),
    "both": (("--audio", "0.wav", "--text", "yi1", "--manifest", "all.jsonl"), "give either --audio"),
    "text of a manifest": (("--manifest", "all.jsonl", "--text", "yi1"), "give either --audio"),
    "no such sound": (("--audio", "no.wav", "--text", "yi1"), "no.wav: no such file"),
    "empty text": (("--audio", "0.wav", "--text", " ,"), "--text: holds nothing that is said"),
    "a name for a text": (("--audio", "0.wav", "--text", "all.jsonl"), "write @all.jsonl to read what is in it"),
    "no such text": (("--audio", "0.wav", "--text", "@no.txt"), "@no.txt: cannot be read: No such file"),
    "a sound for a text": (("--audio", "0.wav", "--text", "@0.wav"), "@0.wav: not a text file in UTF-8"),
    "not pinyin": (("--audio", "0.wav", "--text", "hello"), "--text: 'hello' is not a pinyin syllable"),
    "no reading": (("--audio", "0.wav", "--text", "八a"), "--text: no Mandarin reading for 'a'"),
    "never trained": (("--audio", "0.wav", "--text", "jiu4"), "--text: unit 'jiu4' is not one of the 10"),
    "too long": (
        ("--audio", "1.wav", "--text", "ba1 " * 20),
        "1.wav: a text of 20 units needs at least 39 output steps",
    ),
    "no format": (("--audio", "0.wav", "--text", "yi1", "--out", "a.xyz"), "wanted a name that ends in .json"),
    "nowhere": (("--audio", "0.wav", "--text", "yi1", "--out", "no/a.srt"), "the folder no does not exist"),
    "phrases": (("--audio", "0.wav", "--text", "yi1", "--phrases"), "--phrases: goes with srt or vtt"),
    "manifest to the screen": (("--manifest", "all.jsonl"), "--manifest needs --out"),
    "many in one srt": (("--manifest", "all.jsonl", "--out", "a.srt"), "srt of a manifest needs a folder"),
    "a file for a folder": (("--manifest", "all.jsonl", "--format", "vtt", "--out", "0.wav"), "0.wav: is a file"),
    "no manifest": (("--manifest", "no.jsonl", "--out", "a.ctm"), "no.jsonl: no such manifest"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_sentence(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, sentence = BAD[name]
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises((ConfigError, DataError)) as error:
        run(*arguments)
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert capsys.readouterr().out == ""
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_network_that_names_classes_cannot_align(folder: Path) -> None:
    Recognizer.load("any", "CPU").task = Classify()
    for arguments in (("--audio", "0.wav", "--text", "ba1"), ("--manifest", "all.jsonl", "--out", "a.ctm")):
        with pytest.raises(
            ConfigError, match=r"says what a whole clip is, not where; align with one of task\.kind=ctc"
        ):
            run(*arguments)
    assert not Path("a.ctm").exists()


def test_an_unknown_syllable_of_a_manifest_is_named_with_its_line(folder: Path) -> None:
    odd: dict[str, Any] = {"id": "odd", "audio": "1.wav", "seconds": 0.5, "pinyin": "ma3"}
    Path("odd.jsonl").write_text(Path("all.jsonl").read_text() + json.dumps(odd) + "\n")
    with pytest.raises(DataError, match=r"odd.jsonl:4: unit 'ma3' is not one of"):
        run("--manifest", "odd.jsonl", "--out", "odd.ctm")


def test_ids_that_would_share_a_file_are_refused(folder: Path) -> None:
    lines = [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()]
    lines[0]["id"], lines[1]["id"] = "a/b", "A_b"
    Path("odd.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match="'a/b' and 'A_b' would be the same file"):
        run("--manifest", "odd.jsonl", "--out", "grids")
    run("--manifest", "odd.jsonl", "--out", "all.ctm")  # one file for all has no such trouble
