"""``python -m dfcnn_ms.plot``: draws what really enters the network, so that bad input is seen and not guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dfcnn_ms import cli
from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.audio.wave import read_wave
from dfcnn_ms.config import DEFAULT_CONFIG, Config, load_config
from dfcnn_ms.corpora.manifest import read_labelled, read_utterance
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.reporting.plots import Picture, draw
from dfcnn_ms.text.vocabulary import Vocabulary

EXAMPLE = "python -m dfcnn_ms.plot --ckpt dfcnn.ckpt a.wav --out a.png"

#: utterances of a batch that fit on one picture
ROWS = 4
FORMATS = (".png", ".svg", ".pdf")


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, draws, and says where the picture is."""
    arguments = cli.parser("plot", "Draw a file, or a training batch, as the network receives it.", EXAMPLE)
    arguments.add_argument("file", nargs="?", metavar="FILE", help="a sound file")
    arguments.add_argument("--batch", action="store_true", help="draw a batch of the training set, augmented")
    arguments.add_argument("--index", type=int, default=0, help="which batch of the epoch (default: 0)")
    arguments.add_argument("--ckpt", type=Path, help="recognise the file as well, and write the syllables into it")
    arguments.add_argument("--config", default=DEFAULT_CONFIG, help=f"whose features (default: {DEFAULT_CONFIG})")
    arguments.add_argument("--label", default="", help="syllables to write above the file")
    arguments.add_argument("--out", type=Path, default=Path("spectrogram.png"), help="default: spectrogram.png")
    cli.add_device_target(arguments)
    options = arguments.parse_args(argv)
    if bool(options.file) == options.batch:
        raise ConfigError("plot: give either one sound file or --batch")
    cli.check_output("--out", options.out, FORMATS)

    if options.batch:
        pictures = batch_pictures(load_config(options.config), options.index)
    elif options.ckpt:
        pictures = [heard_picture(options.file, options.ckpt, options.device_target, options.label)]
    else:
        config = load_config(options.config)
        pictures = [file_picture(options.file, _frontend(config), options.label.split())]
    draw(pictures).savefig(options.out, dpi=110)
    print(f"picture: {options.out}")


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
    return Picture(title, features, hop_ms, wave, transcript.syllables, transcript.seconds)


def batch_pictures(config: Config, index: int) -> list[Picture]:
    """The first utterances of one training batch: as recorded, and as they enter the network in the first epoch."""
    from dfcnn_ms.training.batches import BatchSource, open_corpus, plan_batches

    utterances = read_labelled(config.data.train, config.data.labels)
    vocabulary = Vocabulary.build(utterance.pinyin for utterance in utterances)
    corpus = open_corpus(
        utterances,
        [vocabulary.encode(utterance.pinyin, where=utterance.where) for utterance in utterances],
        _frontend(config),
        augment_wave=config.augment.wave,
        augment_features=config.augment.features,
        seed=config.train.seed,
    )
    frames = [corpus.frames(number) for number in range(len(corpus))]
    plan = plan_batches(frames, config.train.batch_size, config.train.buckets, shuffle=True, seed=config.train.seed)
    if not 0 <= index < len(plan):
        raise ConfigError(f"--index {index}: the epoch has batches 0 to {len(plan) - 1}")
    batch = plan(0)[index]
    features, _, lengths, _ = BatchSource(corpus, plan).arrays(batch)
    hop_ms = corpus.frontend.features.hop_ms
    return [
        Picture(
            utterances[number].id,
            np.asarray(row[0, :length]),
            hop_ms,
            read_utterance(utterances[number]),
            utterances[number].pinyin,
        )
        for number, row, length in zip(batch.indices[:ROWS], features, lengths, strict=False)
    ]


if __name__ == "__main__":
    cli.run(main)
