"""What ``transcribe`` does with sound that comes while it listens, and how long recordings are cut: flags and all."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from dfcnn_ms.audio.sound_files import SoundFile
from dfcnn_ms.audio.wave import Array
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.reporting.transcripts import Writer, layout_of, page
from dfcnn_ms.streaming.endpoints import VADS, Endpointing
from dfcnn_ms.streaming.microphone import Microphone
from dfcnn_ms.streaming.piped import CURE, Piped
from dfcnn_ms.streaming.recognizer import StreamingRecognizer
from dfcnn_ms.streaming.results import StreamResult, joined

#: clears what is behind it on a line of a terminal
CLEAR = "\x1b[K"


def add_stream_flags(arguments: argparse.ArgumentParser) -> None:
    """Adds the flags that the functions here read."""
    usual = Endpointing()
    group = arguments.add_argument_group("sound that comes while it is heard, and recordings with pauses")
    group.add_argument("--stdin", action="store_true", help="hear what is piped in: raw 16 bit, one channel, or a WAV")
    group.add_argument("--rate", type=int, metavar="HZ", help="of raw sound that is piped in (default: 16000)")
    group.add_argument("--mic", action="store_true", help="hear the microphone, until Ctrl-C")
    group.add_argument(
        "--pause", type=float, default=usual.pause, metavar="S", help=f"so long a silence cuts (default: {usual.pause})"
    )
    group.add_argument(
        "--longest",
        type=float,
        default=usual.longest,
        metavar="S",
        help=f"cut after so long (default: {usual.longest:g})",
    )
    group.add_argument(
        "--vad", choices=VADS, default=usual.vad, help=f"what tells a voice from noise (default: {usual.vad})"
    )
    group.add_argument(
        "--least-confidence",
        type=float,
        metavar="X",
        help="a segment less sure than this is noise; 0 believes all (default: by how often the network is right)",
    )


def endpointing_of(options: argparse.Namespace) -> Endpointing:
    """When a segment begins and when it ends.

    Raises:
        ConfigError: numbers that cannot be.
    """
    return Endpointing(
        pause=options.pause, longest=options.longest, least_confidence=options.least_confidence, vad=options.vad
    )


def is_stream(options: argparse.Namespace) -> bool:
    """Whether to hear sound that comes, and no files.

    Raises:
        ConfigError: flags that contradict each other.
    """
    asked = [flag for flag, given in (("--stdin", options.stdin), ("--mic", options.mic)) if given]
    if options.rate is not None and not options.stdin:
        raise ConfigError(f"--rate {options.rate}: says how raw sound is piped in; give --stdin too")
    if not asked:
        return False
    others = {"--mic": len(asked) > 1, "--out": options.out is not None, "a file": bool(options.files)}
    if given := [flag for flag, is_given in others.items() if is_given]:
        raise ConfigError(f"{asked[0]}: hears one stream and writes to standard output; leave out {given[0]}")
    if options.nbest > 1 and options.format != "json":
        raise ConfigError(f"--nbest {options.nbest}: of a stream, only json has room for alternatives")
    if options.stdin and sys.stdin.isatty():
        raise ConfigError(f"--stdin: nothing is piped in; such as: {CURE}")
    return True


def source_of(options: argparse.Namespace) -> Piped | Microphone:
    """Standard input or the microphone.

    Raises:
        DfcnnError: it cannot be heard.
    """
    return Microphone() if options.mic else Piped(sys.stdin.buffer, options.rate)


def hear_stream(source: Piped | Microphone, recognizer: Recognizer, options: argparse.Namespace) -> None:
    """Hears a source, and writes what is said as soon as it is known."""
    rate = source.rate if isinstance(source, Microphone) else source.encoding.rate
    screen = Screen("microphone" if options.mic else "stdin", Writer(options.format, None, 1, layout_of(options)))
    stream = StreamingRecognizer(
        recognizer, sample_rate=rate, endpointing=endpointing_of(options), partials=screen.shows_partials
    )
    screen.hear(stream, source)


class Screen:
    """Where the results of a stream go: what is final to standard output, what is not to a terminal.

    Args:
        name: of the stream.
        writer: of the format; txt and json have a line a segment, at once, others are written when the sound ends.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        self._name, self._writer, self._form = name, writer, writer.format
        self._finals: list[StreamResult] = []
        self.shows_partials = sys.stderr.isatty()

    def hear(self, stream: StreamingRecognizer, source: Iterable[Array]) -> None:
        """Feeds a stream until its source ends, or Ctrl-C; what was heard till then is written in any case."""
        try:
            for samples in source:
                self.show(stream.feed(samples))
        except KeyboardInterrupt:
            if not isinstance(source, Microphone):
                raise
        self.show(stream.finish())
        if self._form not in ("txt", "json"):
            sound = SoundFile(self._name, Path(self._name), stream.seconds)
            self._write(self._writer.text(sound, joined(self._finals)))

    def show(self, results: Iterable[StreamResult]) -> None:
        """Writes what is final, and what is not over what was not."""
        for result in results:
            if not result.final:
                self._tell(result.characters or result.text)
                continue
            self._tell("")
            if not result.syllables:
                continue
            if self._form in ("txt", "json"):
                self._write(self._line(result))
            else:
                self._finals.append(result)

    def _line(self, result: StreamResult) -> str:
        if self._form == "json":
            sound = SoundFile(self._name, Path(self._name), result.end)
            place = {"index": result.index, "start": result.start, "end": result.end}
            return json.dumps(place | page(sound, result, self._writer.layout), ensure_ascii=False) + "\n"
        times = [f"{result.start:.2f}", f"{result.end:.2f}", result.text]
        return "\t".join(times if result.characters is None else [*times, result.characters]) + "\n"

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _tell(self, text: str) -> None:
        """The end of a text on one line of the terminal, if that is one."""
        if self.shows_partials:
            room = max(10, shutil.get_terminal_size().columns // (1 if text.isascii() else 2) - 1)
            sys.stderr.write(f"\r{text[-room:]}{CLEAR}")
            sys.stderr.flush()
