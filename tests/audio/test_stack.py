"""Features side by side: the parts themselves, at the same moments, and a page that says them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dfcnn_ms.audio import LinearSpectrogram, LogMel, Mfcc, Pitch, Stack
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import load_config, parse_config
from dfcnn_ms.errors import ConfigError

RATE = 16_000
SHORT, LONG = LogMel(n_mels=20), LogMel(n_mels=24, window_ms=50, n_fft=1024)
PAGE = {"data": {"train": "train.jsonl", "dev": "dev.jsonl"}}
PARTS = [
    {"kind": "log_mel", "n_mels": 40},
    {"kind": "log_mel", "n_mels": 40, "window_ms": 50, "n_fft": 1024},
    {"kind": "pitch"},
]


def wave(samples: int = RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def test_bins_are_those_of_the_parts_one_after_the_other() -> None:
    both = Stack((SHORT, LONG))
    found = both(wave())
    assert found.shape == (both.num_frames(RATE), 44) and both.num_bins == 44
    assert (both.window_ms, both.hop_ms, both.sample_rate, both.context_frames) == (50, 10, RATE, 0)
    np.testing.assert_allclose(found[:, 20:], LONG(wave()), atol=1e-5)
    np.testing.assert_allclose(found[:, :20], SHORT(wave()[200:])[: len(found)], atol=1e-5)


def test_all_parts_hear_a_click_in_the_same_frame() -> None:
    click = np.zeros(RATE, np.float32)
    click[40 * 160 + 400] = 1.0  # the middle of frame 40, whose window has 800 samples
    found = Stack((SHORT, LONG, LinearSpectrogram()))(click)
    for bins in (slice(0, 20), slice(20, 44), slice(44, None)):
        assert found[:, bins].mean(axis=1).argmax() == 40


@pytest.mark.parametrize("samples", [1, 300, 800, 801, 961])
def test_short_sound_has_the_frames_of_the_longest_window(samples: int) -> None:
    both = Stack((SHORT, LONG, Mfcc(), Pitch()))
    assert both(wave(samples)).shape == (LONG.num_frames(samples), 60)


def test_pitch_in_a_stack_is_normalised_as_pitch_and_the_rest_as_always() -> None:
    both = Stack((Pitch(), LONG))
    found = Frontend(both)(wave())
    np.testing.assert_allclose(found[:, :3], Frontend(Pitch())(wave()), atol=1e-4)
    np.testing.assert_allclose(found[:, 3:], Frontend(LONG)(wave()), atol=1e-4)
    assert Stack((SHORT, LONG)).weights(found) is None


def test_a_page_says_it_and_says_it_again() -> None:
    config = parse_config({**PAGE, "features": {"kind": "stack", "parts": PARTS}}, "page")
    wanted = Stack((LogMel(n_mels=40), LogMel(n_mels=40, window_ms=50, n_fft=1024), Pitch()))
    assert config.features == wanted and hash(config.features) == hash(wanted)
    section = config.model_dump(mode="json")["features"]
    assert [part["kind"] for part in section["parts"]] == ["log_mel", "log_mel", "pitch"]
    assert set(section) == {"kind", "parts", "preprocess"}
    assert parse_config(config.model_dump(mode="json"), "page") == config
    assert eval(repr(wanted)) == wanted and pickle.loads(pickle.dumps(wanted)) == wanted


def test_a_part_is_changed_from_the_command_line() -> None:
    config = load_config("digits", ["features={kind: stack, parts: [{kind: log_mel}, {kind: pitch}]}"])
    assert config.features == Stack((LogMel(), Pitch()))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "page: features: .*a stack has no parts"),
        ([{"kind": "pitch"}] * 17, "a stack has 17 parts; give at most 16"),
        ([{"kind": "stack", "parts": PARTS}], "a stack stands in a stack; give its parts to the outer one"),
        ([{"kind": "clip_mel"}], "clip_mel has frames of its own"),
        ([{"kind": "log_mel"}, {"kind": "mfcc", "hop_ms": 5}], "hops of 5 ms at 16000 Hz and 10 ms at 16000 Hz"),
        ([{"kind": "log_mel", "preprocess": [{"kind": "high_pass"}]}], "give it to the stack itself"),
        ([{"kind": "log_mels"}], "features.parts.0: unknown kind 'log_mels'; did you mean 'log_mel'"),
        ([{"kind": "log_mel", "mels": 4}], "features.parts.0: unknown key 'mels' for kind 'log_mel'"),
        ([{"kind": "log_mel", "n_mels": 0}], "features.parts.0: .*n_mels is 0"),
    ],
)
def test_parts_that_cannot_be_are_refused_in_a_sentence(parts: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config({**PAGE, "features": {"kind": "stack", "parts": parts}}, "page")
