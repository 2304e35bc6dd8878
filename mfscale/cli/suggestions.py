"""``suggest``: which stages to run next, within a budget, to narrow an answer most."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli import _mixing
from mfscale.cli._asked import Asked, add_question
from mfscale.cli._candidates import Candidates, Cost, Unit, candidates_of, labels_cost
from mfscale.cli._groups import named
from mfscale.cli._law_options import AnyLawOption
from mfscale.cli._narrowed import Narrowing, Wanted, narrowing
from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, duration, print_frame, print_json
from mfscale.cli._questions import CostOption
from mfscale.cli._warned import gathered, print_warnings
from mfscale.cli.mixes import BeyondOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfscale.cli._next_study import NextStudy
    from mfscale.cli._runs import Offer, Run
    from mfscale.results import Store
    from mfscale.scaling import Suggestion
    from mfscale.study import StudyGraph

PredictOption = Annotated[
    list[str] | None,
    typer.Option(
        "--predict-at",
        help="Narrow the error predicted here: 1000, or cc=1000,dft=300, or "
        "cc=200,n_parameters=30000; may be repeated.",
    ),
]
InvertOption = Annotated[
    float | None, typer.Option("--invert", help="Narrow what it takes to reach this error.")
]
HeldOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="With --invert, of a law in several numbers: the others, held at dft=1000 or "
        "n_parameters=30000.",
    ),
]
MixOption = Annotated[
    float | None,
    typer.Option("--mix", help="Narrow the cost of the cheapest mix that reaches this error."),
]
BudgetOption = Annotated[float, typer.Option("--budget", help="What may be spent, in --unit.")]
UnitOption = Annotated[
    Unit,
    typer.Option(
        "--unit",
        help="stages; seconds on one slot, at most; or labels-cost: training labels at the "
        "dataset's costs, in labels of the target, as if bought for each stage.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The study file to write; it must not exist yet.")
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, suggest)


def suggest(
    asked: Asked,
    budget: BudgetOption,
    predict_at: PredictOption = None,
    invert: InvertOption = None,
    at: HeldOption = None,
    mix: MixOption = None,
    label_cost: CostOption = None,
    beyond: BeyondOption = 0.0,
    law: AnyLawOption = None,
    unit: UnitOption = Unit.stages,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Suggest the stages that narrow an answer most, as a study file that run takes.

    Of the study's strategies with other sizes and further seeds. The answer is a prediction
    (--predict-at), its inverse (--invert) or the cost of the cheapest mix (--mix). Several groups
    (see fit) are narrowed together; --where keeps some.

    Try: mfscale suggest --predict-at 1000 --budget 20 --study study.yaml --out next.yaml
    """
    from mfscale.scaling import suggest as choose

    study = _checked(asked, out)
    wanted = Wanted(predict_at or (), invert, at, mix, label_cost or (), beyond)
    answer = narrowing(asked, law.value if law else None, wanted)
    offer, candidates, cost = _offered(asked, study, answer, unit)
    found = choose(answer.fits, answer.frame, candidates.table, budget=budget, **answer.question)
    runs = [candidates.runs[i] for i in found.chosen.index]
    finished = _finished(asked)
    new = {s.id: s for run in runs for s in run.stages if s.id not in finished}
    spent = sum(map(cost, new.values()))
    files = _written(
        asked, study, out, offer, runs, found, f"{spent:.4g} of {budget:g} {unit.value}"
    )
    warned = list(found.warnings)
    if json:
        print_json(
            {
                "unit": unit.value,
                "budget": budget,
                "cost": spent,
                "new_stages": list(new),
                "answers": found.answers.to_dict("records"),
                "components": found.components.to_dict("records"),
                "runs": found.chosen.to_dict("records"),
                "exact": found.exact,
                "files": [str(path) for path, _ in files],
                "warnings": gathered(warned),
            }
        )
        return
    print_frame(found.answers, title=f"{answer.fits[0].y}, now and expected")
    print_frame(_shown(runs, found), title=f"\n{len(runs)} runs")
    total = duration(spent) if unit is Unit.seconds else f"{spent:.4g} {unit.value}"
    how = "the best of all choices" if found.exact else "found greedily and by exchanges"
    console.print(
        f"{len(new)} new stages, {total} of {budget:g}; {how}. Expected if the law and its "
        "scatter, between checkpoints and within them, stay as estimated.",
        soft_wrap=True,
    )
    for path, _ in files:
        console.print(f"{path}: mfscale plan {path}", soft_wrap=True)
    if out is None:
        console.print("--out FILE writes them as a study")
    print_warnings(warned)


def _checked(asked: Asked, out: Path | None) -> Path:
    """The study file, if it is named and the new one can be written."""
    from mfscale.scaling import FitError

    if asked.study is None or asked.table is not None:
        raise FitError("suggest is of the stages of a study: name its file with --study")
    if out is not None and out.exists():
        raise FitError(f"--out {out} exists; name a file that does not")
    if out is not None and not out.parent.is_dir():
        raise FitError(f"--out {out}: there is no folder {out.parent}; make it first")
    return asked.study


