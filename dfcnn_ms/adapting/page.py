"""The page of an adaptation: that of the network, with other data, fewer epochs and a smaller rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfcnn_ms.adapting.sets import SHARE, Sets
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.runtime.meta import Meta

#: which layers may learn
LAYERS = ("all", "upper", "norms")
EPOCHS = 10
#: the default rate as a share of that of the network's own training, and the largest batch
RATE, BATCH = 0.25, 16
_ENDING = "-adapted"
#: what a training page may ask for and a few minutes of one voice do not need
_PLAIN: dict[str, Any] = {
    "accumulate": 1, "blank_bias": 0.0, "coach": "off", "early_stopping": 0, "gradient_report": 0, "keep_best": 1,
    "save_every": 0, "save_steps": 0, "sorta_grad": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Course:
    """How the network learns.

    Attributes:
        epochs: how often each recording of the voice is heard.
        rate: the peak learning rate; None: ``RATE`` times that of the network's own training.
        share: of the rehearsal in what is heard in an epoch.
        seed: of batches, augmentation and dropout.
    """

    epochs: int = EPOCHS
    rate: float | None = None
    share: float = SHARE
    seed: int = 0


def page(meta: Meta, sets: Sets, course: Course, frozen: Sequence[str], where: str) -> Config:
    """The configuration of an adaptation.

    Args:
        meta: of the network; features, network, task and augmentation are as its page says.
        sets: what is learnt, rehearsed and held out.
        course: how.
        frozen: layers that stay as they are.
        where: names the network in errors.
    """
    base = meta.config
    found = base.model_dump(mode="json")
    mix = {str(sets.rehearsed): course.share / (1 - course.share)} if sets.rehearsed else {}
    data = {"train": str(sets.taught), "dev": str(sets.held_out), "test": None, "recipe": None, "mix": mix}
    train = {
        "epochs": course.epochs,
        "rate": default_rate(meta) if course.rate is None else course.rate,
        "batch_size": min(BATCH, base.train.batch_size),
        "schedule": {"kind": "cosine", "warmup_epochs": 1.0},
        "seed": course.seed,
        "freeze": list(frozen),
    }
    changed = found | {
        "name": name_of(base),
        "data": found["data"] | data | {"balance": "none", "cache": False, "packed": False},
        "train": found["train"] | _PLAIN | train,
    }
    return parse_config(changed, where)


def default_rate(meta: Meta) -> float:
    """A share of the rate that the network was trained with; of one that was adapted before, the same as then."""
    return meta.config.train.rate * (1 if meta.adapted else RATE)


def name_of(base: Config) -> str:
    """What the run of an adaptation is called."""
    return f"{base.name.removesuffix(_ENDING)[: 50 - len(_ENDING)]}{_ENDING}"


def out_beside(ckpt: Path) -> Path:
    """Where the adapted network goes unless it is said: beside the one that it was made of, if that has a folder."""
    return ckpt.with_name(f"{ckpt.stem}{_ENDING}.ckpt")
