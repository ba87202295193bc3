"""The YAML page as types: every key is checked, every component is built where it is named.

A component section, such as ``features:``, becomes the frozen value that it names (:mod:`dfcnn_ms.components`). Nothing
here imports MindSpore.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dfcnn_ms.audio.augment import FEATURE_AUGMENTATIONS, WAVE_AUGMENTATIONS
from dfcnn_ms.audio.augment_commands import SPECTRUM_AUGMENTATIONS
from dfcnn_ms.audio.features import FEATURES, LogMel
from dfcnn_ms.components import component, sentence
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.models import NETWORKS, Dfcnn
from dfcnn_ms.schedules import SCHEDULES, Cosine
from dfcnn_ms.tasks import TASKS, Ctc
from dfcnn_ms.text.quoting import quoted, shortened
from dfcnn_ms.yaml_pages import YamlError, read_yaml, write_yaml

DEFAULT_CONFIG = "digits"
#: sections that a page may take over from another
SHARED = ("features", "augment", "model")
#: of a page; those that are shipped have two thousand
MOST_BYTES = 1 << 18
#: numbers of a network: with their gradients and two moments they take 16 GB
MOST_PARAMETERS = 10**9
#: any whole number in the section of a network: channels, units, layers
MOST_WIDTH = 100_000
#: epochs, steps, files and other things that somebody may ask for
MOST_COUNTED = 10**9


class Section(BaseModel):
    """A section of the page: frozen, no key unknown, and every number finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class DataConfig(Section):
    """Where the sentences are.

    Attributes:
        train, dev, test: manifests (JSONL); relative to the folder the command runs in.
        labels: ``pinyin`` (any corpus's habits, brought into one form) or ``as_written`` (characters, words).
        recipe: how to make them when they are missing: the corpus and its options.
        mix: more training manifests and their weights; ``train`` has weight 1, and an epoch has as many utterances
            as all of them together.
        balance: ``class`` lets utterances with rare syllables come more often, ``length`` lets short and long
            ones (the buckets of ``train.buckets``) come equally often; ``none``: each comes once.
        max_seconds: longer training sentences are refused before training starts.
        cache: keep computed features on disk beside the training manifest.
        packed: read the packs beside the manifests (see ``dfcnn_ms.pack``) and not the sound files.
        workers: processes that make the batches; 0: a thread of this one, which is best on two cores.
    """

    train: Path
    dev: Path
    test: Path | None = None
    labels: Literal["pinyin", "as_written"] = "pinyin"
    recipe: dict[str, Any] | None = None
    max_seconds: float = Field(default=30.0, gt=0)
    mix: dict[Path, Annotated[float, Field(gt=0)]] = {}
    balance: Literal["none", "class", "length"] = "none"
    cache: bool = False
    packed: bool = False
    workers: int = Field(default=0, ge=0, le=256)


class AugmentConfig(Section):
    """What happens to each training sentence anew in each epoch: to its wave, its spectrum, then to its features.

    ``spectrum`` wants features that have one: ``clip_mel``.
    """

    wave: tuple[component(WAVE_AUGMENTATIONS), ...] = ()  # type: ignore[valid-type]
    spectrum: tuple[component(SPECTRUM_AUGMENTATIONS), ...] = ()  # type: ignore[valid-type]
    features: tuple[component(FEATURE_AUGMENTATIONS), ...] = ()  # type: ignore[valid-type]


def _off(value: Any) -> Any:
    """YAML reads a bare ``off`` as False."""
    return "off" if value is False else value


