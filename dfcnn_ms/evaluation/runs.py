"""One evaluation as a value: what was heard, by which decoders, in what time; and the file that keeps it.

The file is JSON: the figures of the test set, and under `results` one entry for each utterance, which is enough to
compare two evaluations without the networks (`python -m dfcnn_ms.eval --compare a.json b.json`).
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dfcnn_ms.corpora.manifest import Utterance
from dfcnn_ms.errors import DataError
from dfcnn_ms.evaluation.results import Heard, counts, total
from dfcnn_ms.metrics import Edits, Scatter, bootstrap_interval, score_interval


@dataclass(frozen=True)
class Decoded:
    """What one decoder made of the test set: its edits, and the seconds that it worked."""

    decoder: str
    edits: Edits
    seconds: float


@dataclass(frozen=True)
class Clock:
    """How long an evaluation took.

    Attributes:
        sound: seconds of speech.
        work: seconds from the files to the syllables, by the clock on the wall.
        processor: the same, summed over all cores.
        cores: how many this process may use.
        device: where the network ran.
    """

    sound: float
    work: float
    processor: float
    cores: int
    device: str

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for each second of speech."""
        return self.work / self.sound

    @property
    def busy(self) -> float:
        """Cores that were at work, on average."""
        return self.processor / self.work


@dataclass(frozen=True)
class Run:
    """One network, or a file with its results, on one test set.

    Attributes:
        name: what it is called in tables.
        manifest: where the test set lies.
        heard: every utterance, in the order of the manifest.
        decoder: that wrote what was heard.
        decoders: every decoder that was tried on the same outputs of the network.
        clock: None where time was not taken.
        unit: in which errors are counted.
        also: what else the task measures, by name, as shares of 1.
    """

    name: str
    manifest: Path
    heard: tuple[Heard, ...]
    decoder: str = "greedy"
    decoders: tuple[Decoded, ...] = ()
    clock: Clock | None = None
    unit: str = "syllable"
    also: Mapping[str, float] = field(default_factory=dict)


def figures(run: Run) -> dict[str, float]:
    """Corpus-level figures: counted first, divided last."""
    edits = total(run.heard)
    return {
        f"{run.unit}_error_rate": edits.rate,
        **run.also,
        "edits": edits.total,
        "substitutions": edits.substitutions,
        "deletions": edits.deletions,
        "insertions": edits.insertions,
        "reference_length": edits.reference_length,
        "utterances": len(run.heard),
    }


def details(run: Run) -> dict[str, Any]:
    """What the file holds besides :func:`figures`."""
    return {
        "name": run.name,
        "manifest": str(run.manifest),
        "decoder": run.decoder,
        "unit": run.unit,
        "ordered": all(one.ordered for one in run.heard),
        "rates": {name: _rate(edits) for name, edits in counts(run.heard, run.unit).items()},
        "decoders": [_decoder(one) for one in run.decoders],
        "time": run.clock and _time(run.clock),
        **({"matrix": matrix(run.heard)} if run.unit == "class" else {}),
        "results": [_entry(one) for one in run.heard],
    }


def matrix(heard: Sequence[Heard]) -> dict[str, dict[str, int]]:
    """How often each class was heard as which: said -> heard -> clips; what never happened is left out."""
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in heard:
        rows[" ".join(one.utterance.pinyin)][" ".join(one.syllables)] += 1
    return {said: dict(sorted(rows[said].items())) for said in sorted(rows)}


def interval(edits: Sequence[Edits]) -> tuple[float, float]:
    """The 95 % interval that tables, file and page all show."""
    if not any(one.total for one in edits):  # no draw from sentences without an error has one
        return score_interval(sum(edits, Edits()), Scatter.of(edits))
    return bootstrap_interval(edits, rng=np.random.default_rng(0))


def _rate(edits: Sequence[Edits]) -> dict[str, Any]:
    whole = sum(edits, Edits())
    return {"error_rate": whole.rate, "interval": interval(edits), "utterances": len(edits)} | _counts(whole)


