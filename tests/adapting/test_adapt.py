"""A network of pure tones learns a voice that is higher, and forgets nothing; and what is refused."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_checkpoint
import tones

from dfcnn_ms import adapt
from dfcnn_ms.config import parse_config
from dfcnn_ms.corpora.manifest import Utterance, read_manifest, write_manifest
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError, DfcnnError, Interrupted
from dfcnn_ms.metrics import Edits, edits
from dfcnn_ms.recognizer import Recognizer
from dfcnn_ms.runtime import checkpoint
from dfcnn_ms.training import trainer
from dfcnn_ms.training.callbacks import SaveState

pytestmark = pytest.mark.usefixtures("cpu")

#: how much higher the voice is
HIGHER = 1.3
#: ema: frozen statistics stay although averages are taken
TRAINING: dict[str, Any] = {"rate": 0.004, "batch_size": 8, "buckets": 1, "ema": 0.9}
FLAGS = ("--device_target", "CPU", "--rate", "0.02", "--layers", "upper")


def sentences(count: int, units: Sequence[str], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(units, size=rng.integers(2, 5))) for _ in range(count)]


def manifest(path: Path, said: Sequence[str], higher: float = 1.0) -> Path:
    """Sound files of sentences whose tones are higher than the network knows, and a manifest of them."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tones, "HERTZ", {unit: hertz * higher for unit, hertz in tones.HERTZ.items()})
        for number, words in enumerate(said):
            file = tones.speak(path.with_suffix("") / f"{number}.wav", words)
            seconds = len(tones.wave(words)) / tones.RATE
            found.append(Utterance(f"{path.stem}-{number}", str(file), seconds, words))
    write_manifest(path, found)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cpu: None) -> Path:
    """A network, what it was trained on, and a voice that never says the fourth syllable."""
    folder = tmp_path_factory.mktemp("adapting")
    units = list(tones.HERTZ)
    for split in ("train", "dev"):
        manifest(folder / f"{split}.jsonl", sentences(20, units, seed=len(split)))
    manifest(folder / "mine.jsonl", sentences(40, units[:3], seed=1), HIGHER)
    stored = checkpoint.load(tone_checkpoint.save(folder / "solved.ckpt"))
    manifests = {split: str(folder / f"{split}.jsonl") for split in ("train", "dev")}
    for name, changes, remembered in (("base", {}, manifests), ("alone", {"mode": "pynative"}, {})):
        config = parse_config(tone_checkpoint.CONFIG | {"train": TRAINING | changes}, "page")
        meta = replace(stored.meta, config=config, manifests=remembered, decoding={"temperature": 1.5})
        checkpoint.save(folder / f"{name}.ckpt", stored.parameters, meta)
    tone_checkpoint.save(folder / "classes.ckpt", classes=True)
    (folder / "base.onnx").touch()
    return folder


def arguments(place: Path, out: Path, *more: str) -> list[str]:
    files = ["--ckpt", str(place / "base.ckpt"), "--manifest", str(place / "mine.jsonl"), "--out", str(out)]
    return [*files, "--summary-base-dir", str(out.parent / "summary"), *FLAGS, *more]


@pytest.fixture(scope="module")
def said_and_done(place: Path) -> tuple[str, Path]:
    """What the command printed, and the adapted network."""
    out = place / "done" / "mine.ckpt"
    out.parent.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *what, **_: lines.append(" ".join(map(str, what))))
        adapt.main(arguments(place, out))
    return "\n".join(lines), out


def rate(network: Path, manifest: Path) -> float:
    """Errors of a network, each recording heard alone."""
    recognizer = Recognizer.load(network, "CPU")
    heard = ((one.pinyin, recognizer.transcribe(one.path).syllables) for one in read_manifest(manifest))
    return sum((edits(said, found) for said, found in heard), Edits()).rate


@pytest.mark.slow
def test_the_voice_is_heard_better_and_nothing_is_forgotten(place: Path, said_and_done: tuple[str, Path]) -> None:
    """Both counted again, each recording by itself; the printed figures are these."""
    said, out = said_and_done
    sets = out.parent / "summary" / "mine" / "sets"
    rates = {
        name: [rate(network, sets / f"{name}.jsonl") for network in (place / "base.ckpt", out)]
        for name in ("held_out", "known")
    }
    before, after = rates["held_out"]
    assert after < before / 2
    assert rates["known"][1] <= rates["known"][0] + 0.05
    printed = [float(found) / 100 for found in re.findall(r"(?:before|after) +([\d.]+) %", said)]
    assert printed == pytest.approx([*rates["held_out"], *rates["known"]], abs=1e-4)
    assert said.count("95 % interval") == 4


