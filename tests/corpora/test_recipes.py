"""The list of recipes: what the help says is what the functions do, and a configuration page can name any of them."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
from miniatures import ids, put, sound, thchs30_archive

from dfcnn_ms.corpora.recipes import RECIPES, prepare
from dfcnn_ms.errors import ConfigError, DataError

OPTIONS = [(name, key) for name, recipe in RECIPES.items() for key in recipe.options]


@pytest.mark.parametrize(("name", "key"), OPTIONS)
def test_the_help_names_the_default(name: str, key: str) -> None:
    """`(default: X)` in the help is the default of the function."""
    parameter = inspect.signature(RECIPES[name].prepare).parameters[key]
    option = RECIPES[name].options[key]
    said = re.search(r"\(default: ([\w.]+)\)", option.help)
    if said:
        assert said[1] == str(parameter.default)
    assert option.required == (parameter.default is inspect.Parameter.empty)


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_of_the_function_can_be_given(name: str) -> None:
    parameters = set(inspect.signature(RECIPES[name].prepare).parameters) - {"out", "progress"}
    missing = parameters - set(RECIPES[name].options)
    assert missing <= ({"audio"} if name == "folder" else set())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is_and_wants(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.about and recipe.example
    assert bool(recipe.layout) == ("root" in recipe.options)
    assert all(len(line) <= 118 for line in recipe.layout.splitlines())


PUBLIC = ("thchs30", "aishell", "stcmds", "primewords", "speech_commands", "fsdd")
PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PUBLIC)
def test_the_page_shows_the_layout_and_the_official_counts(name: str) -> None:
    module = sys.modules[f"dfcnn_ms.corpora.{name}"]
    assert module.LAYOUT in PAGE
    tables = [module.OFFICIAL] if name != "speech_commands" else module.OFFICIAL.values()
    for count in (count for table in tables for count in table.values()):
        assert f"{count.utterances:,d}" in PAGE
        assert count.speakers is None or f"{count.speakers:,d}" in PAGE


def test_a_page_can_name_a_corpus_on_disk(tmp_path: Path) -> None:
    put(tmp_path / "thchs30" / "data_thchs30.tgz", thchs30_archive())
    made = prepare({"corpus": "thchs30", "root": str(tmp_path / "thchs30")}, tmp_path / "out")
    assert ids(made) == {"train": ["A11_0", "B2_3"], "dev": ["A11_1"], "test": ["D4_750"]}


def test_a_page_can_name_your_own_data(tmp_path: Path) -> None:
    sound(tmp_path / "mine" / "a.wav")
    put(tmp_path / "mine" / "a.txt", "ni3 hao3")
    recipe = {"corpus": "folder", "root": str(tmp_path / "mine"), "dev": 0, "test": 0, "labels": "as_written"}
    assert ids(prepare(recipe, tmp_path / "out")) == {"train": ["a"]}


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ({"corpus": "thchs"}, "unknown corpus 'thchs'; choose one of: synth, thchs30"),
        ({"corpus": "thchs30"}, "thchs30 needs 'root': folder that holds the corpus"),
        ({"corpus": "thchs30", "rot": "x"}, "unknown option 'rot'; did you mean 'root'"),
        ({"corpus": "thchs30", "root": 3}, "root must be a path; got 3"),
        ({"corpus": "aishell", "root": "x", "download": "yes"}, "download must be true or false; got 'yes'"),
        ({"corpus": "stcmds", "root": "x", "dev": "few"}, "dev must be a number; got 'few'"),
        ({"corpus": "tsv", "root": "x", "labels": "words"}, "labels cannot be 'words'"),
        ({"corpus": "synth", "root": "x"}, "unknown option 'root'"),
    ],
)
def test_a_page_that_is_wrong_is_refused(tmp_path: Path, recipe: dict, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        prepare(recipe, tmp_path)


def test_a_corpus_that_is_not_there_is_a_fault_of_the_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data_thchs30 in it"):
        prepare({"corpus": "thchs30", "root": str(tmp_path)}, tmp_path)
