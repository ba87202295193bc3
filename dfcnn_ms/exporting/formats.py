"""The formats that a checkpoint can be exported to: ``FORMATS`` has a row for each.

Each writes a file, lets it listen, and refuses it where it says something else than MindSpore does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dfcnn_ms.audio.frontend import Frontend
from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.evaluation.evaluate import each_output, read_set, read_sound, remembered
from dfcnn_ms.exporting.check import ANY, TOLERANCE, TOLERANCE_OF_WAVES, check, difference, made_up_sound
from dfcnn_ms.exporting.graph import Graph
from dfcnn_ms.exporting.int8 import Int8Layers
from dfcnn_ms.exporting.layers import Layers
from dfcnn_ms.exporting.network import bundle_of, grids_of, write
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime.bundle import META
from dfcnn_ms.runtime.meta import Meta

if TYPE_CHECKING:
    from dfcnn_ms.exporting.mindspore_side import Original
    from dfcnn_ms.runtime.bundle import Bundle
    from dfcnn_ms.runtime.loaded import Acoustics

T = TypeVar("T")

#: utterances that a network is compared on, and over which the values of its layers are measured
COMPARED, MEASURED = 8, 100
#: by how much 8 bits may change the error rate of the dev set, as a share of 1
MOST_CHANGE = 0.003


@dataclass(frozen=True)
class Job:
    """What is to be exported, and how.

    Attributes:
        ckpt: the checkpoint, for messages.
        original: what is in it.
        waveform: whether the graph begins with sound.
        licence: of the network, for its users.
        manifest: recordings to compare and measure on; None: the dev set that the checkpoint remembers.
    """

    ckpt: Path
    original: Original
    waveform: bool = False
    licence: str = ""
    manifest: Path | None = None

    @cached_property
    def recognizer(self) -> Recognizer:
        """The network as it is, with MindSpore."""
        return self.with_acoustics(self.original.acoustics)

    def with_acoustics(self, acoustics: Any) -> Recognizer:
        """A recognizer that hears through other acoustics and is the same otherwise."""
        meta = self.original.meta
        config = meta.config
        frontend = Frontend(config.features, config.cmvn, meta.cmvn)
        return Recognizer(acoustics, frontend, meta.vocabulary, config.model, task=config.task, meta=meta)

    @cached_property
    def dev(self) -> list[Utterance]:
        """The dev set.

        Raises:
            ConfigError, DataError: there is none.
        """
        return read_set(self.recognizer, self.manifest or remembered(self.recognizer, self.ckpt, "dev"))

    @cached_property
    def waves(self) -> list[np.ndarray]:
        """What the exported network and MindSpore are compared on: of the dev set, if it is there."""
        try:
            return [read_sound(one) for one in evenly(self.dev, COMPARED)]
        except (ConfigError, DataError):
            if self.manifest:
                raise
            return made_up_sound()

    def bundle(self, layers: Layers, precision: str) -> Bundle:
        """The file of a graph that was written."""
        return bundle_of(layers, self.original.meta, waveform=self.waveform, precision=precision, licence=self.licence)


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its name.
        write: writes and checks a file under the name that is given; returns what there is to say about it.
        for_waves: whether its graph may begin with sound.
    """

    suffix: str
    write: Callable[[Job, Path, str], str]
    for_waves: bool = False


def _onnx(job: Job, path: Path, where: str) -> str:
    bundle = _stored(path, job.bundle(_written(job, Layers), "float32"))
    most = difference(job.recognizer.frontend, job.original.acoustics, _run(bundle), job.waves, of_waves=job.waveform)
    check(most, where, TOLERANCE_OF_WAVES if job.waveform else TOLERANCE)
    return _compared(most, job.waves)


