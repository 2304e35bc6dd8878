"""A trained model as an ASE calculator."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mfscale.data import edges_of, keys
from mfscale.models.headed import energy_and_forces
from mfscale.training import Potential, TrainingError, load_potential


class HeadCalculator(Calculator):  # type: ignore[misc]  # ASE has no types
    """Energies (eV) and forces (eV/Å) through one named head of a potential.

    Parameters
    ----------
    potential
        A network of its own: it must not be one that training still changes.
    head
        Which head; there is no default, for heads answer on different energy scales.
    low
        For a head that learned a difference: calculates the method that it is a difference to, at
        the level of the labels, once for every structure.

    Raises
    ------
    TrainingError
        If there is no such head, or `low` is missing or superfluous; on calculating, for an element
        the model does not know.
    """

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, potential: Potential, head: str, low: Calculator | None = None) -> None:
        super().__init__()
        self.potential = potential
        self.head = head
        self.low = low
        self._head_index = potential.head_index(head)
        scale = potential.heads[head]
        if scale.minus is not None and low is None:
            raise TrainingError(
                f"head {head!r} learned {scale.method} minus {scale.minus}: every prediction takes "
                f"{scale.minus}; give an ASE calculator of it, low=…"
            )
        if scale.minus is None and low is not None:
            raise TrainingError(f"head {head!r} predicts {scale.method} itself; leave out low=…")
        self._species = {element: i for i, element in enumerate(potential.elements)}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` for `atoms`; ASE calls this when something changed."""
        super().calculate(atoms, properties or ["energy"], system_changes)
        batch = self._batch(self.atoms)
        network_energy, network_forces = energy_and_forces(
            self.potential.network, batch, create_graph=False
        )
        scale = self.potential.heads[self.head].energy_scale_ev
        offsets = self.potential.heads[self.head].offsets_ev
        energy = scale * float(network_energy.detach().double()) + float(
            offsets[batch[keys.SPECIES].numpy()].sum()
        )
        forces = scale * network_forces.double().numpy()
        if self.low is not None:
            energy += self.low.get_potential_energy(self.atoms)
            forces += self.low.get_forces(self.atoms)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}

    def _batch(self, atoms: Atoms) -> dict[str, torch.Tensor]:
        symbols = atoms.get_chemical_symbols()
        if unknown := sorted(set(symbols) - set(self._species)):
            raise TrainingError(
                f"the model knows {', '.join(self._species)}, not {', '.join(unknown)}"
            )
        cell, pbc = np.asarray(atoms.cell), np.asarray(atoms.pbc)
        edges, shifts = edges_of(atoms.positions, cell, pbc, self.potential.spec.cutoff_a)
        arrays: dict[str, Any] = {
            keys.POSITIONS: atoms.positions.astype(np.float64),
            keys.SPECIES: np.array([self._species[s] for s in symbols]),
            keys.EDGE_INDEX: np.ascontiguousarray(edges.T),
            keys.STRUCTURE: np.zeros(len(atoms), dtype=np.int64),
            keys.N_ATOMS: np.array([len(atoms)]),
            keys.HEAD: np.array([self._head_index]),
        }
        if pbc.any():
            arrays[keys.EDGE_SHIFT] = shifts @ cell
        return {key: torch.from_numpy(array) for key, array in arrays.items()}


def load(
    path: str | Path, *, head: str | None = None, low: Calculator | None = None
) -> HeadCalculator:
    """Load a model that ``mfscale export`` wrote.

    Parameters
    ----------
    path
        The exported file.
    head
        The head to answer through, e.g. ``"cc"``.
    low
        An ASE calculator of the lower method, for a head that learned a difference to it.

    Raises
    ------
    TrainingError
        If the file cannot be used, no head of it is named (the message lists them), or `low` is
        missing or superfluous.

    Examples
    --------
    >>> import mfscale
    >>> atoms.calc = mfscale.load("model.safetensors", head="cc")  # doctest: +SKIP
    """
    potential, _ = load_potential(Path(path), own_network=True)
    if head is None:
        heads = ", ".join(f'"{name}"' for name in potential.heads)
        raise TrainingError(f"{path}: name the head to use, head=…; the model has: {heads}")
    return HeadCalculator(potential, head, low)
