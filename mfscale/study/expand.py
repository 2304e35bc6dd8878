"""Expand a study to the graph of stages it asks for, sharing every stage that is the same work."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mfscale.study import axes
from mfscale.study.catalogue import Catalogue
from mfscale.study.chosen import Chain, Chooser
from mfscale.study.errors import StudyError
from mfscale.study.load import Study
from mfscale.study.messages import Path, explain, shown
from mfscale.study.offers import Offers
from mfscale.study.schema import StrategySpec
from mfscale.study.stage import Stage
from mfscale.study.tuning import Choice, Choices, Tuning, parse_tune

MOST_COMBINATIONS = 50_000
"""Of all strategies together; expanding them takes some ten seconds."""


@dataclass(frozen=True)
class StudyGraph:
    """The stages of a study.

    Attributes
    ----------
    name
        Of the study.
    stages
        Id → stage, every parent before its children.
    uses
        Id → the places of the study that need it, e.g. ``("direct[0]", "finetune[0]")``.
    requests
        How many stages the study asks for before equal ones are shared.
    tunings
        Choices of hyperparameters that can be made as soon as the stages their trials start from
        are finished.
    later
        Choices that wait for these: as they would be if these changed nothing, which tells what
        they cost.
    choices
        Those that were made and act on `stages`.
    waiting
        Stages that are not among `stages` yet, for they wait for a choice: as they would be
        without tuning, which tells their number and cost but not their ids.
    """

    name: str
    stages: Mapping[str, Stage]
    uses: Mapping[str, tuple[str, ...]]
    requests: int
    tunings: tuple[Tuning, ...] = ()
    later: tuple[Tuning, ...] = ()
    choices: tuple[Choice, ...] = ()
    waiting: tuple[Stage, ...] = ()

    def all_stages(self) -> Iterator[Stage]:
        """The stages there are, those that wait, and the trials of choices to be made."""
        yield from self.stages.values()
        yield from self.waiting
        yield from self.trials()

    def trials(self) -> Iterator[Stage]:
        """A stage for each trial of the choices to be made, with the settings of no tuning."""
        for tuning in (*self.tunings, *self.later):
            yield from [tuning.trial(tuning.untuned)] * tuning.trials

    def children(self) -> dict[str, list[str]]:
        """Id → ids of the stages that start from it."""
        found: dict[str, list[str]] = {stage_id: [] for stage_id in self.stages}
        for stage in self.stages.values():
            if stage.parent_id is not None:
                found[stage.parent_id].append(stage.id)
        return found

    def resolve(self, prefix: str) -> str:
        """Complete the first characters of a stage id; StudyError unless exactly one stage fits."""
        matches = [stage_id for stage_id in self.stages if stage_id.startswith(prefix)]
        if len(matches) != 1:
            raise StudyError(
                f"{len(matches)} stages of {self.name} have ids that begin with {prefix!r}; "
                "mfscale plan --all lists them"
            )
        return matches[0]

    def only(self, wanted: Collection[str]) -> "StudyGraph":
        """The part of a study that some of its stages, and all they start from, make up."""
        kept = set(wanted)
        for stage in reversed(list(self.stages.values())):
            if stage.id in kept and stage.parent_id is not None:
                kept.add(stage.parent_id)
        return StudyGraph(
            name=self.name,
            stages={stage_id: s for stage_id, s in self.stages.items() if stage_id in kept},
            uses={stage_id: places for stage_id, places in self.uses.items() if stage_id in kept},
            requests=sum(len(self.uses[stage_id]) for stage_id in kept),
            choices=self.choices,
        )


def expand(study: Study, catalogue: Catalogue, choices: Choices | None = None) -> StudyGraph:
    """Resolve every axis of `study` and build its stages.

    Parameters
    ----------
    study, catalogue
        What is asked for, and what there is.
    choices
        Made by earlier tunings.

    Raises
    ------
    StudyError
        Naming file, key and remedy: an unknown key or value, labels the dataset lacks, a model
        nobody offers, a choice that was never made, more than `MOST_COMBINATIONS` combinations.
    """
    try:
        tune = parse_tune(study.tune, study.name, study.strategies)
        offers = Offers(catalogue)
        chains = list(_chains(study))
        chooser = Chooser(study.name, tune, offers, chains, choices or {})
        return _graph(study, chains, chooser)
    except StudyError as error:
        raise StudyError(f"{study.source}: {error}") from None


def _graph(study: Study, chains: Sequence[Chain], chooser: Chooser) -> StudyGraph:
    stages: dict[str, Stage] = {}
    uses: dict[str, dict[str, None]] = {}
    waiting: dict[str, Stage] = {}
    for chain in chains:
        resolved = chooser.resolved(chain)
        for index, stage in enumerate(resolved):
            stages.setdefault(stage.id, stage)
            uses.setdefault(stage.id, {})[f"{chain.strategy}[{index}]"] = None
        untuned = chooser.untuned(chain) if len(resolved) < len(chain.spec.steps) else ()
        waiting |= {stage.id: stage for stage in untuned[len(resolved) :]}
    return StudyGraph(
        name=study.name,
        stages=stages,
        uses={stage_id: tuple(places) for stage_id, places in uses.items()},
        requests=sum(len(chain.spec.steps) for chain in chains),
        tunings=chooser.tunings,
        later=chooser.later,
        choices=chooser.choices,
        waiting=tuple(waiting.values()),
    )


def _chains(study: Study) -> Iterator[Chain]:
    """Every combination of every strategy, checked against the schema."""
    shared = {**study.shared, "training": study.training}
    combinations = 0
    for name, steps in study.strategies.items():
        where: Path = ("strategies", name)
        found = axes.find_axes(shared) + [
            axis for i, step in enumerate(steps) for axis in axes.find_axes(step, (*where, i))
        ]
        combinations += axes.count(found)
        if combinations > MOST_COMBINATIONS:
            raise StudyError(
                f"strategies.{name}: its axes bring the study to {combinations:,} "
                f"combinations, more than {MOST_COMBINATIONS:,}; shorten or zip some"
            )
        for chosen in axes.combinations(found):
            resolved = [axes.resolve(s, chosen, (*where, i)) for i, s in enumerate(steps)]
            yield Chain(name, _checked(name, axes.resolve(shared, chosen), resolved))


def _checked(
    name: str, shared: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]
) -> StrategySpec:
    """Put the study's training settings under those of each step, and check the whole."""
    settings = {**shared}
    training = _mapping(settings.pop("training"), "training")
    own = [
        _mapping(step.get("training", {}), f"strategies.{name}[{i}].training")
        for i, step in enumerate(steps)
    ]
    merged = tuple(
        {**step, "training": {**training, **mine}} for step, mine in zip(steps, own, strict=True)
    )
    try:
        return StrategySpec.model_validate({**settings, "steps": merged})
    except ValidationError as error:
        raise StudyError(explain(error, name, own)) from None


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StudyError(
            f"{where}: must be a mapping of keys to values, e.g. {{max_steps: 1000}}, got "
            + shown(value)
        )
    return value