def _onnx_int8(job: Job, path: Path, where: str) -> str:
    heard = (job.recognizer.frontend(read_sound(one)) for one in evenly(job.dev, MEASURED))
    grids = grids_of(job.original.meta, job.original.weights, heard)
    bundle = _stored(path, job.bundle(_written(job, lambda graph: Int8Layers(graph, grids)), "int8"))
    small = _run(bundle.of_features())
    if job.waveform:  # the sound in front is that of float32; here it is seen that it runs, and how many steps it gives
        check(difference(job.recognizer.frontend, small, _run(bundle), job.waves, of_waves=True), where, ANY)
    return _as_good(job, small, "8 bits", where)


def _half(job: Job, path: Path, where: str) -> str:
    from dfcnn_ms.runtime import half

    path.write_bytes(half.Half.of(job.original.meta, job.original.weights, job.licence).to_bytes())
    return _as_good(job, half.in_use(half.read(path), path, "CPU").acoustics, "16 bits", where)


def _as_good(job: Job, acoustics: Acoustics, bits: str, where: str) -> str:
    """The errors of the dev set after and before some bits were left out.

    Raises:
        CheckpointError: there are more of them.
    """
    before = error_of(job, job.recognizer, "MindSpore")
    after = error_of(job, job.with_acoustics(acoustics), bits)
    said = f"{job.recognizer.unit} error {100 * after:.2f} %, {100 * before:.2f} % before, of the dev set"
    if abs(after - before) > MOST_CHANGE:
        raise CheckpointError(
            f"{where}: not written: in {bits} {said}; a change of at most {100 * MOST_CHANGE:.1f} points is allowed; "
            "use --format onnx"
        )
    return said


def _mindir(job: Job, path: Path, where: str) -> str:
    from dfcnn_ms.exporting import mindspore_side

    mindspore_side.write(job.original, path, "MINDIR")
    path.chmod(0o644)  # MindSpore leaves it unwritable

    def run(features: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mindspore_side.run_mindir(path, features, lengths), job.original.acoustics.steps(lengths)

    most = difference(job.recognizer.frontend, job.original.acoustics, run, job.waves)
    check(most, where)
    return _compared(most, job.waves)


def _air(job: Job, path: Path, where: str) -> str:
    from dfcnn_ms.exporting import mindspore_side

    mindspore_side.write(job.original, path, "AIR")
    return "not compared with anything, since only an Ascend's tools read it"


#: what `--format` can say -> how it is written
FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", _onnx, for_waves=True),
    "onnx-int8": Format(".onnx", _onnx_int8, for_waves=True),
    "half": Format(".npz", _half),
    "mindir": Format(".mindir", _mindir),
    "air": Format(".air", _air),
}


def error_of(job: Job, recognizer: Recognizer, name: str) -> float:
    """The share of the dev set's units that a recognizer gets wrong, without a search; `name` is for progress bars."""
    total = Edits()
    for index, log_probs in each_output(recognizer, job.dev, name):
        written = recognizer.vocabulary.decode(recognizer.task.spell(log_probs))
        total += edits(job.dev[index].pinyin, written, ordered=recognizer.task.ordered)
    return total.rate


def evenly(these: Sequence[T], count: int) -> list[T]:
    """At most so many, from everywhere in a set."""
    count = min(count, len(these))
    return [these[index * len(these) // count] for index in range(count)]


def _written(job: Job, arithmetic: Callable[[Graph], Layers]) -> Layers:
    return write(job.original.meta, job.original.weights, waveform=job.waveform, arithmetic=arithmetic)


def _stored(path: Path, bundle: Bundle) -> Bundle:
    """Writes a file, and reads it."""
    from dfcnn_ms.runtime.onnx import read

    path.write_bytes(bundle.to_bytes())
    return read(path)[0]


def _run(bundle: Bundle) -> Acoustics:
    from dfcnn_ms.runtime.onnx import OnnxAcoustics, writer_of

    meta = Meta.from_json(bundle.metadata[META], where="the network")
    return OnnxAcoustics(bundle, writer=writer_of(bundle, meta))


def _compared(most: float, waves: Sequence[np.ndarray]) -> str:
    return f"differs from MindSpore by at most {most:.1e} in the log-probabilities of {len(waves)} recordings"
