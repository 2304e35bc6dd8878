"""``compare``: whether groups share a law, all of them or those of one column all else equal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis
from mfscale.cli._analysis import Question
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import named, telling
from mfscale.cli._law_options import LawOfOne, LawOfOneOption
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_frame, print_json, show
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Comparison, FitWarning, Scalar

    Group = dict[str, Scalar]

KIND, LABELS, SETTINGS = "pretraining_kind", "pretraining_labels", "settings"
ALIKE = "alike"
_MOST = 20
"""Pairs that people are shown."""

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Compare the values of this column, all else equal: architecture, pretraining_kind, …",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, compare)


def compare(
    asked: Asked,
    law: LawOfOneOption = LawOfOne.power,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Ask whether groups share a law: one slope, one height, and which pairs differ (Holm).

    With --by, the values of one column are compared where all else is the same.

    Try: mfscale compare --by architecture
    """
    from mfscale.scaling import FitError, compare_within

    question = asked.question(law.value)
    question, group, within = (
        (question, [*question.group], []) if by is None else compared_by(question, by)
    )
    if not group:
        raise FitError("there is one group only; name the columns to compare by with --group")
    comparisons = compare_within(
        question.frame,
        question.law,
        x=question.x,
        y=question.y,
        group=group,
        within=within,
        cluster=question.cluster,
        level=asked.level,
    )
    comparisons = [_with_cautions(question, found) for found in comparisons]
    warned: list[tuple[Group, Sequence[FitWarning]]] = [
        ({**found.within, **fit.group}, fit.warnings) for found in comparisons for fit in found.fits
    ]
    if by is not None:
        warned += _other_settings(question, by, comparisons)
    if json:
        _print_json(comparisons, asked.level, by, gathered(warned))
        return
    _print(comparisons)
    print_warnings(warned)


def compared_by(question: Question, by: str) -> tuple[Question, list[str], list[str]]:
    """The question, the column compared, and the columns that what is compared shares.

    Groups with one x, which determine no law, are left out before.
    Settings that were chosen for each of the values compared, and so have none in common, part no
    strata, unless they alone tell runs apart.
    """
    from mfscale.scaling import FitError

    frame, group = question.frame, [*question.group]
    if by == KIND and "pretraining" in group:
        # Kinds are compared at the same numbers of labels.
        frame = frame.assign(**{LABELS: labels_of(frame["pretraining"])})
        group = [KIND, LABELS, *(column for column in group if column != "pretraining")]
    if by not in group:
        more = [KIND] if "pretraining" in group else []
        raise FitError(
            f"--by {by}: these laws are told apart by {', '.join([*group, *more]) or 'nothing'}"
        )
    several = frame.groupby(group, dropna=False)[question.x].transform("nunique") > 1
    if not several.any():
        raise FitError(f"no group has two values of {question.x}; there is no law to compare")
    frame = frame[several]
    settings = _analysis.settings_of(frame) if question.of_store else []
    chosen = [c for c in group if c != by and (c in settings or c.startswith("parent_"))]
    shared = [c for c in group if c != by and c not in chosen]
    if chosen:
        frame = frame.assign(**{SETTINGS: ALIKE})
        parts = frame.groupby(shared, dropna=False) if shared else [((), frame)]
        for _, rows in parts:
            kept = _needed(rows, by, chosen)
            if kept:
                each = zip(*(rows[c] for c in kept), strict=True)
                told = [named(dict(zip(kept, row, strict=True))) for row in each]
                frame.loc[rows.index, SETTINGS] = told
        if (frame[SETTINGS] != ALIKE).any():
            shared.append(SETTINGS)
    return replace(question, frame=frame, group=(by, *shared)), [by], shared


def labels_of(pretraining: "pd.Series[str]") -> "pd.Series[str]":
    """``xtb:b:1000+forces > dft:b:300`` → ``1000, 300``."""
    return pretraining.str.findall(r":(\d+)").str.join(", ").replace("", "none")


