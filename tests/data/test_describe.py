"""The description agrees with counts and spreads computed from the source table by pandas."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mfscale.data import Dataset, Description, describe

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="module")
def description(chno3: Dataset) -> Description:
    return describe(chno3)


def test_counts_are_those_of_the_source(description: Description, source: pd.DataFrame) -> None:
    assert description.structures == len(source)
    assert description.atoms == source["atomic_numbers"].map(len).sum()
    assert description.molecules == source["smiles"].nunique()
    for count in description.labels:
        if count.split == "random":
            labelled = source[f"{count.method}_energy_eV"].notna()
            expected = (labelled & source["subset"].eq(count.subset)).sum()
            assert count.training + count.validation + count.test == expected
            assert (count.test > 0) == (count.subset == "t")


def test_every_label_is_counted_once_in_each_split(description: Description) -> None:
    for method, total in {"xtb": 17_000, "dft": 2745, "cc": 1365}.items():
        for split in ("random", "molecule"):
            counts = [c for c in description.labels if (c.method, c.split) == (method, split)]
            assert sum(c.training + c.validation + c.test for c in counts) == total


@pytest.mark.parametrize(
    ("method", "reference", "std_ev"),
    [("dft", "cc", 0.17), ("xtb", "cc", 0.35), ("xtb", "dft", None)],
)
def test_spreads_are_those_of_the_source(
    description: Description,
    source: pd.DataFrame,
    method: str,
    reference: str,
    std_ev: float | None,
) -> None:
    (found,) = (
        d for d in description.differences if (d.method, d.reference) == (method, reference)
    )
    energies = source[[f"{method}_energy_eV", f"{reference}_energy_eV"]].dropna()
    numbers = source.loc[energies.index, "atomic_numbers"]
    counts = np.array([[(z == e).sum() for e in (1, 6, 7, 8)] for z in numbers], dtype=float)
    difference = (energies.iloc[:, 0] - energies.iloc[:, 1]).to_numpy()
    # The normal equations, a way to the least squares that `fit_offsets` does not take.
    offsets = np.linalg.solve(counts.T @ counts, counts.T @ difference)
    residual = 1000 * (difference - counts @ offsets)
    per_atom = residual / counts.sum(axis=1)
    assert found.n == len(energies)
    assert found.std_mev == pytest.approx(residual.std(), rel=1e-6)
    assert found.mae_mev == pytest.approx(abs(residual).mean(), rel=1e-6)
    assert found.std_mev_per_atom == pytest.approx(per_atom.std(), rel=1e-6)
    assert found.mae_mev_per_atom == pytest.approx(abs(per_atom).mean(), rel=1e-6)
    if std_ev is not None:
        # As the source's own README states, rounded.
        assert found.std_mev / 1000 == pytest.approx(std_ev, abs=0.006)


def test_it_is_plain_data_and_a_page(description: Description) -> None:
    plain = description.to_dict()
    assert json.loads(json.dumps(plain))["differences"][0]["n"] == 2745
    page = description.to_text().splitlines()
    assert "17000 structures of 62 molecules, 121083 atoms" in page
    assert "cc      591 + 77    0 + 0         320 + 41    336" in page
    assert any(line.startswith("dft − cc   1365  175 ") for line in page)


def test_methods_that_share_no_label_have_no_difference(make_dataset: MakeDataset) -> None:
    def apart(arrays: dict[str, np.ndarray]) -> None:
        arrays["dear_structure"] = arrays["dear_structure"][:0]
        arrays["dear_energy"] = arrays["dear_energy"][:0]

    found = describe(make_dataset(change=apart))
    assert found.differences == ()
    assert "dear" in found.to_text()
