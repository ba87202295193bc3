"""``python -m dfcnn_ms.transcribe``: writes down what is said in sound files."""

from __future__ import annotations

from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.audio.wave import duration
from dfcnn_ms.recognizer import Recognizer

EXAMPLE = "python -m dfcnn_ms.transcribe --ckpt dfcnn.ckpt a.wav b.flac"


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments and prints one line for each file, in the order given."""
    arguments = cli.parser("transcribe", "Write down what is said in sound files.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    cli.add_device_target(arguments)
    arguments.add_argument("files", nargs="+", metavar="FILE", help="wav, flac, ogg or mp3, any rate, any channels")
    options = arguments.parse_args(argv)
    for file in options.files:
        duration(file)  # a wrong file is named before the network is loaded

    recognizer = Recognizer.load(options.ckpt, options.device_target)
    for file in options.files:
        print(f"{file}\t{recognizer.transcribe(file).text}", flush=True)


if __name__ == "__main__":
    cli.run(main)
