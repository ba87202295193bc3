"""``plot``: what is drawn and written is what training would hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tones import begins, listener, speak

from dfcnn_ms import plot
from dfcnn_ms.audio.wave import read_wave, write_wave
from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance, write_manifest
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.recognizer import Recognizer

AUGMENT = "augment: {wave: [{kind: speed, factors: [0.9, 1.1]}, {kind: gain}], features: [{kind: spec_augment}]}"
PAGE = f"data: {{train: m.jsonl, dev: m.jsonl, cache: true}}\n{AUGMENT}\ntrain: {{batch_size: 2, buckets: 1}}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with a page, a manifest and three sound files."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(3):
        write_wave(f"{number}.wav", 0.2 * rng.standard_normal(9000 + 1000 * number).astype(np.float32))
    write_manifest(
        "m.jsonl", [Utterance(f"u{number}", f"{number}.wav", (9 + number) / 16, ("yi1", "er4")) for number in range(3)]
    )
    Path("page.yaml").write_text(PAGE)
    return tmp_path


def test_versions_of_a_file_are_those_of_its_epochs_and_are_written_as_they_are_heard(capsys):
    plot.main(["1.wav", "--config", "page.yaml", "--augment", "5", "--wavs", "out", "--out", "v.png"])
    assert capsys.readouterr().out == "picture: v.png; versions: out\n"
    assert Path("v.png").stat().st_size > 10_000
    assert {path.name for path in Path("out").iterdir()} == {"1.wav", *(f"1.epoch{n}.wav" for n in range(1, 6))}
    corpus = plot.file_corpus(load_config("page.yaml"), "1.wav")
    for epoch in range(5):
        heard = np.clip(np.rint(corpus.augmented(0, epoch)[0] * 32768), -32768, 32767) / 32768
        np.testing.assert_array_equal(read_wave(f"out/1.epoch{epoch + 1}.wav"), heard.astype(np.float32))
    np.testing.assert_array_equal(read_wave("out/1.wav"), read_wave("1.wav"))


def test_each_version_is_a_column_beside_the_original():
    pictures = plot.version_pictures(plot.file_corpus(load_config("page.yaml"), "1.wav"), 0, 5)
    assert [picture.title for picture in pictures] == ["1.wav", *(f"epoch {n}" for n in range(1, 6))]
    figure = plot.draw_versions(pictures)
    places = [axis.get_position() for axis in figure.axes if axis.axison]
    assert len(places) == 12
    drawn = [axis.lines[0].get_ydata() for axis in figure.axes if axis.lines]
    for picture, line in zip(pictures, drawn, strict=True):
        np.testing.assert_array_equal(line, picture.wave)
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    for picture, image in zip(pictures, images, strict=True):
        np.testing.assert_array_equal(image, picture.features.T)


def test_a_batch_and_its_versions_are_what_training_hears():
    config = load_config("page.yaml")
    source = plot.training_source(config)
    batch = source.plan(0)[1]
    pictures = plot.batch_pictures(config, 1)
    for picture, index in zip(pictures, batch.indices, strict=True):
        np.testing.assert_array_equal(picture.features, source.corpus.features(index, 0))
        np.testing.assert_array_equal(picture.wave, read_wave(f"{index}.wav"))
        assert picture.label == ("yi1", "er4")
    corpus, first = plot.batch_place(config, 1)
    assert first == batch.indices[0]
    for epoch, picture in enumerate(plot.version_pictures(corpus, first, 3)[1:]):
        np.testing.assert_array_equal(picture.features, source.corpus.features(first, epoch))
    assert not Path("cache").exists()


def test_what_a_network_hears_stands_where_it_was_heard(monkeypatch, capsys):
    monkeypatch.setattr(Recognizer, "load", lambda *_: listener())
    speak(Path("said.wav"), "yi1 si4 er4")
    picture = plot.heard_picture("said.wav", Path("a.ckpt"), "CPU", "what was said")
    transcript = listener().transcribe("said.wav")
    assert picture.title == "said.wav (what was said)"
    assert picture.label == transcript.syllables == ("yi1", "si4", "er4")
    assert picture.seconds == transcript.starts == pytest.approx(begins(picture.label), abs=0.05)
    np.testing.assert_array_equal(picture.features, listener().frontend(read_wave("said.wav")))
    plot.main(["said.wav", "--ckpt", "a.ckpt", "--out", "said.png"])
    assert capsys.readouterr().out == "picture: said.png\n"
    assert Path("said.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("1.wav", "--augment", "0"), "--augment 0: wanted 1 to 40"),
        (("1.wav", "--wavs", "out"), "give both"),
        (("1.wav", "--augment", "2", "--ckpt", "a.ckpt"), "give one"),
        (("1.wav", "--augment", "2", "--wavs", "0.wav"), "is a file, wanted a folder"),
        (("nowhere.wav", "--augment", "2"), "nowhere.wav: no such file"),
        (("--batch", "--augment", "2", "--index", "9", "--config", "page.yaml"), "the epoch has batches 0 to 1"),
        (("--augment", "2"), "give either one sound file or --batch"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, sentence):
    with pytest.raises((ConfigError, DataError), match=sentence):
        plot.main(list(arguments))
    assert not Path("spectrogram.png").exists() and not Path("out").exists()
