"""``mix``: the cheapest mix of labels that reaches an error."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli import _mixing
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import named, print_groups, telling
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_frame, print_json
from mfscale.cli._questions import (
    NOTHING,
    CostOption,
    ErrorOption,
    NewRunOption,
    ProbabilityOption,
    refuse_if_none,
    states,
)
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from mfscale.scaling import Mix


class MixLaw(StrEnum):
    """A law in several numbers of labels."""

    label_equivalent = "label-equivalent"
    multiplicative = "multiplicative"
    transfer_gap = "transfer gap"


MixLawOption = Annotated[
    MixLaw | None, typer.Option("--law", help="By default the one of least AICc that applies.")
]
BeyondOption = Annotated[
    float,
    typer.Option(
        "--beyond",
        min=0.0,
        help="Decades beyond the data, in each method's labels, up to which mixes are looked for.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, mix)


def mix(
    error: ErrorOption,
    asked: Asked,
    law: MixLawOption = None,
    probability: ProbabilityOption = 0.9,
    new_run: NewRunOption = False,
    cost: CostOption = None,
    beyond: BeyondOption = 0.0,
    json: JsonOption = False,
) -> None:
    """Find the cheapest mix of labels that reaches an error, and what other errors would cost.

    Of a table, --x names the columns that count labels, called after their methods.

    Try: mfscale mix --error 30 --cost dft=10 --cost cc=100
    """
    from mfscale.scaling import mix as cheapest

    mixing = _mixing.asked_for(asked)
    given = _mixing.read_pairs("--cost", cost or NOTHING)
    fits = mixing.fits(law.value if law else None, asked.level)
    unsure = [found for found in fits if not found.has_interval]
    answers = [
        cheapest(
            found,
            error,
            costs=_mixing.prices(mixing, given, found),
            probability=probability,
            new_run=new_run,
            decades=beyond,
        )
        for found in fits
        if found.has_interval or len(unsure) == len(fits)  # which then says so
    ]
    refuse_if_none(answers)
    warned = [(answer.group, answer.warnings) for answer in answers]
    warned += [(found.group, found.warnings) for found in unsure]
    if json:
        plain = [_plain_mix(answer) for answer in answers]
        print_json({"answers": plain, "beyond": beyond, "warnings": gathered(warned)})
        return
    import pandas as pd

    rows = [_mix_row(answer) for answer in answers]
    groups = [answer.group for answer in answers]
    print_groups(pd.DataFrame(rows), groups, title=f"The cheapest mix for {mixing.y} = {error:g}")
    console.print(states(probability, new_run=new_run, level=None), soft_wrap=True)
    console.print(_looked_at(beyond), soft_wrap=True)
    columns = telling(groups)
    for answer in answers:
        of = f", {named(answer.group, columns)}" if answer.group else ""
        print_frame(answer.frontier, title=f"\n{mixing.y} against cost{of}")
    print_warnings(warned)


def _looked_at(beyond: float) -> str:
    """How far mixes were looked for."""
    if not beyond:
        return (
            "looked for within the data's range of each method's labels; --beyond 1 goes a decade "
            "further"
        )
    return f"looked for up to {beyond:g} decades beyond the data in each method's labels"


def _plain_mix(answer: "Mix") -> dict[str, Any]:
    plain = {k: v for k, v in vars(answer).items() if k not in {"frontier", "warnings"}}
    return {**plain, "found": answer.found, "frontier": answer.frontier.to_dict("records")}


def _mix_row(answer: "Mix") -> dict[str, object]:
    return {
        **answer.group,
        "law": answer.law,
        **answer.labels,
        "cost": answer.cost,
        "cost_alone": answer.cost_alone,
        **{k: v for k, v in answer.predicted.items() if not k.startswith("new_run")},
    }
