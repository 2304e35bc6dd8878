"""Look up in the catalogue what a step asks for: a network, a dataset, labelled sets."""

from mfscale.study.catalogue import Catalogue, DatasetEntry, LabelRequest, label_source
from mfscale.study.errors import StudyError
from mfscale.study.messages import suggest
from mfscale.study.schema import HeadSpec, ModelSpec, StrategySpec
from mfscale.study.stage import Head, Model, Stage

FRESH = "fresh"
EVERYTHING = "all"
"""What a step from scratch trains."""


class Offers:
    """A catalogue that opens each dataset once and draws each labelled set once.

    Every method raises `StudyError`, naming key and remedy, for what is not on offer.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._datasets: dict[str, DatasetEntry] = {}
        self._digests: dict[tuple[str, LabelRequest], str] = {}

    def model(self, spec: ModelSpec) -> Model:
        """The network that an architecture and a size stand for."""
        models = self._catalogue.models
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
            fidelity=spec.fidelity,
        )

    def trainable(
        self, asked: str | dict[str, int], spec: ModelSpec, parent: Stage | None, where: str
    ) -> str:
        """The part of the model that a step trains, as a stage writes it: ``all``, ``lora:8``."""
        parts = self._catalogue.trainable
        if isinstance(asked, dict) and len(asked) != 1:
            raise StudyError(f"{where}: name one part with its number, e.g. {{lora: 8}}")
        name, number = next(iter(asked.items())) if isinstance(asked, dict) else (asked, None)
        if name not in parts:
            raise StudyError(f"{where}: unknown {name!r}{suggest(name, parts)}")
        if parent is None and name != EVERYTHING:
            raise StudyError(
                f"{where}: a step from scratch trains everything; {name!r} needs a step before it"
            )
        meaning = parts[name]
        if (meaning is None) != (number is None):
            right = name if meaning is None else f"{{{name}: NUMBER}}, the {meaning}"
            raise StudyError(f"{where}: write {right}")
        if number is None:
            return name
        most = self._catalogue.models[spec.architecture][spec.size].most.get(name, 0)
        if number > most:
            model = f"{spec.architecture} {spec.size}"
            remedy = f"ask for at most {most}" if most else f"{model} has no such part"
            raise StudyError(f"{where}: the {meaning} is {number}, too large for {model}; {remedy}")
        return f"{name}:{number}"

    def head(
        self, spec: StrategySpec, name: str, head: HeadSpec, parent: Stage | None, where: str
    ) -> Head:
        """A head with the content of its labelled set; `where` is its place in the file."""
        dataset = self._dataset(spec)
        request = _requested(dataset, spec, name, head, where)
        if parent and head.inherit == FRESH and spec.model.fidelity == "embedding":
            raise StudyError(
                f"{where}.inherit: all heads share one readout (model.fidelity: embedding); name "
                "the head that this one starts from: " + ", ".join(parent.carried)
            )
        inherit = _inherited(name, head, parent, where)
        _check_difference(head, inherit, parent, where)
        return Head(
            method=head.method or name,
            minus=head.minus,
            inference_cost=dataset.methods[head.minus].cost if head.minus else 0.0,
            subset=request.subset,
            size=request.size,
            n_validation=request.n_validation,
            forces=request.forces,
            weight=head.weight,
            sampling_ratio=head.sampling_ratio,
            inherit=inherit,
            digest=self._digest(dataset, request),
        )

    def _dataset(self, spec: StrategySpec) -> DatasetEntry:
        if spec.dataset not in self._datasets:
            try:
                self._datasets[spec.dataset] = self._catalogue.dataset(spec.dataset)
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


def _requested(
    dataset: DatasetEntry, spec: StrategySpec, name: str, head: HeadSpec, where: str
) -> LabelRequest:
    """The labels a head asks for, once the dataset is known to have them."""
    method = head.method or name
    if method not in dataset.methods:
        raise StudyError(
            f"{where}{'.method' if head.method else ''}: {dataset.name} has no labels of method "
            f"{method!r}{suggest(method, dataset.methods)}"
        )
    if head.subset not in dataset.subsets:
        raise StudyError(
            f"{where}.subset: cannot train on {head.subset!r}"
            + suggest(head.subset, dataset.subsets)
        )
    if head.minus is not None and head.minus not in dataset.methods:
        raise StudyError(
            f"{where}.minus: {dataset.name} has no labels of method {head.minus!r}"
            + suggest(head.minus, dataset.methods)
        )
    if head.minus == method:
        raise StudyError(f"{where}.minus: {method} minus itself is nothing; name another method")
    source = label_source(method, head.minus)
    has_forces = all(dataset.methods[m].has_forces for m in (method, head.minus or method))
    if head.forces and not has_forces:
        raise StudyError(
            f"{where}.forces: {source} labels of {dataset.name} have no forces; "
            "leave the key out or write false"
        )
    available, reserved = dataset.n_labels(source, head.subset, spec.split)
    if available == 0:
        having = [s for s in dataset.subsets if dataset.n_labels(source, s, spec.split)[0]]
        raise StudyError(
            f"{where}.subset: {dataset.name} has no {source} labels in {head.subset!r}; there are "
            f"some in {', '.join(having) or 'no subset'}"
        )
    for key, asked, there in (
        ("size", head.size, available),
        ("validation", head.validation, reserved),
    ):
        if asked > there:
            raise StudyError(
                f"{where}.{key}: asks for {asked} labels of ({source}; {head.subset}), but "
                f"{dataset.name} has {there}; ask for at most that many"
            )
    return LabelRequest(
        method=source,
        subset=head.subset,
        split=spec.split,
        size=head.size,
        n_validation=head.validation,
        forces=has_forces if head.forces is None else head.forces,
        data_seed=spec.data_seed,
    )


def _inherited(name: str, head: HeadSpec, parent: Stage | None, where: str) -> str | None:
    """Which of the parent's heads a head starts from; None is a fresh readout."""
    if parent is None:
        if head.inherit not in (None, FRESH):
            raise StudyError(f"{where}.inherit: there is no step before this one; leave it out")
        return None
    if head.inherit == FRESH:
        return None
    if head.inherit is not None:
        if head.inherit not in parent.carried:
            raise StudyError(
                f"{where}.inherit: the step before has no head {head.inherit!r}"
                + suggest(head.inherit, (*parent.carried, FRESH))
            )
        return head.inherit
    if name in parent.carried:
        return name
    if len(parent.carried) == 1:
        return parent.carried[0]
    raise StudyError(
        f"{where}.inherit: say which head of the step before this one starts from: "
        + ", ".join((*parent.carried, FRESH))
    )


def _check_difference(
    head: HeadSpec, inherit: str | None, parent: Stage | None, where: str
) -> None:
    """Raise `StudyError` if a readout of totals is to go on with differences, or the reverse."""
    learned = reversed(parent.lineage) if parent and inherit else ()  # kept heads' labels too
    before = next((labels for labels in learned if labels.head == inherit), None)
    if before is not None and before.minus != head.minus:
        mine, theirs = (
            f"a difference to {m}" if m else "totals" for m in (head.minus, before.minus)
        )
        raise StudyError(
            f"{where}.inherit: this head learns {mine}, {inherit!r} of the step before {theirs}; "
            f"write inherit: {FRESH}"
        )
