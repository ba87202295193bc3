"""The network in the box: which network listens where nobody names one, and what is said of a box that is not whole."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import box_of_tones
import pytest

from dfcnn_ms import train
from dfcnn_ms.decoding.hanzi import HanziModel, compact
from dfcnn_ms.errors import CheckpointError
from dfcnn_ms.runtime import in_the_box
from dfcnn_ms.runtime.in_the_box import CHARACTERS, CONTENTS, LANGUAGE, NETWORK, Box, choose


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = box_of_tones.make(tmp_path_factory.mktemp("box"))
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def assets(made: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box of one's own, an empty folder to stand in, and an empty cache."""
    folder = tmp_path / "assets"
    folder.mkdir()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(in_the_box, "ASSETS", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def given(**flags: object) -> argparse.Namespace:
    nothing = {"ckpt": None, "decoder": None, "lm": None, "hanzi": False, "hanzi_model": None}
    return argparse.Namespace(**nothing | flags)


def filled(characters: bool = True, **flags: object) -> argparse.Namespace:
    options = given(**flags)
    in_the_box.fill_in(options, characters=characters)
    return options


def said(caplog: pytest.LogCaptureFixture, named: Path | None = None) -> tuple[Path, list[str]]:
    """The network that listens, and what is said about that."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        chosen = choose(named)
        assert not caplog.messages  # nothing is said before it is loaded
        chosen.say()
    return chosen.network, caplog.messages


def test_what_is_in_it(assets: Path) -> None:
    assert in_the_box.opened() == Box(assets / NETWORK, assets / LANGUAGE, assets / CHARACTERS)


def test_what_is_named_goes_before_all(assets: Path) -> None:
    """Nobody looks into the box then, whole or not."""
    (assets / NETWORK).unlink()
    Path("dfcnn.ckpt").touch()
    assert choose(Path("mine.onnx")).network == Path("mine.onnx")
    assert filled(ckpt=Path("mine.onnx")) == given(ckpt=Path("mine.onnx"))
    assert filled(ckpt=["a=mine.onnx"]) == given(ckpt=["a=mine.onnx"])


@pytest.mark.parametrize("kind", ["a file", "a folder", "a link that leads nowhere"])
def test_what_was_trained_here_goes_before_the_box(assets: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """Whatever it is: that a checkpoint is damaged is said, and no other network listens in its place."""
    here = Path("dfcnn.ckpt")
    {"a file": here.touch, "a folder": here.mkdir}.get(kind, lambda: os.symlink("nowhere", here))()
    assert filled() == given(ckpt=here)
    assert said(caplog) == (here, ["listening with dfcnn.ckpt of this folder; --ckpt takes another"])


def test_else_the_box_listens_and_says_so(assets: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentence = "listening with the Mandarin network in the box; --ckpt takes another"
    assert said(caplog) == (assets / NETWORK, [sentence])
    assert said(caplog, Path("mine.onnx")) == (Path("mine.onnx"), [])


def test_it_can_be_named(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where something was trained; a file of that name goes before it, and an empty box is said to be empty."""
    Path("dfcnn.ckpt").touch()
    assert choose(Path("box")).network == assets / NETWORK
    assert filled(ckpt=Path("box")).lm == assets / LANGUAGE
    Path("box").touch()
    assert choose(Path("box")).network == Path("box")
    Path("box").unlink()
    monkeypatch.setattr(in_the_box, "ASSETS", Path("nothing"))
    with pytest.raises(CheckpointError, match="box: no network lies in nothing; install dfcnn-ms again"):
        choose(Path("box"))


def test_training_begins_with_it(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfcnn_ms.training import trainer

    begun: list[Path] = []

    def stop(config: object, *, init: Path, **others: object) -> None:
        begun.append(init)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "train", stop)
    monkeypatch.setattr(train, "prepare_missing", lambda config, is_first: None)
    with pytest.raises(KeyboardInterrupt):
        train.main(["--init", "box", "--summary-base-dir", "runs"])
    assert begun == [assets / NETWORK]


def test_an_empty_box_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_the_box, "ASSETS", tmp_path / "nothing")
    assert said(caplog) == (Path("dfcnn.ckpt"), [])
    assert filled() == given(ckpt=Path("dfcnn.ckpt"))


