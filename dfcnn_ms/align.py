"""``python -m dfcnn_ms.align``: when each syllable of a known text is said in a recording, and how well."""

from __future__ import annotations

import json
import os.path
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dfcnn_ms import cli
from dfcnn_ms.audio.wave import SAMPLE_RATE, duration
from dfcnn_ms.corpora.manifest import Utterance, read_utterance
from dfcnn_ms.decoding.align import align_ctc
from dfcnn_ms.decoding.boundaries import Sound, boundaries
from dfcnn_ms.decoding.confidence import sentence_confidence, syllable_confidences
from dfcnn_ms.decoding.pronunciation import Pronunciation, pronunciation_of
from dfcnn_ms.errors import ConfigError, DataError
from dfcnn_ms.files import write_text
from dfcnn_ms.listening import read_set
from dfcnn_ms.recognizer import Recognizer, by_length
from dfcnn_ms.reporting import timings
from dfcnn_ms.reporting.timings import Recording, Timed
from dfcnn_ms.text.pinyin import from_hanzi, parse

EXAMPLE = 'python -m dfcnn_ms.align --ckpt dfcnn.ckpt --audio a.wav --text "san1 ling2 ba1" --out a.TextGrid'

FORMATS = ("txt", *timings.FORMATS)
#: what a name after --out may end in, and the format that it means
SUFFIXES = {suffix.lower(): name for name, suffix in timings.SUFFIXES.items()} | {".txt": "txt", ".jsonl": "json"}
#: formats that hold a whole manifest in one file
TOGETHER = ("json", "ctm")
SUBTITLES = ("srt", "vtt")
#: Chinese characters, the rare ones and the zero 〇 included
_HANZI = re.compile("[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|]')


def main(argv: list[str] | None = None) -> None:
    """Parses the arguments, aligns one recording or a whole manifest, and writes the times."""
    arguments = cli.parser("align", "Find when each syllable of a known text is said, and how well.", EXAMPLE)
    arguments.add_argument("--ckpt", type=Path, default=Path("dfcnn.ckpt"), help="default: dfcnn.ckpt")
    arguments.add_argument("--audio", metavar="FILE", help="a sound file")
    arguments.add_argument("--text", help="what is said in it: toned pinyin or characters; @FILE reads it from a file")
    arguments.add_argument("--manifest", type=Path, help="align all of a manifest instead")
    arguments.add_argument(
        "--format", choices=FORMATS, help="default: as --out ends; else txt, for a manifest textgrid"
    )
    arguments.add_argument(
        "--out",
        type=Path,
        help="default: the screen; for a manifest a .ctm or .jsonl file, or a folder with a file for each utterance",
    )
    arguments.add_argument("--phrases", action="store_true", help="subtitles of phrases, not of single syllables")
    cli.add_device_target(arguments)
    options = arguments.parse_args(argv)
    if bool(options.audio) == bool(options.manifest) or bool(options.audio) != (options.text is not None):
        raise ConfigError("align: give either --audio and --text, or --manifest")
    form = options.format or form_of(options.out, many=bool(options.manifest))
    check_target(options.out, form, many=bool(options.manifest))
    if options.phrases and form not in SUBTITLES:
        raise ConfigError(f"--phrases: goes with {' or '.join(SUBTITLES)}; the format here is {form}")

    if options.manifest:
        recognizer = Recognizer.load(options.ckpt, options.device_target)
        align_manifest(recognizer, options.manifest, options.out, form, phrases=options.phrases)
        return
    seconds, text = duration(options.audio), read_text(options.text)  # what is wrong is named before the network loads
    recognizer = Recognizer.load(options.ckpt, options.device_target)
    recording = align_file(recognizer, options.audio, seconds, text)
    page = written(recording, form, phrases=options.phrases)
    if options.out:
        write_text(options.out, page)
        print(f"times: {options.out}")
    else:
        print(page, end="")


def form_of(out: Path | None, *, many: bool) -> str:
    """The format that the name of the output means."""
    if out is None or not out.suffix or out.is_dir():
        return "textgrid" if many else "txt"
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out}: wanted a name that ends in {', '.join(SUFFIXES)}; or say --format")
    return SUFFIXES[out.suffix.lower()]


