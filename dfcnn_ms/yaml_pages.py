"""YAML without its riddles: no aliases, no key twice, no tags, no dates, and nothing nested deeper than a page is.

An alias may stand for a thousand others, each of which does too, so that a page of 500 bytes fills the memory. A date
is text like any other here: `name: 2024-09-09` is a name.
"""

from __future__ import annotations

from typing import Any

import yaml

from dfcnn_ms.text.quoting import is_text, quoted

#: sections inside sections; the pages that are shipped have five
DEEPEST = 20
#: characters of a complaint
MOST_SAID = 200

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class YamlError(ValueError):
    """What is wrong with a text in YAML, in a few words.

    Attributes:
        line: where, as `:12`; empty if that is not known.
    """

    def __init__(self, problem: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(problem)
        self.line = f":{mark.line + 1}" if mark else ""


def read_yaml(text: str) -> Any:
    """The value of a text in YAML.

    Raises:
        YamlError: it is not valid, or has in it what no page needs.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(str(error.problem or error.context)[:MOST_SAID], error.problem_mark) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).split("\n")[0]) from None
    except ValueError:  # whole numbers that Python refuses to read
        raise YamlError("a number of thousands of digits") from None


def write_yaml(page: dict[str, Any]) -> str:
    """The text of a page, in the order of its keys; `read_yaml` gives back this very page."""
    text: str = yaml.dump(page, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _problem(f"an alias, {quoted(f'*{event.anchor}')}; write out what it stands for", event)
        if tag := getattr(event, "tag", None):
            raise _problem(f"a tag, {quoted(tag)}; leave it out", event)
        if isinstance(event, yaml.ScalarEvent) and not is_text(event.value):
            raise _problem(f"{quoted(event.value)} is not UTF-8 text", event)
        if self.depth == DEEPEST:
            raise _problem(f"sections nested more than {DEEPEST} deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _problem(f"the key {quoted(key.value)} is there twice; keep one", key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _problem(said: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=said, problem_mark=place.start_mark)
