"""Laws that fall as powers of data or model size, with and without an irreducible error."""

import numpy as np

from mfscale.scaling.laws.law import Coefficient, Law
from mfscale.scaling.vectors import Vector

Terms = tuple[Vector, tuple[Vector, ...]]

EXPONENTS = (0.2, 0.6, 1.2)


def amplitude(name: str = "amplitude", meaning: str = "median y at the reference") -> Coefficient:
    """A height at the reference, from just above the smallest y to far above."""
    return Coefficient(name, meaning, (1.5, 6.0), positive=True, unit="y")


def exponent(name: str = "exponent", meaning: str = "y falls as x^−exponent") -> Coefficient:
    """A power of decay; at least 0, so that a floor beside it is what remains at infinity."""
    return Coefficient(name, meaning, EXPONENTS, low=0.0)


def irreducible(name: str = "E", fixed: float | None = None) -> Coefficient:
    """An error that no amount of the predictors removes."""
    meaning = "irreducible error"
    return Coefficient(name, meaning, (0.1, 0.5, 0.9), low=0.0, unit="y", fixed=fixed, floor=True)


def _power(x: Vector, exponent: Vector, amplitude: Vector) -> Terms:
    ln_x = np.log(x)
    return amplitude * np.exp(-exponent * ln_x), (-ln_x, 1 / amplitude)


def _saturating_power(x: Vector, amplitude: Vector, exponent: Vector, E: Vector) -> Terms:
    ln_x = np.log(x)
    decay = amplitude * np.exp(-exponent * ln_x)
    y = decay + E
    share = decay / y
    return y, (share / amplitude, -ln_x * share, 1 / y)


def _multiplicative(
    X: Vector, f: Vector, amplitude: Vector, exponent_X: Vector, exponent_f: Vector, E: Vector
) -> Terms:
    ln_X, ln_f = np.log(X), np.log(f)
    decay = amplitude * np.exp(-exponent_X * ln_X - exponent_f * ln_f)
    y = decay + E
    share = decay / y
    return y, (share / amplitude, -ln_X * share, -ln_f * share, 1 / y)


def _additive(
    N: Vector,
    D: Vector,
    amplitude_N: Vector,
    exponent_N: Vector,
    amplitude_D: Vector,
    exponent_D: Vector,
    E: Vector,
) -> Terms:
    ln_N, ln_D = np.log(N), np.log(D)
    of_N = amplitude_N * np.exp(-exponent_N * ln_N)
    of_D = amplitude_D * np.exp(-exponent_D * ln_D)
    y = of_N + of_D + E
    return y, (
        of_N / amplitude_N / y,
        -ln_N * of_N / y,
        of_D / amplitude_D / y,
        -ln_D * of_D / y,
        1 / y,
    )


POWER = Law(
    name="power",
    purpose="An error against one axis (labels, parameters), far from any floor.",
    formula="{y} = amplitude · ({x} / {x0})^−exponent",
    predictors=("x",),
    coefficients=(
        Coefficient("exponent", "y falls as x^−exponent", EXPONENTS),
        amplitude(meaning="median y at x = reference"),
    ),
    evaluate=_power,
    straight=-1,
)
SATURATING_POWER = Law(
    name="saturating power",
    purpose="An error against one axis that levels off at an irreducible one.",
    formula="{y} = E + amplitude · ({x} / {x0})^−exponent",
    predictors=("x",),
    coefficients=(amplitude(meaning="y above E at the reference"), exponent(), irreducible()),
    evaluate=_saturating_power,
)
MULTIPLICATIVE = Law(
    name="multiplicative",
    purpose="Fine-tuned error against fine-tuning labels f and pre-training labels or model size X "
    "(arXiv 2402.17193).",
    formula="{y} = amplitude · ({X} / {X0})^−exponent_X · ({f} / {f0})^−exponent_f + E",
    predictors=("X", "f"),
    coefficients=(
        amplitude(meaning="y above E at the reference"),
        exponent("exponent_X", "y falls as X^−exponent"),
        exponent("exponent_f", "y falls as f^−exponent"),
        irreducible(),
    ),
    evaluate=_multiplicative,
)
ADDITIVE = Law(
    name="additive",
    purpose="Error against model size N and labels D, each with its own bottleneck "
    "(the Chinchilla form, arXiv 2203.15556).",
    formula="{y} = E + amplitude_N · ({N} / {N0})^−exponent_N"
    " + amplitude_D · ({D} / {D0})^−exponent_D",
    predictors=("N", "D"),
    coefficients=(
        amplitude("amplitude_N", "share of N in y at the reference"),
        exponent("exponent_N", "that share falls as N^−exponent"),
        amplitude("amplitude_D", "share of D in y at the reference"),
        exponent("exponent_D", "that share falls as D^−exponent"),
        irreducible(),
    ),
    evaluate=_additive,
)
