"""A page about a corpus: whether training can start with it, what was found, and what it is made of.

The page is one file, as that of an evaluation is: its picture, style and script are inside it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence

from dfcnn_ms.corpora.doctor import verdict
from dfcnn_ms.corpora.findings import SEVERITIES, Finding, Material, Split
from dfcnn_ms.reporting.data_plots import draw_data
from dfcnn_ms.reporting.markup import SPACE, Html, bar, facts, page, section, table, tag
from dfcnn_ms.wording import many

#: the colour of each severity, one of the classes of the page
_COLOURS = dict(zip(SEVERITIES, ("S", "D", "right"), strict=True))
#: rows of the tables of units and of speakers
ROWS = 12


def data_page(material: Material, findings: Sequence[Finding], *, listened: bool) -> str:
    """The page as text.

    Args:
        material: what was examined.
        findings: what was found, the worst first.
        listened: whether the audio was examined too.
    """
    title = verdict(findings)
    chapters = [_findings(findings), _splits(material), _pictures(material), _units(material), _speakers(material)]
    return page(f"Data: {title}", _opening(material, title, listened=listened), *filter(None, chapters))


def _opening(material: Material, title: str, *, listened: bool) -> Html:
    files = ", ".join(dict.fromkeys(str(split.manifest) for split in material.splits))
    how = "read and listened to" if listened else "read; nobody listened to the audio"
    with_page = f", for the network of {material.config.name}" if material.config else ""
    return tag(
        "header",
        tag("p", "The data doctor", class_="kicker"),
        tag("h1", title[0].upper() + title[1:]),
        tag("p", f"{files}: {how}{with_page}", class_="about"),
    )


def _findings(findings: Sequence[Finding]) -> Html | None:
    if not findings:
        return None
    note = "An error keeps training from starting; a warning spoils its result, or what the result seems to say."
    return section("What was found", *map(_finding, findings), note=note)


def _finding(finding: Finding) -> Html:
    title = tag("h3", tag("span", finding.severity, class_="mark"), Html(" "), finding.sentence)
    pieces = [tag("header", title), tag("p", finding.cure, class_="meta")]
    if finding.examples:
        left = finding.count - len(finding.examples)
        more = [f"and {left:,} more"] if left > 0 else []
        lines = [piece for line in (*finding.examples, *more) for piece in (tag("br"), line)]
        pieces.append(tag("p", *lines[1:], class_="about meta"))
    return tag("article", *pieces, class_=_COLOURS[finding.severity])


def _splits(material: Material) -> Html:
    heads = ["", "utterances", "hours", "speakers", "distinct sentences", f"{material.unit}s said", "different ones"]
    rows = [
        (
            split.name,
            f"{len(split.utterances):,}",
            f"{split.seconds / 3600:.2f}",
            f"{len(split.speakers):,}",
            f"{len(split.sentences):,}",
            f"{sum(split.units.values()):,}",
            f"{len(split.units):,}",
        )
        for split in material.splits
    ]
    return section("What there is", table("wnnnnnn", heads, rows))


def _pictures(material: Material) -> Html:
    memory = io.BytesIO()
    draw_data(material).savefig(memory, format="png", dpi=110)
    source = "data:image/png;base64," + base64.b64encode(memory.getvalue()).decode()
    alt = "histograms of duration, of labels, of speed, and the frequency of the units"
    note = (
        "In shares of each split, so that they can be compared. The last bar of a histogram also counts what is beyond."
    )
    image = tag("img", src=source, alt=alt, style="display:block;width:100%;height:auto;border-radius:.6rem")
    return section("How long, how fast, how often", image, note=note)


def _units(material: Material) -> Html | None:
    """The commonest and the rarest units of the first split, with their counts in the others."""
    units = list(material.splits[0].units) if material.splits else []
    if not units:
        return None
    columns = [tag("div", tag("h3", "The commonest"), _unit_table(material, units[:ROWS]))]
    if rarest := units[ROWS:][-ROWS:]:
        columns.append(tag("div", tag("h3", "The rarest"), _unit_table(material, rarest)))
    share = material.splits[0].units[units[0]] / sum(material.splits[0].units.values())
    half = _half(list(material.splits[0].units.values()))
    figures = {
        f"different {material.unit}s": f"{len(units):,}",
        "of them make half of all that is said": f"{half:,}",
        f"is the share of {units[0]}": f"{100 * share:.1f}{SPACE}%",
    }
    return section(
        f"{material.unit.title()}s of {material.splits[0].name}", facts(figures), tag("div", *columns, class_="columns")
    )


def _half(counts: Sequence[int]) -> int:
    """How many of the commonest units it takes for half of all."""
    left = sum(counts) / 2
    for taken, count in enumerate(counts, start=1):
        left -= count
        if left <= 0:
            return taken
    return len(counts)


def _unit_table(material: Material, units: Sequence[str]) -> Html:
    splits = material.splits[:3]
    highest = max(splits[0].units[unit] for unit in units)
    rows = [
        (unit, *(f"{split.units.get(unit, 0):,}" for split in splits), bar(splits[0].units[unit] / highest))
        for unit in units
    ]
    return table("w" + "n" * len(splits) + "b", ["", *(split.name for split in splits), ""], rows)


def _speakers(material: Material) -> Html | None:
    columns = [tag("div", *_speaker_table(split)) for split in material.splits if split.speakers]
    return section("Who speaks", tag("div", *columns, class_="columns")) if columns else None


def _speaker_table(split: Split) -> Iterator[Html]:
    """The speakers with the most utterances, and one row for all the others."""
    order = sorted(split.speakers, key=lambda name: (-split.speakers[name], name))
    highest = split.speakers[order[0]]
    rows = [(name, f"{split.speakers[name]:,}", bar(split.speakers[name] / highest)) for name in order[:ROWS]]
    if others := order[ROWS:]:
        rows.append((f"the other {len(others):,}", f"{sum(split.speakers[name] for name in others):,}", Html("")))
    yield tag("h3", f"{split.name}: {many(len(order), 'speaker')}")
    yield table("wnb", ["", "utterances", ""], rows)
