"""Element offsets: against closed forms, and where labels do not determine them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mfscale.data import Dataset, fit_offsets
from mfscale.training.offsets import from_residuals

MU = np.array([-13.6, -1030.0, -1485.0, -2040.0])
"""Offsets as large as all-electron atoms', eV."""


@pytest.fixture(scope="module")
def composition(few: Dataset) -> np.ndarray:
    return few.composition(few.labelled_structures("cc"))


def test_offsets_solve_the_normal_equations(few: Dataset, composition: np.ndarray) -> None:
    energies = few.energies("cc", few.labelled_structures("cc"))
    expected = np.linalg.solve(composition.T @ composition, composition.T @ energies)
    np.testing.assert_allclose(fit_offsets(composition, energies), expected, rtol=1e-10)


def test_exact_offsets_are_found_to_a_microelectronvolt(composition: np.ndarray) -> None:
    found = fit_offsets(composition, composition @ MU)
    np.testing.assert_allclose(found, MU, atol=1e-6)


def test_compositions_that_do_not_tell_elements_apart_are_still_explained() -> None:
    """CH₂ in multiples: only μ_C + 2 μ_H is known, and the smallest such μ is (2, 1)/5 of it."""
    composition = np.outer([1.0, 2.0, 3.0], [2.0, 1.0, 0.0])
    found = fit_offsets(composition, composition @ [-13.6, -1030.0, 0.0])
    np.testing.assert_allclose(found, np.array([2, 1, 0]) * (2 * -13.6 - 1030.0) / 5)


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1e-2])
def test_a_child_recovers_a_shift_between_methods(composition: np.ndarray, ridge: float) -> None:
    """Up to the ridge: (CᵀC + λ)⁻¹CᵀC s misses s by at most λ / (λ + σ_min²) of its length."""
    predicted = composition @ MU + np.sin(np.arange(len(composition)))
    shift = np.array([-2.0, 900.0, 1300.0, 1700.0])
    found = from_residuals(composition, predicted + composition @ shift, predicted, MU, ridge=ridge)
    normal = composition.T @ composition
    penalty = ridge * np.trace(normal) / 4
    bound = penalty / (penalty + np.linalg.eigvalsh(normal)[0]) * np.linalg.norm(shift)
    assert np.linalg.norm(found - MU - shift) <= bound + 1e-6


def test_an_element_the_labels_lack_keeps_its_offset(composition: np.ndarray) -> None:
    without_nitrogen = composition[composition[:, 2] == 0]
    predicted = without_nitrogen @ MU
    labels = predicted + without_nitrogen @ [1.0, 2.0, 0.0, 3.0]
    found = from_residuals(without_nitrogen, labels, predicted, MU, ridge=1e-6)
    assert found[2] == pytest.approx(MU[2], abs=1e-9)
    np.testing.assert_allclose(found - MU, [1.0, 2.0, 0.0, 3.0], atol=1e-3)


@settings(deadline=None)
@given(
    composition=hnp.arrays(np.int64, (6, 4), elements=st.integers(0, 9)),
    residuals=hnp.arrays(np.float64, 6, elements=st.floats(-1e4, 1e4, width=32)),
    repeats=st.integers(2, 5),
)
def test_repeating_every_label_changes_nothing(
    composition: np.ndarray, residuals: np.ndarray, repeats: int
) -> None:
    """Whatever the labels determine: the ridge scales with them."""

    def fitted(times: int) -> np.ndarray:
        rows = np.tile(composition.astype(float), (times, 1))
        labels = np.tile(residuals, times)
        return from_residuals(rows, labels, np.zeros(len(labels)), MU, ridge=1e-3)

    np.testing.assert_allclose(fitted(repeats), fitted(1), rtol=1e-9, atol=1e-6)
