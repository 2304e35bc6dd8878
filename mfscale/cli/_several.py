"""Laws in several predictors: labels of several methods, or labels and model size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mfscale.cli import _analysis, _mixing
from mfscale.cli._asked import Asked
from mfscale.cli._law_options import How

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Fit, FitWarning

Point = dict[str, float]

SIZE = "n_parameters"
SEVERAL = ("multiplicative", "transfer gap", "additive", "effective data", "label-equivalent")
"""Laws that take more than one number."""


def read_points(option: str, at: Sequence[str]) -> list[float] | list[Point]:
    """``1000`` or ``cc=200,dft=1000``, each of a repeated option."""
    from mfscale.scaling import FitError

    if any("=" in each for each in at):
        points = [_mixing.read_pairs(option, each.split(",")) for each in at]
        if any(point.keys() != points[0].keys() for point in points):
            raise FitError(f"{option}: give every point the same names")
        return points
    try:
        return [float(each) for each in at]
    except ValueError:
        raise FitError(
            f"{option} {' '.join(at)}: write a number, or names and numbers such as cc=200,dft=1000"
        ) from None


def law_for(law: str | None, points: list[float] | list[Point], option: str = "--at") -> str | None:
    """The law that points of several numbers are asked of; None: the best of those of mixes."""
    from mfscale.scaling import FitError

    of_several = bool(points) and isinstance(points[0], dict)
    if not of_several:
        if law in SEVERAL:
            other = f"{SIZE}=30000" if law == "additive" else "dft=1000"
            raise FitError(f"the {law} law is of several numbers: write {option} cc=200,{other}")
        return law or _analysis.POWER
    if law is not None and law not in SEVERAL:
        raise FitError(f"the {law} law is of one number: write {option} 1000, or another --law")
    if law is None and any(SIZE in point for point in points if isinstance(point, dict)):
        return "additive"
    return law


def fits_of_several(
    asked: Asked, law: str | None, names: Sequence[str], intervals: How = How.auto
) -> "list[Fit]":
    """The law of each group of a table or a store.

    Parameters
    ----------
    law
        None for the best of those of mixes.
    names
        What the points name: ``n_parameters`` among them asks for a law over model size.
    intervals
        Such laws have one way to find them.

    Raises
    ------
    FitError
        For rows that do not determine the law, or a way to find intervals.
    """
    if intervals != How.auto:
        from mfscale.scaling import FitError

        raise FitError(f"--intervals {intervals.value} is of a law of one predictor; leave it out")
    table = asked.of_table()
    if law in (None, "label-equivalent"):
        return _mixing.asked_for(replace(asked, x=asked.x if table else None)).fits(
            law, asked.level
        )
    if table is not None:
        return _fits_of_table(table, law, asked.level)
    if law == "effective data":
        from mfscale.scaling import FitError

        raise FitError(
            "the effective data law is of the labels that pre-training was worth, which mfscale "
            "worth finds; put them into a table, and ask --table FILE --x f,N --y COLUMN"
        )
    chosen = asked.x.split(",") if asked.x else [*names]
    if law == "additive" or SIZE in chosen:
        return over_sizes(asked, law)[1]
    return _mixing.asked_for(replace(asked, x=None)).fits(law, asked.level)


def named_columns(found: "Fit", target: str) -> dict[str, str]:
    """What a predictor may be called → its column."""
    known = {}
    for role, axis in found.axes.items():
        column = axis.column
        short = column.removeprefix(_mixing.COUNTS)
        for name in (role, column, short, *([target] if column == f"{target}_size" else [])):
            known[name] = column
    return known


def values_of(
    found: "Fit", point: Mapping[str, float], target: str, option: str = "--at"
) -> Point | None:
    """Column → value for this fit; None if the point speaks of labels that its law does not know.

    A method that the point does not name counts 0 labels where the law allows that.

    Raises
    ------
    FitError
        For a predictor without a value.
    """
    from mfscale.scaling import FitError

    known = named_columns(found, target)
    values = {axis.column: 0.0 for r, axis in found.axes.items() if r in found.form.may_be_zero}
    for name, value in point.items():
        if name in known:
            values[known[name]] = value
        elif value != 0:
            return None
    missing = [a.column for a in found.axes.values() if a.column not in values]
    if missing:
        raise FitError(
            f"{option} lacks {', '.join(missing)}: the {found.law} law is of {found.x}; give each "
            "a number"
        )
    return values


def asked_of(
    found: "Fit", of: str | None, at: Mapping[str, float], target: str
) -> tuple[str, Point] | None:
    """The column asked for, and column → value of all others; None if this law is not of these.

    Parameters
    ----------
    found
        A law of one predictor or of several.
    of
        What is asked for, as in `values_of`; by default what `at` lacks.
    at
        The others; a method that is not named counts 0 labels where the law allows that.
    target
        The method whose labels ``TARGET_size`` counts.

    Raises
    ------
    FitError
        For a predictor without a value, or none that is left to ask for.
    """
    from mfscale.scaling import FitError

    known = named_columns(found, target)
    if (of is not None and of not in known) or any(at[n] for n in at.keys() - known.keys()):
        return None
    given = {known[name]: value for name, value in at.items() if name in known}
    values = {a.column: 0.0 for r, a in found.axes.items() if r in found.form.may_be_zero} | given
    columns = [axis.column for axis in found.axes.values()]
    lacking = [c for c in columns if c not in values]
    wanted = known[of] if of is not None else lacking[0] if lacking else None
    if wanted is None or wanted in given:
        raise FitError(f"--at gives {wanted or 'all of ' + found.x}: name with --of what is asked")
    if missing := [c for c in lacking if c != wanted]:
        raise FitError(
            f"--at lacks {', '.join(missing)}: the {found.law} law is of {found.x}; give a number "
            f"to each but {wanted}" + ("" if of else ", or name another with --of")
        )
    return wanted, {column: value for column, value in values.items() if column != wanted}


def _fits_of_table(table: _analysis.Table, law: str, level: float) -> "list[Fit]":
    from mfscale.results import read_table
    from mfscale.scaling import LAWS, FitError, fit

    roles = LAWS[law].predictors
    given = table.x.split(",") if table.x else []
    if table.y is None or len(given) != len(roles):
        example = ",".join(f"{role}=COLUMN" for role in roles)
        raise FitError(
            f"--table {table.path}: the {law} law is of {' and '.join(roles)}; name their columns "
            f"with --x {example} and the error with --y"
        )
    pairs = [
        each.split("=", 1) if "=" in each else [role, each]
        for role, each in zip(roles, given, strict=True)
    ]
    return fit(
        read_table(table.path),
        law,
        x=dict(pairs),
        y=table.y,
        group=table.group.split(",") if table.group else None,
        cluster=table.cluster,
        level=level,
    )


def over_sizes(asked: Asked, law: str) -> "tuple[_analysis.Question, list[Fit]]":
    """Error against the number of parameters and of target labels, one law per pre-training."""
    from mfscale.scaling import LAWS, FitError, fit

    target = asked.target
    y, labels = f"{target}_t_energy_mae_mev", f"{target}_size"
    rows = _analysis.science_rows(asked.rows(), (y, labels, SIZE), law, target)
    lead = ["pretraining", *_varying(rows, [f"{target}_beside", "tuning"])]
    kept = [column for column in _analysis.VARIANTS if column != "size"]
    group = [*lead, *_analysis.varying_within(rows, lead, kept)]
    settings = _analysis.settings_of(rows)
    group += _analysis.varying_within(rows, [*group, SIZE], settings)
    if asked.x is not None and set(asked.x.split(",")) - {SIZE, labels, target}:
        raise FitError(f"--x {asked.x}: a law over model size is of {SIZE} and {labels}")
    _require_sizes(rows, law, group, labels)
    first, second = LAWS[law].predictors
    fits = fit(
        rows,
        law,
        x={first: SIZE, second: labels},
        y=y,
        group=group,
        cluster="root_id",
        level=asked.level,
    )
    question = _analysis.Question(law, rows, SIZE, y, tuple(group), "root_id", of_store=True)
    return question, [
        replace(
            (known := question.with_cautions(found)),
            warnings=(*known.warnings, *_settings_of_sizes(question.rows_of(found), settings)),
        )
        for found in fits
    ]


def _require_sizes(rows: "pd.DataFrame", law: str, group: Sequence[str], labels: str) -> None:
    """Refuse rows of which no group has enough model sizes and numbers of labels."""
    from mfscale.scaling import LAWS, FitError

    needed = sum(spec.fixed is None for spec in LAWS[law].coefficients)
    parts = [part for _, part in rows.groupby(list(group), dropna=False)]
    sizes = [int(part[SIZE].nunique()) for part in parts]
    counts = [int(part[labels].nunique()) for part in parts]
    places = [len(part[[SIZE, labels]].drop_duplicates()) for part in parts]
    if any(s > 1 and c > 1 and n >= needed for s, c, n in zip(sizes, counts, places, strict=True)):
        return
    best = max(range(len(parts)), key=lambda i: (min(sizes[i], counts[i]), places[i]))
    raise FitError(
        f"the {law} law needs {needed} or more different pairs of {SIZE} and {labels}, both "
        f"varied, among runs trained alike; at most there are {places[best]}, with different "
        f"{SIZE}: {sizes[best]}, {labels}: {counts[best]} (pretraining = "
        f"{parts[best]['pretraining'].iloc[0]}); run a study with lists of both, such as "
        "model: {architecture: nequip, size: [tiny, small, medium]} and "
        f"size: [50, 100, 200] for {labels.removesuffix('_size')}"
    )


def _varying(rows: "pd.DataFrame", columns: Sequence[str]) -> list[str]:
    return [c for c in columns if c in rows and len(rows[c].unique()) > 1]


def _settings_of_sizes(rows: "pd.DataFrame", settings: Sequence[str]) -> "tuple[FitWarning, ...]":
    from mfscale.scaling import FitWarning

    differ = _varying(rows, settings)
    if not differ:
        return ()
    return (
        FitWarning(
            "settings-of-size",
            f"model sizes were trained with other {', '.join(differ)}: what the law says of size "
            "is of size with its settings",
        ),
    )
