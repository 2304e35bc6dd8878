"""Convert the source table of ``chno3`` into a dataset directory, without loss.

Run as ``python -m mfscale.data.convert SOURCE.parquet DESTINATION``. Columns of the source: id,
smiles, conformer, temperature_K, subset, atomic_numbers, positions_A, and per method
``<method>_energy_eV`` and perhaps ``<method>_forces_eV_A``, null where not computed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data import ragged
from mfscale.data.arrays import Arrays, write_arrays
from mfscale.data.digests import forces_digests, structure_digests
from mfscale.data.errors import DatasetError
from mfscale.data.header import HEADER_FILE, Header, Method, write_header
from mfscale.data.splits import SUBSETS, subsets_by_molecule

if TYPE_CHECKING:
    import pyarrow as pa

METHODS = (
    Method("xtb", has_forces=True, cost=1, description="GFN2-xTB, tblite 0.8.0"),
    Method(
        "dft",
        has_forces=True,
        cost=100,
        description="RKS ωB97X/6-31G(d), density fitting, PySCF 2.14.0",
    ),
    Method(
        "cc",
        has_forces=False,
        cost=1000,
        description="RHF-CCSD(T)/cc-pVDZ, frozen core, PySCF 2.14.0",
    ),
)
"""Costs are the ratios of Gardner et al., arXiv 2506.14963: xTB:CC = 1:1000, DFT:CC = 1:10."""

SPLITS = {
    "random": "structures drawn at random",
    "molecule": "whole molecules, in the order of the SHA-256 of their SMILES, each to the subset "
    "that lacks most of its share of the DFT-labelled structures of the random split",
}


def convert(source: Path, destination: Path) -> None:
    """Write the dataset directory `destination` from the Parquet table `source`.

    Raises
    ------
    DatasetError
        When the source cannot be read or lacks a column, or the destination holds a dataset.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - conversion alone needs it

    if (destination / HEADER_FILE).exists():
        raise DatasetError(f"{destination}: already holds a dataset; choose another directory")
    try:
        table = pq.read_table(source)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source}: no readable Parquet file ({error})") from None
    molecules, arrays = _structures(source, table)
    for method in METHODS:
        arrays |= _labels(source, table, method, np.diff(arrays["first_atom"]))
    arrays["split_molecule"] = _split_by_molecule(molecules, arrays)
    header = Header(
        name="chno3",
        description="closed-shell molecules of one to three C, N or O atoms and hydrogen, sampled "
        "along normal modes at 300 to 1500 K around GFN2-xTB minima",
        licence="free to redistribute",
        elements={"H": 1, "C": 6, "N": 7, "O": 8},
        molecules=molecules,
        methods=METHODS,
        splits=SPLITS,
    )
    destination.mkdir(parents=True, exist_ok=True)
    write_arrays(arrays, header, destination)
    write_header(header, destination)


def _structures(source: Path, table: "pa.Table") -> tuple[tuple[str, ...], Arrays]:
    """Names of the molecules, and the arrays that describe structures."""
    numbers, first_atom = _lists(source, table, "atomic_numbers")
    positions = _lists(source, table, "positions_A")[0].reshape(-1, 3)
    names, molecule = np.unique(_column(source, table, "smiles").astype(str), return_inverse=True)
    subset = _column(source, table, "subset").astype(str)
    return tuple(names.tolist()), {
        "numbers": numbers,
        "positions": positions,
        "first_atom": first_atom,
        "molecule": molecule,
        "conformer": _column(source, table, "conformer"),
        "source_id": _column(source, table, "id"),
        "temperature_K": _column(source, table, "temperature_K"),
        "digest": structure_digests(numbers, positions, first_atom),
        "split_random": np.array([SUBSETS.index(s) for s in subset.tolist()], dtype=np.uint8),
    }


def _labels(source: Path, table: "pa.Table", method: Method, n_atoms: NDArray[np.int64]) -> Arrays:
    """The arrays of one method's labels."""
    energy = _column(source, table, f"{method.name}_energy_eV")
    structure = np.flatnonzero(~np.isnan(energy))
    arrays = {f"{method.name}_structure": structure, f"{method.name}_energy": energy[structure]}
    if method.has_forces:
        forces = _lists(source, table, f"{method.name}_forces_eV_A")[0].reshape(-1, 3)
        first_force = ragged.offsets(n_atoms[structure])
        arrays[f"{method.name}_first_force"] = first_force
        arrays[f"{method.name}_forces"] = forces
        arrays[f"{method.name}_forces_digest"] = forces_digests(forces, first_force)
    return arrays


def _split_by_molecule(molecules: Sequence[str], arrays: Arrays) -> NDArray[np.uint8]:
    """A split that keeps molecules whole, in the random split's shares of DFT labels."""
    counted = np.zeros(len(arrays["molecule"]), dtype=np.bool_)
    counted[arrays["dft_structure"]] = True
    in_subset = np.bincount(arrays["split_random"][counted], minlength=len(SUBSETS))
    shares = dict(zip(SUBSETS, (in_subset / in_subset.sum()).tolist(), strict=True))
    return subsets_by_molecule(molecules, arrays["molecule"], counted, shares)


def _column(source: Path, table: "pa.Table", name: str) -> NDArray[Any]:
    """One value a row, NaN for null."""
    if name not in table.column_names:
        raise DatasetError(f"{source}: column {name!r} is missing; add it to the table")
    values: NDArray[Any] = table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    return values


def _lists(source: Path, table: "pa.Table", name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of a list column end to end, and the offsets of its rows (nulls are empty)."""
    if name not in table.column_names:
        raise DatasetError(f"{source}: column {name!r} is missing; add it to the table")
    lists = table.column(name).combine_chunks()
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return lists.flatten().to_numpy(), ragged.offsets(lengths)


def main() -> None:
    """Run the conversion from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path)
    parser.add_argument("destination", type=Path)
    arguments = parser.parse_args()
    try:
        convert(arguments.source, arguments.destination)
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
