"""Laws of transfer: what pre-training does to a fine-tuned error, and what it is worth."""

import numpy as np

from mfscale.scaling.laws.law import Coefficient, Law
from mfscale.scaling.laws.powers import EXPONENTS, Terms, amplitude, exponent, irreducible
from mfscale.scaling.vectors import Vector

_STEEPEST = 2.0  # power with which the worth of labels grows: beyond it lies no label anyone knows


def _line(x: Vector, slope: Vector, intercept: Vector) -> Terms:
    ln_x = np.log(x)
    return np.exp(intercept + slope * ln_x), (ln_x, np.ones_like(ln_x))


def _shifted_line(x: Vector, amplitude: Vector, exponent: Vector, E0: Vector, E1: Vector) -> Terms:
    above = (x - E0) / (1 - E0)
    ln_above = np.log(above)
    rise = amplitude * np.exp(exponent * ln_above)
    y = rise + E1
    share = rise / y
    of_E0 = exponent * share * (1 / (1 - E0) - 1 / (x - E0))
    return y, (share / amplitude, ln_above * share, of_E0, 1 / y)


def _transfer_gap(
    p: Vector,
    f: Vector,
    amplitude: Vector,
    gamma: Vector,
    exponent_p: Vector,
    exponent_f: Vector,
    E: Vector,
) -> Terms:
    ln_p, ln_f = np.log(p), np.log(f)
    falling = np.exp(-exponent_p * ln_p)
    decay = amplitude * (gamma + falling) / (gamma + 1) * np.exp(-exponent_f * ln_f)
    y = decay + E
    share = decay / y
    return y, (
        share / amplitude,
        share * (1 / (gamma + falling) - 1 / (gamma + 1)),
        -ln_p * share * falling / (gamma + falling),
        -ln_f * share,
        1 / y,
    )


def _effective_data(
    f: Vector, N: Vector, amplitude: Vector, exponent_f: Vector, exponent_N: Vector
) -> Terms:
    ln_f, ln_N = np.log(f), np.log(N)
    y = amplitude * np.exp(exponent_f * ln_f + exponent_N * ln_N)
    return y, (1 / amplitude, ln_f, ln_N)


def label_equivalent(target: str = "cc", *others: str) -> Law:
    """The law of label mixes: labels of other methods count as labels of the target method.

    Parameters
    ----------
    target
        Name of the predictor that counts labels of the method whose error y is.
    others
        Names of the predictors that count labels of the other methods; 0 is a value like any other.

    Returns
    -------
    Law
        With ``worth_M``, the target labels that the reference number of labels of M is worth, and
        ``gamma_M``, the power with which that grows with their number, for each other method M.
    """
    worths = [
        spec
        for name in others
        for spec in (
            Coefficient(
                f"worth_{name}",
                f"{target} labels that the reference number of {name} labels is worth",
                (0.3, 2.0),
                low=0.0,
                unit=target,
            ),
            Coefficient(
                f"gamma_{name}",
                f"that worth grows as {name}^gamma",
                (0.5, 1.0),
                low=0.0,
                high=_STEEPEST,
            ),
        )
    ]
    equivalents = "".join(
        f" + worth_{name} · ({{{name}}} / {{{name}0}})^gamma_{name}" for name in others
    )
    return Law(
        name="label-equivalent",
        purpose="Mixes of labels by several methods: how many target labels the others replace.",
        formula=f"{{y}} = amplitude · (D / {{{target}0}})^−exponent + E, "
        f"D = {{{target}}}{equivalents}",
        predictors=(target, *others),
        coefficients=(
            amplitude(meaning="y above E at D = reference"),
            exponent(meaning="y falls as D^−exponent"),
            irreducible(),
            *worths,
        ),
        evaluate=_label_equivalent,
        may_be_zero=others,
    )