def _offered(
    asked: Asked, study: Path, answer: Narrowing, unit: Unit
) -> "tuple[Offer, Candidates, Cost]":
    from mfscale.cli._catalogue import catalogue
    from mfscale.cli._runs import runs_around
    from mfscale.cli.study import expand_file
    from mfscale.results import Store
    from mfscale.scaling import FitError

    graph = expand_file(study, asked.store)
    offer = runs_around(
        study,
        asked.store,
        catalogue(),
        target=asked.target,
        earlier=answer.earlier,
        models=answer.models,
    )
    cost = _cost(unit, graph, Store(asked.store), asked.target)
    candidates = candidates_of(
        answer.about(offer.runs),
        offer.runs,
        target=asked.target,
        finished=_finished(asked),
        cost=cost,
    )
    if candidates.table.empty:
        raise FitError(
            f"{study}: no other size or seed of it is a run of this law; name the study "
            "whose stages it was fitted to"
        )
    return offer, candidates, cost


def _finished(asked: Asked) -> frozenset[str]:
    from mfscale.results import Store

    statuses = Store(asked.store).statuses()
    return frozenset(stage for stage, status in statuses.items() if status == "finished")


def _cost(unit: Unit, graph: "StudyGraph", store: "Store", target: str) -> Cost:
    if unit is Unit.stages:
        return lambda _: 1.0
    if unit is Unit.seconds:
        from mfscale.cli._running import speeds

        return speeds(graph, store, gpus=0).seconds
    from mfscale.scaling import FitError

    dataset = next(iter(graph.stages.values())).dataset
    costs = _mixing.costs_of(dataset)
    if target not in costs:
        raise FitError(f"--unit labels-cost: {dataset} states no cost of a label of {target}")
    return labels_cost(costs, target)


def _written(
    asked: Asked,
    study_file: Path,
    out: Path | None,
    offer: "Offer",
    runs: "Sequence[Run]",
    found: "Suggestion",
    spent: str,
) -> "list[tuple[Path, NextStudy]]":
    """Write the study files, after they are found to ask for these stages and no other new ones."""
    if out is None:
        return []
    from mfscale.cli._catalogue import catalogue
    from mfscale.cli._next_study import studies_of
    from mfscale.results import open_place
    from mfscale.scaling import FitError
    from mfscale.study import StudyError, expand, parse_study, read_choices

    finished = _finished(asked)

    def comments(mine: "Sequence[Run]") -> list[str]:
        stages = {stage.id for run in mine for stage in run.stages}
        new = len(stages - finished)
        return [
            f"Suggested to narrow an answer of {offer.study.name}, {study_file}: {len(mine)} runs,",
            f"{new} new stages beside {len(stages) - new} finished ones; {spent} in all.",
            *_in_words(found),
        ]

    files = []
    for i, study in enumerate(studies_of(runs, offer, finished, comments)):
        path = out if i == 0 else out.with_name(f"{out.stem}-{i + 1}{out.suffix}")
        if path.exists():
            raise FitError(f"{path} exists, and would be written beside --out {out}; remove it")
        parsed = parse_study(study.text, source=str(path), default_name=path.stem)
        choices = read_choices(open_place(asked.store), path.parent)
        try:
            stages = set(expand(parsed, catalogue(), choices).stages)
        except StudyError as error:
            raise FitError(f"{error}; write it beside {study_file}") from None
        wanted = {stage.id for run in study.runs for stage in run.stages}
        if not (wanted <= stages and stages - finished <= wanted):
            raise FitError(
                f"{path}: its settings come from a tuning that is not found from there; write it "
                f"beside {study_file}"
            )
        files.append((path, study))
    for path, study in files:
        path.write_text(study.text, encoding="utf-8")
    return files


def _in_words(found: "Suggestion") -> list[str]:
    from mfscale.scaling import format_interval, format_number, format_percent

    group = [c for c in found.components.columns if c not in {"between", "within"}]
    lines = []
    for row in found.answers.to_dict("records"):
        of = named({column: row[column] for column in group})
        now = format_interval(row["low"], row["high"])
        expected = format_interval(row["expected_low"], row["expected_high"])
        level = format_percent(found.level)
        lines.append(f"{row['asked']}" + (f", {of}:" if of else ":"))
        lines.append(
            f"  {format_number(row['estimate'])}, {level} interval now {now}, expected {expected}"
        )
    return lines


def _shown(runs: "Sequence[Run]", found: "Suggestion") -> Any:  # noqa: ANN401 - a DataFrame
    import pandas as pd

    models = [run.last.model.size for run in runs]
    return pd.DataFrame(
        {
            "strategy": [run.strategy for run in runs],
            "labels": [
                " > ".join(
                    " & ".join(f"{h.method}:{h.size}" for h in stage.heads.values())
                    for stage in run.stages
                )
                for run in runs
            ],
            **({"model": models} if len(set(models)) > 1 else {}),
            "seed": [run.last.seed for run in runs],
            "data_seed": [run.last.data_seed for run in runs],
            "cost": found.chosen["cost"].to_list(),
            "needs": found.chosen["setup"]
            .notna()
            .map({True: "its pre-training", False: ""})
            .to_list(),
        }
    )
