"""GFN2-xTB minima of a molecule, and the vibrations around each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.labelling.level import programme
from mfscale.data.sampling.normal_modes import NormalModes, hessian, normal_modes
from mfscale.data.sampling.sources import Rough

_FMAX_EV_A = 0.005
_STEPS = 1000
_DISTINCT_EV = 2e-3


class NoMinimumError(Exception):
    """A molecule that cannot be sampled; the message is the reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum:
    """A relaxed structure: its energy in eV and its vibrations."""

    numbers: NDArray[np.int64]
    energy: float
    modes: NormalModes


def minima(rough: Sequence[Rough]) -> list[Minimum]:
    """Distinct minima of one molecule, lowest first; energies that differ by 2 meV are distinct.

    Raises
    ------
    NoMinimumError
        If none was found: relaxation failed, atoms parted, or a mode is no vibration.
    """
    found: list[tuple[float, Any]] = []
    reasons: list[str] = []
    for structure in rough:
        try:
            atoms = _relaxed(structure)
            found.append((float(atoms.get_potential_energy()), atoms))
        except NoMinimumError as error:
            reasons.append(str(error))
    distinct: list[Minimum] = []
    for energy, atoms in sorted(found, key=lambda pair: pair[0]):
        if distinct and energy - distinct[-1].energy < _DISTINCT_EV:
            continue
        try:
            modes = _vibrations(atoms)
        except NoMinimumError as error:
            reasons.append(str(error))
            continue
        distinct.append(Minimum(numbers=atoms.numbers, energy=energy, modes=modes))
    if not distinct:
        raise NoMinimumError(reasons[0])
    return distinct


def _relaxed(rough: Rough) -> Any:  # noqa: ANN401 - ASE is not typed
    from ase import Atoms  # noqa: PLC0415 - many commands need no ASE
    from ase.calculators.calculator import CalculationFailed  # noqa: PLC0415 - likewise
    from ase.optimize import BFGS  # noqa: PLC0415 - likewise

    if len(rough.numbers) < 2:
        raise NoMinimumError("a single atom has no normal modes")
    if int(rough.numbers.sum()) % 2:
        raise NoMinimumError("has an odd number of electrons")
    atoms = Atoms(rough.numbers, rough.positions)
    atoms.calc = programme("tblite.ase").TBLite(method="GFN2-xTB", verbosity=0)
    try:
        converged = BFGS(atoms, logfile=None).run(fmax=_FMAX_EV_A, steps=_STEPS)
    except (CalculationFailed, RuntimeError):
        raise NoMinimumError("GFN2-xTB fails while it is relaxed") from None
    if not converged:
        raise NoMinimumError(f"is not relaxed to {_FMAX_EV_A} eV/Å after {_STEPS} steps")
    if not _in_one_piece(atoms):
        raise NoMinimumError("falls apart when it is relaxed")
    return atoms


def _in_one_piece(atoms: Any) -> bool:  # noqa: ANN401 - ASE is not typed
    from ase.neighborlist import build_neighbor_list, natural_cutoffs  # noqa: PLC0415 - likewise
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - likewise

    cutoffs = natural_cutoffs(atoms, mult=1.2)
    neighbours = build_neighbor_list(atoms, cutoffs, self_interaction=False)
    return bool(connected_components(neighbours.get_connectivity_matrix())[0] == 1)


def _vibrations(atoms: Any) -> NormalModes:  # noqa: ANN401 - ASE is not typed
    moved = atoms.copy()
    moved.calc = atoms.calc

    def forces(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        moved.positions = positions
        at: NDArray[np.float64] = moved.get_forces()
        return at

    second = hessian(forces, atoms.positions)
    modes = normal_modes(atoms.get_masses(), atoms.positions.copy(), second)
    if modes.eigenvalues[0] <= 0:
        raise NoMinimumError("is relaxed to a saddle point")
    return modes
