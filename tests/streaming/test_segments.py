"""Where segments begin and end, on sound that is made so that this is known; and that noise is none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hearers import RATE, noise, pieces
from hypothesis import given, settings
from hypothesis import strategies as st

from dfcnn_ms.audio import NoiseReduction, Pitch, Stack
from dfcnn_ms.audio.augment import coloured_noise
from dfcnn_ms.audio.features import Features, LogMel, Mfcc
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.streaming.endpoints import Endpointer, Endpointing, Span
from dfcnn_ms.streaming.segmenter import Segment, Segmenter

FEATURES = LogMel(n_mels=20)
HOP = 0.01


def syllables(seconds: float, decibels: float = -20.0, least: float = 0.0) -> np.ndarray:
    """Something like a voice: four harmonics that come and go, down to the least share of their height."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * 200 * number * time) for number in (1, 2, 4, 8))
    shape = least + (1 - least) * np.maximum(0, np.sin(2 * np.pi * 2.5 * time)) ** 2
    return (tones * shape * 10 ** (decibels / 20)).astype(np.float32)


def segments(
    wave: np.ndarray, endpointing: Endpointing | None, sizes: list[int] | None = None, kind: Features = FEATURES
) -> list[Segment]:
    segmenter = Segmenter(kind, endpointing)
    found = [segmenter.feed(piece) for piece in pieces(wave.astype(np.float32), sizes or [len(wave)])]
    return [segment for some in [*found, segmenter.finish()] for segment in some]


def spans(wave: np.ndarray, endpointing: Endpointing | None = None) -> list[tuple[float, float]]:
    return [(one.first * HOP, one.stop * HOP) for one in segments(wave, endpointing or Endpointing())]


@pytest.mark.parametrize("floor_db", [-200.0, -80.0, -50.0, -32.0])
def test_voices_are_found_with_what_lies_around_them(floor_db: float) -> None:
    """Two voices of 1 and 2 seconds, 2 seconds apart, in silence and in noise down to about 10 dB below them."""
    wave = np.concatenate([noise(4, -200), syllables(1), noise(2, -200), syllables(2), noise(2, -200)])
    found = spans(wave + noise(11, floor_db))
    assert len(found) >= 2
    *before, first, second = found
    assert all(stop < 2 for _, stop in before)  # noise that begins is something at first
    for (start, stop), (begins, ends) in zip((first, second), ((4, 5), (7, 9)), strict=True):
        assert begins - 0.5 <= start <= begins + 0.05
        assert ends - 0.25 <= stop <= ends + 0.4


@pytest.mark.parametrize("name", ["silence", "white", "pink", "brown", "hum", "quiet hiss"])
def test_nothing_is_found_in_noise_that_goes_on(name: str) -> None:
    """30 seconds of each; what begins may be taken for a voice, in the first two of them."""
    time, rng = np.arange(30 * RATE) / RATE, np.random.default_rng(0)
    colours = ("white", "pink", "brown")
    wave = {
        "silence": np.zeros(len(time)),
        "hum": sum(0.1 / n * np.sin(2 * np.pi * 50 * n * time) for n in (1, 2, 3, 5)) + noise(30, -70),
        "quiet hiss": noise(30, -80),
        **{colour: 0.05 * coloured_noise(rng, len(time), colour) for colour in colours if colour == name},
    }[name]
    assert all(stop < 2 for _, stop in spans(wave))


def test_a_click_is_no_voice() -> None:
    wave = np.zeros(5 * RATE, np.float32)
    wave[40_000:40_100] = 0.5
    assert spans(wave) == []


def test_a_long_segment_is_cut_where_it_is_weakest() -> None:
    """A voice that goes on for 12 seconds, with a short quiet place 8 seconds in."""
    voice = np.concatenate([syllables(8, least=0.2), noise(0.25, -90), syllables(4, least=0.2)])
    (first, last), *others = spans(voice, Endpointing(longest=10.0, pause=1.0))
    assert first == 0 and last == pytest.approx(8.1, abs=0.2)
    assert [start for start, _ in others] == [last]


def test_without_endpointing_all_is_one() -> None:
    (one,) = segments(noise(3, -90), None, [777])
    assert (one.index, one.first, len(one.features)) == (0, 0, FEATURES.num_frames(3 * RATE))
    assert segments(np.zeros(0), None, [1]) == []


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6), st.integers(0, 3))
@settings(deadline=None, max_examples=8)
def test_pieces_make_the_same_segments(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [part for _ in range(3) for part in (noise(rng.uniform(0.2, 1.5), -90), syllables(rng.uniform(0.3, 1.5)))]
    wave = np.concatenate(parts) + noise(20, -50, seed)[: sum(map(len, parts))]
    whole = segments(wave, Endpointing())
    found = segments(wave, Endpointing(), [max(size, 200) for size in sizes])
    assert [(one.index, one.first, one.stop) for one in found] == [(one.index, one.first, one.stop) for one in whole]
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one.features, other.features, atol=1e-5)
        np.testing.assert_allclose(one.features, FEATURES(wave)[one.first : one.stop], atol=1e-5)


