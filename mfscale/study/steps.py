"""One step of a resolved strategy, looked up in what is on offer, as a stage."""

from mfscale.study import fates
from mfscale.study.errors import StudyError
from mfscale.study.offers import Offers
from mfscale.study.schema import HeadSpec, Hyperparameters, StepSpec, StrategySpec
from mfscale.study.stage import LabelledSetOf, Stage, identity

RATE_FROM_SCRATCH = 0.01
RATE_FROM_PARENT = 0.003


def stage_of(
    offers: Offers, spec: StrategySpec, step: StepSpec, parent: Stage | None, where: str
) -> Stage:
    """Resolve a step that starts from `parent`, or from scratch, to the stage it is.

    Parameters
    ----------
    offers
        What there is to ask for.
    spec, step
        One combination of a strategy, and the one of its steps that is meant.
    parent
        The stage before; None for the first.
    where
        Place of the step in the file.

    Raises
    ------
    StudyError
        Naming key and remedy.
    """
    model = offers.model(spec.model)
    trainable = offers.trainable(step.trainable, spec.model, parent, f"{where}.trainable")
    heads = {
        name: offers.head(spec, name, head, parent, f"{where}.heads.{name}")
        for name, head in sorted(step.heads.items())
        if isinstance(head, HeadSpec)
    }
    kept = fates.kept_heads(step, heads, parent, f"{where}.heads")
    fates.check_sampling(heads, f"{where}.heads")
    if model.fidelity == "embedding":
        fates.check_shared(kept, f"{where}.heads")
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
        trainable=trainable,
        hyperparameters=hyperparameters,
        seed=spec.seed,
    )
    depth = parent.step + 1 if parent else 0
    own = tuple(
        LabelledSetOf(
            step=depth,
            stage_id=stage_id,
            head=name,
            **{k: getattr(head, k) for k in ("method", "minus", "subset", "size", "forces")},
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
        trainable=trainable,
        hyperparameters=hyperparameters,
        seed=spec.seed,
        data_seed=spec.data_seed,
    )


def _with_rate(training: Hyperparameters, *, from_scratch: bool) -> Hyperparameters:
    """Resolve the default rate: fine-tuning starts lower, as is the practice of the field."""
    if training.learning_rate is not None:
        return training
    rate = RATE_FROM_SCRATCH if from_scratch else RATE_FROM_PARENT
    return training.model_copy(update={"learning_rate": rate})
