"""``compare`` and ``invert``: whether groups share a law, and how many labels an error takes."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import named, print_groups, telling
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json
from mfscale.cli._warned import gathered, print_warnings
from mfscale.cli.laws import LawOfOne

if TYPE_CHECKING:
    from mfscale.scaling import Fit

LawOption = Annotated[
    LawOfOne,
    typer.Option("--law", help="Of error against labels, or of fine-tuned against pre-trained."),
]
ErrorOption = Annotated[float, typer.Option("--error", help="The error to reach, in y's unit.")]
ProbabilityOption = Annotated[
    float, typer.Option("--probability", help="With which the answer suffices.")
]
NewRunOption = Annotated[
    bool, typer.Option("--new-run", help="For one new run, not only for the median of runs.")
]
CostOption = Annotated[
    list[str] | None,
    typer.Option("--cost", help="METHOD=COST of a label, relative; by default the dataset's."),
]
NOTHING: list[str] = []


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (compare, invert):
        add_question(app, command)


def compare(
    asked: Asked,
    law: LawOption = LawOfOne.power,
    json: JsonOption = False,
) -> None:
    """Ask whether groups share a law: one slope, one height, and which pairs differ (Holm).

    Try: mfscale compare --law line
    """
    from mfscale.scaling import FitError
    from mfscale.scaling import compare as compare_groups

    question = asked.question(law.value)
    if not question.group:
        raise FitError("there is one group only; name the columns to compare by with --group")
    found = compare_groups(
        question.frame,
        question.law,
        x=question.x,
        y=question.y,
        group=question.group,
        cluster=question.cluster,
        level=asked.level,
    )
    found = replace(found, fits=tuple(map(question.with_cautions, found.fits)))
    if json:
        print_json(
            {
                "law": found.law,
                "x": found.x,
                "y": found.y,
                "level": asked.level,
                "tests": found.tests.to_dict("records"),
                "pairs": found.pairs.to_dict("records"),
                "warnings": gathered((f.group, f.warnings) for f in found.fits),
            }
        )
        return
    console.print(str(replace(found, fits=_silent(found.fits))), soft_wrap=True)
    print_warnings((f.group, f.warnings) for f in found.fits)


def invert(
    error: ErrorOption,
    asked: Asked,
    law: LawOption = LawOfOne.power,
    probability: ProbabilityOption = 0.9,
    new_run: NewRunOption = False,
    json: JsonOption = False,
) -> None:
    """Ask how many labels (or what x) an error takes, and how many suffice with a probability.

    Try: mfscale invert --error 30
    """
    from mfscale.scaling import invert as ask

    question = asked.question(law.value)
    fits = question.fit(asked.level)
    answers = [
        ask(found, error, probability=probability, new_run=new_run)
        for found in fits
        if found.determined
    ]
    refuse_if_none(answers)
    warned = [(f.group, f.warnings) for f in fits if not f.determined]
    warned += [(answer.group, answer.warnings) for answer in answers]
    if json:
        plain = [{**asdict(a), "found": a.found} for a in answers]
        for each in plain:
            del each["warnings"]
        print_json({"answers": plain, "warnings": gathered(warned)})
        return
    import pandas as pd

    columns = ("estimate", "low", "high", "suffices", "reachable", "decades_from_data")
    rows = [{**a.group, **{c: getattr(a, c) for c in columns}} for a in answers]
    title = f"{question.x} for {question.y} = {error:g}"
    frame = pd.DataFrame(rows).rename(columns={"estimate": question.x})
    print_groups(frame, [answer.group for answer in answers], title=title)
    console.print(states(probability, new_run=new_run, level=asked.level), soft_wrap=True)
    print_warnings(warned)


def refuse_if_none(answers: "list[Any]") -> None:
    """One message where no group has an answer; of several groups a line each."""
    from mfscale.scaling import FitError

    if any(answer.found for answer in answers):
        return
    columns = telling(answer.group for answer in answers)
    groups: dict[str, list[str]] = {}
    for answer in answers:
        for warning in answer.warnings:
            if warning.code == "not-reachable":
                groups.setdefault(warning.message, []).append(named(answer.group, columns))
    if len(answers) == 1 or len(groups) == 1:
        raise FitError("; ".join(groups))
    lines = [f"  {'; '.join(names)}: {message}" for message, names in groups.items()]
    raise FitError(f"none of {len(answers)} groups reaches it\n" + "\n".join(lines))


def states(probability: float, *, new_run: bool, level: float | None) -> str:
    """Which probability is meant."""
    what = "one new run" if new_run else "the median of runs"
    interval = "" if level is None else f"low, high: {level:.0%} interval of that; "
    return f"{interval}with probability {probability:g} {what} lies at or below the error"


def _silent(fits: "tuple[Fit, ...]") -> "tuple[Fit, ...]":
    """Without the warnings, which are printed once and elsewhere."""
    return tuple(replace(found, warnings=()) for found in fits)
