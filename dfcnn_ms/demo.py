"""``python -m dfcnn_ms.demo``: from nothing to a transcribed sentence, one command after the other, each shown."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from dfcnn_ms import cli
from dfcnn_ms.config import load_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest

EXAMPLE = "python -m dfcnn_ms.demo"

#: what is trained: it begins with the network in the box
PAGE = "numbers"
CHECKPOINT = "dfcnn.ckpt"
REPORT = "report.html"
PICTURE = "spectrogram.png"
#: test files that are transcribed
FILES = 3


def main(argv: list[str] | None = None) -> None:
    """Runs the commands of the README in their order and says what each left behind."""
    argv = cli.with_plugins(argv)
    arguments = cli.parser("demo", "Make speech, train on it, evaluate, transcribe.", EXAMPLE)
    cli.add_device_target(arguments)
    arguments.add_argument("overrides", nargs="*", metavar="section.key=value", help="change the training")
    options = arguments.parse_intermixed_args(argv)
    config = load_config(PAGE, options.overrides)
    started = time.monotonic()

    # What `auto` takes is taken without being named, so that the commands shown are those that one would type.
    device = [] if options.device_target == "auto" else ["--device_target", options.device_target]
    execute("train", "--config", PAGE, "--init", "box", "--ckpt", CHECKPOINT, *device, *options.overrides)
    execute("eval", "--ckpt", CHECKPOINT, *device, "--report", REPORT)
    assert config.data.test is not None
    files = longest_of_each_speaker(read_manifest(config.data.test))[:FILES]
    transcribe(files, device)
    first = files[0]
    execute("plot", str(cli.short(first.path)), "--ckpt", CHECKPOINT, *device, "--out", PICTURE)
    print(closing(cli.short(first.path), time.monotonic() - started))


def execute(module: str, *arguments: str, capture: bool = False) -> str:
    """Shows a command, runs it, and stops with its exit code if it fails; returns what it printed if captured."""
    print(f"\n$ python -m dfcnn_ms.{module} {shlex.join(arguments)}".rstrip(), flush=True)
    command = [sys.executable, "-m", f"dfcnn_ms.{module}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE if capture else None, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


def longest_of_each_speaker(utterances: list[Utterance]) -> list[Utterance]:
    """One utterance of each speaker, that with the most syllables, in the order of the manifest."""
    best: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.speaker not in best or len(utterance.pinyin) > len(best[utterance.speaker].pinyin):
            best[utterance.speaker] = utterance
    return list(best.values())


def transcribe(utterances: list[Utterance], device: list[str]) -> None:
    """Transcribes the files and prints each with what was said in it."""
    files = [str(cli.short(utterance.path)) for utterance in utterances]
    output = execute("transcribe", "--ckpt", CHECKPOINT, *device, *files, capture=True)
    for utterance, line in zip(utterances, output.splitlines(), strict=True):
        file, heard = line.split("\t")
        print(f"{file}\n  said   {' '.join(utterance.pinyin)}\n  heard  {heard}")


def closing(file: Path, seconds: float) -> str:
    """Where everything is, and what to try next."""
    # MindInsight starts helpers by name, so its folder has to be on PATH.
    scripts = cli.short(Path(sys.executable).parent)
    return f"""
Done in {seconds:.0f} s.
  {CHECKPOINT:<16} the network, with everything it needs: move it anywhere
  {REPORT:<16} errors by speaker and length, with the sound: open it in a browser
  {PICTURE:<16} what the network sees of {file}
  {"summary/":<16} curves, pictures, weights and graph of the run

Try next:
  source {scripts}/activate
  python -m dfcnn_ms.transcribe --ckpt {CHECKPOINT} {file}
  mindinsight start --summary-base-dir summary      then open http://127.0.0.1:8080
  python -m dfcnn_ms.train --ckpt digits.ckpt       digits again, from nothing, by a tenth of the network"""


if __name__ == "__main__":
    cli.run(main)
