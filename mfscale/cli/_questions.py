"""What questions of labels have in common: the error, the probability, and how they end."""

from typing import Annotated, Any

import typer

from mfscale.cli._groups import named, telling

ErrorOption = Annotated[float, typer.Option("--error", help="The error to reach, in y's unit.")]
ProbabilityOption = Annotated[
    float, typer.Option("--probability", help="With which the answer suffices.")
]
NewRunOption = Annotated[
    bool, typer.Option("--new-run", help="For one new run, not only for the median of runs.")
]
CostOption = Annotated[
    list[str] | None,
    typer.Option("--cost", help="METHOD=COST of a label, relative; of others, the dataset's."),
]
NOTHING: list[str] = []


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