def _needed(rows: "pd.DataFrame", by: str, settings: Sequence[str]) -> list[str]:
    """Settings that still tell groups apart, of those that no two values compared share at last."""
    distinct = rows[[by, *settings]].drop_duplicates()
    shared = [c for c in settings if distinct[[by, c]].drop_duplicates()[c].duplicated().any()]
    kept = list(settings)
    for column in [*(c for c in settings if c not in shared), *shared]:
        fewer = [c for c in kept if c != column]
        if len(distinct[[by, *fewer]].drop_duplicates()) == len(distinct):
            kept = fewer
    return kept


def _with_cautions(question: Question, found: "Comparison") -> "Comparison":
    fits = []
    for fit in found.fits:
        cautious = question.with_cautions(replace(fit, group={**found.within, **fit.group}))
        fits.append(replace(cautious, group=fit.group))
    return replace(found, fits=tuple(fits))


def _other_settings(
    question: Question, by: str, comparisons: "Sequence[Comparison]"
) -> "list[tuple[Group, list[FitWarning]]]":
    """A warning for each stratum where what is compared was trained with other settings too."""
    from mfscale.scaling import FitWarning

    if not question.of_store:
        return []
    warned = []
    settings = [c for c in _analysis.settings_of(question.frame) if c != by]
    for found in comparisons:
        rows = question.frame
        for column, value in found.within.items():
            rows = rows[rows[column].isna() if value is None else rows[column] == value]
        firsts = rows.groupby(by)[settings].first()
        differ = [c for c in settings if len(firsts[c].unique()) > 1]
        if differ:
            message = (
                f"what is compared by {by} was trained with other {', '.join(differ)} too: it "
                "differs with its settings"
            )
            warned.append((dict(found.within), [FitWarning("other-settings", message)]))
    return warned


def _print_json(
    comparisons: "Sequence[Comparison]",
    level: float,
    by: str | None,
    warnings: list[dict[str, object]],
) -> None:
    first = comparisons[0]
    common = {"law": first.law, "x": first.x, "y": first.y, "level": level}
    told = [
        {"tests": found.tests.to_dict("records"), "pairs": found.pairs.to_dict("records")}
        for found in comparisons
    ]
    if by is None:
        print_json({**common, **told[0], "warnings": warnings})
        return
    strata = [{"within": c.within, **t} for c, t in zip(comparisons, told, strict=True)]
    print_json({**common, "by": by, "strata": strata, "warnings": warnings})


def _print(comparisons: "Sequence[Comparison]") -> None:
    import pandas as pd

    from mfscale.scaling import format_percent

    first = comparisons[0]
    console.print(f"{first.law} laws of {first.y} against {first.x}\n", soft_wrap=True)
    columns = telling(found.within for found in comparisons)
    parts = []
    for found in comparisons:
        groups = [fit.group for fit in found.fits if fit.determined]
        kept = telling(groups)
        names = {name: _short(group, kept) for name, group in found.groups.items()}
        of = f"{named(found.within, columns)}: " if found.within else ""
        shown = list(names.values()) if len(groups) <= _MOST else [f"{len(groups)} groups"]
        console.print(f"{of}{'; '.join(shown)}", soft_wrap=True)
        for line in found.verdicts:
            console.print(f"  {line}", soft_wrap=True)
        pairs = found.pairs.assign(
            first=found.pairs["first"].map(names), second=found.pairs["second"].map(names)
        )
        parts.append(pairs.assign(**{c: found.within[c] for c in columns}))
    pairs = pd.concat(parts, ignore_index=True)
    most = pairs
    if len(pairs) > _MOST:
        most = pairs.sort_values(["p_holm", "p"], kind="stable").head(_MOST)
    level = format_percent(first.level)
    print_frame(
        most[[*columns, *(c for c in most if c not in columns)]],
        title=f"\nPairs, {level} interval of each, p_holm adjusted over all of a quantity",
    )
    if more := len(pairs) - len(most):
        console.print(
            f"and {more} more pairs, for which there is less evidence; --json has all, --by COLUMN "
            "compares one thing with all else equal",
            soft_wrap=True,
        )


def _short(group: "Group", columns: Sequence[str]) -> str:
    return ", ".join(show(group[column]) or "missing" for column in columns)
