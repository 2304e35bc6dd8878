"""Which law, and how its intervals are found: options that several questions share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mfscale.scaling import Intervals


class LawOfOne(StrEnum):
    """A law of one predictor."""

    power = "power"
    saturating_power = "saturating power"
    line = "line"
    shifted_line = "shifted line"


class AnyLaw(StrEnum):
    """A law of one predictor or of several."""

    power = "power"
    saturating_power = "saturating power"
    line = "line"
    shifted_line = "shifted line"
    multiplicative = "multiplicative"
    transfer_gap = "transfer gap"
    additive = "additive"
    effective_data = "effective data"
    label_equivalent = "label-equivalent"


class How(StrEnum):
    """How intervals are found; the straight lines alone have ``wild``."""

    auto = "auto"
    t = "t"
    wild = "wild"
    percentile = "percentile"
    bca = "bca"

    @property
    def kind(self) -> "Intervals":
        """As a fit takes it."""
        return self.value


LawOfOneOption = Annotated[
    LawOfOne,
    typer.Option("--law", help="Of error against labels, or of fine-tuned against pre-trained."),
]
AnyLawOption = Annotated[
    AnyLaw | None,
    typer.Option(
        "--law",
        help="By default power for one number, additive where n_parameters is among several, "
        "otherwise the law of mixes of least AICc that applies.",
    ),
]
IntervalsOption = Annotated[
    How,
    typer.Option(
        "--intervals",
        help="wild: of a power or line law from few clusters, by the wild cluster bootstrap.",
    ),
]
FitOption = Annotated[
    Path | None,
    typer.Option("--fit", help="A file that fit --save wrote, instead of the store: no refit."),
]