def check_target(out: Path | None, form: str, *, many: bool) -> None:
    """Finds out before the work that its result has nowhere to go."""
    if not many or (out and form in TOGETHER):
        cli.check_output("--out", out)
    elif out is None:
        raise ConfigError("--manifest needs --out: a .ctm or .jsonl file, or a folder")
    elif out.suffix.lower() in SUFFIXES or (out.exists() and not out.is_dir()):
        raise ConfigError(
            f"--out {out}: is a file; {form} of a manifest needs a folder, with a file for each utterance"
        )
    elif not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: the folder {out.parent} does not exist; make it first")


def read_text(text: str) -> str:
    """The text of ``--text``, or of the file that it names after an ``@``."""
    if not text.startswith("@"):
        if os.path.isfile(text):
            raise ConfigError(f"--text {text}: is a file; write @{text} to read what is in it")
        return text
    path = Path(text[1:])
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"--text {text}: not a text file in UTF-8") from None
    except OSError as error:
        raise DataError(f"--text {text}: cannot be read: {error.strerror}") from None


def to_units(text: str, labels: str) -> list[str]:
    """A text as the network writes it: characters are read, pinyin is made canonical; ``as_written`` is split only."""
    if labels == "as_written":
        units = text.split()
    else:
        units = from_hanzi(text, where="--text") if _HANZI.search(text) else parse(text, where="--text")
    if not units:
        raise ConfigError('--text: holds nothing that is said; give it such as "ni3 hao3" or 你好')
    return units


def characters_of(text: str, count: int) -> list[str]:
    """The characters of a text, one for each of its `count` syllables; empty ones where they do not match."""
    plain = unicodedata.normalize("NFKC", text)
    spoken = [one for one in plain if not one.isspace() and not unicodedata.category(one).startswith("P")]
    return spoken if _HANZI.search(text) and len(spoken) == count else [""] * count


def align_file(recognizer: Recognizer, audio: str, seconds: float, text: str) -> Recording:
    """One recording with the times of its text."""
    units = to_units(text, recognizer.labels)
    recognizer.vocabulary.encode(units, where="--text")
    path = Path(audio).absolute()
    utterance = Utterance(path.stem, str(path), seconds, tuple(units), text=text, where=audio)
    found = aligned(recognizer, [utterance])[0]
    if isinstance(found, DataError):
        raise DataError(f"{audio}: {found}")
    return found


def align_manifest(recognizer: Recognizer, manifest: Path, out: Path, form: str, *, phrases: bool) -> None:
    """Aligns every utterance; those whose text is too long for their sound are left out, and counted at the end."""
    utterances = read_set(recognizer, manifest)
    for utterance in utterances:
        recognizer.vocabulary.encode(utterance.pinyin, where=utterance.where)
    names = file_names(utterances, form)
    found: dict[int, Recording] = {}
    left_out: list[str] = []
    with tqdm(total=len(utterances), unit="utt", disable=None, leave=False) as bar:
        for batch in by_length([utterance.seconds for utterance in utterances]):
            for index, one in zip(batch, aligned(recognizer, [utterances[index] for index in batch]), strict=True):
                if isinstance(one, DataError):
                    left_out.append(f"{utterances[index].where}: {one}")
                else:
                    found[index] = one
            bar.update(len(batch))
    recordings = [found[index] for index in sorted(found)]
    if form in TOGETHER:
        write_text(out, "".join(line(one) if form == "json" else timings.ctm(one) for one in recordings))
    else:
        for index, one in found.items():
            write_text(out / names[index], written(one, form, phrases=phrases))
    rest = f"; {len(left_out)} left out, such as {min(left_out)}" if left_out else ""
    print(f"times of {len(recordings)} utterances: {out}{rest}")


