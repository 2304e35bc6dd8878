"""``results`` and ``sql``: look into a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_frame, print_json, print_records

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.results import Store

WIDE = 40
"""Columns beyond which no table can be read, and tab-separated text serves better."""
USUAL = (
    "stage_id",
    "used_by",
    "status",
    "pretraining",
    "labels",
    "architecture",
    "size",
    "trainable",
    "seed",
    "steps",
    "converged",
    "validation_energy_mae_mev",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("results")(show_results)
    app.command()(sql)


def show_results(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Keep rows: 'cc_size>=100', 'size=tiny', 'seed in 0,1'."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", help="Columns to show, by commas; 'all' for all.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--group-by", help="Columns, by commas: count, mean, std, min, max."),
    ] = None,
    values: Annotated[
        str | None, typer.Option("--values", help="Number columns to summarise with --group-by.")
    ] = None,
    pivot_by: Annotated[
        str | None,
        typer.Option("--pivot", metavar="ROWS:COLUMN:VALUE", help="Mean of VALUE over two axes."),
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="Tuning trials, not results.")] = False,
    json: JsonOption = False,
) -> None:
    """Show, filter, group and pivot the rows of a store.

    Try: mfscale results --pivot pretraining:cc_size:cc_t_energy_mae_mev
    """
    from mfscale.results import Store, StoreError, group, pivot, select

    rows = study_rows(Store(store), study)
    rows = rows[rows["purpose"] == ("tune" if trials else "science")]
    frame = select(rows, where or ())
    if frame.empty:
        print_json([]) if json else console.print(f"no rows in {store} match")
        return
    if pivot_by is not None:
        parts = pivot_by.split(":")
        if len(parts) != 3:
            raise StoreError(
                f"--pivot {pivot_by}: write ROWS:COLUMN:VALUE, such as "
                "pretraining:cc_size:cc_t_energy_mae_mev"
            )
        frame = pivot(frame, parts[0].split(","), parts[1], parts[2])
    elif by is not None:
        chosen = values.split(",") if values else _test_errors(frame)
        frame = group(frame, by.split(","), chosen)
    elif columns not in (None, "all"):
        frame = select(frame, columns=columns.split(","))
    elif columns is None and not json:
        frame = frame[[c for c in (*USUAL, *_test_errors(frame)) if c in frame]]
    if json:
        print_records(frame)
    elif len(frame.columns) > WIDE:
        typer.echo(frame.to_csv(sep="\t", index=False), nl=False)  # rich would expand tabs
    else:
        print_frame(frame)


def sql(
    query: Annotated[str, typer.Argument(help="SQL over the views results, stages, evaluations.")],
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Query a store with DuckDB, read-only.

    Try: mfscale sql "select cc_size, median(cc_t_energy_mae_mev) from results group by all"
    """
    from mfscale.results import Store

    answer = Store(store).sql(query).to_pandas()
    if json:
        print_records(answer)
    else:
        print_frame(answer)


def study_rows(store: "Store", study: Path | None) -> "pd.DataFrame":
    """The rows of a store, or only those of a study's stages, with the places that use them."""
    from mfscale.cli.study import expand_file
    from mfscale.results import in_natural_order

    frame = store.frame()
    if study is not None:
        uses = expand_file(study, str(store)).uses
        frame = frame[frame["stage_id"].isin(uses)].copy()
        frame["used_by"] = [", ".join(uses[stage]) for stage in frame["stage_id"]]
    return in_natural_order(frame, ["step", "pretraining", "labels", "seed"])


def _test_errors(frame: "pd.DataFrame") -> list[str]:
    """The columns of test errors of total energies, each head against its own method, if any."""
    return [
        c
        for c in map(str, frame.columns)
        if c.endswith("_t_energy_mae_mev")
        and "_vs_" not in c
        and not c.startswith(("start_", "baseline_", "parent_"))
        and frame[c].notna().any()
    ]
