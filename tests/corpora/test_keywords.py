"""Streams of single words: each word once, where the times say; windows that show one word or none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tones import HERTZ, PAUSE, RATE, TONE, speak

from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.corpora import keywords
from dfcnn_ms.corpora.keywords import BACKGROUND, VERSIONS, WINDOW_SECONDS, prepare
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, read_utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.spotting.streams import Stream, read_streams

WORDS = {"train": 50, "dev": 10, "test": 90}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single tones, cut out of recordings that hold one each."""
    root = tmp_path_factory.mktemp("words")
    names = list(HERTZ)
    for word in names:
        speak(root / f"{word}.wav", word)
    for split, count in WORDS.items():
        lines = [
            Utterance(f"{split}{number}", f"{names[number % 4]}.wav", TONE, (names[number % 4],), start=PAUSE)
            for number in range(count)
        ]
        write_manifest(root / f"{split}.jsonl", lines)
    return root


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    manifests = prepare(out, root=root)
    assert manifests == {split: out / f"{split}.jsonl" for split in WORDS}
    return out


def test_every_word_is_said_once_in_the_streams(made: Path) -> None:
    for version in VERSIONS:
        streams = read_streams(made / f"streams-{version}.jsonl")
        said = Counter(word.text for stream in streams for word in stream.words)
        assert said == Counter(list(HERTZ)[number % 4] for number in range(WORDS["test"]))
        for stream in streams:
            assert len(read_wave(stream.path)) == round(stream.seconds * RATE)
            edges = [0.0, *(edge for word in stream.words for edge in (word.start_seconds, word.end_seconds))]
            assert all(later - earlier > 0.3 for earlier, later in zip(edges[::2], edges[1::2], strict=False))


def loudest(wave: np.ndarray) -> str:
    """Which tone is in some samples."""
    power = np.abs(np.fft.rfft(wave))
    hertz = float(np.argmax(power)) * RATE / len(wave)
    return min(HERTZ, key=lambda word: abs(HERTZ[word] - hertz))


def test_words_are_where_the_times_say(made: Path) -> None:
    """By their spectrum, in the noise too; and where there is none it is nearly silent."""
    for version in ("clean", "10db"):
        for stream in read_streams(made / f"streams-{version}.jsonl"):
            wave = read_wave(stream.path)
            for word in stream.words:
                part = wave[round(word.start_seconds * RATE) : round(word.end_seconds * RATE)]
                assert loudest(part) == word.text
            if version == "clean":
                assert np.abs(silent(stream, wave)).max() < 0.002


def silent(stream: Stream, wave: np.ndarray) -> np.ndarray:
    """The samples outside of all words."""
    outside = np.ones(len(wave), bool)
    for word in stream.words:
        outside[int(word.start_seconds * RATE) - 20 : int(word.end_seconds * RATE) + 20] = False  # times are rounded
    return wave[outside]


def test_noise_is_as_loud_as_the_name_says(made: Path) -> None:
    """Power in the words is that of speech and noise, power outside that of noise."""
    for version, snr_db in (("10db", 10.0), ("0db", 0.0)):
        for stream in read_streams(made / f"streams-{version}.jsonl"):
            wave = read_wave(stream.path).astype(float)
            inside = np.concatenate(
                [wave[round(one.start_seconds * RATE) : round(one.end_seconds * RATE)] for one in stream.words]
            )
            noise = np.mean(silent(stream, wave) ** 2)
            assert 10 * np.log10(np.mean(inside**2) / noise - 1) == pytest.approx(snr_db, abs=1.0)


def test_a_window_holds_its_word_and_background_holds_none(made: Path) -> None:
    for split, count in WORDS.items():
        windows = read_manifest(made / f"{split}.jsonl")
        labels = Counter(one.pinyin[0] for one in windows)
        assert sum(labels[word] for word in HERTZ) == count
        assert labels[BACKGROUND] == pytest.approx(keywords.BACKGROUND_SHARE * count, abs=3)
        assert {len(read_utterance(one)) for one in windows} == {round(WINDOW_SECONDS * RATE)}
    times = {one.path: one for version in VERSIONS for one in read_streams(made / f"streams-{version}.jsonl")}
    for one in read_manifest(made / "test.jsonl"):
        words = times[one.path].words
        shares = {word.start_seconds: keywords._seen(word, one.start) for word in words}
        whole = [word.text for word in words if shares[word.start_seconds] > 0.99]
        assert max(shares.values()) < keywords.PARTIAL if one.pinyin == (BACKGROUND,) else one.pinyin == tuple(whole)


def test_the_same_seed_makes_the_same(root: Path, made: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "same", root=root)
    prepare(tmp_path / "other", root=root, seed=1)
    for name in ("test.jsonl", "streams-0db.ctm", "audio/test/test-000-0db.flac"):
        assert (tmp_path / "same" / name).read_bytes() == (made / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (made / name).read_bytes()


@pytest.mark.parametrize(
    ("label", "sentence"),
    [(("a", "b"), "holds 2 words; streams are made of single ones"), (("_a",), "cannot begin with")],
)
def test_what_is_no_single_word_is_refused(root: Path, tmp_path: Path, label: tuple[str, ...], sentence: str) -> None:
    write_manifest(tmp_path / "train.jsonl", [Utterance("x", str(root / "yi1.wav"), 0.3, label)])
    with pytest.raises(DataError, match=sentence):
        prepare(tmp_path / "out", root=tmp_path)
    with pytest.raises(ConfigError, match="seed must be 0 or more"):
        prepare(tmp_path / "out", root=root, seed=-1)
