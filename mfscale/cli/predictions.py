"""``predict``: what error at this size, these labels, this model."""

from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._asked import Asked, add_question
from mfscale.cli._groups import print_groups
from mfscale.cli._law_options import AnyLawOption, FitOption, How, IntervalsOption
from mfscale.cli._options import JsonOption
from mfscale.cli._output import print_json
from mfscale.cli._saved import require_one_predictor, saved_fits
from mfscale.cli._several import fits_of_several, law_for, read_points, values_of
from mfscale.cli._warned import gathered, print_warnings

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.cli._warned import Warned
    from mfscale.scaling import Fit


AtOption = Annotated[
    list[str],
    typer.Option(
        "--at",
        help="Where to predict: 1000, or cc=200,dft=1000, or cc=200,n_parameters=30000; may be "
        "repeated.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    add_question(app, predict)


def predict(
    at: AtOption,
    asked: Asked,
    law: AnyLawOption = None,
    intervals: IntervalsOption = How.auto,
    fit: FitOption = None,
    json: JsonOption = False,
) -> None:
    """Predict the error at these labels, this pre-trained error or this model size.

    Each with the interval of the law, that of one new run, and the distance from the data.

    Try: mfscale predict --at 1000; mfscale predict --at cc=200,dft=1000
    """
    points = read_points("--at", at)
    chosen = law_for(law.value if law else None, points) if fit is None else None
    numbers = [point for point in points if isinstance(point, float)]
    if numbers:
        if fit is None:
            fits = asked.question(chosen or "power").fit(asked.level, intervals.kind)
        else:
            fits = saved_fits(fit, asked, law, intervals)
            require_one_predictor(fits, "--at NAME=NUMBER")
        frame, warned = _at_numbers(fits, numbers)
        shown = frame.rename(columns={"x": fits[0].x})
    else:
        places = [point for point in points if isinstance(point, dict)]
        fits = (
            saved_fits(fit, asked, law, intervals)
            if fit is not None
            else fits_of_several(asked, chosen, list(places[0]), intervals)
        )
        shown = frame = _at_places(fits, places, asked.target)
        warned = _warned(fits, places, asked.target)
    if json:
        print_json({"predictions": frame.to_dict(orient="records"), "warnings": gathered(warned)})
        return
    print_groups(shown, [found.group for found in fits], title=fits[0].y)
    print_warnings(warned)


def _at_numbers(fits: "list[Fit]", at: list[float]) -> "tuple[pd.DataFrame, Warned]":
    import pandas as pd

    parts, warned = [], []
    for found in fits:
        if not found.determined:
            warned.append((found.group, found.warnings))
            continue
        parts.append(_beside_group(found, found.predict(at)))
        warned.append((found.group, found.warnings_at(at)))
    return pd.concat(parts, ignore_index=True), warned


def _at_places(fits: "list[Fit]", places: list[dict[str, float]], target: str) -> "pd.DataFrame":
    import pandas as pd

    from mfscale.scaling import FitError

    parts = []
    for found in fits:
        for point in places:
            values = values_of(found, point, target)
            if values is None or not found.determined:
                continue
            columns = {role: axis.column for role, axis in found.axes.items()}
            predicted = found.predict(values).rename(columns=columns)
            predicted.insert(0, "law", found.law)
            parts.append(_beside_group(found, predicted))
    if not parts:
        laws = "; ".join(dict.fromkeys(f"{f.law} of {f.x}" for f in fits))
        raise FitError(f"--at {', '.join(places[0])}: no law is of these; there are {laws}")
    frame = pd.concat(parts, ignore_index=True)
    lead = [c for part in parts for c in part.columns[: list(part.columns).index("median")]]
    lead = list(dict.fromkeys(lead))
    return frame[[*lead, *(c for c in frame.columns if c not in lead)]]


def _warned(fits: "list[Fit]", places: list[dict[str, float]], target: str) -> "Warned":
    warned = []
    for found in fits:
        if not found.determined:
            warned.append((found.group, found.warnings))
            continue
        known = (values_of(found, point, target) for point in places)
        warned += [(found.group, found.warnings_at(v)) for v in known if v is not None]
    return warned


def _beside_group(found: "Fit", predicted: "pd.DataFrame") -> "pd.DataFrame":
    for position, (name, value) in enumerate(found.group.items()):
        predicted.insert(position, name, value)
    return predicted