class TrainConfig(Section):
    """How the network learns.

    Attributes:
        batch_size: utterances per batch and device.
        buckets: how many fixed shapes the batches have; each is compiled once.
        room: how many times as long as it was recorded an utterance may become; what augmentation makes longer is
            augmented anew. Batches keep room for the longest that may come, and fill it up where nothing comes.
        rate: the peak learning rate; the schedule multiplies it.
        clip_norm: largest global gradient norm; 0: no clipping.
        amp: mixed precision of the network (the loss is always float32).
        mode: ``graph`` compiles the step; ``pynative`` runs it line by line, for debugging.
        early_stopping: epochs without improvement before training ends; 0: never.
        accumulate: batches whose gradients are averaged before a step of the optimiser.
        ema: decay of the moving average of the weights, such as 0.999; it is what is evaluated and kept. 0: none.
        batch_norm: with several workers, each normalises its own half of a batch (``local``) or all together.
        sorta_grad: epochs at the beginning in which the shortest batches come first.
        blank_bias: where the bias of the blank's logit begins; below 0 shortens the blank plateau.
        freeze: names of layers, such as ``blocks.0``, that stay as they are.
        coach: one sentence per epoch on how training goes (``say``); ``act`` lets it change the rate or stop.
        gradient_report: steps between two lines of ``gradients.jsonl``, the norm of each layer's gradient; 0: none.
        save_steps: also save the state every so many steps, besides the end of each epoch; 0: not.
        save_every: keep the network of every so many epochs; 0: only of the best.
        keep_last, keep_best: how many of the last states, and of the best networks, stay on disk.
        summary_every: steps between two points of MindInsight's curves.
        read_every: steps between two looks at losses and gradients. A GPU or Ascend has to be waited for at each look;
            with 20 a step that is not finite, or a Ctrl-C, is answered up to 19 steps later, and nothing else changes.
    """

    epochs: int = Field(default=20, ge=1, le=MOST_COUNTED)
    batch_size: int = Field(default=16, ge=1, le=4096)
    buckets: int = Field(default=3, ge=1, le=100)
    room: float = Field(default=100.0, ge=1, le=100)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    rate: float = Field(default=1e-3, gt=0, le=1000)
    weight_decay: float = Field(default=0.0, ge=0, le=1000)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    schedule: component(SCHEDULES) = Cosine()  # type: ignore[valid-type]
    clip_norm: float = Field(default=5.0, ge=0)
    amp: Annotated[Literal["off", "auto", "O2", "O3"], BeforeValidator(_off)] = "off"
    mode: Literal["graph", "pynative"] = "graph"
    sink: bool = False
    seed: int = Field(default=0, ge=0, lt=2**32)
    early_stopping: int = Field(default=0, ge=0, le=MOST_COUNTED)
    accumulate: int = Field(default=1, ge=1, le=MOST_COUNTED)
    ema: float = Field(default=0.0, ge=0, lt=1)
    batch_norm: Literal["local", "synchronised"] = "local"
    sorta_grad: int = Field(default=0, ge=0, le=MOST_COUNTED)
    blank_bias: float = Field(default=0.0, ge=-1000, le=1000)
    freeze: tuple[str, ...] = ()
    coach: Annotated[Literal["off", "say", "act"], BeforeValidator(_off)] = "say"
    gradient_report: int = Field(default=0, ge=0, le=MOST_COUNTED)
    save_steps: int = Field(default=0, ge=0, le=MOST_COUNTED)
    save_every: int = Field(default=0, ge=0, le=MOST_COUNTED)
    keep_last: int = Field(default=2, ge=1, le=MOST_COUNTED)
    keep_best: int = Field(default=1, ge=1, le=MOST_COUNTED)
    summary_every: int = Field(default=20, ge=1, le=MOST_COUNTED)
    read_every: int = Field(default=1, ge=1, le=MOST_COUNTED)


class Config(Section):
    """The whole page. For each section of :data:`SHARED` it may give the name of another page, and means that one's.

    Attributes:
        name: of the run.
        task: what a label is, which loss teaches it, what is measured.
        data, augment: where the sentences are, and what happens to them.
        features, cmvn: what the network is given of a wave.
        model: the network.
        train: how it learns.
    """

    name: str = Field(default="dfcnn", pattern=r"^\w[\w.-]*$", max_length=50)
    task: component(TASKS, default="ctc") = Ctc()  # type: ignore[valid-type]
    data: DataConfig
    features: component(FEATURES) = LogMel()  # type: ignore[valid-type]
    cmvn: Literal["none", "utterance", "global", "running"] = "utterance"
    augment: AugmentConfig = AugmentConfig()
    model: component(NETWORKS, default="dfcnn") = Dfcnn()  # type: ignore[valid-type]
    train: TrainConfig = TrainConfig()

    @pydantic.model_validator(mode="after")
    def _network_fits(self) -> Config:
        for place, number in _whole_numbers(dataclasses.asdict(self.model), "model"):
            if abs(number) > MOST_WIDTH:
                raise ValueError(f"{place}: got {quoted(number)}, wanted at most {MOST_WIDTH}")
        try:
            count = self.model.parameters(num_bins=self.features.num_bins, num_units=3)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if count > MOST_PARAMETERS:
            got, most = (f"{number / 1e6:,.0f} million" for number in (count, MOST_PARAMETERS))
            raise ValueError(f"model: has {got} parameters, wanted at most {most}; give narrower layers")
        return self

    @pydantic.model_validator(mode="after")
    def _task_fits(self) -> Config:
        try:
            self.task.check(self.model)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if self.train.blank_bias and not self.task.has_blank:
            raise ValueError("train.blank_bias: this task has no blank; leave it at 0, or set task.kind=ctc")
        return self

    @property
    def unit(self) -> str:
        """What a unit of a label is called: ``syllable``, ``word``, ``class``."""
        unit: str = self.task.unit_of(self.data.labels)
        return unit

    @property
    def target(self) -> str:
        """The figure of the dev set that decides, such as ``dev_syllable_error_rate``."""
        figure: str = self.task.figure(self.unit)
        return figure

    def to_yaml(self) -> str:
        """The resolved page, every default written out; reading it back gives this very value."""
        return write_yaml(self.model_dump(mode="json"))