def file_names(utterances: Sequence[Utterance], form: str) -> list[str]:
    """A name for the file of each utterance, from its id."""
    suffix = timings.SUFFIXES.get(form, ".txt")
    names = [_NOT_IN_FILE_NAMES.sub("_", utterance.id) + suffix for utterance in utterances]
    taken: dict[str, Utterance] = {}
    for name, utterance in zip(names, utterances, strict=True):
        if name.lower() in taken and form not in TOGETHER:
            other = taken[name.lower()].id
            raise DataError(f"{utterance.where}: {other!r} and {utterance.id!r} would be the same file, {name}")
        taken[name.lower()] = utterance
    return names


def aligned(recognizer: Recognizer, utterances: Sequence[Utterance]) -> list[Recording | DataError]:
    """Each utterance with its times, or why it has none: its text is too long for its sound."""
    waves = [read_utterance(utterance) for utterance in utterances]
    features = [recognizer.frontend(wave) for wave in waves]
    outputs = recognizer.outputs(features)
    found: list[Recording | DataError] = []
    kind = recognizer.frontend.features
    for row, (utterance, wave) in enumerate(zip(utterances, waves, strict=True)):
        sound = Sound(features[row], kind.hop_ms / 1000, kind.window_ms / 1000, outputs.seconds_per_step)
        log_probs = outputs.log_probs[row, : outputs.steps[row]]  # (U, V)
        try:
            syllables = timed(recognizer, log_probs, utterance, sound, len(wave) / SAMPLE_RATE)
        except DataError as error:
            found.append(error)
            continue
        confidence = sentence_confidence([one.score for one in syllables])
        found.append(Recording(utterance.id, len(wave) / SAMPLE_RATE, syllables, confidence))
    return found


def timed(
    recognizer: Recognizer, log_probs: np.ndarray, utterance: Utterance, sound: Sound, seconds: float
) -> tuple[Timed, ...]:
    """The syllables of an utterance with their times and scores, by the outputs (U, V) of the network."""
    units = utterance.pinyin
    ids = recognizer.vocabulary.encode(units)
    alignment = align_ctc(log_probs, ids)
    starts, ends = boundaries(alignment, sound)
    scores = syllable_confidences(log_probs, ids, recognizer.temperature)
    judged = pronunciation_of(log_probs, alignment)
    characters = characters_of(utterance.text, len(units))
    return tuple(
        Timed(unit, min(start, seconds), min(end, seconds), score, one.goodness, heard(recognizer, one, unit), written)
        for unit, start, end, score, one, written in zip(
            units, starts.tolist(), ends.tolist(), scores, judged, characters, strict=True
        )
    )


def heard(recognizer: Recognizer, judged: Pronunciation, unit: str) -> str | None:
    """What the network would rather write in the place of a unit: None where it agrees, "" for nothing at all."""
    if judged.heard is None:
        return ""
    best = recognizer.vocabulary.symbols[judged.heard]
    return None if best == unit else best


def written(recording: Recording, form: str, *, phrases: bool) -> str:
    """One recording in a format."""
    if form == "txt":
        return table(recording)
    return timings.FORMATS[form](timings.in_phrases(recording) if phrases else recording)


def line(recording: Recording) -> str:
    """One recording as a line of JSON."""
    return json.dumps(timings.to_dict(recording), ensure_ascii=False) + "\n"


def table(recording: Recording) -> str:
    """The times for people; what was heard instead of a syllable stands behind it."""
    lines = ["   start      end  score  goodness  syllable"]
    for one in recording.syllables:
        rest = "" if one.heard is None else f"  (heard: {one.heard or 'nothing'})"
        times = f"{one.start_seconds:8.3f} {one.end_seconds:8.3f}"
        said = f"{one.text} {one.characters}".rstrip()
        lines.append(f"{times} {one.score:6.3f} {round(one.goodness or 0.0, 2) + 0.0:9.2f}  {said}{rest}")
    lines.append(f"confidence of the whole sentence: {recording.confidence:.3f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli.run(main)
