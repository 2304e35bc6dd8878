"""Which answer ``suggest`` is to narrow: the laws asked, where, and how runs are rows of theirs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfscale.cli import _analysis, _mixing
from mfscale.cli._asked import Asked
from mfscale.cli._candidates import About, about_mix, about_question, about_sizes
from mfscale.cli._runs import Run
from mfscale.cli._several import (
    SIZE,
    Point,
    law_for,
    named_columns,
    over_sizes,
    read_points,
    values_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.scaling import Fit


@dataclass(frozen=True)
class Wanted:
    """The options that say which answer is meant; `FitError` unless they go together."""

    predict_at: Sequence[str] = ()
    invert: float | None = None
    at: str | None = None
    mix: float | None = None
    cost: Sequence[str] = ()
    beyond: float = 0.0

    def __post_init__(self) -> None:
        from mfscale.scaling import FitError

        if [bool(self.predict_at), self.invert is not None, self.mix is not None].count(True) != 1:
            raise FitError(
                "name the answer to narrow: --predict-at X, --invert ERROR or --mix ERROR, one of "
                "them"
            )
        if self.at is not None and self.invert is None:
            raise FitError("--at names predictors that are held: it goes with --invert ERROR")
        if (self.cost or self.beyond) and self.mix is None:
            raise FitError("--cost and --beyond are of the cheapest mix: they go with --mix ERROR")


@dataclass(frozen=True)
class Narrowing:
    """An answer to narrow.

    Attributes
    ----------
    fits, frame
        The laws asked, and the rows that they were fitted to.
    about
        How runs are rows of theirs.
    question
        What `mfscale.scaling.suggest` is asked beside a budget.
    earlier, models
        As in `runs_around`: whether numbers of labels of earlier steps are varied too, and sizes
        of models.
    """

    fits: "list[Fit]"
    frame: "pd.DataFrame"
    about: Callable[[Sequence[Run]], About]
    question: Mapping[str, Any] = field(default_factory=dict)
    earlier: bool = False
    models: bool = False


def narrowing(asked: Asked, law: str | None, wanted: Wanted) -> Narrowing:
    """The answer that is meant; `law` as named, or None."""
    from mfscale.scaling import FitError

    if wanted.mix is not None:
        return _of_mix(asked, law, wanted)
    option = "--predict-at" if wanted.predict_at else "--at"
    points = read_points(option, wanted.predict_at or ([wanted.at] if wanted.at else []))
    if wanted.at and not all(isinstance(point, dict) for point in points):
        raise FitError(f"--at {wanted.at}: name what is held, such as --at n_parameters=30000")
    chosen = law_for(law, points, option)
    places = [point for point in points if isinstance(point, dict)]
    if not places:
        return _of_one(asked, chosen or _analysis.POWER, wanted, points)
    if chosen == "effective data":
        raise FitError(
            "suggest narrows no effective data law, which is of the labels that pre-training was "
            "worth and not of a store's rows; name another --law"
        )
    if chosen == "additive" or any(SIZE in place for place in places):
        return _over_sizes(asked, chosen or "additive", wanted, places)
    return _of_labels(asked, chosen, wanted, places)


def _of_one(asked: Asked, law: str, wanted: Wanted, points: list[float] | list[Point]) -> Narrowing:
    question = asked.question(law)
    return Narrowing(
        question.fit(asked.level),
        question.frame,
        lambda runs: about_question(question, runs, asked.target),
        {"at": points} if wanted.invert is None else {"error": wanted.invert},
        earlier=law not in _analysis.AGAINST_LABELS,
    )


def _over_sizes(asked: Asked, law: str, wanted: Wanted, places: list[Point]) -> Narrowing:
    import pandas as pd

    from mfscale.scaling import FitError

    question, fits = over_sizes(asked, law)
    known = named_columns(fits[0], asked.target)
    for name, value in places[0].items():
        if name not in known:
            raise FitError(f"{name} = {value:g}: the {law} law is of {fits[0].x}")
    asking: dict[str, Any]
    if wanted.invert is not None:
        held = {known[name]: value for name, value in places[0].items()}
        asking = {"error": wanted.invert, "at": held}
    else:
        found = [values_of(fits[0], place, asked.target, "--predict-at") for place in places]
        asking = {"at": pd.DataFrame(found)}
    return Narrowing(
        fits,
        question.frame,
        lambda runs: about_sizes(question, runs, asked.target),
        asking,
        models=True,
    )


def _of_labels(asked: Asked, law: str | None, wanted: Wanted, places: list[Point]) -> Narrowing:
    import pandas as pd

    mixing = _mixing.asked_for(asked)
    fits = mixing.fits(law, asked.level)
    columns = {axis.column for found in fits for axis in found.axes.values()}
    values = [_mixing.by_column(mixing, place, columns) for place in places]
    if wanted.invert is None:
        return _mixed(mixing, fits, {"at": pd.DataFrame(values)})
    target = mixing.labels[asked.target]
    named = {asked.target, target} & places[0].keys()
    held = {c: v for c, v in values[0].items() if named or c != target}
    return _mixed(mixing, fits, {"error": wanted.invert, "at": held})


def _of_mix(asked: Asked, law: str | None, wanted: Wanted) -> Narrowing:
    mixing = _mixing.asked_for(asked)
    given = _mixing.read_pairs("--cost", list(wanted.cost))
    fits = mixing.fits(law, asked.level)
    costs = {c: v for found in fits for c, v in _mixing.prices(mixing, given, found).items()}
    asking = {"error": wanted.mix, "costs": costs, "decades": wanted.beyond}
    return _mixed(mixing, fits, asking)


def _mixed(mixing: _mixing.Mixing, fits: "list[Fit]", asking: Mapping[str, Any]) -> Narrowing:
    import pandas as pd

    frame = pd.concat(mixing.parts, ignore_index=True)
    return Narrowing(fits, frame, lambda _: about_mix(mixing), asking, earlier=True)
