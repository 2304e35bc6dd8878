"""A fit as plain data that strict JSON holds, and back; nothing is pickled."""

from dataclasses import fields, is_dataclass, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import LAWS, Law, law_named

if TYPE_CHECKING:
    from mfscale.scaling.result import Fit

FORMAT = 2

_TEXT_OR_NONE = {"group", "cluster", "options", "moments"}  # where null means none, not NaN


def plain(fit: "Fit") -> dict[str, Any]:
    """Everything but the law itself, which its name stands for."""
    names = [field.name for field in fields(fit) if field.name != "form"]
    return {"format": FORMAT, **{name: _plain(getattr(fit, name)) for name in names}}


def restore(cls: type["Fit"], content: dict[str, Any], law: Law | None) -> "Fit":
    """See `Fit.from_dict`."""
    if not isinstance(content, dict):
        raise FitError("not a saved fit: it should be a table of names and values")
    content = {
        key: value if key in _TEXT_OR_NONE else _nan_for_null(value)
        for key, value in content.items()
    }
    found = content.pop("format", None)
    if found != FORMAT:
        raise FitError(f"a fit of format {found!r} cannot be read; this version reads {FORMAT}")
    content["form"] = _law(content, law)
    try:
        fit = TypeAdapter(cls).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FitError(f"not a saved fit: {place}: {first['msg']}") from error
    # An array without rows is an empty list in the file, which has forgotten its columns.
    return replace(
        fit,
        draws=fit.draws.reshape(-1, len(fit.form.names)),
        solution=replace(
            fit.solution,
            left_out=fit.solution.left_out.reshape(-1, len(fit.solution.estimated)),
        ),
    )


def _law(content: dict[str, Any], law: Law | None) -> Law:
    name, axes = content.get("law"), content.get("axes")
    if not isinstance(name, str) or not isinstance(axes, dict):
        raise FitError("not a saved fit: it names no law and axes")
    if law is None and name not in LAWS:
        raise FitError(
            f"the saved fit is of {name!r}, a law of your own, which is saved by name alone: "
            "pass the law when loading"
        )
    known = law or law_named(name, tuple(axes))
    if known.name != name:
        raise FitError(f"the saved fit is of the law {name!r}, not {known.name!r}")
    return known


def _plain(value: Any) -> Any:  # noqa: ANN401 - plain data
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _nan_for_null(value: Any) -> Any:  # noqa: ANN401 - plain data
    if isinstance(value, dict):
        return {key: _nan_for_null(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nan_for_null(item) for item in value]
    return nan if value is None else value