@pytest.mark.parametrize(
    "kind", [Pitch(), Stack((LogMel(n_mels=20), Pitch())), LogMel(n_mels=20, preprocess=(NoiseReduction(),))], ids=repr
)
def test_features_that_come_later_than_others_have_the_segments_of_the_whole(kind: Features) -> None:
    """Frames that look around themselves, and sound that is given out late: no segment ends before its frames do."""
    wave = np.concatenate([noise(1, -90), syllables(1.2), noise(1.5, -90), syllables(0.7)])
    ends = Endpointing(pause=0.05, after=0.05)
    in_time = LogMel(n_mels=20, window_ms=kind.window_ms, n_fft=1024)
    found, wanted = segments(wave, ends, [160], kind), segments(wave, ends, [160], in_time)
    assert len(found) > 2
    assert [(one.first, one.stop) for one in found] == [(one.first, one.stop) for one in wanted]
    whole = kind(wave.astype(np.float32))
    for one in found:
        np.testing.assert_allclose(one.features, whole[one.first : one.stop], atol=1e-4 * np.abs(whole).max())


levels = st.lists(st.tuples(st.sampled_from([0.0, 2.0, 4.0, 25.0]), st.integers(1, 90)), max_size=12)
ends = st.builds(
    Endpointing,
    pause=st.sampled_from([0.05, 0.3, 0.6]),
    longest=st.sampled_from([1.0, 2.0, 20.0]),
    before=st.sampled_from([0.0, 0.3]),
    after=st.sampled_from([0.0, 0.3]),
)


@given(levels, ends)
@settings(deadline=None)
def test_segments_follow_each_other_and_hold_what_is_loud(
    runs: list[tuple[float, int]], endpointing: Endpointing
) -> None:
    loudness = np.array([level for level, count in runs for _ in range(count)])
    both = np.stack([loudness, loudness - 50], axis=1)
    endpointer = Endpointer(endpointing, HOP)
    found: list[Span] = []
    for level in both:
        found += endpointer.feed(level[None])
        assert endpointer.first is None or endpointer.first <= endpointer.ready
    found += endpointer.finish()
    assert found == [*(whole := Endpointer(endpointing, HOP)).feed(both), *whole.finish()]
    assert all(0 <= one.first < one.stop <= len(loudness) for one in found)
    assert all(before.stop <= after.first for before, after in itertools.pairwise(found))
    assert all(one.stop - one.first <= endpointing.longest / HOP for one in found)
    inside = np.zeros(len(loudness), bool)
    for one in found:
        inside[one.first : one.stop] = True
        assert (loudness[one.first : one.stop] >= endpointing.threshold_db).any()
    for place, (level, count) in zip(np.cumsum([0, *(count for _, count in runs)]), runs, strict=False):
        if level >= endpointing.threshold_db and count >= endpointing.onset / HOP:
            assert inside[place : place + count].all()


def test_memory_is_that_of_a_segment() -> None:
    segmenter = Segmenter(FEATURES, Endpointing())
    sizes = []
    for _ in range(60):
        segmenter.feed(noise(1, -50))
        sizes.append(segmenter.frames_kept)
    assert max(sizes[10:]) < 200


def test_features_with_other_windows_keep_step() -> None:
    for kind in (Mfcc(), Mfcc(window_ms=20, hop_ms=25), LogMel(sample_rate=8000, hop_ms=12.5, n_mels=20)):
        segmenter = Segmenter(kind, Endpointing())
        wave = np.concatenate([noise(1, -90), syllables(1), noise(1, -90)])
        found = [*segmenter.feed(wave), *segmenter.finish()]
        assert found and all(len(one.features) == one.stop - one.first > 0 for one in found)


WRONG = {
    "pause is 0": {"pause": 0.0},
    "pause is nan": {"pause": float("nan")},
    "longest is 0.5": {"longest": 0.5},
    "threshold_db is -1": {"threshold_db": -1.0},
}


@pytest.mark.parametrize("name", WRONG)
def test_endpointing_that_cannot_be(name: str) -> None:
    with pytest.raises(ConfigError, match=f"endpointing: {name}"):
        Endpointing(**WRONG[name])
