"""Expand a study to the graph of stages it asks for, sharing every stage that is the same work."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mfscale.study import axes, fates
from mfscale.study.catalogue import Catalogue
from mfscale.study.errors import StudyError
from mfscale.study.load import Study
from mfscale.study.messages import Path, explain, shown
from mfscale.study.offers import Offers
from mfscale.study.schema import HeadSpec, Hyperparameters, StepSpec, StrategySpec
from mfscale.study.stage import LabelledSetOf, Stage, identity

MOST_COMBINATIONS = 50_000
"""Of all strategies together; expanding them takes some ten seconds."""

RATE_FROM_SCRATCH = 0.01
RATE_FROM_PARENT = 0.003


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
    """

    name: str
    stages: Mapping[str, Stage]
    uses: Mapping[str, tuple[str, ...]]
    requests: int

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
        )


def expand(study: Study, catalogue: Catalogue) -> StudyGraph:
    """Resolve every axis of `study` and build its stages.

    Raises
    ------
    StudyError
        Naming file, key and remedy: an unknown key or value, labels the dataset lacks, a model
        nobody offers, more than `MOST_COMBINATIONS` combinations.
    """
    builder = _Builder(study, catalogue)
    for name in study.strategies:
        builder.strategy(name)
    return StudyGraph(
        name=study.name,
        stages=builder.stages,
        uses={stage_id: tuple(places) for stage_id, places in builder.uses.items()},
        requests=builder.requests,
    )


class _Builder:
    """Collects the stages of one study; knows where in the file each value came from."""

    def __init__(self, study: Study, catalogue: Catalogue) -> None:
        self.study = study
        self.offers = Offers(catalogue)
        self.stages: dict[str, Stage] = {}
        self.uses: dict[str, dict[str, None]] = {}
        self.requests = 0
        self.combinations = 0

    def strategy(self, name: str) -> None:
        steps = self.study.strategies[name]
        shared = {**self.study.shared, "training": self.study.training}
        where: Path = ("strategies", name)
        try:
            found = axes.find_axes(shared) + [
                axis for i, step in enumerate(steps) for axis in axes.find_axes(step, (*where, i))
            ]
            self.combinations += axes.count(found)
            if self.combinations > MOST_COMBINATIONS:
                raise StudyError(
                    f"strategies.{name}: its axes bring the study to {self.combinations:,} "
                    f"combinations, more than {MOST_COMBINATIONS:,}; shorten or zip some"
                )
            for chosen in axes.combinations(found):
                resolved = [axes.resolve(s, chosen, (*where, i)) for i, s in enumerate(steps)]
                self._chain(name, _checked(name, axes.resolve(shared, chosen), resolved))
        except StudyError as error:
            raise StudyError(f"{self.study.source}: {error}") from None

    def _chain(self, name: str, spec: StrategySpec) -> None:
        parent: Stage | None = None
        for index, step in enumerate(spec.steps):
            parent = self._stage(spec, step, parent, f"strategies.{name}[{index}]")
            self.requests += 1
            self.stages.setdefault(parent.id, parent)
            self.uses.setdefault(parent.id, {})[f"{name}[{index}]"] = None

    def _stage(self, spec: StrategySpec, step: StepSpec, parent: Stage | None, where: str) -> Stage:
        if parent is None and step.trainable != "all":
            raise StudyError(
                f"{where}.trainable: a step from scratch trains everything; "
                f"{step.trainable!r} needs a step before it"
            )
        model = self.offers.model(spec.model)
        heads = {
            name: self.offers.head(spec, name, head, parent, f"{where}.heads.{name}")
            for name, head in sorted(step.heads.items())
            if isinstance(head, HeadSpec)
        }
        kept = fates.kept_heads(step, heads, parent, f"{where}.heads")
        fates.check_sampling(heads, f"{where}.heads")
        hyperparameters = _with_rate(step.training, from_scratch=parent is None)
        if not hyperparameters.energy_weight and not (
            hyperparameters.force_weight and any(head.forces for head in heads.values())
        ):
            raise StudyError(
                f"{where}.training.energy_weight: is 0, and no forces are learned either; "
                "give the energies a weight"
            )
        stage_id = identity(
            parent_id=parent.id if parent else None,
            model=model,
            heads=heads,
            kept=kept,
            trainable=step.trainable,
            hyperparameters=hyperparameters,
            seed=spec.seed,
        )
        depth = parent.step + 1 if parent else 0
        own = tuple(
            LabelledSetOf(
                step=depth,
                stage_id=stage_id,
                head=name,
                method=head.method,
                subset=head.subset,
                size=head.size,
                forces=head.forces,
            )
            for name, head in heads.items()
        )
        return Stage(
            id=stage_id,
            parent_id=parent.id if parent else None,
            root_id=parent.root_id if parent else stage_id,
            step=depth,
            dataset=spec.dataset,
            split=spec.split,
            model=model,
            heads=heads,
            kept=kept,
            lineage=(parent.lineage if parent else ()) + own,
            trainable=step.trainable,
            hyperparameters=hyperparameters,
            seed=spec.seed,
            data_seed=spec.data_seed,
        )


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


def _with_rate(training: Hyperparameters, *, from_scratch: bool) -> Hyperparameters:
    """Resolve the default rate: fine-tuning starts lower, as is the practice of the field."""
    if training.learning_rate is not None:
        return training
    rate = RATE_FROM_SCRATCH if from_scratch else RATE_FROM_PARENT
    return training.model_copy(update={"learning_rate": rate})
