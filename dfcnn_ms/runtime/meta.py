"""What a stored network knows about itself, whatever runs it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.errors import CheckpointError, DataError
from dfcnn_ms.tasks.task import TARGET
from dfcnn_ms.text.vocabulary import Vocabulary

FORMAT = 1


@dataclass(frozen=True)
class Meta:
    """Everything in a checkpoint besides the weights.

    Attributes:
        config: the resolved page the network was trained with.
        vocabulary: the units of its outputs.
        cmvn: the global normalisation, or None.
        manifests: split -> absolute path of the manifest, where it was when training ran.
        epoch, step: where training stood.
        metrics: figures of the epoch that was saved, such as ``dev_syllable_error_rate``.
        decoding: what was tuned on the dev set after training: ``lm_weight``, ``length_bonus``, how wide the
            search for them was (``beam``, ``min_log_prob``), ``temperature``.
        adapted: of a network that was adapted to a voice: from which one, with how many minutes of sound, and how.
        training: everything but numbers that a resumed training needs, in a checkpoint that can be resumed.
    """

    config: Config
    vocabulary: Vocabulary
    cmvn: GlobalCmvn | None = None
    manifests: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    decoding: Mapping[str, float] = field(default_factory=dict)
    adapted: Mapping[str, str | float] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """The meta data as text, as it is stored."""
        return json.dumps(
            {
                "format": FORMAT,
                "config": self.config.model_dump(mode="json"),
                "vocabulary": json.loads(self.vocabulary.to_json()),
                "cmvn": None if self.cmvn is None else self.cmvn.to_dict(),
                "manifests": dict(self.manifests),
                "epoch": self.epoch,
                "step": self.step,
                "metrics": dict(self.metrics),
                "decoding": dict(self.decoding),
                "adapted": dict(self.adapted),
                "training": self.training,
            },
            ensure_ascii=False,
        )

    @property
    def learnt(self) -> dict[Path, float]:
        """The manifests that it was trained with, where they were then, and the weight of each in the mixture."""
        if "train" not in self.manifests:
            return {}
        data, train = self.config.data, Path(self.manifests["train"])
        folders = len(train.parts) - len(data.train.parts)
        if folders < 0 or Path(*train.parts[folders:]) != data.train:
            return {train: 1.0}  # of another page; where its mixture lay is not known
        place = Path(*train.parts[:folders])
        return {train: 1.0} | {place / path: weight for path, weight in data.mix.items()}

    @property
    def dev_error(self) -> float | None:
        """The figure that decided, of the epoch that was saved; an older version knew but one name for it."""
        return self.metrics.get(self.config.target, self.metrics.get(TARGET))

    @classmethod
    def from_json(cls, text: str, where: str) -> Meta:
        """Reads back what :meth:`to_json` wrote; ``where`` names the file in errors."""
        stored = _checked(text, where)
        try:
            return cls(**stored | {
                "config": parse_config(stored["config"], where=where),
                "vocabulary": Vocabulary.from_json(json.dumps(stored["vocabulary"])),
                "cmvn": None if stored["cmvn"] is None else GlobalCmvn.from_dict(stored["cmvn"]),
            })  # fmt: skip
        except (DataError, TypeError, ValueError) as error:
            raise _damaged(where, str(error)) from None


#: what is stored and of which type; earlier versions stored no tuning, no adaptation, nothing to resume from
_STORED: dict[str, tuple[type, ...]] = {
    "config": (dict,), "vocabulary": (dict,), "cmvn": (dict, type(None)), "manifests": (dict,), "epoch": (int,),
    "step": (int,), "metrics": (dict,), "decoding": (dict,), "adapted": (dict,), "training": (dict, type(None)),
}  # fmt: skip
_LATER: dict[str, Any] = {"decoding": {}, "adapted": {}, "training": None}
_TRAINING: dict[str, tuple[type, ...]] = {
    "history": (dict,), "network": (list,), "workers": (int,), "fingerprint": (str, int),
}  # fmt: skip
_HISTORY: dict[str, tuple[type, ...]] = {
    "epochs": (list,), "timings": (list,), "step": (int,), "step_in_epoch": (int,), "sums": (dict,),
    "counters": (dict,), "points": (list,),
}  # fmt: skip


def _checked(text: str, where: str) -> dict[str, Any]:
    """What is stored, if every part of it is there and can be what it should be."""
    try:
        stored = json.loads(text.encode().decode())  # damage makes characters that there are not
    except (ValueError, RecursionError):
        raise _damaged(where, "it is no JSON") from None
    if not isinstance(stored, dict) or "format" not in stored:
        raise _damaged(where, "it does not say its format")
    if stored["format"] != FORMAT:
        raise CheckpointError(
            f"{where}: written in format {stored['format']}, this version of dfcnn_ms reads format {FORMAT}; "
            "use the version that wrote it"
        )
    stored = _LATER | stored
    _check_types(stored, _STORED, where)
    if stored["training"] is not None:
        _check_types(stored["training"], _TRAINING, where)
        _check_types(stored["training"]["history"], _HISTORY, where)
        _check_each(stored["training"]["network"], (str,), "network", where)
    _check_each(stored["manifests"].values(), (str,), "manifests", where)
    _check_each(stored["metrics"].values(), (int, float), "metrics", where)
    _check_each(stored["decoding"].values(), (int, float), "decoding", where)
    _check_each(stored["adapted"].values(), (str, int, float), "adapted", where)
    if not all(map(math.isfinite, stored["decoding"].values())) or not stored["decoding"].get("temperature", 1) > 0:
        raise _damaged(where, f"'decoding' cannot be {stored['decoding']}")
    return {name: stored[name] for name in _STORED}


def _check_types(stored: Mapping[str, Any], wanted: Mapping[str, tuple[type, ...]], where: str) -> None:
    for name, types in wanted.items():
        if name not in stored:
            raise _damaged(where, f"it has no {name!r}")
        _check_each([stored[name]], types, name, where)


def _check_each(values: Iterable[Any], types: tuple[type, ...], name: str, where: str) -> None:
    for value in values:
        if not isinstance(value, types) or isinstance(value, bool):
            raise _damaged(where, f"{name!r} holds {str(value)[:40]!r}")


def _damaged(where: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: what it says about its network is damaged: {what}; use an earlier one from "
        "summary/<run>/checkpoints or train again"
    )
