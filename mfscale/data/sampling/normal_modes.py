"""Normal modes of a molecule at a minimum, and random displacements along them.

With the mass-weighted Hessian's eigenvalues λ (force constants per unit mass) and orthonormal
eigenvectors l, a displacement of amplitudes q is Δr = M^(−1/2) Σ_i q_i l_i, and costs the harmonic
energy ½ Σ_i λ_i q_i².
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

BOLTZMANN_EV_K = 8.617333262e-5

_LINEAR = 4e-4
"""Of moments of inertia, least to greatest: relaxed only so far, linear molecules bend a little."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalModes:
    """Vibrations of n atoms: k = 3n − 6 of them, 3n − 5 if the molecule is linear.

    Attributes
    ----------
    positions
        (n, 3) of the minimum, Å.
    masses
        (n,) u.
    eigenvalues
        (k,) eV/(Å² u), ascending.
    vectors
        (k, n, 3) orthonormal, mass-weighted.
    """

    positions: Vector
    masses: Vector
    eigenvalues: Vector
    vectors: Vector

    def displaced(self, amplitudes: Vector) -> Vector:
        """Positions (n, 3) in Å at amplitudes (k,) in Å u^(1/2)."""
        shift = np.tensordot(amplitudes, self.vectors, axes=1)
        moved: Vector = self.positions + shift / np.sqrt(self.masses)[:, None]
        return moved

    def energy(self, amplitudes: Vector) -> float:
        """Harmonic energy above the minimum, eV."""
        return 0.5 * float(self.eigenvalues @ amplitudes**2)


def hessian(forces: Callable[[Vector], Vector], positions: Vector, step: float = 0.005) -> Vector:
    """Second derivatives (3n, 3n) in eV/Å² by central differences of forces.

    Parameters
    ----------
    forces
        Positions (n, 3) in Å → forces (n, 3) in eV/Å.
    positions
        (n, 3) Å.
    step
        Of each coordinate, Å.
    """
    size = positions.size
    rows = np.empty((size, size))
    for coordinate in range(size):
        shift = np.zeros(size)
        shift[coordinate] = step
        ahead = forces(positions + shift.reshape(-1, 3))
        behind = forces(positions - shift.reshape(-1, 3))
        rows[coordinate] = (behind - ahead).ravel() / (2 * step)
    symmetric: Vector = (rows + rows.T) / 2
    return symmetric


def normal_modes(masses: Vector, positions: Vector, second: Vector) -> NormalModes:
    """Vibrations at a stationary point; overall motion is projected out.

    Parameters
    ----------
    masses
        (n,) u.
    positions
        (n, 3) Å.
    second
        (3n, 3n) eV/Å².
    """
    root = np.sqrt(masses).repeat(3)
    rigid = _rigid(masses, positions)
    # Beyond the first columns of Q is what is left when overall motion is taken out.
    inside = np.linalg.qr(rigid, mode="complete")[0][:, rigid.shape[1] :]
    weighted = second / np.outer(root, root)
    eigenvalues, rotation = np.linalg.eigh(inside.T @ weighted @ inside)
    modes = (inside @ rotation).T.reshape(len(eigenvalues), -1, 3)
    return NormalModes(positions=positions, masses=masses, eigenvalues=eigenvalues, vectors=modes)


def thermal_amplitudes(modes: NormalModes, kelvin: float, random: np.random.Generator) -> Vector:
    """Amplitudes (k,) of classical harmonic vibrations: normal, with variance kT/λ.

    The mean harmonic energy is k kT/2.
    """
    amplitudes: Vector = random.normal(size=len(modes.eigenvalues)) * np.sqrt(
        BOLTZMANN_EV_K * kelvin / modes.eigenvalues
    )
    return amplitudes


def ani1_amplitudes(modes: NormalModes, kelvin: float, random: np.random.Generator) -> Vector:
    """Amplitudes (k,) as ANI-1 draws them: R_i = ± sqrt(3 c_i N_a kT / K_i) for N_a atoms.

    The c_i are uniform over all non-negative numbers whose sum is at most one, the signs fair
    (Smith, Isayev and Roitberg, Chem. Sci. 8, 3192 (2017)). The paper's R_i and K_i go with
    Cartesian modes of length one; mass-weighted, λ stands in the place of K_i, and mode i takes
    the same energy 3/2 c_i N_a kT. The mean harmonic energy is 3/2 N_a kT k/(k + 1).
    """
    k = len(modes.eigenvalues)
    shares = random.dirichlet(np.ones(k + 1))[:k]
    signs = random.choice([-1.0, 1.0], size=k)
    scale = 3 * len(modes.masses) * BOLTZMANN_EV_K * kelvin
    amplitudes: Vector = signs * np.sqrt(shares * scale / modes.eigenvalues)
    return amplitudes


AMPLITUDES = {"ani1": ani1_amplitudes, "thermal": thermal_amplitudes}
"""Name → how amplitudes are drawn."""


def _rigid(masses: Vector, positions: Vector) -> Vector:
    """Mass-weighted translations and rotations, (3n, 6); (3n, 5) if the molecule is linear."""
    centred = positions - np.average(positions, axis=0, weights=masses)
    weighted = np.sqrt(masses)[:, None] * centred
    inertia = np.eye(3) * (weighted**2).sum() - weighted.T @ weighted
    moments, axes = np.linalg.eigh(inertia)
    turning = axes.T[moments > _LINEAR * moments[-1]]
    motions = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    motions += [np.cross(axis, centred) for axis in turning]
    return np.stack([(np.sqrt(masses)[:, None] * motion).ravel() for motion in motions], axis=1)
