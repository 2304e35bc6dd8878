"""A stage as the fields of a result row, and back."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mfscale.study.errors import StudyError
from mfscale.study.schema import Hyperparameters
from mfscale.study.stage import RECIPE, Head, LabelledSetOf, Model, Stage

_IDS = ("parent_id", "root_id", "step")
_AS_THEY_ARE = (*_IDS, "purpose", "tuning", "dataset", "split", "trainable")
_SEEDS = ("seed", "data_seed")
_OF_MODEL = ("architecture", "size", "dtype", "cutoff_a", "fidelity")


def of_stage(stage: Stage) -> dict[str, Any]:
    """The fields of a result row that the stage alone tells."""
    return {
        "stage_id": stage.id,
        "recipe": RECIPE,
        **{name: getattr(stage, name) for name in (*_AS_THEY_ARE, *_SEEDS)},
        **{name: getattr(stage.model, name) for name in _OF_MODEL},
        "heads": [{"name": name, **head.model_dump()} for name, head in stage.heads.items()],
        "lineage": [labels.model_dump() for labels in stage.lineage],
        "hyperparameters": stage.hyperparameters.model_dump(),
    }


def recorded(row: Mapping[str, Any]) -> Stage:
    """The stage that a result row is of, but for what the row does not say.

    The settings that the size of the model stood for are unknown and left empty, and so is the
    digest of labels in rows of older versions.

    Raises
    ------
    StudyError
        If the row does not describe its stage: those of failed and skipped stages do not.
    """
    try:
        return Stage(
            id=row["stage_id"],
            **{name: row[name] for name in (*_AS_THEY_ARE, *_SEEDS)},
            model=Model(settings={}, **_known({name: row[name] for name in _OF_MODEL})),
            heads={head["name"]: _head(head) for head in row["heads"]},
            kept=tuple(head["name"] for head in row["kept_heads"] or ()),
            lineage=tuple(LabelledSetOf(**labels) for labels in row["lineage"]),
            hyperparameters=Hyperparameters(**_known(row["hyperparameters"])),
        )
    except (KeyError, TypeError, ValidationError):
        raise StudyError(
            f"the row of stage {row.get('stage_id')} ({row.get('status')}) does not say what the "
            "stage was; name one that has finished"
        ) from None


def _head(entry: Mapping[str, Any]) -> Head:
    fields = {name: value for name, value in entry.items() if name != "name"}
    fields["inference_cost"] = fields.get("inference_cost") or 0.0
    return Head(**{**fields, "digest": fields.get("digest") or ""})


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an older version did not write had the default that it has now."""
    return {name: value for name, value in fields.items() if value is not None}
