"""A model out of the store: exported, loaded as a calculator, used as the README shows."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule
from click.testing import Result

import mfscale
from mfscale.results import Store
from mfscale.training import TrainingError

Call = Callable[..., Result]
README = Path(__file__).parents[2] / "README.md"


def exported(call: Call, store: Store, folder: Path) -> Path:
    rows = store.frame()
    stage = rows[(rows["step"] == 1) & (rows["cc_size"] == 16)]["stage_id"].iloc[0]
    shown = call("export", stage[:10], "--store", store.path, "--out", folder / "model.safetensors")
    assert 'head="cc"' in shown.stdout
    return folder / "model.safetensors"


def test_the_calculator_predicts_what_the_stage_was_tested_with(
    call: Call, store: Store, tmp_path: Path
) -> None:
    """Label plus the stored per-structure error is the prediction; through one file and ASE."""
    from mfscale.data import open_dataset

    rows = store.frame()
    stage = rows[(rows["step"] == 1) & (rows["cc_size"] == 16)]["stage_id"].iloc[0]
    calculator = mfscale.load(exported(call, store, tmp_path), head="cc")
    dataset = open_dataset("chno3")
    errors = store.errors(stage).to_pandas()
    for row in errors[errors["method"] == "cc"].head(5).itertuples():
        atoms = dataset.structure(row.structure)
        atoms.calc = calculator
        (label,) = dataset.energies("cc", [row.structure])
        assert atoms.get_potential_energy() == pytest.approx(
            label + row.energy_error_mev / 1e3, abs=2e-5
        )


def test_forces_are_the_negative_gradient(call: Call, store: Store, tmp_path: Path) -> None:
    atoms = molecule("CH3OH")
    atoms.rattle(0.05, seed=1)
    atoms.calc = mfscale.load(exported(call, store, tmp_path), head="cc")
    forces, step = atoms.get_forces(), 0.01
    for atom, axis in ((0, 0), (2, 1), (5, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[atom, axis] += sign * step
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(
            -(energies[0] - energies[1]) / (2 * step), abs=5e-3
        )


def test_the_head_is_named_or_the_message_lists_it(
    call: Call, store: Store, tmp_path: Path
) -> None:
    path = exported(call, store, tmp_path)
    with pytest.raises(TrainingError, match=r'head=….*"cc"'):
        mfscale.load(path)
    with pytest.raises(TrainingError, match=r"no head 'dft'.*cc"):
        mfscale.load(path, head="dft")


def test_what_the_model_cannot_do_is_said(call: Call, store: Store, tmp_path: Path) -> None:
    calculator = mfscale.load(exported(call, store, tmp_path), head="cc")
    for atoms, words in ((molecule("SiH4"), "knows H, C, N, O, not Si"),):
        atoms.calc = calculator
        with pytest.raises(TrainingError, match=words):
            atoms.get_potential_energy()


def test_an_atom_alone_has_its_offset_for_energy(call: Call, store: Store, tmp_path: Path) -> None:
    from ase import Atoms

    atoms = Atoms("O", positions=[[0, 0, 0]])
    atoms.calc = mfscale.load(exported(call, store, tmp_path), head="cc")
    offsets = atoms.calc.potential.heads["cc"].offsets_ev
    assert atoms.get_potential_energy() == pytest.approx(offsets[3])  # elements: H C N O
    assert atoms.get_forces() == pytest.approx(np.zeros((1, 3)))


def test_the_relaxation_in_the_readme_runs(
    call: Call, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(call, store, tmp_path)
    monkeypatch.chdir(tmp_path)
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
        if "mfscale.load" in block
    ]
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - the README's own example
    assert names["atoms"].get_forces().shape == (3, 3)  # type: ignore[attr-defined]


IN_NEQUIP = """
import sys
from ase.build import molecule
from nequip.ase import NequIPCalculator
atoms = molecule("CH3OH")
atoms.calc = NequIPCalculator._from_saved_model(sys.argv[1], chemical_species_to_atom_type_map=True)
print(float(atoms.get_potential_energy()))
"""


@pytest.mark.slow
def test_a_native_file_gives_the_same_energy_in_its_own_package(
    call: Call, store: Store, tmp_path: Path
) -> None:
    rows = store.frame()
    stage = rows[(rows["step"] == 1) & (rows["cc_size"] == 16)]["stage_id"].iloc[0]
    target = tmp_path / "model.nequip.zip"
    call("export", stage, "--store", store.path, "--native", "--out", target)
    answer = subprocess.run(
        [sys.executable, "-c", IN_NEQUIP, str(target)], capture_output=True, text=True, check=True
    )
    atoms = molecule("CH3OH")
    atoms.calc = mfscale.load(exported(call, store, tmp_path), head="cc")
    assert float(answer.stdout) == pytest.approx(atoms.get_potential_energy(), abs=1e-5)


def test_a_native_file_has_its_own_packages_suffix(
    mfscale_here: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    stage = store.frame()["stage_id"].iloc[0]
    chosen = ("export", stage, "--store", store.path, "--native", "--out")
    answer = mfscale_here(*chosen, tmp_path / "model.zip")
    assert answer.status == 2
    assert ".nequip.zip" in answer.err
    assert not (tmp_path / "model.zip").exists()


def test_a_head_is_named_for_a_native_file_alone(
    mfscale_here: Callable[..., Any], store: Store
) -> None:
    answer = mfscale_here("export", "x", "--store", store.path, "--head", "cc")
    assert answer.status == 2
    assert "--native" in answer.err
