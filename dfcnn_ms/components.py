"""Sections of a page that become values: ``{kind: name, option: value}`` and the frozen dataclass that it names.

What pydantic complains about becomes one sentence in the words of the page, however deep the section lies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_type_hints

import pydantic
from pydantic import BeforeValidator, PlainSerializer

from dfcnn_ms.errors import ConfigError, suggestion
from dfcnn_ms.text.quoting import quoted, shortened

#: the first word of pydantic's error types -> what was wanted
_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "string_pattern_mismatch": "a plain name of letters, digits, '.', '_' and '-'",
    "dict": "a section",
    "model": "a section",
    "tuple": "a list",
    "bool": "true or false",
    "path": "a path",
    "string_too_long": "a shorter one",
    "invalid_key": "keys that are text",
}


class Nested(ValueError):  # noqa: N818 (it carries one)
    """What pydantic says of a component, inside what it says of the page."""

    def __init__(self, error: pydantic.ValidationError, kind: type) -> None:
        super().__init__(str(error))
        self.error = error
        self.kind = kind


def component(registry: Mapping[str, type], default: str | None = None) -> Any:
    """The pydantic type of a section ``{kind: ..., options}`` that becomes one of ``registry``'s values.

    Args:
        registry: kind -> frozen dataclass; looked at whenever a page is read, so that plugins may add to it.
        default: the kind of a section that names none.
    """

    def from_section(section: Any) -> Any:
        # pydantic adds the place in the page to a ValueError, and to nothing else.
        if type(section) in registry.values():
            return section
        if not isinstance(section, Mapping) or ("kind" not in section and default is None):
            raise ValueError(f"got {quoted(section)}, wanted a section with a kind, one of: {', '.join(registry)}")
        options = {key: value for key, value in section.items() if key != "kind"}
        kind = section.get("kind", default)
        if not isinstance(kind, str) or kind not in registry:
            raise ValueError(
                f"unknown kind {quoted(kind)}; {suggestion(str(kind), registry)}, or --plugin FILE adds kinds"
            )
        fields = {field.name for field in dataclasses.fields(registry[kind]) if field.init}
        for key in options:
            if key not in fields:
                raise ValueError(f"unknown key {quoted(key)} for kind {kind!r}; {suggestion(str(key), fields)}")
        try:
            return pydantic.TypeAdapter(registry[kind]).validate_python(options)
        except pydantic.ValidationError as error:
            raise Nested(error, registry[kind]) from None
        except ConfigError as error:
            raise ValueError(str(error)) from None

    def to_section(value: Any) -> dict[str, Any]:
        kind = next(kind for kind, cls in registry.items() if cls is type(value))
        return {"kind": kind, **section_of(value)}

    return Annotated[Any, BeforeValidator(from_section), PlainSerializer(to_section)]


def section_of(value: Any) -> dict[str, Any]:
    """The options of a value; those that are components themselves say their kind."""
    options = pydantic.TypeAdapter(type(value)).dump_python(value, warnings=False)
    return {one.name: options[one.name] for one in dataclasses.fields(value) if one.init}


def sentence(error: pydantic.ValidationError, page: type, above: tuple[int | str, ...] = ()) -> str:
    """The first complaint of pydantic in the words of this page.

    Args:
        error: what pydantic says.
        page: the section or component that it is about.
        above: where that stands in the whole page.
    """
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    location = (*above, *first["loc"])
    if isinstance(inner, Nested):
        return sentence(inner.error, inner.kind, location)
    place = shortened(".".join(str(part) for part in location))
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key {place!r}; {suggestion(str(location[-1]), _keys_at(page, first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"missing key {place!r}"
    if first["type"] in ("value_error", "assertion_error"):
        said = first["msg"].removeprefix("Value error, ")
        return f"{place}: {said}" if place else said
    kind, otherwise = first["type"], first["msg"].removeprefix("Input should be ")
    wanted = _WANTED.get(kind) or _WANTED.get(kind.split("_")[0], otherwise)
    return f"{place}: got {quoted(first['input'])}, wanted {wanted}"


def _keys_at(section: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that a section knows, or one inside it; an element of a list has the type that the list is made of."""
    for part in location:
        if isinstance(part, int):
            section = get_args(section)[0]
        elif dataclasses.is_dataclass(section):
            section = get_type_hints(section)[part]
        else:
            section = section.model_fields[part].annotation
    if dataclasses.is_dataclass(section):
        return [field.name for field in dataclasses.fields(section)]
    return list(section.model_fields)
