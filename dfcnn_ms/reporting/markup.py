"""The page that a report is written on: elements that escape what they hold, and one style for all of them.

Nothing on the page is loaded from anywhere: its style and script are part of it, pictures and sounds are data
inside it, and its own policy tells the browser to fetch nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

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
        Html(f"<style>{STYLE}</style>"),
    )
    script = Html(f"<script>{SCRIPT}</script>")
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body), script), lang='en')}\n"


STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf8f4; --card: #ffffff; --ink: #22201c; --soft: #6d685e; --line: #e4dfd4; --bar: #5d8296;
  --sub: #b5361f; --del: #8a6100; --ins: #6a4796; --hit: #dfe6e4;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", "Noto Serif", Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",
    "Noto Sans CJK SC", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --card: #1e2024; --ink: #e8e4db; --soft: #a09a8d; --line: #36383e; --bar: #7ea6bb;
    --sub: #ff8d76; --del: #e5b454; --ins: #c3a5ec; --hit: #2f393b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 var(--sans); font-variant-numeric: tabular-nums lining-nums;
}
main {
  max-width: 64rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 4rem) clamp(1rem, 4vw, 2.5rem) 4rem;
}
h1, h2, .rate, .facts dd { font-family: var(--serif); font-weight: 500; line-height: 1.15; }
h1 { font-size: clamp(1.9rem, 5vw, 2.7rem); margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.55rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: 0; }
section { margin-top: clamp(2.75rem, 6vw, 4.25rem); }
.kicker, th, .name, dt { color: var(--soft); font-size: .8rem; letter-spacing: .03em; }
.kicker { margin-bottom: .3rem; }
.note, .about { color: var(--soft); max-width: 46rem; }
.about { margin-top: .7rem; overflow-wrap: anywhere; }
.note { margin-bottom: 1.2rem; }
.meta { color: var(--soft); font-size: .88rem; }
.columns {
  display: grid; gap: 2.2rem 3.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
}
h2 + .columns, h2 + .list { margin-top: 1.1rem; }
.columns > * { min-width: 0; }
.columns h3 { margin: 0 0 .6rem; }
.columns * + h3, .pictures { margin-top: 2.2rem; }

.headline {
  display: grid; grid-template-columns: minmax(0, auto) minmax(0, 1fr); align-items: center;
  gap: 2rem clamp(1.5rem, 7vw, 5rem); margin-top: 2rem; padding: clamp(1.3rem, 4vw, 2.4rem);
  background: var(--card); border: 1px solid var(--line); border-radius: .8rem;
}
.rate { font-size: clamp(3.6rem, 11vw, 6rem); letter-spacing: -.02em; line-height: 1; white-space: nowrap; }
.rate small { font-size: .42em; letter-spacing: 0; color: var(--soft); }
.interval { position: relative; height: .5rem; margin: .9rem 0 .6rem; border-bottom: 1px solid var(--line); }
.interval i { position: absolute; bottom: -2px; height: 3px; border-radius: 2px; background: var(--bar); }
.interval b {
  position: absolute; bottom: -6px; width: 11px; height: 11px; margin-left: -5px; border-radius: 50%;
  background: var(--ink); border: 2px solid var(--card);
}
.facts { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: .7rem 0 1.3rem; }
.facts div { display: flex; flex-direction: column; }
.facts dt { order: 2; }
.facts dd { margin: 0; font-size: 1.5rem; }
.division { display: flex; gap: 2px; height: .5rem; border-radius: .25rem; overflow: hidden; }
.division + .facts:last-child { margin-bottom: 0; }
.S { --mark: var(--sub); } .D { --mark: var(--del); } .I { --mark: var(--ins); }
.right { --mark: var(--bar); } .rest { --mark: var(--hit); }
.division div { background: var(--mark); min-width: 2px; }
.key { display: inline-block; width: .6rem; height: .6rem; border-radius: 2px; background: var(--mark); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { font-weight: 500; vertical-align: bottom; white-space: nowrap; }
th, td { padding: .32rem .9rem .32rem 0; text-align: left; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
th.n, td.n { text-align: right; white-space: nowrap; }
td.b { width: 30%; min-width: 4.5rem; }
.bar { position: relative; }
.bar i {
  position: absolute; top: .1rem; height: .4rem; border: solid var(--ink); border-width: 0 1px;
  background: linear-gradient(var(--ink), var(--ink)) center / 100% 1px no-repeat;
}
.bar .cut { border-right: 0; }
.bar div { height: .6rem; background: var(--bar); border-radius: 0 .2rem .2rem 0; }
.unit { white-space: nowrap; }
.tone { font-size: .8em; margin-left: .06em; opacity: .8; }
.gap { color: var(--soft); }

.matrix { display: block; width: 100%; height: auto; font: 11px var(--sans); }
.matrix text { fill: var(--soft); }
.matrix .count { fill: var(--ink); } .matrix .strong { fill: var(--card); }
.matrix .hit { fill: var(--hit); } .matrix .wrong { fill: var(--sub); }

article {
  margin-top: 1.2rem; padding: 1rem clamp(.9rem, 3vw, 1.4rem) 1.1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .8rem;
}
article h4 { margin: .7rem 0 -.4rem; font-size: .88rem; }
article header { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; align-items: baseline; }
.pairs {
  display: flex; flex-wrap: wrap; gap: .4rem .2rem; margin: .7rem 0 .5rem; padding: 0; list-style: none;
  line-height: 1.5rem;
}
.pairs li {
  display: flex; flex-direction: column; padding: .15rem .4rem; min-height: 4.5rem; text-align: center;
  border: 2px solid transparent; border-radius: .4rem;
}
.pairs .name { text-align: left; padding-left: 0; border-left: 0; }
.pairs .S { border: 2px solid var(--sub); } .pairs .D { border: 2px dashed var(--del); }
.pairs .I { border: 2px dotted var(--ins); }
.mark { color: var(--mark); font-size: .72rem; font-weight: 700; line-height: 1rem; }
.wrong { font-weight: 650; }
.sound { position: relative; }
.sound img { display: block; width: 100%; height: 8rem; border-radius: .3rem; image-rendering: pixelated; }
.cursor { position: absolute; top: 0; left: 0; width: 2px; height: 8rem; background: #fff; opacity: 0; }
.at { position: relative; height: 2.3rem; margin: 0; padding: 0; list-style: none; font-size: .8rem; }
.at li {
  position: absolute; top: 0; padding: .25rem 0 0 .3rem; border-left: 1px solid var(--soft); line-height: 1;
}
.at .low { padding-top: 1.3rem; }
.at .S, .at .I {
  color: var(--mark); font-weight: 700; text-decoration: underline; text-underline-offset: .2em;
}
audio { display: block; width: 100%; max-width: 30rem; height: 2.4rem; margin-top: .5rem; }

.list { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .4rem 1.8rem; margin: 0; }
.list dt { padding-top: .14rem; } .list dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: 1.4rem; } summary { cursor: pointer; color: var(--soft); }
pre {
  overflow-x: auto; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
@media (max-width: 44rem) {
  .headline { grid-template-columns: minmax(0, 1fr); }
  .list { grid-template-columns: minmax(0, 1fr); gap: 0; } .list dd { margin-bottom: .7rem; }
  th, td { padding-right: .6rem; }
}
@media print { audio, details { display: none; } article { break-inside: avoid; } }
"""

# A line runs over the picture while its sentence plays; a click on the picture plays from there.
SCRIPT = """
for (const sentence of document.querySelectorAll("article")) {
  const audio = sentence.querySelector("audio"), sound = sentence.querySelector(".sound");
  if (!audio || !sound) continue;
  const cursor = sound.querySelector(".cursor"), picture = sound.querySelector("img");
  const follow = () => {
    cursor.style.opacity = 0.9;
    cursor.style.left = 100 * audio.currentTime / audio.duration + "%";
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", follow);
  audio.addEventListener("seeked", follow);
  picture.style.cursor = "pointer";
  picture.addEventListener("click", event => {
    if (audio.duration) audio.currentTime = audio.duration * event.offsetX / picture.clientWidth;
    audio.play();
  });
}
"""
