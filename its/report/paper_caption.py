"""The caption of a figure for print: what is shown, of which runs, with which bands, and the commands."""

from __future__ import annotations

from collections.abc import Sequence

from its.budget import UNITS, Cap
from its.report.caption import FORWARDS, commands, goes_back
from its.report.panels import Panel, cost_label, metric_label
from its.report.remarks import of_two_sources, oracles_of, protocols_of
from its.report.runs import RunRecord
from its.report.series import Point, Series

MIN_SEEDS = 2
"""So many give a standard error over seeds: in print, where the caption says how many there are."""

ERRORS = 1.96
"""Standard errors to each side: an interval of 95 % of a normal distribution."""

OVER_SEEDS, STORED, NO_ERROR = "over seeds", "stored", "no error"

BANDS = {
    OVER_SEEDS: f"±{ERRORS} standard errors of the mean over seeds",
    STORED: f"±{ERRORS} standard errors as stored with the run, where there is one seed",
    NO_ERROR: "none, where there is one seed and no stored error",
}
"""Meaning of a band, by where its standard error is from."""


def paper_caption(
    runs: Sequence[RunRecord], series: Sequence[Series], panels: Sequence[Panel], cost: str, names: Sequence[str]
) -> str:
    """Return a sentence a line, then the commands that make the runs.

    Args:
        series: the lines that the panels number.
        names: of the lines in the legend, as many.
    """
    metrics = _joined([metric_label(panel.name, runs) for panel in panels])
    legend = [
        line.legend if name == line.legend else f"{name} ({line.legend})"
        for name, line in zip(names, series, strict=True)
    ]
    members = [run for line in series for run in line.runs]
    sentences = [
        f"{metrics} against mean {cost_label(cost, members)}, as it was spent; methods: {', '.join(legend)}.",
        _setting(members),
        *(f"{note[0].upper()}{note[1:]}." for note in (*protocols_of(members), *oracles_of(members))),
        _seeds(series, names),
        _bands(series, panels, cost, names),
        *_missing(series, panels, cost, names),
        *([FORWARDS] if cost == "nfe" and goes_back(members) else []),
        *(f"{remark[0].upper()}{remark[1:]}." for remark in [of_two_sources(members)] if remark),
    ]
    return "\n".join([*sentences, "", "The runs:", *commands([run.command for run in members], most=None)])


def _setting(runs: Sequence[RunRecord]) -> str:
    """Say what the runs have in common."""
    label, images = runs[0].label, runs[0].images
    verifiers, guidances = sorted({run.verifier for run in runs}), sorted({run.guidance for run in runs})
    return (
        f"Data set {label['dataset']}, model {label['model']}, sampler {label['sampler']}, "
        f"select verifier {_joined(verifiers)}, guidance {_joined(guidances)}; "
        f"N = {images:,} images per point and seed."
    )


def _seeds(series: Sequence[Series], names: Sequence[str]) -> str:
    """Say how many seeds each line has."""
    lines: dict[str, list[str]] = {}
    for line, name in zip(series, names, strict=True):
        count = f"{len(line.seeds)} seed{'s' * (len(line.seeds) > 1)} ({', '.join(line.seeds)})"
        lines.setdefault(count, []).append(name)
    rough = " Of two seeds a standard error is rough." if any(len(line.seeds) == 2 for line in series) else ""
    if len(lines) == 1:
        return f"Each point is {'of' if '1 seed ' in count else 'the mean over'} {count}.{rough}"
    each = "; ".join(f"{count} of {_joined(of)}" for count, of in lines.items())
    return f"Each point is the mean over its seeds: {each}.{rough}"


def _bands(series: Sequence[Series], panels: Sequence[Panel], cost: str, names: Sequence[str]) -> str:
    """Say what the bands are, and of which points where not all are alike."""
    kinds: dict[str, list[str]] = {}
    for panel in panels:
        # Sort the panel's lines by the kinds of their points.
        of_panel: dict[str, list[str]] = {}
        for number in panel.series:
            points = series[number].points(panel.name, cost, MIN_SEEDS)
            for kind in dict.fromkeys(map(_kind, points)):
                some = [point.cap for point in points if _kind(point) == kind and point.cap.value is not None]
                caps = "" if {kind} == {*map(_kind, points)} else f" at {_caps(some)}"
                of_panel.setdefault(kind, []).append(f"{names[number]}{caps}")

        # Name them where they differ.
        for kind, lines in of_panel.items():
            of_lines = f" of {_joined(lines)}" if len(of_panel) > 1 else ""
            kinds.setdefault(kind, []).append(f"{panel.y_label}{of_lines}")
    if len(kinds) == 1:
        return f"Bands: {BANDS[next(iter(kinds))]}."
    return f"Bands: {'; '.join(f'{BANDS[kind]} ({_joined(kinds[kind])})' for kind in BANDS if kind in kinds)}."


def _caps(caps: Sequence[Cap]) -> str:
    """Name caps, each kind with its unit."""
    values = {unit: [f"{cap.value:g}" for cap in caps if UNITS[cap.currency] == unit] for unit in UNITS.values()}
    return _joined([f"{_joined(some)} {unit}" for unit, some in values.items() if some])


def _kind(point: Point) -> str:
    if point.error is None:
        return NO_ERROR
    return OVER_SEEDS if point.seeds >= MIN_SEEDS else STORED


def _missing(series: Sequence[Series], panels: Sequence[Panel], cost: str, names: Sequence[str]) -> list[str]:
    """Name the lines that a panel lacks, and why."""
    sentences = []
    for panel in panels:
        reasons: dict[str, list[str]] = {}
        for number, line in enumerate(series):
            if panel.name == "reward_mean" and line.other_verifier:
                reasons.setdefault("rewards of another verifier are on another scale", []).append(names[number])
            elif number not in panel.series:
                has = line.points(panel.name, cost)
                reasons.setdefault(f"no {cost} above 0" if has else "no such number", []).append(names[number])
        sentences += [
            f"Not in the panel of {panel.y_label}: {_joined(lines)} ({reason})." for reason, lines in reasons.items()
        ]
    return sentences


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