@pytest.mark.slow
def test_frozen_layers_are_the_same_bits_and_the_others_are_not(place: Path, said_and_done: tuple[str, Path]) -> None:
    before, after = (checkpoint.load(path).weights for path in (place / "base.ckpt", said_and_done[1]))
    moved = {name for name in before if before[name].asnumpy().tobytes() != after[name].asnumpy().tobytes()}
    assert moved == {"head.0.weight", "head.0.bias"} and before.keys() == after.keys()


@pytest.mark.slow
def test_the_new_checkpoint_is_one_like_any_other(place: Path, said_and_done: tuple[str, Path]) -> None:
    """It writes the same units, the one that the voice never said included, and says what it was made of."""
    meta, before = (checkpoint.load(path).meta for path in (said_and_done[1], place / "base.ckpt"))
    assert (meta.vocabulary, meta.manifests, meta.decoding) == (before.vocabulary, before.manifests, before.decoding)
    assert (meta.config.data, meta.learnt) == (before.config.data, before.learnt)
    taught = read_manifest(said_and_done[1].parent / "summary" / "mine" / "sets" / "taught.jsonl")
    assert meta.adapted["from"] == str(place / "base.ckpt")
    assert meta.adapted["minutes"] == pytest.approx(sum(one.seconds for one in taught) / 60, abs=0.01)
    assert meta.config.train.freeze and not before.config.train.freeze
    assert before.adapted == {}


@pytest.mark.slow
def test_a_run_goes_on_with_the_flags_that_it_began_with(place: Path, said_and_done: tuple[str, Path]) -> None:
    """It is finished, so that what comes of it is what came of it."""
    out = said_and_done[1]
    again, run = out.with_name("again.ckpt"), str(out.parent / "summary" / "mine")
    with pytest.raises(ConfigError, match="was begun with other flags"):
        adapt.main(arguments(place, again, "--resume", run, "--epochs", "3"))
    adapt.main(arguments(place, again, "--resume", run))
    first, second = (checkpoint.load(path).weights for path in (out, again))
    assert all(first[name].asnumpy().tobytes() == second[name].asnumpy().tobytes() for name in first)


