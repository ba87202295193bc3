"""Augmentation between samples and features: where it comes in, what it cannot go with; and clips that are no clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tones import HERTZ, speak

from dfcnn_ms.audio import ClipMel, LogMel
from dfcnn_ms.audio.augment import Gain, SpecAugment
from dfcnn_ms.audio.augment_commands import FixSpectrum, ShiftSpectrum, SpectrumNoise
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.corpora.manifest import Utterance, read_utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.models.image import Vgg
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.tasks import Classify
from dfcnn_ms.text.vocabulary import Vocabulary
from dfcnn_ms.training.corpus import open_corpus
from dfcnn_ms.training.datasets import load_datasets

WAVE, SPECTRUM, FEATURES = (Gain(),), (ShiftSpectrum(), FixSpectrum(), SpectrumNoise()), (SpecAugment(),)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    folder = tmp_path_factory.mktemp("tones")
    units = list(HERTZ)[:2]
    return [Utterance(unit, str(speak(folder / f"{unit}.wav", unit)), 0.3, (unit,)) for unit in units]


def test_it_comes_between_samples_and_features_with_one_source_of_numbers(utterances: list[Utterance]) -> None:
    frontend = Frontend(ClipMel(), "utterance")
    corpus = open_corpus(
        utterances, [[2], [3]], frontend,
        augment_wave=WAVE, augment_spectrum=SPECTRUM, augment_features=FEATURES, seed=5,
    )  # fmt: skip
    for epoch in range(3):
        rng = np.random.default_rng((5, epoch, 1))
        wave = WAVE[0](read_utterance(utterances[1]), rng)
        spectrum = ClipMel().spectrum(wave)
        for augment in SPECTRUM:
            spectrum = augment(spectrum, rng)
        wanted = FEATURES[0](frontend.normalised(ClipMel().from_spectrum(spectrum)), rng)
        np.testing.assert_array_equal(corpus.features(1, epoch), wanted)
    assert not np.array_equal(corpus.features(1, 0), corpus.features(1, 1))
    assert corpus.longest_frames == [32, 32]


def test_what_has_no_spectrum_or_is_kept_on_disk_cannot_be_changed(utterances: list[Utterance], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"augment.spectrum: LogMel has no spectrum to change; set features"):
        open_corpus(utterances, [[2], [3]], Frontend(LogMel()), augment_spectrum=SPECTRUM)
    with pytest.raises(ConfigError, match=r"data.cache and augment.spectrum exclude each other"):
        open_corpus(utterances, [[2], [3]], Frontend(ClipMel()), augment_spectrum=SPECTRUM, cache=tmp_path)
    with pytest.raises(DataError, match="no sound file is there"):
        noise = SpectrumNoise(recordings=(str(tmp_path / "none"),))
        open_corpus(utterances, [[2], [3]], Frontend(ClipMel()), augment_spectrum=(noise,))


def page(folder: Path, **labels: tuple[str, ...]) -> Config:
    """A page of classes whose two manifests say these labels."""
    for split, label in labels.items():
        path = speak(folder / f"{split}.wav", next(iter(HERTZ)))
        write_manifest(folder / f"{split}.jsonl", [Utterance(split, str(path), 0.3, label)])
    return parse_config(
        {
            "task": {"kind": "classify"},
            "data": {"train": folder / "train.jsonl", "dev": folder / "dev.jsonl", "labels": "as_written"},
            "features": {"kind": "clip_mel"},
            "model": {"kind": "resnet", "depth": 8, "width": 0.25},
        },
        where="page",
    )


def test_labels_that_cannot_be_taught_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.jsonl:1: task classify wants one label a clip; got 2 \(yes no\)"):
        load_datasets(page(tmp_path, train=("yes", "no"), dev=("yes",)))
    with pytest.raises(DataError, match=r"dev.jsonl:1: unit 'maybe' is not one of the 1 in the vocabulary"):
        load_datasets(page(tmp_path, train=("yes",), dev=("maybe",)))


def test_a_tenth_of_a_second_is_a_clip_and_a_minute_is_none() -> None:
    def sure(features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.log(np.full((len(features), 1, 3), [0.1, 0.1, 0.8])), Vgg().output_lengths(lengths)

    recognizer = Recognizer(sure, Frontend(ClipMel()), Vocabulary(("yes",)), Vgg(), task=Classify())
    tone = np.sin(np.arange(60 * 16_000) / 8).astype(np.float32)
    assert recognizer.hear([tone[:1_600]])[0].syllables == ("yes",)
    with pytest.raises(DataError, match=r"got 60.0 s of sound for a network that hears clips of 1 s; cut the clip out"):
        recognizer.hear([tone])
