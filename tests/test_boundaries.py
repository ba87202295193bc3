"""Who may import whom, what nobody reads, and who may print: read from the source and from fresh processes."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dfcnn_ms
from dfcnn_ms import cli, config
from dfcnn_ms.corpora import recipes
from dfcnn_ms.models import Dfcnn

PACKAGE = Path(dfcnn_ms.__file__).parent
SOURCES = {file: file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {file: ast.parse(source) for file, source in SOURCES.items()}


def module_name(file: Path) -> str:
    """`dfcnn_ms.audio.wave` of its file."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): tree for file, tree in TREES.items()}
COMMANDS = [module_name(file) for file, source in SOURCES.items() if "\n    cli.run(main)" in source]

#: rooms and modules that work without MindSpore; of the commands at least the top level does
LIGHT = ("audio", "text", "corpora", "decoding", "evaluation", "reporting", "diagnosis", "metrics", "config")
LIGHT += ("errors", "environment", "cli", "files", "wording", "machine", "schedules", "plugins")
LIGHT += ("recognizer", "aligner", "cuda", "helpers", "native")
LIGHT += ("models", "models.network", "models.dfcnn", "models.table", "models.image", "models.crnn")
LIGHT += ("runtime", "runtime.loaded", "runtime.loaders", "runtime.meta")
LIGHT += ("training", "training.history", "training.coach")
LIGHT += ("tasks", "tasks.task", "tasks.ctc", "tasks.classify", "tasks.multi_label")
LIGHT += ("bulk", "spotting", "streaming")
LIGHT += ("models.front", "models.dfcnn_lstm", "models.attending", "models.transformer", "models.conformer")
LIGHT += ("models.writer", "tasks.sentences", "tasks.ace", "tasks.attention")
LIGHT += ("serving", "adapting")
LIGHT += ("extras", "models.graphs", "runtime.bundle", "runtime.half", "runtime.onnx", "runtime.protobuf", "exporting")
LIGHT += ("runtime.in_the_box", "exporting.boxed")
LIGHT += tuple(f"exporting.{name}" for name in ("check", "formats", "graph", "int8", "layers", "network", "sound"))
LIBRARY_ROOMS = ("audio", "text", "corpora", "decoding", "evaluation", "tasks", "diagnosis", "models", "runtime")
LIBRARY_ROOMS += (
    "training",
    "reporting",
    "exporting",
    "bulk",
    "spotting",
    "serving",
    "streaming",
    "adapting",
    "native",
)
#: rooms of which only the parts named above are light
PARTLY_LIGHT = ("models", "runtime", "tasks", "training", "exporting")


def inside(name: str, room: str) -> bool:
    return name == f"dfcnn_ms.{room}" or (name.startswith(f"dfcnn_ms.{room}.") and room not in PARTLY_LIGHT)


def python(program: str) -> str:
    """Runs a program in a fresh process, in the folder that holds the package, and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_are_found() -> None:
    assert {f"dfcnn_ms.{name}" for name in ("train", "eval", "transcribe", "plot", "prepare")} <= set(COMMANDS)


def test_rooms_and_commands_do_not_load_mindspore() -> None:
    """Imports them one after the other; the first after which MindSpore is there is named."""
    names = [name for name in MODULES if any(inside(name, room) for room in LIGHT)] + COMMANDS
    assert "dfcnn_ms.audio.wave" in names and "dfcnn_ms.corpora.synth" in names
    program = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    if "mindspore" in sys.modules:
        print(name)
        break
"""
    assert python(program) == ""


def test_the_package_alone_loads_nothing_heavy() -> None:
    program = "import dfcnn_ms, sys; print(*{'mindspore', 'numpy', 'librosa', 'pydantic'} & set(sys.modules))"
    assert python(program).strip() == ""


def test_the_package_alone_is_quick() -> None:
    """Milliseconds: the time of a second interpreter that imports it, without that of the interpreter."""
    program = "import time; t = time.perf_counter(); import dfcnn_ms; print(time.perf_counter() - t)"
    assert min(float(python(program)) for _ in range(3)) < 0.1


@pytest.mark.parametrize(
    "room", ["audio", "text", "corpora", "decoding", "evaluation", "reporting", "metrics", "config", "errors", "files"]
)
def test_no_line_of_a_light_room_names_mindspore(room: str) -> None:
    """Not even an import inside a function."""
    for name, tree in MODULES.items():
        if inside(name, room):
            assert not [found for found in imported(tree, name) if found.split(".")[0] == "mindspore"], name