@pytest.mark.slow
def test_an_adaptation_that_died_goes_on_to_the_same_bits(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen layers and averages included; whether it is better does not matter here."""

    class Died(Exception):  # noqa: N818 (not an error of the package)
        pass

    def adapted(name: str, *more: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        few = ["--ckpt", str(place / "alone.ckpt"), "--minutes", "0.15", "--epochs", "2"]
        adapt.main(arguments(place, tmp_path / name / "mine.ckpt", *few, *more))

    def died(self: SaveState, run_context: object) -> None:
        finish(self, run_context)
        raise Died

    finish = SaveState.on_train_epoch_end
    with contextlib.suppress(DfcnnError):
        adapted("whole")
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(SaveState, "on_train_epoch_end", died)
        adapted("parts")
    with contextlib.suppress(DfcnnError):
        adapted("parts", "--resume", str(tmp_path / "parts" / "summary" / "mine"))
    states = [
        checkpoint.load(tmp_path / name / "summary" / "mine" / "checkpoints" / "last.ckpt")
        for name in ("whole", "parts")
    ]
    assert [state.meta.epoch for state in states] == [2, 2]
    first, second = ({name: value.asnumpy().tobytes() for name, value in one.parameters.items()} for one in states)
    assert first == second


def test_who_stops_it_is_told_how_to_go_on(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("of the engine")

    monkeypatch.setattr(trainer, "train", stopped)
    with pytest.raises(Interrupted, match=r"go on with the same command and --resume .*summary/mine$"):
        adapt.main(arguments(place, tmp_path / "mine.ckpt"))


def test_without_a_gain_nothing_is_written(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rate so small that nothing changes; this network remembers no sets, so the upper layers learn alone."""
    out = tmp_path / "mine.ckpt"
    out.write_bytes(b"before")
    few = ["--force", "--ckpt", str(place / "alone.ckpt"), "--rate", "1e-12", "--epochs", "1", "--minutes", "0.15"]
    with pytest.raises(DfcnnError, match="not written, no epoch has fewer errors"):
        adapt.main(arguments(place, out, *few))
    assert out.read_bytes() == b"before"
    said = capsys.readouterr().out
    assert "the voice" in said and "what it knew" not in said
    assert not (tmp_path / "summary" / "mine" / "sets" / "rehearsed.jsonl").exists()


#: flags -> kind of error and sentence; {place} is the folder of the fixture
REFUSED = {
    "an exported network": (["--ckpt", "{place}/base.onnx"], CheckpointError, "only a .ckpt or .npz file can learn"),
    "no network": (["--ckpt", "{place}/no.ckpt"], CheckpointError, "no such checkpoint"),
    "no manifest": (["--manifest", "{place}/no.jsonl"], DataError, "no such manifest"),
    "an unknown syllable": (["--manifest", "{place}/foreign.jsonl"], DataError, "foreign.jsonl:1: unit 'ma3' is not"),
    "sentences for classes": (["--ckpt", "{place}/classes.ckpt"], DataError, "mine.jsonl:1: task classify wants one"),
    "words": (["--manifest", "{place}/words.jsonl"], DataError, "words.jsonl:1"),
    "too few": (["--manifest", "{place}/few.jsonl"], DataError, "leaves 2 recordings to learn from besides 3"),
    "too little": (["--minutes", "0.01"], DataError, "leaves 0 recordings in --minutes 0.01 to learn from"),
    "too long": (["--manifest", "{place}/long.jsonl"], DataError, "long.jsonl:1: 31 s is longer than the 30 s"),
    "rehearsing itself": (["--rehearse", "{place}/mine.jsonl"], ConfigError, "is --manifest too"),
    "held out of itself": (["--dev", "{place}/mine.jsonl"], ConfigError, "is --manifest too"),
    "nothing to rehearse": (["--rehearse", "{place}/foreign.jsonl"], DataError, "holds nothing that this network"),
    "no error before": (["--dev", "{place}/dev.jsonl"], DataError, "makes no error in the 20 recordings"),
    "no minutes": (["--minutes", "0"], ConfigError, "--minutes 0: wanted a number above 0"),
    "no rate": (["--rate", "nan"], ConfigError, "--rate nan: wanted a number above 0"),
    "no epochs": (["--epochs", "0"], ConfigError, "--epochs 0: wanted 1 or more"),
    "nothing but rehearsal": (["--share", "1"], ConfigError, "--share 1: wanted 0 to 0.95"),
    "a negative seed": (["--seed", "-1"], ConfigError, "--seed -1: wanted 0 or more"),
    "another ending": (["--out", "mine.onnx"], ConfigError, "ends in .ckpt"),
    "its own network": (["--out", "{place}/base.ckpt", "--force"], ConfigError, "would be written over"),
    "something that is there": (["--out", "{place}/few.jsonl.ckpt"], ConfigError, "is there already"),
    "no run": (["--resume", "no_run"], ConfigError, "no such run"),
}


@pytest.fixture(scope="module")
def odd(place: Path) -> Path:
    """The same folder, with manifests that cannot be used."""
    mine = read_manifest(place / "mine.jsonl")
    write_manifest(place / "foreign.jsonl", [replace(mine[0], pinyin=("ma3",))])
    write_manifest(place / "words.jsonl", [replace(mine[0], pinyin=("hello",))])
    write_manifest(place / "few.jsonl", mine[:5])
    write_manifest(place / "long.jsonl", [replace(one, seconds=31.0) for one in mine])
    (place / "few.jsonl.ckpt").write_bytes(b"there")
    return place


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_sentence(
    odd: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags, kind, sentence = REFUSED[name]
    monkeypatch.setattr(trainer, "train", None)  # nothing is trained
    before = {path: path.read_bytes() for path in odd.glob("*.*") if path.is_file()}
    out = tmp_path / "mine.ckpt"
    with pytest.raises(kind) as caught:
        adapt.main(arguments(odd, out, *(flag.format(place=odd) for flag in flags)))
    assert sentence in str(caught.value)
    assert not out.exists() and {path: path.read_bytes() for path in before} == before
