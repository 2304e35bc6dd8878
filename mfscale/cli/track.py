"""``track``: copy a store's stages to W&B, MLflow or TensorBoard."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_json, stderr
from mfscale.cli._tracking import TrackerName
from mfscale.cli.results import study_rows
from mfscale.cli.study import expand_file

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.results import Store
    from mfscale.tracking import TrackedStage


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(track)


def track(
    to: Annotated[TrackerName, typer.Option("--to", help="The tracker.", show_default=False)],
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Keep rows: 'cc_size>=100', 'size=tiny', 'seed in 0,1'."),
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="Tuning trials, not results.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FOLDER|URI",
            help="A folder, or MLflow's tracking URI; by default what the tracker's own variables "
            "say, or mfscale-tracking in the current folder.",
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project", metavar="NAME", help="W&B's project or MLflow's experiment [mfscale]."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Copy stages to a tracker: settings, learning curves, errors, and how each ended.

    Again, it makes no second copy: what has changed is written anew. Skipped stages stay out.
    """
    from mfscale.results import Store, select
    from mfscale.tracking import TRACKED, open_tracker
    from mfscale.tracking.errors import told_by

    opened = Store(store)
    rows = study_rows(opened, study)
    rows = rows[(rows["purpose"] == ("tune" if trials else "science"))]
    rows = select(rows[rows["status"].isin(TRACKED)], where or ())
    tracker = open_tracker(to.value, out=out, project=project)
    counts: Counter[str] = Counter({"written": 0, "unchanged": 0, "without_curve": 0})
    study_name = expand_file(study, store).name if study else None
    with _bar(len(rows), quiet=json) as advance:
        for stage in _stages(opened, rows, study_name):
            with told_by(to.value):
                counts["written" if tracker.write(stage) else "unchanged"] += 1
            counts["without_curve"] += not stage.curve
            counts[stage.status] += 1
            advance()
    tracker.close()
    _report(to, tracker.place, counts, archive=opened.is_archive, json=json)


def _stages(store: "Store", rows: "pd.DataFrame", study: str | None) -> "Iterator[TrackedStage]":
    from mfscale.tracking import find_curve, tracked_stage

    for row in _records(rows):
        places = str(row["used_by"]).split(", ") if study else ()
        curve = find_curve(store, row["stage_id"])
        yield tracked_stage(row, curve, study=study, places=places)


def _records(rows: "pd.DataFrame", many: int = 500) -> Iterable[dict[Any, Any]]:
    """Rows as mappings, a few at a time."""
    for first in range(0, len(rows), many):
        yield from rows.iloc[first : first + many].to_dict(orient="records")


@contextmanager
def _bar(total: int, *, quiet: bool) -> "Iterator[Any]":
    """A bar on standard error, in a terminal."""
    if quiet or not stderr.is_terminal:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=stderr, transient=True) as bar:
        task = bar.add_task("stages", total=total)
        yield lambda: bar.advance(task)


def _report(
    to: TrackerName, place: str, counts: Counter[str], *, archive: bool, json: bool
) -> None:
    from mfscale.tracking import TRACKED

    if json:
        print_json({"tracker": to.value, "place": place, **counts})
        return
    by_status = ", ".join(f"{counts[name]} {name}" for name in TRACKED if counts[name])
    console.print(
        Text(f"{to.value}:", "bold"),
        f"{counts['written']} stages written, {counts['unchanged']} there already "
        f"({by_status or 'none match'}), in {place}",
        soft_wrap=True,
    )
    if counts["without_curve"]:
        why = "an archive has none" if archive else "mfscale verify tells why"
        console.print(f"  {counts['without_curve']} have no learning curve ({why})")
    if to is TrackerName.tensorboard:
        console.print(f"  look at them: tensorboard --logdir {place}", soft_wrap=True)
