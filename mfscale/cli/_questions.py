"""What questions of labels have in common: the error, the probability, and how they end."""

from typing import Annotated, Any

import typer

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
    """One message where no group has an answer."""
    from mfscale.scaling import FitError

    if not any(answer.found for answer in answers):
        told = [w.message for a in answers for w in a.warnings if w.code == "not-reachable"]
        raise FitError("; ".join(dict.fromkeys(told)))


def states(probability: float, *, new_run: bool, level: float | None) -> str:
    """Which probability is meant."""
    what = "one new run" if new_run else "the median of runs"
    interval = "" if level is None else f"low, high: {level:.0%} interval of that; "
    return f"{interval}with probability {probability:g} {what} lies at or below the error"
