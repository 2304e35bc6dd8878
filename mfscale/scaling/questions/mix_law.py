"""Choose and fit a law in the numbers of labels of several methods, for questions about mixes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, isnan, log

import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.fitting import fit
from mfscale.scaling.numerals import format_number
from mfscale.scaling.result import Fit

OF_TWO = {"multiplicative": ("X", "f"), "transfer gap": ("p", "f")}
"""Laws of two methods' labels, neither of them 0 → roles of the other method and the target."""
MIX_LAWS = ("label-equivalent", *OF_TWO)


def fit_mix(
    frame: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    target: str,
    y: str,
    law: str | None = None,
    group: Sequence[str] = (),
    cluster: str | None = None,
    level: float = 0.95,
) -> Fit:
    """Fit the law of a mix to the rows of one group.

    Parameters
    ----------
    frame
        One row per run, all of one group.
    labels
        Method → column of its number of labels; a method that no row has any of is left out.
    target
        The method whose error y is; rows without labels of it are excluded.
    y, group, cluster, level
        As in `fit`.
    law
        One of `MIX_LAWS`. By default ``label-equivalent`` if some rows lack labels of another
        method, since it alone holds for them too; otherwise the law with the least AICc among
        those that the rows determine, which a warning of code ``chosen-law`` tells.

    Raises
    ------
    FitError
        For an unknown law, a target without a column, no other method or one with a single number
        of labels, or no law that the rows determine.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit_mix
    >>> dft, cc = (v.ravel() for v in np.meshgrid([0, 100, 400, 1600], [25, 50, 100, 200, 400]))
    >>> noise = np.exp(0.01 * np.sin(np.arange(20.0) ** 2))
    >>> table = pd.DataFrame({"dft": dft, "cc": cc})
    >>> table["mae"] = 60 * (cc + 0.2 * dft) ** -0.5 * noise
    >>> law = fit_mix(table, {"cc": "cc", "dft": "dft"}, target="cc", y="mae")
    >>> law.law, round(law.parameters["exponent"].estimate, 1)
    ('label-equivalent', 0.5)
    """
    counts = _counts(frame, labels, target, law)
    others = [m for m, column in labels.items() if m != target and (counts[column] > 0).any()]
    if not others:
        raise FitError(f"no row has labels of a method beside {target}: there is nothing to mix")
    for method in others:
        amounts = counts[labels[method]]
        if len(amounts[amounts > 0].unique()) == 1:
            raise FitError(
                f"{labels[method]} has one value beside 0, {format_number(amounts.max())}: what a "
                f"label of {method} is worth takes two or more"
            )
    if law in OF_TWO and len(others) > 1:
        raise FitError(f"the {law} law is of two methods, not of {target}, {', '.join(others)}")

    def fitted(name: str, draws: int | None) -> Fit:
        (found,) = fit(
            frame,
            name,
            x=_roles(name, target, others, labels),
            y=y,
            group=list(group),
            cluster=cluster,
            level=level,
            draws=draws,
        )
        return found

    fits, reasons = {}, []
    for name in sorted({law} if law else _candidates(counts, [labels[m] for m in others])):
        try:
            fits[name] = fitted(name, 0)
        except FitError as error:
            reasons.append(str(error))
    if not fits:
        raise FitError("; ".join(reasons))
    best = min(fits, key=lambda name: _aicc(fits[name]))
    found = fitted(best, None)
    told = [_told(best, fits)] if len(fits) > 1 else []
    if best == "label-equivalent":
        told += _never_without(found, target)
    return replace(found, warnings=(*found.warnings, *told))


def _never_without(found: Fit, target: str) -> list[FitWarning]:
    """That no run went without a method, which the law says most about."""
    always = [axis.column for role, axis in found.axes.items() if role != target and axis.low > 0]
    if not always:
        return []
    names = " and ".join(always)
    return [
        FitWarning(
            "never-without",
            f"no run has {names} = 0: what these labels are worth beside none is guessed from the "
            "form of the law; add direct training",
        )
    ]


def _counts(
    frame: pd.DataFrame, labels: Mapping[str, str], target: str, law: str | None
) -> pd.DataFrame:
    """The numbers of labels, after what was asked is checked."""
    if target not in labels:
        raise FitError(f"no column counts labels of the target {target!r}; name one")
    if law is not None and law not in MIX_LAWS:
        raise FitError(f"{law!r} is no law of a mix; choose one of {', '.join(MIX_LAWS)}")
    for column in labels.values():
        if column not in frame:
            raise FitError(f"the table has no column {column!r}, which should count labels")
    return pd.DataFrame({c: pd.to_numeric(frame[c], errors="coerce") for c in labels.values()})


def _candidates(counts: pd.DataFrame, others: Sequence[str]) -> set[str]:
    """Those laws that hold for every row, so that their AICc may be compared."""
    if len(others) > 1 or (counts[others] == 0).to_numpy().any():
        return {"label-equivalent"}
    return set(MIX_LAWS)


def _roles(
    law: str, target: str, others: Sequence[str], labels: Mapping[str, str]
) -> dict[str, str]:
    if law in OF_TWO:
        return dict(zip(OF_TWO[law], (labels[others[0]], labels[target]), strict=True))
    return {method: labels[method] for method in (target, *others)}


def _aicc(found: Fit) -> float:
    """Up to a constant that laws fitted to the same rows share."""
    n, k = found.n_rows, len(found.solution.estimated) + 1
    if n <= k + 1 or isnan(found.r_squared):
        return inf
    return n * log(max(1 - found.r_squared, 1e-300)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _told(best: str, fits: Mapping[str, Fit]) -> FitWarning:
    least = _aicc(fits[best])
    others = ", ".join(
        f"{name} +{format_number(_aicc(found) - least)}"
        for name, found in fits.items()
        if name != best
    )
    return FitWarning("chosen-law", f"the {best} law has the least AICc ({others})")
