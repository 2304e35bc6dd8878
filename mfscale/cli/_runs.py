"""The runs of a study, and those that its axes could hold too: other sizes, further seeds."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, log10
from pathlib import Path
from typing import Any

from mfscale.results import open_place
from mfscale.study import (
    Catalogue,
    Choices,
    Stage,
    Study,
    StudyError,
    expand,
    load_study,
    read_choices,
)
from mfscale.study.axes import Axis, combinations, find_axes, resolve
from mfscale.study.messages import Path as Place
from mfscale.study.schema import ModelSpec

Values = dict[Place, Any]

SEEDS: tuple[Place, ...] = (("seed",), ("data_seed",))
REPLICATES = 6
"""Further seeds that are offered beside those of a study."""


@dataclass(frozen=True)
class Run:
    """One combination of a strategy, as the last of its stages is one row of the results.

    Attributes
    ----------
    strategy
        Its name.
    shared, own
        Place in the study file → value, of the axes of the study and of the strategy.
    stages
        From the first step on.
    """

    strategy: str
    shared: Values
    own: Values
    stages: tuple[Stage, ...]

    @property
    def last(self) -> Stage:
        """The stage whose error is meant."""
        return self.stages[-1]


@dataclass(frozen=True)
class Offer:
    """A study file, and all runs that it and its neighbourhood hold."""

    study: Study
    runs: tuple[Run, ...]


def runs_around(
    path: Path,
    store: str | os.PathLike[str],
    catalogue: Catalogue,
    *,
    target: str,
    earlier: bool,
    models: bool = False,
) -> Offer:
    """Expand a study with further seeds, and with smaller and larger sizes where it has several.

    Parameters
    ----------
    path, store
        Of the study file, and of the store whose choices of tunings it takes.
    target
        Head whose number of labels is varied in a strategy's last step.
    earlier
        Whether the numbers of labels of earlier steps, and of heads beside it, are varied too.
    models
        Whether the next smaller and the next larger model are offered beside a list of sizes.

    Raises
    ------
    StudyError
        For a study that cannot be expanded, or whose axes of the whole and of a strategy advance
        together.
    """
    study = load_study(path)
    choices = read_choices(open_place(store), path.parent)
    tree = {**study.shared, "training": study.training}
    shared = [_with_neighbours(a, tree, catalogue) if models else a for a in find_axes(tree)]
    names = {axis.group for axis in shared} - {None}
    found: list[Run] = []
    own: dict[str, list[Values]] = {}
    for name, steps in study.strategies.items():
        axes = [a for i, s in enumerate(steps) for a in find_axes(s, ("strategies", name, i))]
        if clash := names & {axis.group for axis in axes}:
            raise StudyError(
                f"{path}: axes of the study and of {name} advance together ({clash.pop()}): "
                "nothing can be suggested beside them; give one of them another name"
            )
        last = ("strategies", name, len(steps) - 1, "heads", target, "size")
        wider = [_wider(axis) if earlier or axis.path == last else axis for axis in axes]
        own[name] = [*combinations(wider)]
    cells = _with_replicates(tree, [*combinations(shared)])
    refused: dict[object, set[str]] = {}
    for cell in cells:
        lacking = refused.setdefault(_but_seeds(cell), set())
        found += _runs_of(study, tree, cell, own, lacking, catalogue, choices)
    return Offer(study, tuple(found))


def _wider(axis: Axis) -> Axis:
    """An axis of sizes with one smaller and two larger ones, as far apart as those there are."""
    sizes = sorted({v for v in axis.values if isinstance(v, int)})
    if axis.path[-1] != "size" or axis.group or len(sizes) < 2 or len(sizes) < len(axis.values):
        return axis
    ratio = (sizes[-1] / sizes[0]) ** (1 / (len(sizes) - 1))
    more = [sizes[0] / ratio, sizes[-1] * ratio, sizes[-1] * ratio**2]
    return replace(axis, values=(*sizes, *sorted({_round(n) for n in more} - {*sizes})))


def _with_neighbours(axis: Axis, tree: Mapping[str, Any], catalogue: Catalogue) -> Axis:
    """An axis of model sizes with the next smaller and the next larger one of the architecture."""
    if axis.path != ("model", "size") or axis.group or len(axis.values) < 2:
        return axis
    architecture = tree["model"].get("architecture", ModelSpec().architecture)
    entries = catalogue.models.get(architecture, {}) if isinstance(architecture, str) else {}
    ladder = sorted(entries, key=lambda size: entries[size].n_parameters)
    places = [ladder.index(size) for size in axis.values if size in ladder]
    if len(places) < len(axis.values):
        return axis
    more = [i for i in (min(places) - 1, max(places) + 1) if 0 <= i < len(ladder)]
    return replace(axis, values=(*axis.values, *(ladder[i] for i in more)))


def _round(number: float) -> int:
    """Two digits, at least 1."""
    digits = floor(log10(number)) - 1
    return max(1, round(round(number, -digits)))


def _with_replicates(tree: Mapping[str, Any], cells: list[Values]) -> list[Values]:
    """The combinations of the study's axes, and all but the seeds' with further seeds."""
    known = [{**{p: cell.get(p, tree.get(str(p[0]), 0)) for p in SEEDS}, **cell} for cell in cells]
    others = {_but_seeds(cell): cell for cell in known}
    most = {p: max(cell[p] for cell in known) for p in SEEDS}
    further = [
        {**cell, **{p: most[p] + k for p in SEEDS}}
        for k in range(1, REPLICATES + 1)
        for cell in others.values()
    ]
    return [*known, *further]


def _but_seeds(cell: Values) -> tuple[tuple[Place, str], ...]:
    return tuple(sorted((p, repr(v)) for p, v in cell.items() if p not in SEEDS))


def _runs_of(
    study: Study,
    tree: Mapping[str, Any],
    cell: Values,
    own: Mapping[str, Sequence[Values]],
    refused: set[str],
    catalogue: Catalogue,
    choices: Choices,
) -> Iterator[Run]:
    """The runs of one combination of the study's axes; `refused` gathers what the data lack."""
    whole = {**resolve(tree, cell), **{p[0]: cell[p] for p in SEEDS}}
    training = whole.pop("training")
    wanted = {
        f"{name} {i}": (name, values)
        for name, all_of in own.items()
        for i, values in enumerate(all_of)
    }

    def part(names: Sequence[str]) -> Study:
        steps = {
            each: [
                resolve(step, values, ("strategies", name, i))
                for i, step in enumerate(study.strategies[name])
            ]
            for each in names
            for name, values in [wanted[each]]
        }
        tune = _tune_of(study, {each: wanted[each][0] for each in names})
        return replace(study, shared=whole, training=training, strategies=steps, tune=tune)

    asked = [each for each in wanted if each not in refused]
    expanded = _expanded(part, asked, catalogue, choices)
    refused.update(each for each in asked if each not in expanded)
    for each, stages in expanded.items():
        name, values = wanted[each]
        if len(stages) == len(study.strategies[name]):  # none waits for a choice
            yield Run(name, cell, values, stages)


def _expanded(
    part: Callable[[Sequence[str]], Study],
    names: Sequence[str],
    catalogue: Catalogue,
    choices: Choices,
) -> dict[str, tuple[Stage, ...]]:
    """The stages of each combination that the dataset has labels for, found by halving."""
    try:
        graph = expand(part(names), catalogue, choices)
    except StudyError:
        if len(names) == 1:
            return {}
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        first, second = (_expanded(part, half, catalogue, choices) for half in halves)
        return {**first, **second}
    found: dict[str, dict[int, Stage]] = {name: {} for name in names}
    for stage_id, places in graph.uses.items():
        for place in places:
            name, _, step = place.removesuffix("]").rpartition("[")
            found[name][int(step)] = graph.stages[stage_id]
    return {name: tuple(steps[i] for i in sorted(steps)) for name, steps in found.items()}


def _tune_of(study: Study, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - as the file has it
    """The study's tuning for strategies of other names, under its own name."""
    tune = study.tune
    if not isinstance(tune, dict):
        return tune
    tune = {"name": study.name, **tune}
    if isinstance(tune.get("strategies"), list):
        tuned = [each for each, name in names.items() if name in tune["strategies"]]
        return {**tune, "strategies": tuned} if tuned else None
    return tune
