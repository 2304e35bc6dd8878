"""Chosen runs as study files: a list of runs, its axes advancing together, and comments on top."""

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from mfscale.cli._runs import SEEDS, Offer, Run, Values
from mfscale.study.messages import Path as Place

TOGETHER = "run"
"""What the axes of a suggested study are zipped as."""


@dataclass(frozen=True)
class NextStudy:
    """One study file.

    Attributes
    ----------
    text
        YAML, its comments first.
    runs
        Those that it is written for; it holds finished ones too where a list needs them.
    """

    text: str
    runs: tuple[Run, ...]


def studies_of(
    chosen: Sequence[Run],
    offer: Offer,
    finished: frozenset[str],
    comments: Callable[[Sequence[Run]], list[str]],
) -> list[NextStudy]:
    """As few files as hold all chosen runs and, beside them, only stages that are finished.

    A study has one list of seeds: strategies share a file where each has a chosen or a finished run
    for every entry.
    """
    files: list[list[str]] = []
    strategies = list(dict.fromkeys(run.strategy for run in chosen))
    done = [run for run in offer.runs if {stage.id for stage in run.stages} <= finished]
    for strategy in strategies:
        room = next((n for n in files if _table([*n, strategy], chosen, done) is not None), None)
        if room is None:
            files.append([strategy])
        else:
            room.append(strategy)
    found = []
    for i, names in enumerate(files):
        table = _table(names, chosen, done)
        mine = tuple(run for run in chosen if run.strategy in names)
        name = f"{offer.study.name}-next" + (f"-{i + 1}" if i else "")
        if table is not None:
            lines = "".join(f"# {line}".rstrip() + "\n" for line in comments(mine))
            found.append(NextStudy(lines + _yaml(_tree(offer, name, names, table)), mine))
    return found


def _table(
    names: Sequence[str], chosen: Sequence[Run], done: Sequence[Run]
) -> list[dict[str, Run]] | None:
    """One entry per place of the lists: strategy → run; None if some run would have to be new."""
    cells: dict[str, Values] = {}
    by_cell: dict[tuple[str, str], list[Run]] = {}
    for run in chosen:
        if run.strategy in names:
            cells.setdefault(_cell(run), run.shared)
            by_cell.setdefault((run.strategy, _cell(run)), []).append(run)
    spare = {(run.strategy, _cell(run)): [run] for run in reversed(done)}
    table: list[dict[str, Run]] = []
    for cell in cells:
        columns = {n: by_cell.get((n, cell)) or spare.get((n, cell)) for n in names}
        full = {n: runs for n, runs in columns.items() if runs}
        if len(full) < len(names):
            return None
        table += [
            {n: runs[min(i, len(runs) - 1)] for n, runs in full.items()}
            for i in range(max(map(len, full.values())))
        ]
    return table


def _cell(run: Run) -> str:
    return repr(sorted((place, repr(value)) for place, value in run.shared.items()))


def _tree(
    offer: Offer, name: str, names: Sequence[str], table: Sequence[dict[str, Run]]
) -> dict[str, Any]:
    study = offer.study
    tree: dict[str, Any] = {"name": name, **copy.deepcopy(dict(study.shared))}
    tree |= {str(place[0]): 0 for place in SEEDS if place[0] not in tree}
    if study.training:
        tree["training"] = copy.deepcopy(study.training)
    if (tune := _tune(offer, names)) is not None:
        tree["tune"] = tune
    tree["strategies"] = {n: copy.deepcopy(study.strategies[n]) for n in names}
    first = next(iter(table[0].values()))
    for place in first.shared:
        _put(tree, place, [next(iter(row.values())).shared[place] for row in table])
    for n in names:
        columns = {place: [row[n].own[place] for row in table] for place in table[0][n].own}
        for place, values in columns.items():
            _put(tree, place, values)
    return tree


def _tune(offer: Offer, names: Sequence[str]) -> Any:  # noqa: ANN401 - as the file has it
    """The study's tuning, under its own name, so that its choices are taken."""
    tune = copy.deepcopy(offer.study.tune)
    if not isinstance(tune, dict):
        return tune
    if "freeze" not in tune:
        tune = {"name": offer.study.name, **tune}
    if isinstance(tune.get("strategies"), list):
        tune["strategies"] = [n for n in tune["strategies"] if n in names]
        return tune if tune["strategies"] else None
    return tune


def _put(tree: Any, place: Place, values: list[Any]) -> None:  # noqa: ANN401 - plain YAML
    """Put a list that advances with the others, or what all entries have."""
    *parents, last = place
    for key in parents:
        tree = tree[key]
    same = all(value == values[0] for value in values)
    tree[last] = values[0] if same else {"zip": TOGETHER, "values": values}


def _yaml(tree: dict[str, Any]) -> str:
    writer = YAML()
    writer.default_flow_style = None  # the innermost mappings and lists on a line
    writer.width = 100
    text = io.StringIO()
    writer.dump(tree, text)
    return text.getvalue()
