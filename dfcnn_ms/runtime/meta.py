"""What a stored network knows about itself, whatever runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dfcnn_ms.audio.features import GlobalCmvn
from dfcnn_ms.config import Config, parse_config
from dfcnn_ms.errors import CheckpointError
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
        decoding: what was tuned on the dev set after training: ``lm_weight``, ``length_bonus``, ``temperature``.
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
                "training": self.training,
            },
            ensure_ascii=False,
        )

    @property
    def dev_error(self) -> float | None:
        """The figure that decided, of the epoch that was saved; an older version knew but one name for it."""
        return self.metrics.get(self.config.target, self.metrics.get(TARGET))

    @classmethod
    def from_json(cls, text: str, where: str) -> Meta:
        """Reads back what :meth:`to_json` wrote; ``where`` names the file in errors."""
        stored = json.loads(text)
        if stored["format"] != FORMAT:
            raise CheckpointError(
                f"{where}: written in format {stored['format']}, this version of dfcnn_ms reads format {FORMAT}; "
                "use the version that wrote it"
            )
        return cls(
            config=parse_config(stored["config"], where=where),
            vocabulary=Vocabulary.from_json(json.dumps(stored["vocabulary"])),
            cmvn=None if stored["cmvn"] is None else GlobalCmvn.from_dict(stored["cmvn"]),
            manifests=stored["manifests"],
            epoch=stored["epoch"],
            step=stored["step"],
            metrics=stored["metrics"],
            decoding=stored.get("decoding", {}),
            training=stored.get("training"),
        )
