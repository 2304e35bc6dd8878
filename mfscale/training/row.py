"""What a result row says of a stage besides what running it measures."""

from typing import Any

from mfscale.study import RECIPE, Stage
from mfscale.training.evaluation import Evaluation
from mfscale.training.loop import Outcome


def of_stage(stage: Stage) -> dict[str, Any]:
    """The row's fields that the stage alone tells."""
    return {
        "stage_id": stage.id,
        "parent_id": stage.parent_id,
        "root_id": stage.root_id,
        "step": stage.step,
        "purpose": stage.purpose,
        "recipe": RECIPE,
        "dataset": stage.dataset,
        "split": stage.split,
        "architecture": stage.model.architecture,
        "size": stage.model.size,
        "dtype": stage.model.dtype,
        "cutoff_a": stage.model.cutoff_a,
        "trainable": stage.trainable,
        "seed": stage.seed,
        "data_seed": stage.data_seed,
        "heads": [
            {"name": name, **head.model_dump(exclude={"digest"})}
            for name, head in stage.heads.items()
        ],
        "lineage": [labels.model_dump() for labels in stage.lineage],
        "hyperparameters": stage.hyperparameters.model_dump(),
    }


def warnings(baseline: list[Evaluation], start: list[Evaluation], outcome: Outcome) -> list[str]:
    """What a reader of the row should know.

    A head that starts worse than offsets alone probably has wrong offsets; a stage that validation
    never improved ends where it began.
    """
    offset_only = {
        (e.head, e.method): e.value
        for e in baseline
        if (e.subset, e.metric, e.unit) == ("t", "energy_mae", "meV")
    }
    found = [
        f"head {e.head} starts at {e.value:.0f} meV, worse than element offsets alone "
        f"({limit:.0f} meV): does it inherit the right head, and are its labels right?"
        for e in start
        if (e.subset, e.metric, e.unit) == ("t", "energy_mae", "meV")
        and (limit := offset_only.get((e.head, e.method))) is not None
        and e.value > limit * (1 + 1e-6)
    ]
    if outcome.best_step == 0 and outcome.stop_reason != "diverged":
        found.append(
            "training brought nothing: no validation was better than the one before the first "
            "step; try a lower learning_rate or a smaller validate_every"
        )
    return found
