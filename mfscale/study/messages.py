"""The words of a message about a study file: the place, the complaint, the remedy."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from mfscale.study.schema import HeadSpec, Hyperparameters, ModelSpec, StepSpec, StrategySpec

Path = tuple[str | int, ...]

_WANTED = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing; add this key",
    "model_type": "must be a mapping of keys to values",
    "string_type": "must be text",
    "too_short": "must not be empty",
}
_WORDS = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
_LONGEST_SHOWN = 60


def dotted(path: Path) -> str:
    """Show a path as people write it: ``strategies.direct[0].heads.cc.size``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def suggest(word: str, known: Iterable[str]) -> str:
    """End a message with the nearest known word, or with all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"


def shown(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def explain(
    error: ValidationError, strategy: str, own_training: Sequence[Mapping[str, Any]]
) -> str:
    """One line for the complaint of the schema that helps most, at its place in the file.

    Parameters
    ----------
    error
        Of validating a `StrategySpec`.
    strategy
        Its name.
    own_training
        The `training` of each step before the study's was put under it: it tells where in the
        file a hyperparameter came from.
    """
    complaints = error.errors(include_url=False, include_context=False)
    # A misspelt key is also a missing one; only the former says what to do. Nor does it help to
    # hear that a mapping is no text where a mapping is welcome.
    first = min(
        complaints,
        key=lambda c: (
            c["type"] != "extra_forbidden",
            c["type"] == "string_type" and isinstance(c["input"], dict),
        ),
    )
    location, kind, value = _untagged(first["loc"]), first["type"], first["input"]
    if location[-1] == "[key]":
        place = dotted(_in_file(location[:-2], strategy, own_training))
        return (
            f"{place}: {shown(value)} cannot name a head; take a letter, then up to 63 letters, "
            "digits, _ or -"
        )
    place = dotted(_in_file(location, strategy, own_training))
    if kind == "extra_forbidden":
        return (
            f"{place}: unknown key{suggest(str(location[-1]), _schema_of(location).model_fields)}"
        )
    if kind == "missing":
        return f"{place}: {_WANTED[kind]}"
    return f"{place}: {wanted(kind, first['msg'])}, got {shown(value)}"


def wanted(kind: str, message: str) -> str:
    """What the schema wants instead of a value, given its complaint's kind and message."""
    message = _WANTED.get(kind, message)
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return f"{message[0].lower()}{message[1:]}"


def _untagged(location: Path) -> Path:
    """Without the names of kinds that the schema puts behind a head's name and a part's."""
    match location:
        case ("steps", _, "heads", _, "labels" | "fate", *_):
            return (*location[:4], *location[5:])
        case ("steps", _, "trainable", _, *_):
            return (*location[:3], *location[4:])
    return location


def _in_file(location: Path, strategy: str, own_training: Sequence[Mapping[str, Any]]) -> Path:
    """Where the file holds what the schema found at `location` of a resolved strategy."""
    match location:
        case ("steps", int(step), "training", str(key), *_) if key not in own_training[step]:
            return location[2:]
        case ("steps", *_):
            return ("strategies", strategy, *location[1:])
    return location


def _schema_of(location: Path) -> type[BaseModel]:
    """What describes the mapping whose key `location` ends in."""
    match location[:-1]:
        case ("model",):
            return ModelSpec
        case ("steps", _):
            return StepSpec
        case ("steps", _, "training"):
            return Hyperparameters
        case ("steps", _, "heads", _):
            return HeadSpec
    return StrategySpec
