"""The folder of the network in the box: what goes into it, what is refused, and that wheel and sdist carry it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import box_of_tones
import numpy as np
import pytest
import tone_checkpoint
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from dfcnn_ms import box
from dfcnn_ms.config import parse_config
from dfcnn_ms.decoding.ngram import NgramModel
from dfcnn_ms.errors import CheckpointError, ConfigError, DataError
from dfcnn_ms.exporting import boxed
from dfcnn_ms.exporting.boxed import Parts, files_of
from dfcnn_ms.runtime import half, in_the_box
from dfcnn_ms.runtime.in_the_box import CHARACTERS, CONTENTS, LANGUAGE, NETWORK

ROOT = Path(__file__).parents[2]
ELSEWHERE = "/somewhere/of/mine/train.jsonl"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A network that remembers where things lay, its language as text, its characters."""
    page = tone_checkpoint.CONFIG | {"data": {"train": ELSEWHERE, "dev": "data/dev.jsonl", "mix": {ELSEWHERE: 2.0}}}
    return box_of_tones.parts(
        tmp_path_factory.mktemp("parts"),
        config=parse_config(page, "page"),
        manifests={"train": ELSEWHERE},
        epoch=3,
        metrics={"dev_syllable_error_rate": 0.25},
    )


@pytest.fixture(scope="module")
def files(parts: Parts) -> dict[str, bytes]:
    return files_of(parts)


def test_it_holds_each_part_and_their_hashes(parts: Parts, files: dict[str, bytes], tmp_path: Path) -> None:
    assert [*files] == [NETWORK, LANGUAGE, CHARACTERS, CONTENTS]
    known = json.loads(files[CONTENTS])["sha256"]
    assert known == {name: in_the_box.sha256(content) for name, content in files.items() if name != CONTENTS}
    (tmp_path / LANGUAGE).write_bytes(files[LANGUAGE])
    assert files[LANGUAGE].startswith(b"DFCNN-LZ")  # compact, whatever it was before
    given, got = NgramModel.load(parts.language), NgramModel.load(tmp_path / LANGUAGE)
    assert got.score([["yi1", "er4"]]) == given.score([["yi1", "er4"]])


def test_nothing_tells_where_it_was_made(parts: Parts, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / NETWORK).write_bytes(files[NETWORK])
    before, found = half.read(parts.network).meta, half.read(tmp_path / NETWORK)
    meta = found.meta
    assert "somewhere" in before.to_json() and "somewhere" not in meta.to_json()
    assert meta.manifests == {}
    assert meta.config.data.model_dump(mode="json")["mix"] == {"train.jsonl": 2.0}
    data = before.config.data.model_copy(update={"train": Path("train.jsonl"), "mix": {Path("train.jsonl"): 2.0}})
    assert meta == replace(before, manifests={}, config=before.config.model_copy(update={"data": data}))
    assert found.licence == boxed.LICENCE


def test_the_same_parts_give_the_same_bytes(
    parts: Parts, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--lm", str(parts.language), "--hanzi-model", str(parts.characters), "--out", str(tmp_path)]
    box.main(["--ckpt", str(parts.network), *arguments])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == files
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path}: 0.") and all(f"{name} 0." in said for name in files if name != CONTENTS)
    # Without characters those of before are taken away.
    box.main(["--ckpt", str(parts.network), *arguments[:2], *arguments[4:]])
    assert {file.name for file in tmp_path.iterdir()} == {NETWORK, LANGUAGE, CONTENTS}


@pytest.mark.usefixtures("cpu")
def test_a_checkpoint_is_exported_on_the_way(
    parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfcnn_ms.runtime import checkpoint

    ckpt = tone_checkpoint.save(tmp_path / "tones.ckpt", tone_checkpoint.speak(tmp_path))
    arguments = ["--ckpt", str(ckpt), "--lm", str(parts.language), "--out", str(tmp_path / "assets")]
    with pytest.raises(ConfigError, match="has no length_bonus and no lm_weight for its language model; find"):
        box.main(arguments)
    checkpoint.update_decoding(ckpt, box_of_tones.DECODING)
    box.main(arguments)
    assert "syllable error 0.00 %, 0.00 % before, of the dev set" in capsys.readouterr().out
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "assets")
    found = in_the_box.opened()
    assert found is not None
    given, got = checkpoint.load(ckpt), checkpoint.load(found.network)
    assert got.meta.decoding == box_of_tones.DECODING and [*got.weights] == [*given.weights]
    for name, value in got.weights.items():
        assert np.allclose(value.asnumpy(), given.weights[name].asnumpy(), rtol=2**-11)


