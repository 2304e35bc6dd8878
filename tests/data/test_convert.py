"""The embedded dataset is its source table, without loss."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfscale.data import Dataset, DatasetError
from mfscale.data.convert import convert


def test_converting_again_gives_the_very_files(
    chno3: Dataset, source_file: Path, tmp_path: Path
) -> None:
    convert(source_file, tmp_path)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    embedded = {file.name: file.read_bytes() for file in chno3.path.iterdir()}
    del embedded["README.md"]
    assert written.keys() == embedded.keys()
    assert [name for name in written if written[name] != embedded[name]] == []


def test_structures_are_those_of_the_source(chno3: Dataset, source: pd.DataFrame) -> None:
    everything = np.arange(chno3.n_structures)
    numbers = np.array([1, 6, 7, 8])[chno3.species(everything)]
    np.testing.assert_array_equal(numbers, np.concatenate(source["atomic_numbers"].to_list()))
    positions = np.concatenate(source["positions_A"].to_list()).reshape(-1, 3)
    np.testing.assert_array_equal(chno3.positions(everything), positions)
    for index in (0, 9_000, 16_999):
        row, atoms = source.iloc[index], chno3.structure(index)
        assert atoms.info == {
            "source_id": row["id"],
            "molecule": row["smiles"],
            "conformer": row["conformer"],
            "temperature_K": row["temperature_K"],
        }
        np.testing.assert_array_equal(atoms.numbers, row["atomic_numbers"])
        np.testing.assert_array_equal(atoms.positions.ravel(), row["positions_A"])


@pytest.mark.parametrize("method", ["xtb", "dft", "cc"])
def test_energies_are_those_of_the_source_to_the_last_bit(
    chno3: Dataset, source: pd.DataFrame, method: str
) -> None:
    energies = chno3.energies(method, np.arange(chno3.n_structures))
    np.testing.assert_array_equal(energies, source[f"{method}_energy_eV"].to_numpy())


@pytest.mark.parametrize("method", ["xtb", "dft"])
def test_forces_are_those_of_the_source_to_the_last_bit(
    chno3: Dataset, source: pd.DataFrame, method: str
) -> None:
    column = source[f"{method}_forces_eV_A"]
    expected = [
        np.full(3 * len(numbers), np.nan) if forces is None else forces
        for forces, numbers in zip(column, source["atomic_numbers"], strict=True)
    ]
    forces = chno3.forces(method, np.arange(chno3.n_structures))
    np.testing.assert_array_equal(forces.ravel(), np.concatenate(expected))


def test_random_split_is_the_source_s(chno3: Dataset, source: pd.DataFrame) -> None:
    for subset in "abc":
        for method in chno3.methods:
            expected = (source["subset"].eq(subset) & source[f"{method}_energy_eV"].notna()).sum()
            assert sum(chno3.n_labels(method, subset)) == expected
    np.testing.assert_array_equal(
        chno3.test_structures(), np.flatnonzero(source["subset"].eq("t").to_numpy())
    )


def test_a_destination_in_use_is_left_alone(copied: Path, source_file: Path) -> None:
    with pytest.raises(DatasetError, match="already holds a dataset"):
        convert(source_file, copied)


def test_a_missing_column_is_named(tmp_path: Path, source: pd.DataFrame) -> None:
    table = tmp_path / "table.parquet"
    source.head(20).drop(columns="xtb_forces_eV_A").to_parquet(table)
    with pytest.raises(DatasetError, match=r"table\.parquet: column 'xtb_forces_eV_A' is missing"):
        convert(table, tmp_path / "dataset")


def test_an_unreadable_source_ends_in_one_line_and_status_2(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    table.write_text("no Parquet")
    command = [sys.executable, "-m", "mfscale.data.convert", str(table), str(tmp_path / "dataset")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{table}: no readable Parquet file")
    assert not (tmp_path / "dataset").exists()