def _counts(edits: Edits) -> dict[str, int]:
    names = ("substitutions", "deletions", "insertions", "reference_length")
    return {name: getattr(edits, name) for name in names}


def _decoder(one: Decoded) -> dict[str, Any]:
    return {"decoder": one.decoder, "error_rate": one.edits.rate, "seconds": round(one.seconds, 4)} | _counts(one.edits)


def _time(clock: Clock) -> dict[str, Any]:
    return {
        "real_time_factor": round(clock.real_time_factor, 6),
        "sound_seconds": round(clock.sound, 3),
        "work_seconds": round(clock.work, 3),
        "cores": clock.cores,
        "cores_busy": round(clock.busy, 2),
        "device": clock.device,
    }


def _entry(heard: Heard) -> dict[str, Any]:
    """One utterance; what is not known is left out."""
    utterance, edits = heard.utterance, heard.edits
    entry = {
        "id": utterance.id,
        "reference": " ".join(utterance.pinyin),
        "hypothesis": " ".join(heard.syllables),
        "substitutions": edits.substitutions,
        "deletions": edits.deletions,
        "insertions": edits.insertions,
        "text": utterance.text,
        "characters": heard.characters,
        "speaker": utterance.speaker,
        "seconds": utterance.seconds,
        "snr_db": None if math.isnan(heard.snr_db) else round(heard.snr_db, 1),
    }
    heard_nothing = ("reference", "hypothesis", "characters")  # where "" is something that is known
    return {key: value for key, value in entry.items() if value is not None and (value != "" or key in heard_nothing)}


def read_run(path: Path) -> Run:
    """The evaluation that a file keeps; its sound is not needed, so the utterances name none that could be opened.

    Raises:
        DataError: the file is missing, no JSON, or was not written by `python -m dfcnn_ms.eval --json`.
    """
    page = _page(path)
    try:
        ordered = bool(page.get("ordered", True))
        heard = tuple(replace(_heard(entry), ordered=ordered) for entry in page["results"])
        unit = str(page.get("unit", "syllable"))
        run = Run(str(page["name"]), Path(page["manifest"]), heard, str(page["decoder"]), unit=unit)
        if not any(one.utterance.pinyin for one in heard):
            raise DataError("every 'reference' is empty, so there is no rate of errors")
        return run
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
        raise DataError(f"{path}: {_wanted(error)}; make it with: python -m dfcnn_ms.eval --json {path}") from None


def _wanted(error: Exception) -> str:
    return f"has no {error}" if isinstance(error, KeyError) else f"no results of an evaluation ({error})"


def _page(path: Path) -> Mapping[str, Any]:
    if os.path.isdir(path):
        raise DataError(f"{path}: is a directory; give a file that python -m dfcnn_ms.eval --json wrote")
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; make it with: python -m dfcnn_ms.eval --json {path}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); give a file of eval --json") from None
    if not isinstance(page, dict):
        raise DataError(f"{path}: holds no JSON object; give a file that python -m dfcnn_ms.eval --json wrote")
    return page


_ENTRY: dict[str, tuple[type, ...]] = {
    "id": (str,), "reference": (str,), "hypothesis": (str,), "text": (str,), "characters": (str,), "speaker": (str,),
    "seconds": (int, float), "snr_db": (int, float),
}  # fmt: skip


def _heard(entry: Mapping[str, Any]) -> Heard:
    for key, kinds in _ENTRY.items():
        if key in entry and (not isinstance(entry[key], kinds) or isinstance(entry[key], bool)):
            raise TypeError(f"{key!r} cannot be {str(entry[key])[:40]}")
    known = {key: entry[key] for key in ("text", "speaker") if key in entry}
    utterance = Utterance(entry["id"], "-", entry["seconds"], entry["reference"], **known)
    return Heard(utterance, tuple(entry["hypothesis"].split()), entry.get("characters"), entry.get("snr_db", math.nan))
