"""``fit --choose``: which law of the same columns to believe, by AICc and by foretelling sizes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mfscale.cli._analysis import AGAINST_LABELS, LINE, Question
from mfscale.cli._asked import Asked
from mfscale.cli._groups import print_groups
from mfscale.cli._output import console, print_json
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from mfscale.scaling import Choice, FitWarning, Scalar

    Group = dict[str, Scalar]
    Told = list[tuple[Group, list[FitWarning]]]

LINES = (LINE, "shifted line")
OF_TWO = ("multiplicative", "transfer gap", "additive")
"""Laws of the same two columns, of which the first is pre-training labels or model size."""


def print_choices(asked: Asked, law: str | None, *, json: bool) -> None:
    """A table of laws for each group, the best extrapolation first."""
    from mfscale.scaling import FitError

    found: list[tuple[Group, Choice]] = []
    warned: Told = []
    for question, laws in _questions(asked, law):
        chosen, more = _choices(question, laws, asked.level)
        found += chosen
        warned += more
    if not found:
        reasons = dict.fromkeys(w.message for _, warnings in warned for w in warnings)
        raise FitError("; ".join(reasons))
    if json:
        print_json({"choices": [_plain(*each) for each in found], "warnings": gathered(warned)})
        return
    for alike in _alike(found):
        _print(alike, asked.level)
    print_warnings(warned)


def _questions(asked: Asked, law: str | None) -> Iterator[tuple[Question, tuple[str, ...]]]:
    """What is asked of the rows, and the laws that answer it."""
    from mfscale.scaling import FitError

    two = asked.table is not None and asked.x is not None and "," in asked.x
    families: tuple[tuple[str, ...], ...] = (OF_TWO,) if two else (AGAINST_LABELS, LINES)
    if law is not None:
        families = tuple(family for family in families if law in family)
        if not families:
            raise FitError(
                f"--choose does not compare the {law} law with others: of one --x it compares "
                f"{', '.join((*AGAINST_LABELS, *LINES))}; of two of a table {', '.join(OF_TWO)}"
            )
    elif asked.table is not None:
        families = families[:1]
    elif asked.x is not None:
        families = (LINES,)
    reasons, asked_any = [], False
    for family in families:
        try:
            question = asked.question(family[0])
        except FitError as error:
            reasons.append(error)
            continue
        asked_any = True
        yield question, family
    if not asked_any:
        raise reasons[0]


def _choices(
    question: Question, laws: tuple[str, ...], level: float
) -> "tuple[list[tuple[Group, Choice]], Told]":
    from mfscale.scaling import FitError, FitWarning, choose

    columns = list(question.group)
    parts = question.frame.groupby(columns, dropna=False) if columns else [((), question.frame)]
    found, warned = [], []
    for key, rows in parts:
        group = {c: _scalar(v) for c, v in zip(columns, key, strict=True)}
        try:
            choice = choose(
                rows,
                laws,
                x=question.x.split(","),
                y=question.y,
                cluster=question.cluster,
                level=level,
            )
        except FitError as error:
            warned.append((group, [FitWarning("left-out", str(error))]))
            continue
        found.append((group, choice))
        fits = [question.with_cautions(replace(f, group=group)) for f in choice.fits]
        told = [replace(w, message=f"{f.law}: {w.message}") for f in fits for w in f.warnings]
        warned.append((group, told))
    return found, warned


def _scalar(value: object) -> "Scalar":
    import pandas as pd

    if pd.isna(value):  # type: ignore[call-overload]
        return None
    plain: Scalar = value.item() if hasattr(value, "item") else value  # type: ignore[assignment]
    return plain


def _plain(group: "Group", choice: "Choice") -> dict[str, object]:
    return {
        "group": group,
        "y": choice.fits[0].y,
        "along": choice.along,
        "cuts": choice.cuts,
        "level": choice.level,
        "table": choice.table.to_dict("records"),
    }


def _alike(found: "list[tuple[Group, Choice]]") -> "list[list[tuple[Group, Choice]]]":
    """Those of one family of laws together."""
    families: dict[frozenset[str], list[tuple[Group, Choice]]] = {}
    for group, choice in found:
        families.setdefault(frozenset(choice.table["law"]), []).append((group, choice))
    return list(families.values())


def _print(found: "list[tuple[Group, Choice]]", level: float) -> None:
    import pandas as pd

    parts = [choice.table.assign(**group) for group, choice in found]
    lead = list(found[0][0])
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[[*lead, *(c for c in frame if c not in lead)]]
    first = found[0][1]
    title = f"Laws of {first.fits[0].y} against {first.fits[0].x}"
    print_groups(frame, [group for group, _ in found], title=title)
    console.print(
        "of each group the best extrapolation first: RMSLE is of ln y, of runs larger in "
        f"{first.along} than those fitted; coverage, the share of them within the {level:.0%} "
        "interval of a new run; weight, Akaike's\n",
        soft_wrap=True,
    )
