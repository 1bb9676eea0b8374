"""Build a W&B project's custom chart, workspace and report, online: `pip install "its[wandb]"` and a key are needed.

python scripts/wandb_dashboard.py <entity>/<project> [--sweep <experiment>]
"""

from __future__ import annotations

from typing import Any

from its.process.command import Parser, command
from its.report.runs import COLUMNS
from its.tracker.chart import CHART, spec
from its.tracker.chart import COLUMNS as FIELDS

METRICS = ("fid", "isc", "accuracy", "reward_mean", "kid", "precision", "recall")
COSTS = ("flops", "seconds", "verifier_calls", "nfe_backward")
THROUGHPUT = ("throughput/images_per_second", "throughput/nfe_per_second")


def curve(column: str, x: str = "nfe") -> Any:
    """Return a panel with a line for each run and a log axis of NFE."""
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(title=f"{column} against {x}", x=x, y=[column], log_x=x == "nfe", smoothing_factor=0)


def comparison(entity: str, title: str) -> Any:
    """Return the sweep's custom chart."""
    import wandb_workspaces.reports.v2 as wr

    return wr.CustomChart(
        query={"summaryTable": {"tableKey": "nfe_curves_table"}},
        chart_name=f"{entity}/{CHART}",
        chart_fields={name: name for name in FIELDS},
        chart_strings={"title": title},
    )


def workspace(entity: str, project: str) -> Any:
    """Return sections for the comparison, curves, samples, costs and throughput."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    return ws.Workspace(
        entity=entity,
        project=project,
        name="Search at equal compute",
        sections=[
            ws.Section(name="Comparison", is_open=True, panels=[comparison(entity, project)]),
            ws.Section(name="Against NFE", is_open=True, panels=[curve(column) for column in METRICS]),
            ws.Section(name="Samples", is_open=True, panels=[wr.MediaBrowser(media_keys=["samples"])]),
            ws.Section(name="Cost", panels=[curve(column) for column in COSTS if column in COLUMNS]),
            ws.Section(name="Throughput", panels=[curve(column, "throughput/images") for column in THROUGHPUT]),
        ],
    )


def report(entity: str, project: str, sweep: str | None) -> Any:
    """Return a page of the comparison, its curves and its samples; of one sweep, or of all."""
    import wandb_workspaces.reports.v2 as wr

    title = sweep or project
    only = f"Metric('Group') == '{sweep}'" if sweep else ""
    runs = wr.Runset(entity=entity, project=project, name=title, filters=only)
    return wr.Report(
        entity=entity,
        project=project,
        title=f"{title}: search at equal compute",
        width="fluid",
        blocks=[
            wr.P(
                "FID and inception score against network evaluations per image, means over seeds; more_steps, all the "
                "compute in denoising steps, is dashed."
            ),
            wr.PanelGrid(runsets=[runs], panels=[comparison(entity, title)]),
            wr.H2("Every run"),
            wr.PanelGrid(runsets=[runs], panels=[curve(column) for column in METRICS]),
            wr.H2("Samples"),
            wr.PanelGrid(runsets=[runs], panels=[wr.MediaBrowser(media_keys=["samples"])]),
        ],
    )


@command
def main() -> None:
    parser = Parser(__doc__)
    # Read the command line.
    parser.add_argument("project", help="<entity>/<project>")
    parser.add_argument("--sweep", help="experiment whose runs the report is about; without it all of them")
    options = parser.parse_args()
    entity, _, project = options.project.partition("/")
    if not entity or not project:
        raise ValueError(f"{options.project!r} is not <entity>/<project>")
    try:
        import wandb
        import wandb_workspaces  # noqa: F401
    except ImportError as error:
        raise ValueError(f"{error}; pip install 'its[wandb]'") from error

    # Make the chart, the workspace and the report.
    api = wandb.Api()
    try:
        print(api.create_custom_chart(entity, CHART, "Search at equal compute", "vega2", "private", spec()))
    except wandb.Error as error:
        print(f"custom chart {entity}/{CHART} was not made anew: {error}")
    print(workspace(entity, project).save().url)
    print(report(entity, project, options.sweep).save().url)


if __name__ == "__main__":
    main()
