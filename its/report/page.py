"""The report as one HTML file that needs nothing else: no network, no server, no other file."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from its.report.caption import commands
from its.report.escape import brief
from its.report.figures import panel_svg
from its.report.remarks import notes_of, of_two_sources
from its.report.runs import FailedRun, RunRecord
from its.report.section import Plot, Section
from its.report.strips import caps_of, seed_of, strip_png
from its.report.style import Style, outline, styles_of
from its.report.tables import Table, main_table

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Content-Security-Policy: a browser that obeys it fetches nothing."""

DASHES = {"-": "", "--": "6 3", "-.": "9 3 2 3", ":": "2 3", "none": "0 99"}
"""Dashes and gaps of matplotlib's line styles."""

SHEETS = 4
"""Prompts whose contact sheet is in the page itself."""

OPEN_ROWS = 40
"""A longer table starts folded."""


SECTION = re.compile(r'<section data-inputs="([0-9a-f]+)".*?</section>', re.DOTALL)
"""A section of a page, with the digest of what it was made from."""


def page(name: str, sections: Sequence[Section], failures: Sequence[FailedRun], former: str = "") -> str:
    """Return the whole page for an experiment's sections; those that a former page has are taken from there."""
    room = files("its.report")
    ready = {match[1]: match[0] for match in SECTION.finditer(former)}
    runs = {run.folder: run for section in sections for run in section.runs}
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(name)}</title>",
            f"<style>{(room / 'page.css').read_text(encoding='utf-8')}</style>",
            "</head>",
            "<body>",
            f"<h1>{escape(name)}</h1>",
            f'<p class="note">{_summary(list(runs.values()), failures)}</p>',
            _filters(sections),
            *(ready.get(section.inputs) or _section(section) for section in sections),
            _failed(failures),
            _provenance(list(runs.values())),
            f"<script>{(room / 'page.js').read_text(encoding='utf-8')}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _summary(runs: Sequence[RunRecord], failures: Sequence[FailedRun]) -> str:
    seeds = len({run.seed for run in runs})
    failed = f"; {len(failures)} failed" if failures else ""
    return (
        f"{len(runs)} runs, {seeds} seed{'s' * (seeds > 1)}{failed}. Inference-time search at equal compute: costs "
        "are means per image of what was really spent."
    )


def _filters(sections: Sequence[Section]) -> str:
    def select(key: str, values: Iterable[str]) -> str:
        options = "".join(f"<option>{escape(value)}</option>" for value in dict.fromkeys(values))
        return f'<label>{key} <select id="{key}"><option value="">all</option>{options}</select></label>'

    legends = dict.fromkeys(legend for section in sections for legend in section.legends)
    boxes = "".join(
        f'<label><input type="checkbox" value="{escape(legend)}" checked> {escape(legend)}</label>'
        for legend in legends
    )
    return (
        f"<nav>{select('dataset', (section.group.dataset for section in sections))}"
        f"{select('model', (f'{section.group.model}–{section.group.sampler}' for section in sections))}"
        '<details><summary>methods</summary><div><button id="all" type="button">all</button> '
        f'<button id="no" type="button">none</button><br>{boxes}</div></details></nav>'
    )


def _section(section: Section) -> str:
    group, styles = section.group, styles_of(section.series)
    model = escape(f"{group.model}–{group.sampler}")
    parts = [
        f'<section data-inputs="{section.inputs}" data-dataset="{escape(group.dataset)}" data-model="{model}">',
        f"<h2>{escape(group.title)}</h2>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes_of(section.runs)),
        _legend(section, styles),
        *(_plot(plot, section, styles) for plot in section.plots),
        _categories(section),
        *(_verdicts(name, table, section.legends) for name, table in section.verdicts.items()),
        _sheets(section),
        _samples(section),
        "<h3>All numbers</h3>",
        '<p class="note">± is the standard error over images.</p>',
        _table(main_table(section.series), section.legends),
        "</section>",
    ]
    return "\n".join(parts)


def _plot(plot: Plot, section: Section, styles: Sequence[Style]) -> str:
    legends = section.legends
    # One figure a panel, with its numbers as a table.
    figures = []
    for panel in plot.panels:
        svg = re.sub(
            r'data-series="(\d+)"',
            lambda match: f'data-method="{escape(legends[int(match[1])])}"',
            panel_svg(panel, styles),
        )
        svg = svg.replace(
            "<svg ", f'<svg role="img" aria-label="{escape(panel.y_label)} against {escape(panel.x_label)}" ', 1
        )
        figures.append(
            f"<figure>{svg}<details><summary>as a table</summary>{_table(panel.table(legends), legends)}"
            "</details></figure>"
        )
    return (
        f'<h3>{escape(plot.heading)}</h3><p class="note">{escape(plot.note)}</p>'
        f'<div class="plots">{"".join(figures)}</div>'
    )


def _legend(section: Section, styles: Sequence[Style]) -> str:
    return f'<ul class="legend">{"".join(map(_swatch, styles))}</ul>'