def test_what_everybody_would_have_to_carry_is_limited(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(map(len, files_of(parts).values()))
    monkeypatch.setattr(boxed, "MOST_BYTES", total)
    files_of(parts)
    monkeypatch.setattr(boxed, "MOST_BYTES", total - 1)
    with pytest.raises(ConfigError, match=r"^the box would have 0\.\d MB \(mandarin\.npz 0\.\d+ MB, syllables\.lmz"):
        files_of(parts)
    assert in_the_box.MOST_BYTES == 15_000_000


def test_what_will_not_do_is_refused(parts: Parts, tmp_path: Path) -> None:
    words = parse_config(tone_checkpoint.CONFIG | {"task": {"kind": "ace"}}, "page")
    characters = parse_config(tone_checkpoint.CONFIG, "page")
    data = characters.data.model_copy(update={"labels": "as_written"})
    for config in (words, characters.model_copy(update={"data": data})):
        other = box_of_tones.network(tmp_path / "other.npz", config=config)
        with pytest.raises(ConfigError, match=r"other\.npz: the network in the box writes sentences in pinyin, by C"):
            files_of(replace(parts, network=other))
    untuned = box_of_tones.network(tmp_path / "untuned.npz", decoding={"lm_weight": 0.5})
    with pytest.raises(ConfigError, match=r"untuned\.npz: has no length_bonus for its .* tune --ckpt \S+ --lm \S+$"):
        files_of(replace(parts, network=untuned))
    (tmp_path / "a.bin").write_bytes(b"nothing of the kind")
    for changed in ({"language": tmp_path / "a.bin"}, {"characters": tmp_path / "a.bin"}):
        with pytest.raises(DataError, match=r"a\.bin: "):
            files_of(replace(parts, **changed))
    with pytest.raises(CheckpointError, match=r"no\.npz: no such checkpoint"):
        files_of(replace(parts, network=tmp_path / "no.npz"))


def test_no_part_is_written_over(parts: Parts, files: dict[str, bytes], tmp_path: Path) -> None:
    shutil.copy(parts.network, tmp_path / NETWORK)
    made_of = replace(parts, network=tmp_path / NETWORK)
    with pytest.raises(ConfigError, match="would be written over"):
        boxed.write_files(files, tmp_path, made_of)
    with pytest.raises(ConfigError, match="is in half precision already; leave out --manifest"):
        box.main(["--ckpt", str(parts.network), "--lm", str(parts.language), "--manifest", "dev.jsonl"])


def carried(builder: type[BuilderInterface], root: Path) -> set[str]:
    """What hatch puts into a wheel or a sdist."""
    return {Path(file.distribution_path).as_posix() for file in builder(str(root)).recurse_included_files()}


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_wheel_and_sdist_carry_it(builder: type[BuilderInterface], files: dict[str, bytes], tmp_path: Path) -> None:
    """By the project's own page and its own list of what git ignores."""
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("dfcnn_ms/__init__.py", "configs/digits.yaml"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "dfcnn_ms" / "assets", tmp_path / "dfcnn_ms" / "assets")
    for name, content in files.items():
        (tmp_path / "dfcnn_ms" / "assets" / name).write_bytes(content)
    wanted = {f"dfcnn_ms/assets/{name}" for name in (*files, "LICENSE.md")}
    assert wanted <= carried(builder, tmp_path)


def test_what_the_package_ships_is_whole_and_not_too_long() -> None:
    there = {file.name: file.stat().st_size for file in in_the_box.ASSETS.iterdir()}
    found = in_the_box.opened()  # reads every byte of it
    parts = {NETWORK, LANGUAGE, CONTENTS} | ({CHARACTERS} if found and found.characters else set()) if found else set()
    assert set(there) == parts | {"LICENSE.md"}
    assert sum(there[name] for name in parts) <= in_the_box.MOST_BYTES
