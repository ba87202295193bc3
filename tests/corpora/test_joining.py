"""Recordings side by side: where somebody speaks in each, samples in their places, and a room beneath them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dfcnn_ms.audio.wave import write_wave
from dfcnn_ms.corpora import joining
from dfcnn_ms.corpora.joining import Part, Span, background, joined, placed, speech
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.corpora.voices.people import FORMANTS, PITCH_HZ, Source, median_hz, people
from dfcnn_ms.corpora.voices.praat import Change

RATE = 16_000


def tone(hertz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def room(seconds: float, level: float = 1e-4) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def recording(path: Path, wave: np.ndarray) -> Utterance:
    write_wave(path, wave.astype(np.float32))
    return Utterance(path.stem, str(path), len(wave) / RATE, ("a1",), folder=path.parent)


# --- where somebody speaks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.12, 0.31), (0.2, 0.0)])
def test_speech_begins_and_ends_with_the_tone(before: float, after: float) -> None:
    wave = np.concatenate([room(before), 0.3 * tone(500, 0.25), room(after)])
    span = speech(wave, RATE)
    assert span.start_ms == pytest.approx(1000 * before, abs=10)
    assert span.end_ms == pytest.approx(1000 * (before + 0.25), abs=10)
    assert speech(5 * wave, RATE) == span


def test_in_a_noisy_room_what_is_faint_is_taken_for_speech_rather_than_cut() -> None:
    wave = room(0.5, 0.05) + np.pad(0.3 * tone(500, 0.2), round(0.15 * RATE))[: round(0.5 * RATE)]
    assert speech(wave, RATE) == Span(0, 500)


@pytest.mark.parametrize("samples", [1, 100, 1600])
def test_silence_and_crumbs_are_speech_from_end_to_end(samples: int) -> None:
    assert speech(np.zeros(samples), RATE) == Span(0, max(1, samples // 16))


# --- places ----------------------------------------------------------------------------------------------------------

LENGTHS = some.lists(some.integers(1, 900), min_size=1, max_size=6)


@settings(deadline=None)  # a busy machine is not a fault
@given(LENGTHS, some.data())
def test_pauses_are_kept_and_nobody_is_covered_by_more_than_half(lengths: list[int], data: some.DataObject) -> None:
    pauses = data.draw(some.lists(some.integers(-200, 400), min_size=len(lengths) - 1, max_size=len(lengths) - 1))
    words = [(Utterance(str(place), "a.wav", 1.0, ()), Span(7, 7 + ms)) for place, ms in enumerate(lengths)]
    parts = placed(words, pauses, [0.0] * len(lengths), 150)
    assert parts[0].at_ms == 150 and [one.recording.id for one in parts] == [one.id for one, _ in words]
    for first, second, pause in zip(parts, parts[1:], pauses, strict=False):
        real = second.at_ms - first.end_ms
        assert real == pause or pause < real <= 0
        assert first.overlap_ms[1] == second.overlap_ms[0] == max(0, -real)
        assert max(0, -real) <= min(first.span.ms, second.span.ms) / 2
    assert parts[0].overlap_ms[0] == parts[-1].overlap_ms[1] == 0


# --- sound -----------------------------------------------------------------------------------------------------------


def test_between_the_fades_the_samples_are_those_of_the_recordings(tmp_path: Path) -> None:
    """Each at a level of its own; the part without anything around it begins and ends softly."""
    rng = np.random.default_rng(3)
    loud, faint = (level * rng.standard_normal(3200) for level in (0.1, 0.01))
    ones = [recording(tmp_path / "a.wav", loud), recording(tmp_path / "b.wav", faint)]
    parts = [Part(ones[0], Span(0, 200), 100, 0.0, (0, 0)), Part(ones[1], Span(0, 200), 350, -6.0, (0, 0))]
    whole, _ = joined(parts, 700, RATE, rng)
    assert len(whole) == round(0.7 * RATE)
    fade = joining.FADE_MS * RATE // 1000
    for part, gain in zip(parts, (1.0, 10**-0.3), strict=True):
        wave = read_utterance(part.recording).astype(float)
        wanted = gain * wave / np.sqrt(np.mean(wave**2))
        at = part.at_ms * RATE // 1000
        heard = whole[at : at + len(wave)]
        assert np.allclose(heard[fade:-fade], wanted[fade:-fade], atol=1e-9)
        assert np.abs(heard[:2]).max() < 0.01 and np.abs(heard[-2:]).max() < 0.01
    assert not whole[: round(0.1 * RATE)].any() and not whole[round(0.31 * RATE) : round(0.34 * RATE)].any()


def test_what_lies_around_speech_fades_and_two_that_overlap_are_added(tmp_path: Path) -> None:
    wave = np.full(round(0.6 * RATE), 0.25)
    one = recording(tmp_path / "a.wav", wave)
    (alone, _), (both, _) = (
        joined(parts, 800, RATE, np.random.default_rng(0))
        for parts in (
            [Part(one, Span(200, 400), 300, 0.0, (0, 0))],
            [Part(one, Span(200, 400), 300, 0.0, (0, 40)), Part(one, Span(200, 400), 460, 0.0, (40, 0))],
        )
    )
    seconds = np.arange(len(alone)) / RATE
    inside, outside = (seconds > 0.301) & (seconds < 0.499), (seconds < 0.199) | (seconds > 0.601)
    assert np.allclose(alone[inside], 1.0) and not alone[outside].any()
    assert np.all(np.diff(alone[(seconds > 0.2) & (seconds < 0.3)]) >= 0)
    # Both are heard where they overlap, and there is no hole beside that.
    said = both[(seconds > 0.301) & (seconds < 0.659)]
    assert said.min() > 0.999 and 1.5 < said.max() < 2 and np.argmax(said) == pytest.approx(0.18 * RATE, abs=80)


def test_there_is_room_for_no_more_than_there_is(tmp_path: Path) -> None:
    one = recording(tmp_path / "a.wav", room(1.0, 0.1))
    whole, _ = joined([Part(one, Span(300, 600), 20, 0.0, (0, 0))], 330, RATE, np.random.default_rng(0))
    assert len(whole) == 330 * 16 and whole.any()


def test_the_background_is_that_of_the_quietest_moments() -> None:
    """White noise of a known level with loud speech on it; a hum keeps its pitch."""
    quiet = room(2.0, 0.01)
    speaking = np.zeros_like(quiet)
    speaking[RATE // 2 : RATE] = 1.0
    heard = background(quiet + speaking * tone(700, 2.0), RATE, np.random.default_rng(1))
    assert heard.shape == (RATE,) and np.std(heard) == pytest.approx(0.01, rel=0.15)
    hum = background(0.01 * tone(1000, 1.0), RATE, np.random.default_rng(1))
    assert np.argmax(np.abs(np.fft.rfft(hum))) == pytest.approx(1000, abs=32)
    loudest = 10 ** (joining.LOUDEST_BACKGROUND_DB / 20)
    assert np.std(background(tone(700, 0.3), RATE, np.random.default_rng(1))) == pytest.approx(loudest, rel=0.5)
    assert not background(np.zeros(10), 50, np.random.default_rng(1)).any()


# --- whom people are made of -----------------------------------------------------------------------------------------


def buzz(pitch: float, lowest: int = 1) -> np.ndarray:
    """Harmonics up to 4 kHz."""
    return sum(0.1 / number * tone(pitch * number, 0.5) for number in range(lowest, int(4000 / pitch)))  # type: ignore[return-value]


@pytest.mark.parametrize("pitch", [75.0, 110.0, 180.0, 260.0, 340.0])
@pytest.mark.parametrize("lowest", [1, 2])
def test_a_pitch_is_heard_with_and_without_its_fundamental(pitch: float, lowest: int) -> None:
    wave = np.concatenate([room(0.3), buzz(pitch, lowest), room(0.3)])
    assert median_hz(wave) == pytest.approx(pitch, rel=0.02)


@pytest.mark.parametrize("wave", [np.zeros(8000), np.zeros(10), room(0.5)], ids=["silence", "crumb", "noise"])
def test_what_has_no_pitch_has_none(wave: np.ndarray) -> None:
    assert np.isnan(median_hz(wave))


@pytest.mark.parametrize("median", [80.0, 110.0, 160.0, 200.0, 256.0, 290.0, 330.0])
def test_whoever_can_be_made_of_somebody_needs_no_impossible_throat(median: float) -> None:
    source, meant = Source.of(median), Change(1.0, 150.0, 1.0)
    low, high = source.search_hz
    assert low < median / 1.5 and median * 1.75 < high <= PITCH_HZ[1]
    made = {one.name: source.made(Change(one.formants, 1, 1)) for one in people()["train"] if source.can_be(one)}
    assert len(made) > 100
    assert all(FORMANTS[0] <= change.formants <= FORMANTS[1] for change in made.values())
    assert {"man", "woman"} <= {name.partition("-")[0] for name in made}
    assert source.made(meant).median_hz == meant.median_hz


def test_a_man_needs_no_longer_throat_for_a_man_and_is_no_child() -> None:
    man, woman = Source.of(110.0), Source.of(220.0)
    for one in people()["train"]:
        factors = [source.made(Change(one.formants, 1, 1)).formants for source in (man, woman)]
        assert factors[0] > factors[1]
        if one.name.startswith("child"):
            assert not man.can_be(one)
    assert Source().made(Change(0.9, 120.0, 1.1)) == Change(0.9, 120.0, 1.1)
