"""Tuning: which hyperparameters are chosen before a study compares anything, and for which steps.

A `tune` block names a space of settings. All steps of a study that train the same thing, apart from
how many labels, which of them and from which seed, make one *choice*: its trials train one of
those steps with other settings each and are judged on validation labels alone; all of them then
take the best. Nothing here searches: `mfscale.orchestration` asks Optuna.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mfscale.study.catalogue import Plain
from mfscale.study.errors import StudyError
from mfscale.study.messages import dotted, shown, suggest, wanted
from mfscale.study.schema import HeadSpec, Hyperparameters
from mfscale.study.stage import ID_LENGTH, Head, Stage, acting, canonical, identity

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Of a tuning: it also names a file."""

BUDGET = {"max_steps", "patience", "validate_every"}
"""Hyperparameters that no tuning may choose: every trial and every strategy has the same cap."""
_WEIGHT_OF = re.compile(r"heads\.(?P<head>[^.]+)\.weight")


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Range(_Spec):
    """Numbers from `low` to `high`, whole where both are; `log`: drawn by their ratio."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is true")
        return self


Choosable = Range | Annotated[list[Plain], Field(min_length=2)]


class TuneSpec(_Spec):
    """The `tune` block of a study: a space to search, or the name of a tuning to take over.

    Studies that search the same space under the same name share their choices.
    """

    name: str | None = Field(default=None, description="of the tuning; unset: the study's")
    space: dict[str, Choosable] = {}
    trials: int = Field(default=12, ge=2, le=1000, description="for each choice, the same for all")
    strategies: list[str] | None = Field(default=None, min_length=1, description="unset: all")
    freeze: str | None = Field(default=None, description="take the choices of this tuning")


@dataclass(frozen=True)
class Choice:
    """Settings that a tuning has chosen.

    Attributes
    ----------
    key
        Of the search: its step, labels, space and number of trials. It names the journal.
    search
        Of its space and number of trials alone.
    signature
        What kind of step it is for: dataset by its name, split, model, heads, trainable part, and
        those of the steps before.
    where
        The same in words, with the first place in the study that asked for it.
    values
        Setting → chosen value.
    error_mev, untuned_mev
        Validation MAE of total energies, meV: of the best trial, and of the settings that the
        study would have had untuned, where these were within the space. Geometric mean over heads.
    trials, pruned
        How many were made, and how many of them were given up early.
    """

    key: str
    search: str
    signature: str
    where: str
    values: Mapping[str, Plain]
    error_mev: float
    untuned_mev: float | None
    trials: int
    pruned: int


Choices = Mapping[str, Mapping[str, Choice]]
"""What earlier tunings chose: name of a tuning → signature of a step → choice."""


@dataclass(frozen=True)
class Tuning:
    """A choice to be made.

    Attributes
    ----------
    name
        Of the tuning.
    key, search, signature, where
        As of the `Choice` it will be.
    template
        The stage that every trial is, but for the settings in `space`.
    space
        Setting → its values; only those that act on the template.
    trials
        How many to make.
    """

    name: str
    key: str
    search: str
    signature: str
    where: str
    template: Stage
    space: Mapping[str, Range | tuple[Plain, ...]]
    trials: int

    def trial(self, values: Mapping[str, Plain]) -> Stage:
        """The stage that trains with these values, to be judged on validation labels alone."""
        return with_values(self.template, values, purpose="tune")

    @property
    def untuned(self) -> dict[str, Plain]:
        """The values that the template has itself."""
        return {name: _value(self.template, name) for name in self.space}


def parse_tune(tree: object, study: str, strategies: Collection[str]) -> TuneSpec | None:
    """Check the `tune` block of a study, given its name and those of its strategies.

    Raises
    ------
    StudyError
        Naming key and remedy.
    """
    if tree is None:
        return None
    try:
        spec = TuneSpec.model_validate(tree)
    except ValidationError as error:
        raise StudyError(_explained(error)) from None
    for name in spec.strategies or ():
        if name not in strategies:
            raise StudyError(f"tune.strategies: unknown {name!r}{suggest(name, strategies)}")
    if (spec.freeze is None) == (not spec.space):
        raise StudyError(
            "tune: give a space to search, e.g. space: {learning_rate: {low: 0.001, high: 0.1, "
            "log: true}}, or the name of an earlier tuning, freeze: NAME; one of the two"
        )
    place, name = "name", study
    for key in ("name", "freeze"):
        if (given := getattr(spec, key)) is not None:
            place, name = f"tune.{key}", given
    if not NAME.fullmatch(name):
        raise StudyError(
            f"{place}: {shown(name)} cannot name a tuning; take letters, digits, _ and -"
        )
    for name, choosable in spec.space.items():
        _check(name, choosable)
    return spec


def space_of(spec: TuneSpec, stage: Stage) -> dict[str, Range | tuple[Plain, ...]]:
    """The part of a space that acts on a stage, whatever the other settings turn out to be."""
    reachable = {
        name: value
        for name, values in spec.space.items()
        if isinstance(values, list) and name in Hyperparameters.model_fields
        for value in values
        if value in ("huber", "cosine", "residuals")  # those that make other settings act
    }
    settings = stage.hyperparameters.model_copy(update=reachable)
    acts = set(acting(settings, stage.heads))
    found: dict[str, Range | tuple[Plain, ...]] = {}
    for name, values in spec.space.items():
        weight = _WEIGHT_OF.fullmatch(name)
        if name in acts or (weight and len(stage.heads) > 1 and weight["head"] in stage.heads):
            found[name] = tuple(values) if isinstance(values, list) else values
    return found


def signature(stage: Stage, parent: str | None) -> str:
    """Hash of what a step trains, apart from numbers and draws of labels, settings and seeds.

    Parameters
    ----------
    stage
        The step.
    parent
        Signature of the step before.
    """
    of_head = ("method", "minus", "subset", "forces", "inherit")
    return _hash(
        {
            "parent": parent,
            "dataset": stage.dataset,
            "split": stage.split,
            "model": stage.model.model_dump(exclude={"size"}),
            "heads": {n: {k: getattr(h, k) for k in of_head} for n, h in stage.heads.items()},
            "kept": list(stage.kept),
            "trainable": stage.trainable,
        }
    )


def search_of(space: Mapping[str, Range | tuple[Plain, ...]], trials: int) -> str:
    """Hash of a space and of how many trials search it."""
    plain = {n: v.model_dump() if isinstance(v, Range) else list(v) for n, v in space.items()}
    return _hash({"space": plain, "trials": trials})


def key_of(template: Stage, search: str) -> str:
    """Hash of all that decides what a tuning finds."""
    return _hash({"template": template.id, "search": search})


def with_values(stage: Stage, values: Mapping[str, Plain], **changes: Any) -> Stage:  # noqa: ANN401
    """The stage with other settings, and the identity that these give it.

    Parameters
    ----------
    stage
        Any.
    values
        Setting → value, by the names of a space.
    changes
        Other fields of the stage.
    """
    heads, settings = dict(stage.heads), {}
    for name, value in values.items():
        if weight := _WEIGHT_OF.fullmatch(name):
            head = weight["head"]
            learned = Head.model_validate({**heads[head].model_dump(), "weight": value})
            if not 0 < learned.weight < inf:
                raise LookupError(f"{head!r} of weight {value}")
            heads[head] = learned
        else:
            settings[name] = value
    hyperparameters = Hyperparameters.model_validate(
        {**stage.hyperparameters.model_dump(), **settings}
    )
    changed = stage.model_copy(
        update={"heads": heads, "hyperparameters": hyperparameters, **changes}
    )
    stage_id = identity_of(changed)
    lineage = tuple(
        labels.model_copy(update={"stage_id": stage_id}) if labels.step == stage.step else labels
        for labels in stage.lineage
    )
    root_id = stage.root_id if stage.parent_id else stage_id
    return changed.model_copy(update={"id": stage_id, "root_id": root_id, "lineage": lineage})


def identity_of(stage: Stage) -> str:
    """The identity that a stage's fields give it."""
    return identity(
        parent_id=stage.parent_id,
        model=stage.model,
        heads=stage.heads,
        kept=stage.kept,
        trainable=stage.trainable,
        hyperparameters=stage.hyperparameters,
        seed=stage.seed,
        purpose=stage.purpose,
    )


