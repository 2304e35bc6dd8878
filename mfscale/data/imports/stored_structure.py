"""Atoms, energy and forces of a record, under any of the names that programmes give them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.imports.encodings import EncodingError
from mfscale.data.imports.record import MOST_ATOMS, Box, as_numbers, box_or_none

NUMBERS = ("atomic_numbers", "numbers", "z", "Z", "species", "symbols", "elements", "atom_types")
POSITIONS = ("positions", "pos", "coordinates", "coords", "R", "xyz")
ENERGY = ("energy", "E", "y", "total_energy", "y_relaxed")
FORCES = ("forces", "force", "F")
CELL = ("cell", "lattice", "Lattice")


def first_of(found: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a value
    """The value under the first of the names that is there, or None."""
    return next((found[name] for name in names if found.get(name) is not None), None)


def atoms_of(found: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Atomic numbers (n,) and positions (n, 3) in Å; 0 for an element that is none.

    Raises
    ------
    EncodingError
        When a record has neither, or they are no arrays.
    """
    given, positions = first_of(found, NUMBERS), as_numbers(first_of(found, POSITIONS))
    if given is None or positions is None:
        lacking = "atomic numbers" if given is None else "positions"
        raise EncodingError(f"has no {lacking}; its names are {', '.join(sorted(found)[:12])}")
    if len(positions) > MOST_ATOMS or positions.size > 3 * MOST_ATOMS:
        raise EncodingError(f"has more than {MOST_ATOMS} atoms")
    if positions.ndim == 1 and positions.size % 3 == 0:
        positions = positions.reshape(-1, 3)
    return _atomic_numbers(given), positions


def box_of(found: Mapping[str, Any]) -> Box | None:
    """The box of a periodic structure; OCP and ASE store cells of zeros for molecules."""
    return box_or_none(first_of(found, CELL), found.get("pbc"))


def _atomic_numbers(given: Any) -> NDArray[np.int64]:  # noqa: ANN401 - numbers or symbols
    numbers = as_numbers(given)
    if numbers is not None:
        flat = numbers.reshape(-1)
        whole = np.isfinite(flat) & (flat == np.rint(flat)) & (np.abs(flat) < 1000)
        return np.where(whole, flat, 0).astype(np.int64)
    from ase.data import atomic_numbers  # noqa: PLC0415 - only symbols need it

    symbols = given if isinstance(given, list) else np.asarray(given).reshape(-1).tolist()
    return np.array([atomic_numbers.get(str(s).capitalize(), 0) for s in symbols], dtype=np.int64)