def _whole_numbers(value: Any, place: str) -> Iterator[tuple[str, int]]:
    """Every whole number in nested sections and lists, and where in the page it stands."""
    if isinstance(value, int):
        yield place, value
    elif isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _whole_numbers(inner, f"{place}.{key}")


def load_config(name: str, overrides: Iterable[str] = ()) -> Config:
    """Reads a page and applies ``section.key=value`` overrides.

    Args:
        name: a path, or the bare name of a page shipped with the package (``digits``).
        overrides: such as ``train.epochs=3``; the value is read as YAML.

    Raises:
        ConfigError: one sentence that names the page and the key.
    """
    path = find_config(name)
    page = _with_shared(_read_page(path), path)
    for override in overrides:
        _apply(page, override)
    return parse_config(_with_shared(page, path), where=str(path))


def parse_config(page: Mapping[str, Any], where: str) -> Config:
    """Checks a page that is already a mapping; ``where`` names it in errors."""
    try:
        return Config.model_validate(page)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{where}: {sentence(error, Config)}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def find_config(name: str) -> Path:
    """The file of a page: the path itself, or a page shipped with the package."""
    path = Path(name)
    if os.path.isfile(path):
        return path
    for folder in _shipped_folders():
        shipped = folder / f"{path.stem}.yaml"
        if os.path.isfile(shipped) and path.name in (path.stem, shipped.name):
            return shipped
    try:
        os.stat(path)
    except PermissionError as error:
        raise ConfigError(f"{name}: cannot be reached: {error.strerror}; check the permissions of its folder") from None
    except (OSError, ValueError):
        pass  # there is none, or there can be none
    if os.path.exists(path):
        kind = "a directory" if os.path.isdir(path) else "a pipe or a device"
        raise ConfigError(f"{name}: is {kind}, wanted a YAML file such as configs/digits.yaml")
    known = sorted({file.stem for folder in _shipped_folders() for file in folder.glob("*.yaml")})
    raise ConfigError(f"{shortened(name)}: no such configuration; give a YAML file, or one of: {', '.join(known)}")


def _shipped_folders() -> list[Path]:
    """In an installed wheel the pages lie inside the package, in a checkout beside it."""
    package = Path(__file__).parent
    return [folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir()]


def _read_page(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: has more than {MOST_BYTES} bytes, wanted a page such as configs/digits.yaml")
        page = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error}); wanted a YAML file") from None
    except YamlError as error:
        raise ConfigError(f"{path}{error.line}: not valid YAML ({error})") from None
    if not isinstance(page, dict):
        raise ConfigError(f"{path}: got {type(page).__name__}, wanted a page of sections such as 'data:' and 'train:'")
    return page


def _with_shared(page: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same page; where a section is the name of another page, with that one's section."""
    for section in SHARED:
        name = page.get(section)
        if not isinstance(name, str):
            continue
        try:
            shared = _read_page(find_config(name)).get(section)
        except ConfigError as error:
            raise ConfigError(f"{path}: {section}: {error}") from None
        if not isinstance(shared, dict):
            raise ConfigError(
                f"{path}: {section}: {name} has no {section} of its own; write it out, or name another page"
            )
        page = page | {section: shared}
    return page


def _apply(page: dict[str, Any], override: str) -> None:
    """Writes one ``section.key=value`` into the page."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{quoted(override)}: wanted an override such as train.epochs=3")
    try:
        value = read_yaml(text)
    except YamlError as error:
        raise ConfigError(f"{quoted(override)}: the value is not valid YAML ({error}); quote it") from None
    *sections, last = key.split(".")
    target: Any = page
    for section in sections:
        target = _step_into(target, section, key)
    if isinstance(target, list):
        target[_index(target, last, key)] = value
    else:
        target[last] = value


def _step_into(target: Any, section: str, key: str) -> Any:
    child = target[_index(target, section, key)] if isinstance(target, list) else target.setdefault(section, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"unknown key {quoted(key)}: {quoted(section)} is a value, not a section")
    return child


def _index(items: list[Any], text: str, key: str) -> int:
    positions = {str(index): index for index in range(len(items))}
    if text not in positions:
        raise ConfigError(
            f"unknown key {quoted(key)}: wanted a position from 0 to {len(items) - 1}, got {quoted(text)}"
        )
    return positions[text]