def _value(stage: Stage, name: str) -> Plain:
    if weight := _WEIGHT_OF.fullmatch(name):
        return stage.heads[weight["head"]].weight
    value: Plain = getattr(stage.hyperparameters, name)
    return value


def _check(name: str, choosable: Choosable) -> None:
    """Raise `StudyError` unless every value of the space may stand for the setting."""
    where = f"tune.space.{name}"
    schema: type[BaseModel] = Hyperparameters
    key = name
    if _WEIGHT_OF.fullmatch(name):
        schema, key = HeadSpec, "weight"
    elif name not in Hyperparameters.model_fields:
        known = [*(set(Hyperparameters.model_fields) - BUDGET), "heads.HEAD.weight"]
        raise StudyError(f"{where}: no such setting{suggest(name, known)}")
    elif name in BUDGET:
        raise StudyError(
            f"{where}: is part of the budget, which is equal for all; set it under training"
        )
    values = choosable if isinstance(choosable, list) else [choosable.low, choosable.high]
    needed = {"subset": "a", "size": 1} if schema is HeadSpec else {}
    for value in values:
        try:
            schema.model_validate({**needed, key: value})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            message = wanted(first["type"], first["msg"])
            raise StudyError(f"{where}: {shown(value)}: {message}") from None
    if name == "energy_weight" and 0 in values:
        raise StudyError(f"{where}: 0: trials are judged by energies; give them a weight")
    if not isinstance(choosable, list) and any(isinstance(v, bool | str) for v in values):
        raise StudyError(f"{where}: has no range; list its values")


def _explained(error: ValidationError) -> str:
    first = min(
        error.errors(include_url=False, include_context=False),
        key=lambda complaint: complaint["type"] != "extra_forbidden",
    )
    location = tuple(
        p
        for p in first["loc"]
        if p != "list[union[bool,int,float,str]]" and not str(p).startswith("function-after[")
    )
    place = dotted(("tune", *location))
    if first["type"] == "extra_forbidden":
        known = Range.model_fields if len(location) > 2 else TuneSpec.model_fields
        return f"{place}: unknown key{suggest(str(location[-1]), known)}"
    if location[:1] == ("space",) and len(location) > 1:
        return (
            f"{dotted(('tune', *location[:2]))}: write {{low: 0.001, high: 0.1, log: true}}, low "
            "below high and above 0 where log is true, or a list of two values or more"
        )
    return f"{place}: {wanted(first['type'], first['msg'])}, got {shown(first['input'])}"


def _hash(plain: object) -> str:
    return hashlib.sha256(canonical(plain)).hexdigest()[:ID_LENGTH]
