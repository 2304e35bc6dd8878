"""The options that choose rows and columns: said once, and handed to a question as one value."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli import _analysis
from mfscale.cli._options import DEFAULT_STORE, StoreOption, StudyOption

if TYPE_CHECKING:
    import pandas as pd

TargetOption = Annotated[str, typer.Option("--target", help="Head whose test error is meant.")]
LevelOption = Annotated[float, typer.Option("--level", help="Of the intervals.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", help="Only rows like these: 'architecture=mace', 'cc_size>=100'."),
]
TableOption = Annotated[
    Path | None, typer.Option("--table", help="A CSV or Parquet file instead of the store.")
]
XOption = Annotated[
    str | None,
    typer.Option(
        "--x",
        help="Column of the table, or of the store: what a line is drawn against, or, by commas, "
        "the predictors of a law in several.",
    ),
]
YOption = Annotated[str | None, typer.Option("--y", help="Column of the table.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", help="Column or columns: a law for each group.")
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", help="Column of the unit of replication, e.g. the checkpoint."),
]
ReplicateOption = Annotated[
    str | None,
    typer.Option(
        "--replicate",
        help="Column or columns of what is repeated: rows alike in them differ by chance alone.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a question is asked of."""

    store: StoreOption = DEFAULT_STORE
    study: StudyOption = None
    where: WhereOption = None
    target: TargetOption = "cc"
    table: TableOption = None
    x: XOption = None
    y: YOption = None
    group: GroupOption = None
    cluster: ClusterOption = None
    replicate: ReplicateOption = None
    level: LevelOption = 0.95

    def of_table(self) -> "_analysis.Table | None":
        """The table asked for; None for a store, most of whose columns are not for choosing."""
        if self.table is not None:
            if self.where:
                raise typer.BadParameter("--where goes with a store, not with --table")
            columns = (self.x, self.y, self.group, self.cluster, self.replicate)
            return _analysis.Table(self.table, *columns)
        if any((self.y, self.group, self.cluster, self.replicate)):
            raise typer.BadParameter("--y, --group, --cluster and --replicate go with --table")
        return None

    def rows(self) -> "pd.DataFrame":
        """The rows of the store, or only those of a study and alike."""
        from mfscale.cli._tuned import choices_of, without_tuned
        from mfscale.cli.results import study_rows
        from mfscale.results import Store, select

        opened = Store(self.store)
        rows = select(study_rows(opened, self.study), self.where or ())
        if self.where and rows.empty:
            from mfscale.scaling import FitError

            raise FitError(f"--where {' '.join(self.where)}: no row of {self.store} is like this")
        return without_tuned(rows, choices_of(opened, self.study))

    def question(self, law: str) -> _analysis.Question:
        """The question of a law of one predictor."""
        if (table := self.of_table()) is not None:
            return _analysis.of_table(table, law)
        return _analysis.of_store(self.rows(), law, self.target, self.x)


def add_question(app: typer.Typer, command: Callable[..., None]) -> None:
    """Add a command; its parameter of type `Asked` becomes the options of that class."""
    options = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(Asked).parameters.values()
    ]
    names = [option.name for option in options]
    own = inspect.signature(command).parameters.values()
    (place,) = (parameter.name for parameter in own if parameter.annotation is Asked)

    @functools.wraps(command)
    def called(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        asked = Asked(**{name: given.pop(name) for name in names})
        command(**{place: asked}, **given)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in own
        for parameter in (options if one.name == place else [one])
    ]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command()(called)