def test_its_language_and_its_characters_come_along(assets: Path, tmp_path: Path) -> None:
    options = filled()
    assert (options.ckpt, options.lm, options.hanzi) == (assets / NETWORK, assets / LANGUAGE, True)
    assert options.hanzi_model.parent == tmp_path / "cache" / "dfcnn_ms"
    assert filled(characters=False) == given(ckpt=assets / NETWORK, lm=assets / LANGUAGE)
    assert filled(characters=False, hanzi=True).hanzi_model == options.hanzi_model


def test_what_is_asked_for_stays(assets: Path) -> None:
    mine = filled(lm=Path("my.bin"), hanzi_model=Path("mine.bin"))
    assert (mine.lm, mine.hanzi_model) == (Path("my.bin"), Path("mine.bin"))
    assert filled(decoder="greedy").lm is None  # which hears no language model
    assert filled(decoder="beam").lm == assets / LANGUAGE


def test_the_characters_are_unpacked_once(assets: Path, tmp_path: Path) -> None:
    wanted = HanziModel.load(box_of_tones.parts(assets.parent).characters)
    first = in_the_box.unpacked(assets / CHARACTERS)
    got = HanziModel.load(first)
    said = [(["si4", "yi1", "san1"], 0.0)]
    assert got.words == wanted.words
    assert [one.text for one in got.decode(said, 3)] == [one.text for one in wanted.decode(said, 3)]
    before = first.stat().st_mtime_ns
    assert in_the_box.unpacked(assets / CHARACTERS) == first and first.stat().st_mtime_ns == before


def test_where_nothing_can_be_kept_they_are_unpacked_all_the_same(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = in_the_box.unpacked(assets / CHARACTERS).read_bytes()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    place = in_the_box.unpacked(assets / CHARACTERS)
    assert place.read_bytes() == kept and not place.is_relative_to(tmp_path)


def test_where_another_jieba_is_installed_its_dictionary_alone_writes(
    assets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compact, "unpacked", lambda content, where: None)
    with caplog.at_level(logging.WARNING):
        assert filled().hanzi_model is None
    assert "are not those of the box: characters by its dictionary alone" in caplog.text


def test_a_box_without_characters_takes_those_of_everybody(assets: Path, made: dict[str, bytes]) -> None:
    (assets / CONTENTS).write_bytes(in_the_box.contents_of({name: made[name] for name in (NETWORK, LANGUAGE)}))
    assert in_the_box.opened() == Box(assets / NETWORK, assets / LANGUAGE)
    assert (filled().hanzi, filled().hanzi_model) == (True, None)


@pytest.mark.parametrize("name", [NETWORK, LANGUAGE, CHARACTERS])
def test_a_damaged_or_missing_part_is_one_sentence(assets: Path, made: dict[str, bytes], name: str) -> None:
    middle = len(made[name]) // 2
    flipped = made[name][:middle] + bytes([made[name][middle] ^ 1]) + made[name][middle + 1 :]
    for damaged in (flipped, made[name][:-1], b""):
        (assets / name).write_bytes(damaged)
        with pytest.raises(CheckpointError, match=rf"{name}: is damaged, .* box; install dfcnn-ms again, or name ano"):
            choose(None)
    (assets / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: is missing, a part of the network in the box; install"):
        filled()
    (assets / name).mkdir()
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read: Is a directory, a part of the network in"):
        filled()


@pytest.mark.parametrize(
    "table", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format": 1, "sha256": {}}', b'{"sha256": 3}']
)
def test_a_damaged_table_is_one_sentence(assets: Path, table: bytes) -> None:
    (assets / CONTENTS).write_bytes(table)
    with pytest.raises(CheckpointError, match=r"contents\.json: the table of the network in the box is damaged; inst"):
        choose(None)


def test_a_table_names_no_file_elsewhere(assets: Path, made: dict[str, bytes]) -> None:
    files = {name: made[name] for name in (NETWORK, LANGUAGE)} | {"../here/a.bin": b""}
    (assets / CONTENTS).write_bytes(in_the_box.contents_of(files))
    with pytest.raises(CheckpointError, match="the table of the network in the box is damaged"):
        in_the_box.opened()
