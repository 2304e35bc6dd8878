"""The laws on offer; each is data, see `mfscale.scaling.laws.law`."""

from collections.abc import Sequence

from mfscale.scaling.errors import FitError
from mfscale.scaling.laws.law import Coefficient, Law, Scale
from mfscale.scaling.laws.own import own_law
from mfscale.scaling.laws.powers import ADDITIVE, MULTIPLICATIVE, POWER, SATURATING_POWER
from mfscale.scaling.laws.transfer import (
    EFFECTIVE_DATA,
    LINE,
    SHIFTED_LINE,
    TRANSFER_GAP,
    label_equivalent,
)

LAWS = {
    law.name: law
    for law in (
        POWER,
        SATURATING_POWER,
        LINE,
        SHIFTED_LINE,
        MULTIPLICATIVE,
        TRANSFER_GAP,
        ADDITIVE,
        EFFECTIVE_DATA,
        label_equivalent("cc", "dft", "xtb"),
    )
}
"""By name. The predictors of ``label-equivalent`` are those it is asked with, not these."""

__all__ = ["LAWS", "Coefficient", "Law", "Scale", "label_equivalent", "law_named", "own_law"]


def law_named(name: str, predictors: Sequence[str] = ()) -> Law:
    """Find a law; `predictors` are the names of methods for ``label-equivalent``, target first.

    Raises
    ------
    FitError
        For a name that is not one of `LAWS`.
    """
    if name not in LAWS:
        raise FitError(f"there is no law {name!r}; choose one of {', '.join(sorted(LAWS))}")
    if name == "label-equivalent" and predictors:
        return label_equivalent(*predictors)
    return LAWS[name]
