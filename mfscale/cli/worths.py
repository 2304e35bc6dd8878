"""``worth``: what pre-training is worth in target labels, and from where on it does not pay."""

from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis, _mixing
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import print_groups
from mfscale.cli._law_options import LawOfOne, LawOfOneOption
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, print_json
from mfscale.cli._questions import NOTHING, CostOption
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    from mfscale.cli._analysis import Question
    from mfscale.scaling import Fit, Worth


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, worth)


def worth(
    asked: Asked,
    law: LawOfOneOption = LawOfOne.power,
    labels: Annotated[
        list[float] | None,
        typer.Option("--labels", help="Target labels to ask at; by default those of the data."),
    ] = None,
    cost: CostOption = None,
    direct: Annotated[
        str, typer.Option("--direct", help="Of a table: the group without pre-training.")
    ] = "none",
    json: JsonOption = False,
) -> None:
    """Ask what pre-training is worth in target labels, and where it stops paying or hurts.

    Try: mfscale worth --labels 100
    """
    question = asked.question(law.value)
    given = _mixing.read_pairs("--cost", cost or NOTHING)
    answers = _worths(question, question.fit(asked.level), direct, labels, given, asked.target)
    warned = [(answer.group, answer.warnings) for answer in answers]
    if json:
        plain = [
            {
                "group": a.group,
                "price": a.price,
                "pays_until": a.pays_until,
                "table": a.table.to_dict("records"),
            }
            for a in answers
        ]
        print_json({"answers": plain, "warnings": gathered(warned)})
        return
    import pandas as pd

    parts = [a.table.assign(**a.group, price=a.price, pays_until=a.pays_until) for a in answers]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[[*answers[0].group, *(c for c in frame if c not in answers[0].group)]]
    title = f"What pre-training is worth, in {question.x}"
    print_groups(frame, [answer.group for answer in answers], title=title)
    console.print(
        f"low, high: {asked.level:.0%} interval; helps, pays: probability that it is worth more "
        "than 0, more than its price in labels",
        soft_wrap=True,
    )
    print_warnings(warned)


def _worths(
    question: "Question",
    fits: "list[Fit]",
    direct: str,
    labels: list[float] | None,
    costs: dict[str, float],
    target: str,
) -> "list[Worth]":
    from mfscale.scaling import FitError
    from mfscale.scaling import worth as ask

    if not question.group or question.law not in _analysis.AGAINST_LABELS:
        raise FitError(
            "worth compares laws of error against labels, one for each pre-training: name the "
            "column of the pre-training first in --group, and --law power or saturating power"
        )
    lead = question.group[0]
    usable = [found for found in fits if found.determined]
    without = [found for found in usable if str(found.group[lead]) == direct]
    others = [found for found in usable if str(found.group[lead]) != direct]
    if not without or not others:
        there = ", ".join(dict.fromkeys(str(f.group[lead]) for f in usable))
        raise FitError(
            f"worth needs laws with {lead} = {direct} and with another; there are {there}"
        )
    answers = []
    for found in others:
        against = _closest(without, found)
        x = labels or sorted(question.rows_of(found)[question.x].astype(float).unique())
        price = 0.0
        if question.of_store:
            dataset = str(question.rows_of(found)["dataset"].iloc[0])
            known = {**_mixing.costs_of(dataset), **costs}
            price = _price(str(found.group[lead]), known, target)
        answers.append(ask(against, found, x, price=price))
    return answers


def _closest(candidates: "list[Fit]", found: "Fit") -> "Fit":
    """The direct law that shares most of the other columns of the group."""
    return max(candidates, key=lambda c: sum(c.group[k] == v for k, v in found.group.items()))


def _price(pretraining: str, costs: dict[str, float], target: str) -> float:
    """What the labels of ``xtb:b:1000 > dft:b:100+forces`` cost, in target labels; 0 if unknown.

    A label of a difference, ``cc-xtb:a:50``, takes one of each method.
    """
    sets = [part.split(":") for step in pretraining.split(" > ") for part in step.split(" & ")]
    if any(len(s) != 3 for s in sets):
        return 0.0
    methods = {s[0]: [s[0]] if s[0] in costs else s[0].split("-") for s in sets}
    if target not in costs or any(m not in costs for both in methods.values() for m in both):
        return 0.0
    of_one = {name: sum(costs[m] for m in both) for name, both in methods.items()}
    return sum(of_one[m] * float(n.removesuffix("+forces")) for m, _, n in sets) / costs[target]
