"""Forces of another sign or unit than their energies are noticed; real labels pass."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mfscale.data import DatasetError, open_dataset
from tests.data.imports.conftest import BOHR_A, HARTREE_EV, Import

METHOD = ("dft:energy=dft_energy,forces=dft_forces",)


def labelled(change: Callable[[np.ndarray], np.ndarray]) -> list[Atoms]:
    """600 structures of the embedded dataset, with DFT energies and changed forces."""
    chno3 = open_dataset("chno3")
    frames = []
    for k in chno3.labelled_structures("dft")[:600]:
        atoms = chno3.structure(k)
        atoms.info = {"dft_energy": chno3.energies("dft", [k])[0]}
        atoms.arrays["dft_forces"] = change(chno3.forces("dft", [k]).astype(float))
        frames.append(atoms)
    return frames


def test_real_labels_follow_their_energies(imported: Import, written: Callable) -> None:
    _, report = imported(written(labelled(lambda f: f)), methods=METHOD)
    assert report.doubts == ()
    assert report.methods[0].forces_agreement > 0.98


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (-1, "forces of dft point uphill"),
        (BOHR_A, "times what energy differences say, as of eV/Bohr taken for eV/Å"),
        (1 / HARTREE_EV, "as of Ha/Å taken for eV/Å"),
    ],
)
def test_another_sign_or_unit_is_noticed(
    factor: float, said: str, imported: Import, written: Callable[..., Path]
) -> None:
    source = written(labelled(lambda f: f * factor))
    with pytest.raises(DatasetError, match="--trust-units") as error:
        imported(source, methods=METHOD)
    assert said in str(error.value)


def test_forces_of_other_structures_are_told(imported: Import, written: Callable) -> None:
    rng = np.random.default_rng(0)
    _, report = imported(written(labelled(lambda f: rng.normal(size=f.shape))), methods=METHOD)
    assert "dft: forces do not follow the energies (rank correlation" in report.to_text()
