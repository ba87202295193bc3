"""The page that a report is written on: elements that escape what they hold, and one style for all of them.

Nothing on the page is loaded from anywhere: its style and script (`page.css` and `page.js`) are part of it, pictures
and sounds are data inside it, and its own policy tells the browser to fetch nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from html import escape
from importlib import resources

VOID = ("br", "img", "link", "meta")
INLINE = "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
POLICY = f"default-src 'none'; img-src data:; media-src data:; {INLINE}"
#: keeps a number and its unit on one line
SPACE = "\N{NO-BREAK SPACE}"


class Html(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element.

    >>> tag("p", "1 < 2 ", tag("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2 <b>yes</b></p>'

    Args:
        name: of the element.
        children: text, which is escaped, or :class:`Html`, which is not.
        attributes: their values are escaped; ``class_`` is written ``class`` and ``data_x`` is ``data-x``.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    opening = name + "".join(f' {key}="{escape(value)}"' for key, value in named.items())
    if name in VOID:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{join(children)}</{name}>")


def join(parts: Sequence[str]) -> Html:
    """Text and elements one after another."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(kinds: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table whose columns hold, letter by letter in ``kinds``, words (w), numbers (n) or bars (b)."""
    head = join([tag("th", name, class_=kind, scope="col") for name, kind in zip(heads, kinds, strict=True)])
    body = [tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows]
    return tag("div", tag("table", tag("thead", tag("tr", head)), tag("tbody", *body)), class_="scroll")


def facts(figures: Mapping[str, str], keys: Iterable[str] = ()) -> Html:
    """Large figures over small words; ``keys`` are classes whose colour stands before the words."""
    swatches = [[tag("i", class_=f"key {key}"), Html(" ")] for key in keys] or [[] for _ in figures]
    entries = (
        tag("div", tag("dt", *swatch, word), tag("dd", figure))
        for swatch, (word, figure) in zip(swatches, figures.items(), strict=True)
    )
    return tag("dl", *entries, class_="facts")


def bar(share: float, ends: tuple[float, float] | None = None, told: str = "") -> Html:
    """A bar that fills ``share`` (0 to 1) of its cell; the figure itself stands beside it.

    Args:
        share: how long the bar is.
        ends: from where to where a line over it goes, such as an interval; what lies beyond the cell is cut off.
        told: the line in words, for who points at it or cannot see it.
    """
    filled = tag("div", style=f"width:{_percent(share)}")
    if ends is None:
        return tag("div", filled, class_="bar", aria_hidden="true")
    low, high = (min(max(end, 0.0), 1.0) for end in ends)
    place = f"left:{_percent(low)};width:{_percent(high - low)}"
    line = tag("i", style=place, class_="cut" if ends[1] > 1 else "whole")
    return tag("div", filled, line, class_="bar", role="img", title=told, aria_label=told)


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"


def section(title: str, *children: str, note: str = "") -> Html:
    """A chapter with its heading and a sentence that says how to read it."""
    below = [tag("p", note, class_="note")] if note else []
    return tag("section", tag("h2", title), *below, *children)


def page(title: str, *body: str) -> str:
    """The whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        Html(f"<style>\n{_text_of('page.css')}</style>"),
    )
    script = Html(f"<script>\n{_text_of('page.js')}</script>")
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body), script), lang='en')}\n"


@lru_cache
def _text_of(name: str) -> str:
    """A file of the package: the style, or the script that moves a line over the picture while its sentence plays."""
    return resources.files("dfcnn_ms.reporting").joinpath(name).read_text(encoding="utf-8")
