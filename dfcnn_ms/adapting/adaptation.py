"""An adaptation from end to end: the sets, the training by the engine, both networks heard, the better one kept."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfcnn_ms.adapting.page import Course, page
from dfcnn_ms.adapting.sets import Sets, Wanted, draw
from dfcnn_ms.config import Config
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError, Interrupted
from dfcnn_ms.evaluation.comparison import Comparison, compare
from dfcnn_ms.evaluation.evaluate import evaluate, read_set
from dfcnn_ms.evaluation.results import total
from dfcnn_ms.evaluation.runs import Run
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import half
from dfcnn_ms.runtime.meta import Meta
from dfcnn_ms.wording import many

log = logging.getLogger(__name__)

VOICE, KNOWN = "the voice", "what it knew"


@dataclass(frozen=True)
class Adaptation:
    """What is to be done.

    Attributes:
        ckpt: the network.
        wanted: the recordings.
        course: how it learns.
        layers: which of its layers do: one of ``LAYERS``; None: all if there is something to rehearse, else the upper.
        device_target: where.
        run: the folder of the training.
        resumes: whether that training has begun before.
    """

    ckpt: Path
    wanted: Wanted
    course: Course
    layers: str | None
    device_target: str
    run: Path
    resumes: bool = False


@dataclass(frozen=True)
class Adapted:
    """What came of it.

    Attributes:
        best: the checkpoint of the best epoch.
        about: what the new checkpoint says of how it was made.
        comparisons: before and after, on the voice and on what was known, by name.
    """

    best: Path
    about: Mapping[str, str | float]
    comparisons: Mapping[str, Comparison]

    @property
    def is_better(self) -> bool:
        """Whether the held out recordings of the voice have fewer errors than before."""
        voice = self.comparisons[VOICE]
        return total(voice.second.heard).total < total(voice.first.heard).total


def check_can_learn(ckpt: Path) -> None:
    """Refuses a file that runs and cannot be trained.

    Raises:
        CheckpointError: see above.
    """
    if ckpt.suffix not in half.LEARNING:
        raise CheckpointError(
            f"{ckpt}: only a {' or '.join(half.LEARNING)} file can learn; give the one that it was exported from, and "
            "export the result"
        )


def adapt(job: Adaptation) -> Adapted:
    """Lets a network learn a voice.

    Raises:
        DfcnnError: something of what is asked for cannot be done, or nothing is left to be learnt.
        Interrupted: it was stopped; says how to go on.
    """
    from dfcnn_ms.runtime import checkpoint
    from dfcnn_ms.runtime.device import use_device

    check_can_learn(job.ckpt)
    meta = checkpoint.load(job.ckpt).meta
    use_device(job.device_target)
    sets = draw(meta, job.wanted).written((job.run / "sets").absolute())
    layers = job.layers or ("all" if sets.rehearsed else "upper")
    config = page(meta, sets, job.course, _frozen(meta, layers), str(job.ckpt))
    before = listen(job.ckpt, job.device_target, sets)
    _check_worth(before[VOICE])
    _tell(sets, layers, job.run)
    best = _trained(job, config)
    after = listen(best, job.device_target, sets)
    comparisons = {name: compare(run, after[name]) for name, run in before.items()}
    return Adapted(best, _about(job.ckpt, sets, layers), comparisons)


def _frozen(meta: Meta, layers: str) -> tuple[str, ...]:
    """Names of the layers that stay as they are."""
    from dfcnn_ms.training.initial_weights import layers_to_freeze

    config = meta.config
    network = config.model.build(num_bins=config.features.num_bins, num_units=len(meta.vocabulary))
    return layers_to_freeze(network, layers)


def _about(ckpt: Path, sets: Sets, layers: str) -> dict[str, str | float]:
    """What the new checkpoint says of how it was made."""
    return {
        "from": str(ckpt.absolute()),
        "minutes": round(sets.minutes, 2),
        "recordings": sets.recordings,
        "rehearsed_minutes": round(sets.rehearsed_minutes, 2),
        "layers": layers,
    }


def listen(ckpt: Path, device_target: str, sets: Sets) -> dict[str, Run]:
    """What a network hears in the recordings that it never learns from, by the decoder that training measures with."""
    recognizer = Recognizer.load(ckpt, "CPU" if ckpt.suffix == half.SUFFIX else device_target)
    heard = {}
    for name, manifest in ((VOICE, sets.held_out), (KNOWN, sets.known)):
        if manifest is not None:
            found = evaluate(recognizer, read_set(recognizer, manifest), {"plain": recognizer.decoder}, "plain")
            heard[name] = Run(str(ckpt), manifest, found.heard, "plain", unit=recognizer.unit)
    return heard


def _check_worth(voice: Run) -> None:
    if not total(voice.heard).total:
        raise DataError(
            f"{voice.name}: makes no error in the {many(len(voice.heard), 'recording')} that are held out, so nothing "
            "would tell whether it learns the voice; use it as it is, or hold out more with --dev"
        )


def _tell(sets: Sets, layers: str, run: Path) -> None:
    rehearsal = f"{sets.rehearsed_minutes:.1f} minutes of other sound with it" if sets.rehearsed else "nothing else"
    log.info(
        "learns %.1f minutes in %s of the voice, hears %s; layers that learn: %s; the training is in %s",
        sets.minutes, many(sets.recordings, "recording"), rehearsal, layers, run,
    )  # fmt: skip


def _trained(job: Adaptation, config: Config) -> Path:
    """The checkpoint of the best epoch."""
    from dfcnn_ms.training import run_folder, trainer

    if job.resumes and run_folder.last_state(job.run).meta.config != config:
        raise ConfigError(f"--resume {job.run}: was begun with other flags; repeat those that it was begun with")
    try:
        if job.resumes:
            return trainer.resume(job.run, device_target=job.device_target).best
        return trainer.train(config, device_target=job.device_target, run=job.run, init=job.ckpt, keep=True).best
    except Interrupted:
        raise Interrupted(
            f"everything so far is saved; go on with the same command and --resume {shlex.quote(str(job.run))}"
        ) from None


def save(job: Adaptation, adapted: Adapted, out: Path) -> None:
    """Writes the adapted network; like the one that it was made of it remembers the sets that one was trained on."""
    from dfcnn_ms.runtime import checkpoint

    before, best = checkpoint.load(job.ckpt).meta, checkpoint.load(adapted.best)
    config = best.meta.config.model_copy(update={"data": before.config.data})
    meta = replace(
        best.meta, config=config, manifests=before.manifests, decoding=before.decoding, adapted=adapted.about
    )
    checkpoint.save(out, best.weights, meta)
