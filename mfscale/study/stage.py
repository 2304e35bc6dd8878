"""A stage: one fully resolved step, and the identity that makes equal work the same work."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mfscale.study.catalogue import Plain, label_source
from mfscale.study.schema import Hyperparameters

RECIPE = 2
"""Raised by hand whenever training comes to mean something else for the same settings."""

ID_LENGTH = 16


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Plain):
    """A network: its family, its named size, and the settings that name stands for.

    `fidelity` says where the method enters: in a readout for each head, or as an input of the
    network with one readout for all.
    """

    architecture: str
    size: str
    settings: dict[str, Plain]
    dtype: Literal["float32", "float64"]
    cutoff_a: float
    fidelity: Literal["readout", "embedding"] = "readout"


class Head(_Plain):
    """A readout, the labelled set it learns from, and the parent's head it starts from.

    With `minus` it learns the difference of two methods' labels (Δ-learning): a prediction then
    takes a label of that method, whose relative cost (CC = 1000) is `inference_cost`.
    """

    method: str
    minus: str | None = None
    inference_cost: float = 0.0
    subset: str
    size: int
    n_validation: int
    forces: bool
    weight: float
    sampling_ratio: float | None
    inherit: str | None
    digest: str

    @property
    def source(self) -> str:
        """Whose labels it learns, as a dataset calls them."""
        return label_source(self.method, self.minus)


class LabelledSetOf(_Plain):
    """A labelled set that went into a stage or one of its ancestors."""

    step: int
    stage_id: str
    head: str
    method: str
    minus: str | None = None
    subset: str
    size: int
    forces: bool


class Stage(_Plain):
    """The unit that is scheduled, checkpointed, and one row of the results.

    `heads` are trained; `kept` ones are the parent's, carried along as they are. Both are sorted by
    name, for the order in which a file names them must not matter.

    `id` depends on what is trained on what and how, and on nothing else: not on the names of
    study, strategy, dataset or tuning, on paths, devices or evaluation (see `identity`).

    `trainable` is a part's name, with a number behind a colon where it takes one: ``lora:8``.
    `tuning` names the tuning whose choice its hyperparameters are; None if nothing was tuned.
    """

    id: str
    parent_id: str | None
    root_id: str
    step: int
    dataset: str
    split: str
    model: Model
    heads: dict[str, Head]
    kept: tuple[str, ...]
    lineage: tuple[LabelledSetOf, ...]
    trainable: str
    hyperparameters: Hyperparameters
    seed: int
    data_seed: int
    purpose: Literal["science", "tune"] = "science"
    tuning: str | None = None

    @property
    def carried(self) -> tuple[str, ...]:
        """All heads of the model this stage leaves behind."""
        return (*self.heads, *self.kept)


def identity(
    *,
    parent_id: str | None,
    model: Model,
    heads: Mapping[str, Head],
    kept: Sequence[str],
    trainable: str,
    hyperparameters: Hyperparameters,
    seed: int,
    purpose: Literal["science", "tune"] = "science",
) -> str:
    """Hash of what a stage trains, on which labels, from where.

    The labels enter by content (`Head.digest`), so that a dataset may be renamed or gain labels
    elsewhere; a model by its settings, so that a ladder may be renamed. What came later than the
    first stages (`fidelity`, a purpose other than science) enters where it is not the default. Of
    the hyperparameters only those enter that act on this stage and differ from their defaults: a
    later version may add one without making finished work unknown. A default that changes is a
    new `RECIPE`.
    """
    resolved = {
        "recipe": RECIPE,
        "parent": parent_id,
        "model": {
            "architecture": model.architecture,
            "settings": model.settings,
            "dtype": model.dtype,
            "cutoff_a": model.cutoff_a,
        }
        | ({} if model.fidelity == "readout" else {"fidelity": model.fidelity}),
        "heads": {
            name: {
                "labels": head.digest,
                "forces": head.forces,
                "weight": head.weight,
                "inherit": head.inherit,
            }
            | ({"sampling_ratio": head.sampling_ratio} if _is_sampled(heads) else {})
            for name, head in heads.items()
        },
        "trainable": trainable,
        "hyperparameters": {
            name: value
            for name, value in acting(hyperparameters, heads).items()
            if value != Hyperparameters.model_fields[name].default
        },
        "seed": seed,
    } | ({"kept": list(kept)} if kept else {})
    if purpose == "tune":  # it may be pruned, so it is never the same as a result
        resolved["purpose"] = purpose
    return hashlib.sha256(canonical(resolved)).hexdigest()[:ID_LENGTH]


def _is_sampled(heads: Mapping[str, Head]) -> bool:
    """Whether sampling ratios act: a head alone gets every sample whatever its ratio."""
    return len(heads) > 1 and any(head.sampling_ratio is not None for head in heads.values())


def acting(settings: Hyperparameters, heads: Mapping[str, Head]) -> dict[str, Plain]:
    """The hyperparameters that make a difference to these heads."""
    idle = set()
    if all(head.inherit is None for head in heads.values()):
        idle |= {"offsets", "offset_ridge"}
    if settings.offsets == "labels":
        idle.add("offset_ridge")
    if not any(head.forces for head in heads.values()):
        idle.add("force_weight")
    if settings.loss != "huber":
        idle.add("huber_delta_ev")
    if settings.schedule == "constant":
        idle.add("final_learning_rate_fraction")
    return settings.model_dump(exclude=idle)


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any plain value
    """Encode plain data so that equal values give equal bytes, in every process and version.

    Mappings are sorted, numbers written as Python's shortest exact decimal.

    Raises
    ------
    TypeError
        For a value without a stable encoding: NaN, infinity, or anything but plain data.
    """
    plain = _normalised(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _normalised(value: Any) -> Any:  # noqa: ANN401
    match value:
        case None | bool() | int() | str():
            return value
        case float() if abs(value) < float("inf"):
            return value + 0.0  # −0.0 equals 0.0
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _normalised(item) for key, item in value.items()}
        case list() | tuple():
            return [_normalised(item) for item in value]
        case _:
            raise TypeError(f"{value!r} has no stable encoding and cannot be part of a stage")