def _label_equivalent(*values: Vector) -> Terms:
    """Of target labels, n_1 … n_k, amplitude, exponent, E, worth_1, gamma_1, …, gamma_k."""
    k = (len(values) - 4) // 3
    target, counts = values[0], values[1 : k + 1]
    amplitude, exponent, E = values[k + 1 : k + 4]
    worths, gammas = values[k + 4 :: 2], values[k + 5 :: 2]
    logs = [np.log(np.where(n > 0, n, 1.0)) for n in counts]
    grown = [
        np.where(n > 0, np.exp(gamma * ln_n), 0.0)
        for n, ln_n, gamma in zip(counts, logs, gammas, strict=True)
    ]
    D = target + sum((w * g for w, g in zip(worths, grown, strict=True)), np.zeros_like(E))
    decay = amplitude * np.exp(-exponent * np.log(D))
    y = decay + E
    share = decay / y
    per_label = -exponent * share / D
    return y, (
        share / amplitude,
        -np.log(D) * share,
        1 / y,
        *(
            derivative
            for w, g, ln_n in zip(worths, grown, logs, strict=True)
            for derivative in (per_label * g, per_label * w * g * ln_n)
        ),
    )


LINE = Law(
    name="line",
    purpose="Fine-tuned against pre-trained error: the paper's relation, a straight line in logs.",
    formula="ln {y} = intercept + slope · ln {x}",
    predictors=("x",),
    coefficients=(
        Coefficient("slope", "change of ln y with ln x", EXPONENTS),
        Coefficient("intercept_at_reference", "ln y at x = reference", (0.5, 2.0), unit="ln y"),
    ),
    evaluate=_line,
    straight=+1,
    derived={
        "intercept": (
            "ln y at x = 1",
            lambda *, slope, intercept_at_reference, x0: (
                intercept_at_reference - slope * np.log(x0)
            ),
        )
    },
    change=0.5,
)
SHIFTED_LINE = Law(
    name="shifted line",
    purpose="One error against another when either levels off (loss to loss, arXiv 2411.12925).",
    formula="{y} = E1 + amplitude · (({x} − E0) / ({x0} − E0))^exponent",
    predictors=("x",),
    coefficients=(
        amplitude(meaning="y above E1 at the reference"),
        exponent(meaning="y above E1 rises as (x − E0)^exponent"),
        Coefficient("E0", "x at which y reaches E1", (0.05, 0.4), low=0.0, high="x", unit="x"),
        irreducible("E1"),
    ),
    evaluate=_shifted_line,
    change=0.5,
)
TRANSFER_GAP = Law(
    name="transfer gap",
    purpose="Fine-tuned error against pre-training labels p and fine-tuning labels f; gamma > 0 "
    "means that pre-training saturates (arXiv 2108.11018).",
    formula="{y} = amplitude · (gamma + ({p} / {p0})^−exponent_p) / (gamma + 1)"
    " · ({f} / {f0})^−exponent_f + E",
    predictors=("p", "f"),
    coefficients=(
        amplitude(meaning="y above E at the reference"),
        Coefficient(
            "gamma",
            "the gap no pre-training closes, over what the reference leaves",
            (0.1, 1.0),
            low=0.0,
        ),
        exponent("exponent_p", "the rest falls as p^−exponent"),
        exponent("exponent_f", "y falls as f^−exponent"),
        irreducible(fixed=0.0),
    ),
    evaluate=_transfer_gap,
)
EFFECTIVE_DATA = Law(
    name="effective data",
    purpose="What pre-training is worth in fine-tuning labels, y, against fine-tuning labels f and "
    "model size N (arXiv 2102.01293).",
    formula="{y} = amplitude · ({f} / {f0})^exponent_f · ({N} / {N0})^exponent_N",
    predictors=("f", "N"),
    coefficients=(
        amplitude(meaning="labels transferred at the reference"),
        Coefficient("exponent_f", "y grows as f^exponent", EXPONENTS),
        Coefficient("exponent_N", "y grows as N^exponent", EXPONENTS),
    ),
    evaluate=_effective_data,
)