def _swatch(style: Style) -> str:
    """Return one entry of the legend: line and marker as the plots have them."""
    line = style["linestyle"]
    dashes = DASHES[line] if isinstance(line, str) else " ".join(f"{2 * width:g}" for width in line[1])
    legend, colour = escape(style["label"]), style["color"]
    corners = " ".join(f"{18 + 1.3 * x:.1f},{7 + 1.3 * y:.1f}" for x, y in outline(style))
    return (
        f'<li data-method="{legend}"><svg viewBox="0 0 36 14"><path d="M2 7H34" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dashes}"/><polygon points="{corners}" stroke="{colour}" stroke-width="1.5" '
        f'fill="{style["markerfacecolor"]}"/></svg>{legend}</li>'
    )


def _samples(section: Section) -> str:
    """Return the strips as a table of pictures."""
    if not section.strips:
        return ""
    caps, legends = caps_of(section.strips), section.legends
    header = ["method", *map(str, caps)]

    # Put the pictures into the page itself, a row for each method.
    rows = []
    for strip in section.strips:
        cells = [
            f'<img alt="samples" src="data:image/png;base64,{base64.b64encode(strip_png(images)).decode()}">'
            if (images := strip.by_cap.get(cap)) is not None
            else ""
            for cap in caps
        ]
        rows.append(_row([escape(legends[strip.series]), *cells], legends[strip.series]))
    return (
        f'<h3>Samples</h3><p class="note">{escape(section.samples_note)}</p>'
        f'<div class="scroll"><table class="samples"><thead>{_row(map(escape, header), tag="th")}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _categories(section: Section) -> str:
    if section.categories is None:
        return ""
    return (
        '<h3>By category</h3><p class="note">Means over images of a category, at the largest cap of each method.</p>'
        f"{_table(section.categories, section.legends)}"
    )


def _verdicts(name: str, table: Table, legends: Sequence[str]) -> str:
    return (
        f'<h3>Judged outside: {escape(name)}</h3><p class="note">The share of images that are correct, at the largest '
        "cap of each method that was judged; ± is the standard error over images. GenEval's overall score is the mean "
        f"of tags.</p>{_table(table, legends)}"
    )


def _sheets(section: Section) -> str:
    """Return the contact sheets of the first prompts, and say where all of them are."""
    group, names = section.prompt_runs, section.sheet_names
    if group is None:
        return ""
    figures = "".join(
        f"<figure><details><summary>{escape(brief(prompt))}</summary>"
        f'<img class="sheet" alt="{escape(prompt)}" src="data:image/png;base64,{base64.b64encode(sheet).decode()}">'
        "</details></figure>"
        for prompt, sheet in zip(group.wishes.images_of, section.sheets(SHEETS), strict=False)
    )
    folder = names[0].partition("/")[0]
    return (
        '<h3>Prompts</h3><p class="note">The best image of a prompt at each cap under each method: seed '
        f"{escape(seed_of(section.series))}. A sheet of each of {len(names):,} prompts is in <code>{escape(folder)}/"
        f"</code>, their numbers in <code>prompts.csv</code>.</p>{figures}"
    )


def _table(table: Table, legends: Sequence[str]) -> str:
    """Return a table whose rows belong to the method in their first cell."""
    header, rows = table
    body = "".join(_row(map(escape, row), row[0] if row[0] in legends else None) for row in rows)
    html = (
        f'<div class="scroll"><table><thead>{_row(map(escape, header), tag="th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return f"<details><summary>{len(rows)} rows</summary>{html}</details>" if len(rows) > OPEN_ROWS else html


def _row(cells: Iterable[str], method: str | None = None, tag: str = "td") -> str:
    mark = "" if method is None else f' data-method="{escape(method)}"'
    return f"<tr{mark}>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _failed(failures: Sequence[FailedRun]) -> str:
    items = "".join(f"<li><code>{escape(failed.place)}</code>: {escape(failed.reason)}</li>" for failed in failures)
    return f"<h2>Failed</h2><ul>{items}</ul>" if failures else ""


def _provenance(runs: Sequence[RunRecord]) -> str:
    versions = sorted({version for run in runs for version in run.versions})
    devices = sorted({device for run in runs for device in run.devices})
    origin = "; ".join(
        (
            f"made with {' and '.join(versions)}" if versions else "versions unknown",
            f"on {', '.join(devices)}" if devices else "device unknown",
            *filter(None, (of_two_sources(runs),)),
        )
    )
    lines = "\n".join(commands([run.command for run in runs], most=None))
    folders = "\n".join(sorted(run.place for run in runs))
    return (
        f"<h2>Provenance</h2><p>{escape(origin)}. Every number is in <code>curves.csv</code> and "
        f"<code>curves.parquet</code> beside this page.</p><h3>Commands</h3><pre>{escape(lines)}</pre>"
        f"<details><summary>folders of the {len(runs)} runs</summary><pre>{escape(folders)}</pre></details>"
    )
