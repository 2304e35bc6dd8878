"""Density functionals and coupled cluster, by PySCF."""

from collections.abc import Collection
from difflib import get_close_matches
from importlib.metadata import version
from typing import Annotated, Any, ClassVar
from warnings import catch_warnings

import numpy as np
from pydantic import Field

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import BOHR_A, UNITS
from mfscale.data.imports.record import Label
from mfscale.data.labelling.level import (
    FailedLabelError,
    Level,
    Numbers,
    Positions,
    excess_spin,
    lacking,
    programme,
)

HARTREE_EV = UNITS["Ha"]

_UNCONVERGED = "the SCF did not converge"


class _InBasis(Level):
    """What both have: a basis, and an SCF that stops at `scf_tolerance` Ha or after `cycles`."""

    basis: str
    scf_tolerance: Annotated[float, Field(gt=0)] = 1e-9
    cycles: Annotated[int, Field(ge=1)] = 50
    unrestricted: bool = False

    def check(self, elements: Collection[str]) -> None:
        """The basis exists, and has all elements."""
        programme("pyscf")
        missing = [symbol for symbol in elements if not _has(self.basis, symbol)]
        if not missing:
            return
        if not any(_has(self.basis, symbol) for symbol in ("H", "C", *elements)):
            known = programme("pyscf.gto.basis").ALIAS
            close = get_close_matches(self.basis.lower().replace("-", ""), known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise DatasetError(f"unknown basis {self.basis!r}: {hint}Name one as PySCF does")
        raise lacking(f"basis {self.basis}", missing)

    def _molecule(self, numbers: Numbers, positions: Positions) -> Any:  # noqa: ANN401 - untyped
        return programme("pyscf.gto").M(
            atom=list(zip(numbers.tolist(), positions.tolist(), strict=True)),
            basis=self.basis,
            spin=excess_spin(numbers, unrestricted=self.unrestricted),
            verbose=0,
        )

    def _converge(self, field: Any) -> float:  # noqa: ANN401 - PySCF is not typed
        """Total energy of a converged SCF, Ha."""
        programme("pyscf.lib").num_threads(1)
        field.conv_tol = self.scf_tolerance
        field.max_cycle = self.cycles
        energy = float(field.kernel())
        if not field.converged:
            raise FailedLabelError(_UNCONVERGED)
        return energy


class DensityFunctional(_InBasis):
    """Kohn-Sham with analytic forces, without the response of the grid."""

    usual_name: ClassVar[str] = "dft"

    functional: str
    density_fitting: bool = True
    grid_level: Annotated[int, Field(ge=0, le=9)] = 2

    @property
    def description(self) -> str:
        """Functional, basis, settings, version."""
        kind = "UKS" if self.unrestricted else "RKS"
        fitted = "density fitting, " if self.density_fitting else ""
        return (
            f"{kind} {self.functional}/{self.basis}, {fitted}grid level {self.grid_level}, "
            f"PySCF {version('pyscf')}"
        )

    def check(self, elements: Collection[str]) -> None:
        """The functional is known to libxc."""
        libxc = programme("pyscf.dft.libxc")
        try:
            known = bool(libxc.parse_xc(self.functional)[1]) or self.functional.lower() == "hf"
        except (KeyError, ValueError):
            known = False
        if not known:
            codes = [name.lower().rpartition("_xc_")[2] for name in libxc.XC_CODES]
            close = get_close_matches(self.functional.lower(), codes, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise DatasetError(
                f"unknown functional {self.functional!r}: {hint}Name one as PySCF does (pbe, "
                f"b3lyp, wb97x, …)"
            )
        super().check(elements)

    def label(self, numbers: Numbers, positions: Positions) -> Label:
        """Energy and forces."""
        dft = programme("pyscf.dft")
        kind = dft.UKS if self.unrestricted else dft.RKS
        field = kind(self._molecule(numbers, positions), xc=self.functional)
        if self.density_fitting:
            field = field.density_fit()
        field.grids.level = self.grid_level
        energy = self._converge(field)
        gradient = np.asarray(field.nuc_grad_method().kernel())
        return Label(energy=energy * HARTREE_EV, forces=-gradient * (HARTREE_EV / BOHR_A))


class CoupledCluster(_InBasis):
    """CCSD(T) on Hartree-Fock: energies alone."""

    usual_name: ClassVar[str] = "cc"

    scf_tolerance: Annotated[float, Field(gt=0)] = 1e-10
    frozen_core: bool = True

    @property
    def description(self) -> str:
        """Basis, core, version."""
        kind = "UHF" if self.unrestricted else "RHF"
        core = "frozen core" if self.frozen_core else "all electrons"
        return f"{kind}-CCSD(T)/{self.basis}, {core}, PySCF {version('pyscf')}"

    @property
    def has_forces(self) -> bool:
        """None: gradients of CCSD(T) cost far more than energies."""
        return False

    def label(self, numbers: Numbers, positions: Positions) -> Label:
        """Energy."""
        scf, cc = programme("pyscf.scf"), programme("pyscf.cc")
        kind = scf.UHF if self.unrestricted else scf.RHF
        field = kind(self._molecule(numbers, positions))
        self._converge(field)
        clusters = cc.CCSD(field)
        if self.frozen_core:
            clusters.set_frozen()
        clusters.kernel()
        if not clusters.converged:
            raise FailedLabelError("CCSD did not converge")
        energy = float(clusters.e_tot + clusters.ccsd_t())
        return Label(energy=energy * HARTREE_EV, forces=None)


def _has(basis: str, symbol: str) -> bool:
    try:
        with catch_warnings(action="ignore"):  # of another package that may have it
            return bool(programme("pyscf.gto.basis").load(basis, symbol))
    except (RuntimeError, KeyError, OSError, ValueError, AttributeError):
        return False
