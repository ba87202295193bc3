"""``python -m dfcnn_ms.plot``: draws what really enters the network, so that bad input is seen and not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcnn_ms import cli
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import duration, read_wave, write_wave
from dfcnn_ms.config import DEFAULT_CONFIG, Config, load_config
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.files import check_outputs, replacing
from dfcnn_ms.reporting.plots import Picture, draw
from dfcnn_ms.reporting.versions import draw_versions

if TYPE_CHECKING:
    from dfcnn_ms.training.batches import BatchSource
    from dfcnn_ms.training.corpus import Corpus

EXAMPLE = "python -m dfcnn_ms.plot --ckpt dfcnn.ckpt a.wav --out a.png"

#: utterances of a batch that fit on one picture
ROWS = 4
#: versions that still can be told apart
MOST_VERSIONS = 40
FORMATS = (".png", ".svg", ".pdf")


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, draws, and says where the picture is."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("plot", "Draw a file, or a training batch, as the network receives it.", EXAMPLE)
    arguments.add_argument("file", nargs="?", metavar="FILE", help="a sound file")
    arguments.add_argument("--batch", action="store_true", help="draw a batch of the training set, augmented")
    arguments.add_argument("--index", type=int, default=0, help="which batch of the epoch (default: 0)")
    arguments.add_argument("--ckpt", type=Path, help="recognise the file as well, and write the syllables into it")
    arguments.add_argument("--config", default=DEFAULT_CONFIG, help=f"whose features (default: {DEFAULT_CONFIG})")
    arguments.add_argument("--label", default="", help="syllables to write above the file")
    arguments.add_argument(
        "--augment", type=int, metavar="N", help="draw the file, or the first of the batch, as N epochs augment it"
    )
    arguments.add_argument("--wavs", type=Path, metavar="DIR", help="with --augment: also write each version as a wav")
    arguments.add_argument("--out", type=Path, default=Path("spectrogram.png"), help="default: spectrogram.png")
    cli.add_device_target(arguments)
    options = arguments.parse_args(argv)
    if bool(options.file) == options.batch:
        raise ConfigError("plot: give either one sound file or --batch")
    cli.check_output("--out", options.out, FORMATS)
    cli.check_inputs(options, ["--out"], options.file)
    _check_versions(options.augment, options.wavs, options.ckpt)

    if options.augment:
        config = load_config(options.config)
        corpus, index = batch_place(config, options.index) if options.batch else (file_corpus(config, options.file), 0)
        figure = draw_versions(version_pictures(corpus, index, options.augment, options.wavs))
    elif options.batch:
        figure = draw(batch_pictures(load_config(options.config), options.index))
    elif options.ckpt:
        figure = draw([heard_picture(options.file, options.ckpt, options.device_target, options.label)])
    else:
        config = load_config(options.config)
        figure = draw([file_picture(options.file, _frontend(config), options.label.split())])
    with replacing(options.out) as temporary:
        figure.savefig(temporary, dpi=110)
    print(f"picture: {options.out}" + (f"; versions: {options.wavs}" if options.wavs else ""))


def _check_versions(count: int | None, wavs: Path | None, ckpt: Path | None) -> None:
    if count is None and wavs is not None:
        raise ConfigError("--wavs: writes what --augment N makes; give both")
    if count is not None and ckpt is not None:
        raise ConfigError("--augment: shows what training does to a file, --ckpt what a network hears in it; give one")
    if count is not None and not 1 <= count <= MOST_VERSIONS:
        raise ConfigError(f"--augment {count}: wanted 1 to {MOST_VERSIONS}")
    if wavs is not None and wavs.exists() and not wavs.is_dir():
        raise ConfigError(f"--wavs {wavs}: is a file, wanted a folder")


def _frontend(config: Config) -> Frontend:
    """The front end of a page; statistics of a whole corpus are only in a checkpoint, so pictures do without."""
    return Frontend(config.features, "none" if config.cmvn == "global" else config.cmvn)


def file_picture(path: str, frontend: Frontend, label: list[str]) -> Picture:
    """A file with a label that the user gave."""
    wave = read_wave(path)
    return Picture(Path(path).name, frontend(wave), frontend.features.hop_ms, wave, label)


def heard_picture(path: str, ckpt: Path, device_target: str, label: str) -> Picture:
    """A file with what the network of a checkpoint hears in it, each syllable where it was heard."""
    from dfcnn_ms.recognizer import Recognizer

    wave = read_wave(path)
    recognizer = Recognizer.load(ckpt, device_target)
    transcript = recognizer.hear([wave])[0]
    title = f"{Path(path).name} ({label})" if label else Path(path).name
    features = recognizer.frontend(wave)
    hop_ms = recognizer.frontend.features.hop_ms
    return Picture(title, features, hop_ms, wave, transcript.syllables, transcript.starts)


def batch_pictures(config: Config, index: int) -> list[Picture]:
    """The first utterances of one training batch: as recorded, and as they enter the network in the first epoch."""
    source = training_source(config)
    _check_index(source, index)
    batch = source.plan(0)[index]
    features, _, lengths, _ = source.arrays(batch)
    corpus = source.corpus
    return [
        Picture(
            corpus.utterances[number].id,
            np.asarray(row[0, :length]),
            corpus.frontend.features.hop_ms,
            corpus.wave(number),
            corpus.utterances[number].pinyin,
        )
        for number, row, length in zip(batch.indices[:ROWS], features, lengths, strict=False)
    ]


def training_source(config: Config) -> BatchSource:
    """The training batches of a page; no features are cached for a picture."""
    from dfcnn_ms.training.datasets import load_training

    data = config.data.model_copy(update={"cache": False})
    return load_training(config.model_copy(update={"data": data}))[2]


def _check_index(source: BatchSource, index: int) -> None:
    if not 0 <= index < len(source.plan):
        raise ConfigError(f"--index {index}: the epoch has batches 0 to {len(source.plan) - 1}")


def batch_place(config: Config, index: int) -> tuple[Corpus, int]:
    """The training corpus, and the first utterance of one batch of the first epoch."""
    source = training_source(config)
    _check_index(source, index)
    return source.corpus, source.plan(0)[index].indices[0]


def file_corpus(config: Config, path: str) -> Corpus:
    """A training corpus of one file."""
    from dfcnn_ms.training.corpus import open_corpus

    return open_corpus(
        [Utterance(Path(path).name, path, duration(path), ())],
        [()],
        _frontend(config),
        augment_wave=config.augment.wave,
        augment_features=config.augment.features,
        seed=config.train.seed,
        room=config.train.room,
    )


def version_pictures(corpus: Corpus, index: int, count: int, wavs: Path | None = None) -> list[Picture]:
    """One utterance as it is and as the first epochs augment it; its sound goes to a folder, if one is given."""
    hop_ms = corpus.frontend.features.hop_ms
    wave = corpus.wave(index)
    name = corpus.utterances[index].id
    stem = Path(name).stem
    files = [wavs / f"{stem}{f'.epoch{epoch}' if epoch else ''}.wav" for epoch in range(count + 1)] if wavs else []
    check_outputs([("--wavs", file) for file in files], [corpus.utterances[index].path])
    pictures = [Picture(name, corpus.frontend(wave), hop_ms, wave)]
    for epoch in range(count):
        wave, features = corpus.augmented(index, epoch)
        pictures.append(Picture(f"epoch {epoch + 1}", features, hop_ms, wave))
    for file, picture in zip(files, pictures, strict=False):
        assert picture.wave is not None
        write_wave(file, picture.wave)
    return pictures


if __name__ == "__main__":
    cli.run(main)
