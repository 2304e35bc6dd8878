"""Expand a study to the graph of stages it asks for, sharing every stage that is the same work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mfscale.study import axes
from mfscale.study.catalogue import Catalogue, DatasetEntry, LabelRequest
from mfscale.study.errors import StudyError
from mfscale.study.load import Study, suggest
from mfscale.study.schema import (
    HeadSpec,
    Hyperparameters,
    ModelSpec,
    StepSpec,
    StrategySpec,
)
from mfscale.study.stage import Head, LabelledSetOf, Model, Stage, identity

MOST_COMBINATIONS = 200_000
FRESH = "fresh"
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
        self.catalogue = catalogue
        self.stages: dict[str, Stage] = {}
        self.uses: dict[str, dict[str, None]] = {}
        self.requests = 0
        self._datasets: dict[str, DatasetEntry] = {}
        self._digests: dict[tuple[str, LabelRequest], str] = {}

    def strategy(self, name: str) -> None:
        steps = self.study.strategies[name]
        tree = {**self.study.shared, "training": self.study.training}
        where: axes.Path = ("strategies", name)
        try:
            found = axes.find_axes(tree) + [
                axis for i, step in enumerate(steps) for axis in axes.find_axes(step, (*where, i))
            ]
            if axes.count(found) > MOST_COMBINATIONS:
                raise StudyError(
                    f"strategies.{name}: its axes make {axes.count(found):,} combinations, more "
                    f"than {MOST_COMBINATIONS:,}; shorten or zip some"
                )
            for chosen in axes.combinations(found):
                shared = axes.resolve(tree, chosen)
                resolved = [axes.resolve(s, chosen, (*where, i)) for i, s in enumerate(steps)]
                self._chain(name, self._checked(name, shared, resolved))
        except StudyError as error:
            raise StudyError(f"{self.study.source}: {error}") from None

    def _checked(
        self, name: str, shared: dict[str, Any], steps: list[dict[str, Any]]
    ) -> StrategySpec:
        training = shared.pop("training")
        merged = [{**step, "training": {**training, **step.get("training", {})}} for step in steps]
        try:
            return StrategySpec.model_validate({**shared, "steps": tuple(merged)})
        except ValidationError as error:
            first = error.errors()[0]
            raise StudyError(_explain(first, name, steps)) from None

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
        if len(step.heads) > 1:
            raise StudyError(
                f"{where}.heads: {len(step.heads)} heads in one step cannot be trained yet; "
                "give each method a step of its own"
            )
        model = self._model(spec.model)
        heads = {
            name: self._head(spec, name, head, parent, f"{where}.heads.{name}")
            for name, head in step.heads.items()
        }
        hyperparameters = _with_rate(step.training, from_scratch=parent is None)
        stage_id = identity(
            parent_id=parent.id if parent else None,
            model=model,
            heads=heads,
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
            lineage=(parent.lineage if parent else ()) + own,
            trainable=step.trainable,
            hyperparameters=hyperparameters,
            seed=spec.seed,
            data_seed=spec.data_seed,
        )

    def _model(self, spec: ModelSpec) -> Model:
        models = self.catalogue.models
        if spec.architecture not in models:
            raise StudyError(
                f"model.architecture: unknown {spec.architecture!r}"
                + suggest(spec.architecture, models)
            )
        sizes = models[spec.architecture]
        if spec.size not in sizes:
            raise StudyError(
                f"model.size: {spec.architecture} has no size {spec.size!r}"
                + suggest(spec.size, sizes)
            )
        return Model(
            architecture=spec.architecture,
            size=spec.size,
            settings=dict(sizes[spec.size].settings),
            dtype=spec.dtype,
            cutoff_a=spec.cutoff_a,
        )

    def _head(
        self, spec: StrategySpec, name: str, head: HeadSpec, parent: Stage | None, where: str
    ) -> Head:
        dataset = self._dataset(spec)
        method = head.method or name
        if method not in dataset.methods:
            raise StudyError(
                f"{where}: {dataset.name} has no labels of method {method!r}"
                + suggest(method, dataset.methods)
            )
        if head.subset not in dataset.subsets:
            raise StudyError(
                f"{where}.subset: cannot train on {head.subset!r}"
                + suggest(head.subset, dataset.subsets)
            )
        has_forces = dataset.methods[method].has_forces
        if head.forces and not has_forces:
            raise StudyError(
                f"{where}.forces: {method} labels of {dataset.name} have no forces; "
                "leave the key out or write false"
            )
        available, reserved = dataset.n_labels(method, head.subset, spec.split)
        for key, asked, there in (
            ("size", head.size, available),
            ("validation", head.validation, reserved),
        ):
            if asked > there:
                raise StudyError(
                    f"{where}.{key}: asks for {asked} labels of ({method}; {head.subset}), but "
                    f"{dataset.name} has {there}"
                )
        request = LabelRequest(
            method=method,
            subset=head.subset,
            split=spec.split,
            size=head.size,
            n_validation=head.validation,
            forces=has_forces if head.forces is None else head.forces,
            data_seed=spec.data_seed,
        )
        return Head(
            method=method,
            subset=head.subset,
            size=head.size,
            n_validation=head.validation,
            forces=request.forces,
            weight=head.weight,
            inherit=_inherited(name, head, parent, where),
            digest=self._digest(dataset, request),
        )

    def _dataset(self, spec: StrategySpec) -> DatasetEntry:
        if spec.dataset not in self._datasets:
            try:
                self._datasets[spec.dataset] = self.catalogue.dataset(spec.dataset)
            except ValueError as error:
                raise StudyError(f"dataset: {error}") from None
        dataset = self._datasets[spec.dataset]
        if spec.split not in dataset.splits:
            raise StudyError(f"split: unknown {spec.split!r}{suggest(spec.split, dataset.splits)}")
        return dataset

    def _digest(self, dataset: DatasetEntry, request: LabelRequest) -> str:
        key = (dataset.name, request)
        if key not in self._digests:
            self._digests[key] = dataset.digest(request)
        return self._digests[key]


def _with_rate(training: Hyperparameters, *, from_scratch: bool) -> Hyperparameters:
    """Resolve the default rate: fine-tuning starts lower (`shared` practice of the field)."""
    if training.learning_rate is not None:
        return training
    rate = RATE_FROM_SCRATCH if from_scratch else RATE_FROM_PARENT
    return training.model_copy(update={"learning_rate": rate})


def _inherited(name: str, head: HeadSpec, parent: Stage | None, where: str) -> str | None:
    """Which of the parent's heads a head starts from; None is a fresh readout."""
    if parent is None:
        if head.inherit not in (None, FRESH):
            raise StudyError(f"{where}.inherit: there is no step before this one; leave it out")
        return None
    if head.inherit == FRESH:
        return None
    if head.inherit is not None:
        if head.inherit not in parent.heads:
            raise StudyError(
                f"{where}.inherit: the step before has no head {head.inherit!r}"
                + suggest(head.inherit, (*parent.heads, FRESH))
            )
        return head.inherit
    if name in parent.heads:
        return name
    if len(parent.heads) == 1:
        return next(iter(parent.heads))
    raise StudyError(
        f"{where}.inherit: say which head of the step before this one starts from: "
        + ", ".join((*parent.heads, FRESH))
    )


def _explain(error: ErrorDetails, strategy: str, steps: list[dict[str, Any]]) -> str:
    """One line for the first complaint of the schema, at the place in the file that caused it."""
    location = error["loc"]
    path: axes.Path = location
    if location[:1] == ("steps",) and len(location) > 1:
        inner = location[2:]
        path = ("strategies", strategy, *location[1:])
        own = steps[int(location[1])].get("training", {})
        if inner[:1] == ("training",) and len(inner) > 1 and inner[1] not in own:
            path = inner
    place = axes.dotted(path)
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key{suggest(location[-1], _known_keys(location))}"
    if error["type"] == "missing":
        return f"{place}: is missing; give it a value"
    message = error["msg"][0].lower() + error["msg"][1:]
    shown = repr(error["input"])
    return f"{place}: {message}, got {shown if len(shown) < 60 else shown[:57] + '…'}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that would be right where `location` ends."""
    known: dict[str, type[Any]] = {
        "model": ModelSpec,
        "training": Hyperparameters,
        "heads": HeadSpec,
        "steps": StepSpec,
    }
    nearest = [known[part] for part in location[:-1] if part in known]
    return list((nearest[-1] if nearest else StrategySpec).model_fields)
