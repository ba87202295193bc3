"""A package that is not there is named together with the extra that brings it; any other is a bug."""

from __future__ import annotations

import pytest

from dfcnn_ms import cli, extras


@pytest.mark.parametrize(
    ("module", "extra"), [("mindspore", "train"), ("mindspore.nn", "train"), ("fastapi", "serve"), ("ray.data", "ray")]
)
def test_what_to_install_is_one_sentence(module: str, extra: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: list[str] | None) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    assert cli._outcome(command) == cli.USER_ERROR
    package = module.split(".")[0]
    assert capsys.readouterr().err == (
        f"error: this needs {package}, which is not installed here; pip install 'dfcnn-ms[{extra}]'\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'dfcnn_ms.x'", name="dfcnn_ms.x"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        ImportError("cannot import name 'x' from 'mindspore'", name="mindspore"),
    ],
)
def test_anything_else_keeps_its_traceback(error: ImportError) -> None:
    def command(argv: list[str] | None) -> None:
        raise error

    assert extras.missing(error) == ""
    with pytest.raises(ImportError) as caught:
        cli._outcome(command)
    assert caught.value is error