def imported(tree: ast.AST, name: str) -> Iterator[str]:
    """Every module that a module imports, anywhere in it; `from a import b` counts as `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", MODULES)
def test_nothing_imports_a_command(name: str) -> None:
    assert not set(imported(MODULES[name], name)) & set(COMMANDS)


@pytest.mark.parametrize("room", LIBRARY_ROOMS)
def test_library_rooms_do_not_print(room: str) -> None:
    for name, tree in MODULES.items():
        if name.startswith(f"dfcnn_ms.{room}"):
            prints = [
                node.lineno
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            ]
            assert not prints, f"{name}: lines {prints}"


# Fields that nobody reads. A field may share its name with an attribute of something else, so what counts is an
# access through a value that is known to be that section: an argument with its type, or a chain such as
# `config.train.rate`.

SECTIONS = {
    cls.__name__: cls
    for cls in vars(config).values()
    if isinstance(cls, type) and issubclass(cls, config.Section) and cls is not config.Section
}


def section_of(node: ast.AST | None) -> str | None:
    """`TrainConfig` for an annotation that names it."""
    return ast.unparse(node) if node is not None and ast.unparse(node) in SECTIONS else None


class Reads(ast.NodeVisitor):
    """Collects (section, field) for every field that a module reads of a value known to be a section."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()
        self.known: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = dict(self.known)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            self.known.pop(argument.arg, None)
            if section := section_of(argument.annotation):
                self.known[argument.arg] = section
        self.generic_visit(node)
        self.known = outer

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        for target, value in zip(targets, values, strict=False):
            if isinstance(target, ast.Name) and (section := self.type_of(value)):
                self.known[target.id] = section

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if section := self.type_of(node.value):
            self.found.add((section, node.attr))
        self.generic_visit(node)

    def type_of(self, node: ast.AST) -> str | None:
        """The section that an expression is, if that can be told."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Call):  # load_config(...), parse_config(...): the function's result
            function = getattr(config, getattr(node.func, "id", ""), None)
            returned = getattr(function, "__annotations__", {}).get("return")
            return returned if returned in SECTIONS else None
        if isinstance(node, ast.Attribute):
            owner = self.type_of(node.value)
            if owner is None:
                return "Config" if node.attr == "config" else None  # `meta.config`, `self.config`
            field = SECTIONS[owner].model_fields.get(node.attr)
            return (
                getattr(field.annotation, "__name__", None) if field and field.annotation in SECTIONS.values() else None
            )
        return None


def fields_read() -> set[tuple[str, str]]:
    reads = Reads()
    for tree in TREES.values():
        reads.visit(tree)
    return reads.found


def constructor_arguments(module: str, cls: str) -> set[str]:
    """Arguments of a class that its constructor mentions again after naming them."""
    (definition,) = (n for n in MODULES[module].body if isinstance(n, ast.ClassDef) and n.name == cls)
    (function,) = (n for n in definition.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    used = {node.id for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)}
    return {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]} & used


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_the_page_is_read_somewhere(section: str) -> None:
    read = {field for owner, field in fields_read() if owner == section}
    assert sorted(set(SECTIONS[section].model_fields) - read) == []


def test_every_field_of_the_network_reaches_its_cell() -> None:
    """The value hands all of them to the constructor, which uses each."""
    fields = {field.name for field in dataclasses.fields(Dfcnn)}
    assert fields <= constructor_arguments("dfcnn_ms.models.cells.dfcnn", "DfcnnCell")


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("dfcnn_ms.models")])
def test_only_the_networks_know_their_blocks(name: str) -> None:
    blocks = [node.lineno for node in ast.walk(MODULES[name]) if getattr(node, "attr", "") == "blocks"]
    assert not blocks, f"{name}: lines {blocks}"


# Flags that are parsed and never used.


class Parser(Exception):  # noqa: N818 (not an error)
    """Carries the parser of a command out of its main."""


def options_of(command: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of everything that a command can be given, from its own parser.

    The command is given a flag that it cannot know, so it complains before it does anything.
    """

    def stop(parser: argparse.ArgumentParser, message: str) -> None:
        raise Parser(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "error", stop)
    monkeypatch.setattr(cli._Parser, "error", stop)
    with pytest.raises(Parser) as caught:
        importlib.import_module(command).main(["--no-such-flag"])
    return flags(caught.value.args[0])


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """Names of everything that a parser and its subcommands can be given."""
    names = set()
    for action in parser._actions:
        names.add(action.dest)
        if isinstance(action, argparse._SubParsersAction):
            names |= set().union(*(flags(page) for page in action.choices.values()))
    return names - {"help", "plugin", argparse.SUPPRESS}  # `cli.with_plugins` has taken plugins away before


def options_read(command: str) -> set[str]:
    """Every `options.<name>` in a command's source, and in the functions elsewhere that it hands `options` to."""
    return {
        node.attr
        for tree in [MODULES[command], *handed_options(command)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "options"
    }


def handed_options(command: str) -> Iterator[ast.FunctionDef]:
    """The functions `f` of `from dfcnn_ms.x import f` that a command calls as `f(options)`."""
    origin = {
        alias.name: node.module
        for node in ast.walk(MODULES[command])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name in handed_on(MODULES[command]) & origin.keys():
        functions = {node.name: node for node in MODULES[origin[name]].body if isinstance(node, ast.FunctionDef)}
        yield functions[name]
        yield from (functions[inner] for inner in handed_on(functions[name]) & functions.keys())


def handed_on(tree: ast.AST) -> set[str]:
    """Names of the functions that are called with `options`."""
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and "options" in map(ast.unparse, node.args)
    }


def test_shared_functions_are_followed() -> None:
    assert {function.name for function in handed_options("dfcnn_ms.eval")} == {"fill_in", "choice_of", "search_of"}
    assert {"manifest", "lm_weight"} <= options_read("dfcnn_ms.eval")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "dfcnn_ms.prepare"])
def test_every_flag_is_read_and_every_read_is_a_flag(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options_read(command) == options_of(command, monkeypatch)


def test_every_flag_of_prepare_is_an_option_of_its_corpus() -> None:
    """Each page hands its flags on as a recipe, and a recipe with an unknown option is refused."""
    prepare = importlib.import_module("dfcnn_ms.prepare")
    (pages,) = [action for action in prepare.parser()._actions if action.dest == "corpus"]
    assert isinstance(pages, argparse._SubParsersAction)
    assert pages.choices.keys() == recipes.RECIPES.keys()
    for corpus, page in pages.choices.items():
        assert {action.dest for action in page._actions} - {"help", "plugin", "out", "pack", "config"} == set(
            recipes.RECIPES[corpus].options
        )


def test_every_option_of_a_corpus_is_an_argument_of_its_function() -> None:
    for recipe in recipes.RECIPES.values():
        assert set(recipe.options) <= set(inspect.signature(recipe.prepare).parameters)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_of_this_command(command: str) -> None:
    example = importlib.import_module(command).EXAMPLE
    assert example.startswith(f"python -m {command}")
