"""Every law: derivatives against differences, coefficients recovered from data that obey it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from mfscale.scaling import LAWS, FitError, Law, fit, label_equivalent, own_law

TRUTH = {
    "power": {"exponent": 0.6, "amplitude": 20.0},
    "saturating power": {"amplitude": 20.0, "exponent": 0.7, "E": 3.0},
    "line": {"slope": 0.7, "intercept_at_reference": 1.2},
    "shifted line": {"amplitude": 8.0, "exponent": 0.8, "E0": 4.0, "E1": 2.0},
    "multiplicative": {"amplitude": 9.0, "exponent_X": 0.3, "exponent_f": 0.5, "E": 2.0},
    "transfer gap": {"amplitude": 9.0, "gamma": 0.5, "exponent_p": 0.4, "exponent_f": 0.5},
    "additive": {"amplitude_N": 6.0, "exponent_N": 0.4, "amplitude_D": 9.0, "exponent_D": 0.6,
                 "E": 2.0},
    "effective data": {"amplitude": 50.0, "exponent_f": 0.2, "exponent_N": 0.4},
    "label-equivalent": {"amplitude": 9.0, "exponent": 0.6, "E": 2.0, "worth_dft": 40.0,
                         "gamma_dft": 0.8, "worth_xtb": 15.0, "gamma_xtb": 0.6},
}  # fmt: skip


def test_every_law_is_tested() -> None:
    assert set(TRUTH) == set(LAWS)


def exact_table(law: Law, truth: dict[str, float]) -> pd.DataFrame:
    """A full grid of predictors, and y by the law at their geometric means."""
    sizes = np.geomspace(10, 20_000, 8 if len(law.predictors) < 3 else 4)
    axes = [np.append(0.0, sizes) if role in law.may_be_zero else sizes for role in law.predictors]
    grid = [axis.ravel() for axis in np.meshgrid(*axes)]
    x = [values / np.exp(np.mean(np.log(values[values > 0]))) for values in grid]
    references = [np.exp(np.mean(np.log(values[values > 0]))) for values in grid]
    scaled = dict(truth)
    for spec in law.coefficients:  # from the units of the data to those of the law
        if spec.unit in law.predictors:
            scaled[spec.name] /= references[law.predictors.index(spec.unit)]
    values = [np.array([[scaled.get(spec.name, 0.0)]]) for spec in law.coefficients]
    y, _ = law.evaluate(*x, *values)
    return pd.DataFrame({**dict(zip(law.predictors, grid, strict=True)), "y": np.ravel(y)})


@pytest.mark.parametrize("name", TRUTH)
def test_coefficients_are_recovered_from_data_that_obey_the_law(name: str) -> None:
    table = exact_table(LAWS[name], TRUTH[name])
    roles = {role: role for role in LAWS[name].predictors}
    [found] = fit(table, name, x=roles, y="y", draws=0)
    for coefficient, value in TRUTH[name].items():
        assert_allclose(found.parameters[coefficient].estimate, value, rtol=1e-5)
    assert_allclose(found.median(table), table["y"], rtol=1e-7)
    assert found.solution.search.converged
    assert str(found).startswith("ln y =" if name == "line" else "y =")


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(TRUTH)), st.integers(0, 2**32 - 1))
def test_derivatives_are_those_of_the_value(name: str, seed: int) -> None:
    """Central differences of step h are off by h²/6 of the third derivative, and rounding / h."""
    law, rng = LAWS[name], np.random.default_rng(seed)
    x = tuple(np.exp(rng.normal(0, 1, 5)) for _ in law.predictors)
    internal = np.array(
        [
            rng.uniform(-1, 1)
            if spec.positive
            else rng.uniform(0.1, 0.9) * (min(x[0].min(), 1) if spec.high == "x" else 1)
            for spec in law.coefficients
        ]
    )
    _, jacobian = law.log_value(internal[None], x)
    h = 1e-5
    for place in range(len(internal)):
        step = (
            h * np.eye(len(internal))[place] * (0.01 if law.coefficients[place].high == "x" else 1)
        )
        (above, _), (below, _) = (law.log_value((internal + s)[None], x) for s in (step, -step))
        assert_allclose(
            jacobian[0, place], (above - below)[0] / (2 * step[place]), rtol=1e-4, atol=1e-5
        )


def test_amplitudes_are_reported_where_asked() -> None:
    table = exact_table(LAWS["saturating power"], TRUTH["saturating power"])
    [found] = fit(table, "saturating power", x="x", y="y", draws=0, reference=100.0)
    geometric = np.exp(np.log(table["x"]).mean())
    expected = 20.0 * (100 / geometric) ** -0.7
    assert_allclose(found.parameters["amplitude"].estimate, expected, rtol=1e-5)
    assert_allclose(found.parameters["E"].estimate, 3.0, rtol=1e-5)


def test_a_mix_without_some_method_is_a_row_like_any_other() -> None:
    table = exact_table(LAWS["label-equivalent"], TRUTH["label-equivalent"])
    assert (table[["dft", "xtb"]] == 0).any().all()
    assert len(table) == 100
    two = table[table["xtb"] == 0]
    [found] = fit(two, label_equivalent("cc", "dft"), x={"cc": "cc", "dft": "dft"}, y="y", draws=0)
    assert found.exclusions == ()
    assert_allclose(found.parameters["gamma_dft"].estimate, 0.8, rtol=1e-5)


def test_a_law_of_ones_own_takes_a_jacobian_or_finds_it() -> None:
    def late(n, *, amplitude=1.0, exponent=0.5, onset=2.0):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as a user writes it
        return amplitude * (n + onset) ** -exponent

    def derivatives(n, *, amplitude, exponent, onset):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as above
        y = late(n, amplitude=amplitude, exponent=exponent, onset=onset)
        return {
            "amplitude": y / amplitude,
            "exponent": -np.log(n + onset) * y,
            "onset": -exponent * y / (n + onset),
        }

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n": np.tile(np.geomspace(1, 1000, 10), 3)})
    table["e"] = 30 * (table["n"] + 7) ** -0.6 * np.exp(rng.normal(0, 0.03, 30))
    positive = ("amplitude", "onset")
    fits = [
        fit(table, own_law(late, positive=positive, jacobian=j), x="n", y="e", draws=50)[0]
        for j in (None, derivatives)
    ]
    for name in ("amplitude", "exponent", "onset"):
        numeric, analytic = (found.parameters[name] for found in fits)
        assert_allclose(numeric.estimate, analytic.estimate, rtol=1e-6)
        assert_allclose(numeric.standard_error, analytic.standard_error, rtol=1e-4)
    assert_allclose(fits[0].draws, fits[1].draws, rtol=1e-4)
    assert fits[0].parameters["onset"].low < 7 < fits[0].parameters["onset"].high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": {"X": "X"}}, "the multiplicative law is of X, f, not of X"),
        ({"x": {"X": "X", "f": "X"}}, "two predictors are the same column, 'X'"),
        ({"fixed": {"floor": 1.0}}, "no coefficient 'floor'; it has amplitude"),
        ({"bounds": {"E": (2.0, 1.0)}}, "2 is not below 1"),
        ({"loss": "absolute"}, "loss = 'absolute'; choose one of squares, huber"),
        ({"draws": -1}, "draws = -1"),
        ({"reference": {"g": 1.0}}, "no predictor 'g'"),
    ],
)
def test_wrong_requests_are_explained(change: dict[str, object], message: str) -> None:
    table = exact_table(LAWS["multiplicative"], TRUTH["multiplicative"])
    with pytest.raises(FitError, match=message):
        fit(table, "multiplicative", **{"x": {"X": "X", "f": "f"}, "y": "y"} | change)  # type: ignore[arg-type]


def test_functions_that_are_no_laws_are_explained() -> None:
    with pytest.raises(FitError, match="keyword-only"):
        own_law(lambda x: x)
    with pytest.raises(FitError, match="no coefficient 'a'"):
        own_law(lambda x, *, b=1.0: b * x, positive=("a",))
