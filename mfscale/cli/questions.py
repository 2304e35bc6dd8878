"""``compare``, ``invert``, ``mix`` and ``worth``: what people ask of the laws."""

from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli import _analysis, _mixing
from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_frame, print_json
from mfscale.cli._warned import gathered, print_warnings
from mfscale.cli.laws import (
    ClusterOption,
    GroupOption,
    LevelOption,
    TableOption,
    TargetOption,
    XOption,
    YOption,
    answers_of,
    table_asked,
)

if TYPE_CHECKING:
    from mfscale.cli._analysis import Question, Table
    from mfscale.scaling import Fit, Mix, Worth


class AnyLaw(StrEnum):
    """A law of one predictor."""

    power = "power"
    saturating_power = "saturating power"
    line = "line"
    shifted_line = "shifted line"


class MixLaw(StrEnum):
    """A law in several numbers of labels."""

    label_equivalent = "label-equivalent"
    multiplicative = "multiplicative"
    transfer_gap = "transfer gap"


LawOption = Annotated[
    AnyLaw,
    typer.Option("--law", help="Of error against labels, or of fine-tuned against pre-trained."),
]
MixLawOption = Annotated[
    MixLaw | None, typer.Option("--law", help="By default the one of least AICc that applies.")
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
    for command in (compare, invert, mix, worth):
        app.command()(command)


def compare(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = AnyLaw.power,
    target: TargetOption = "cc",
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Ask whether groups share a law: one slope, one height, and which pairs differ (Holm).

    Try: mfscale compare --law line
    """
    from mfscale.scaling import FitError
    from mfscale.scaling import compare as compare_groups

    question = _question(law, store, study, target, table_asked(table, x, y, group, cluster))
    if not question.group:
        raise FitError("there is one group only; name the columns to compare by with --group")
    found = compare_groups(
        question.frame,
        question.law,
        x=question.x,
        y=question.y,
        group=question.group,
        cluster=question.cluster,
        level=level,
    )
    found = replace(found, fits=tuple(map(question.with_cautions, found.fits)))
    if json:
        print_json(
            {
                "law": found.law,
                "x": found.x,
                "y": found.y,
                "level": level,
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
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = AnyLaw.power,
    target: TargetOption = "cc",
    probability: ProbabilityOption = 0.9,
    new_run: NewRunOption = False,
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Ask how many labels (or what x) an error takes, and how many suffice with a probability.

    Try: mfscale invert --error 30
    """
    from mfscale.scaling import invert as ask

    asked = table_asked(table, x, y, group, cluster)
    ((question, fits),) = answers_of(law, store, study, target, level, asked)
    answers = [
        ask(found, error, probability=probability, new_run=new_run)
        for found in fits
        if found.determined
    ]
    _refuse_if_none(answers)
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
    print_frame(pd.DataFrame(rows).rename(columns={"estimate": question.x}), title=title)
    console.print(_states(probability, new_run=new_run, level=level), soft_wrap=True)
    print_warnings(warned)


def mix(
    error: ErrorOption,
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: MixLawOption = None,
    target: TargetOption = "cc",
    probability: ProbabilityOption = 0.9,
    new_run: NewRunOption = False,
    cost: CostOption = None,
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Find the cheapest mix of labels that reaches an error, and what other errors would cost.

    Of a table, --x names the columns that count labels, called after their methods.

    Try: mfscale mix --error 30 --cost dft=10 --cost cc=100
    """
    from mfscale.scaling import mix as cheapest

    asked = table_asked(table, x, y, group, cluster)
    mixing = mixing_asked(store, study, target, asked)
    given = _mixing.read_pairs("--cost", cost or NOTHING)
    fits = mixing.fits(law.value if law else None, level)
    unsure = [found for found in fits if not found.has_interval]
    answers = [
        cheapest(
            found,
            error,
            costs=_mixing.prices(mixing, given, found),
            probability=probability,
            new_run=new_run,
        )
        for found in fits
        if found.has_interval or len(unsure) == len(fits)  # which then says so
    ]
    _refuse_if_none(answers)
    warned = [(answer.group, answer.warnings) for answer in answers]
    warned += [(found.group, found.warnings) for found in unsure]
    if json:
        print_json({"answers": [_plain_mix(a) for a in answers], "warnings": gathered(warned)})
        return
    import pandas as pd

    rows = [_mix_row(answer) for answer in answers]
    print_frame(pd.DataFrame(rows), title=f"The cheapest mix for {mixing.y} = {error:g}")
    console.print(_states(probability, new_run=new_run, level=None), soft_wrap=True)
    for answer in answers:
        print_frame(
            answer.frontier,
            title=f"\n{mixing.y} against cost{_of(answer.group)}",
        )
    print_warnings(warned)


def worth(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    law: LawOption = AnyLaw.power,
    target: TargetOption = "cc",
    labels: Annotated[
        list[float] | None,
        typer.Option("--labels", help="Target labels to ask at; by default those of the data."),
    ] = None,
    cost: CostOption = None,
    direct: Annotated[
        str, typer.Option("--direct", help="Of a table: the group without pre-training.")
    ] = "none",
    table: TableOption = None,
    x: XOption = None,
    y: YOption = None,
    group: GroupOption = None,
    cluster: ClusterOption = None,
    level: LevelOption = 0.95,
    json: JsonOption = False,
) -> None:
    """Ask what pre-training is worth in target labels, and where it stops paying or hurts.

    Try: mfscale worth --labels 100
    """
    asked = table_asked(table, x, y, group, cluster)
    question = _question(law, store, study, target, asked)
    given = _mixing.read_pairs("--cost", cost or NOTHING)
    answers = _worths(question, question.fit(level), direct, labels, given, target)
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
    print_frame(frame, title=f"What pre-training is worth, in {question.x}")
    console.print(
        f"low, high: {level:.0%} interval; helps, pays: probability that it is worth more than 0, "
        "more than its price in labels"
    )
    print_warnings(warned)


def mixing_asked(
    store: Path, study: Path | None, target: str, table: "Table | None"
) -> _mixing.Mixing:
    """The rows of a mix, of a table or a store."""
    if table is not None:
        return _mixing.mixes_of_table(table, target)
    from mfscale.cli.results import study_rows
    from mfscale.results import Store

    return _mixing.mixes_of_store(study_rows(Store(store), study), target)


def _question(
    law: AnyLaw, store: Path, study: Path | None, target: str, table: "Table | None"
) -> "Question":
    if table is not None:
        return _analysis.of_table(table, law.value)
    from mfscale.cli.results import study_rows
    from mfscale.results import Store

    return _analysis.of_store(study_rows(Store(store), study), law.value, target)


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
        price = _price(str(found.group[lead]), costs, target) if question.of_store else 0.0
        answers.append(ask(against, found, x, price=price))
    return answers


def _closest(candidates: "list[Fit]", found: "Fit") -> "Fit":
    """The direct law that shares most of the other columns of the group."""
    return max(candidates, key=lambda c: sum(c.group[k] == v for k, v in found.group.items()))


def _price(pretraining: str, given: dict[str, float], target: str) -> float:
    """What the labels of ``xtb:b:1000 > dft:b:100+forces`` cost, in target labels; 0 if unknown."""
    costs = given or _mixing.PAPER
    sets = [part.split(":") for step in pretraining.split(" > ") for part in step.split(" & ")]
    if any(len(s) != 3 or s[0] not in costs for s in sets) or target not in costs:
        return 0.0
    return sum(costs[m] * float(n.removesuffix("+forces")) for m, _, n in sets) / costs[target]


def _refuse_if_none(answers: "list[Any]") -> None:
    """One message where no group has an answer."""
    from mfscale.scaling import FitError

    if not any(answer.found for answer in answers):
        told = [w.message for a in answers for w in a.warnings if w.code == "not-reachable"]
        raise FitError("; ".join(dict.fromkeys(told)))


def _silent(fits: "tuple[Fit, ...]") -> "tuple[Fit, ...]":
    """Without the warnings, which are printed once and elsewhere."""
    return tuple(replace(found, warnings=()) for found in fits)


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


def _states(probability: float, *, new_run: bool, level: float | None) -> str:
    """Which probability is meant."""
    what = "one new run" if new_run else "the median of runs"
    interval = "" if level is None else f"low, high: {level:.0%} interval of that; "
    return f"{interval}with probability {probability:g} {what} lies at or below the error"


def _of(group: "dict[str, Any]") -> str:
    from mfscale.cli._warned import named

    return f", {named(group)}" if group else ""
