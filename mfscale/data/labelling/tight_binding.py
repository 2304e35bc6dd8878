"""GFN1-xTB and GFN2-xTB, by tblite through ASE."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mfscale.data.imports.record import Label
from mfscale.data.labelling.level import Level, Numbers, Positions, excess_spin, lacking, programme

_HEAVIEST = 86


class TightBinding(Level):
    """Semi-empirical tight binding; `cycles` are the most of an SCF."""

    usual_name: ClassVar[str] = "xtb"

    method: Literal["GFN1-xTB", "GFN2-xTB"]
    accuracy: Annotated[float, Field(gt=0)] = 1.0
    cycles: Annotated[int, Field(ge=1)] = 250
    unrestricted: bool = False

    @property
    def description(self) -> str:
        """Method and version."""
        return f"{self.method}, tblite {version('tblite')}"

    def check(self, elements: Collection[str]) -> None:
        """Elements up to radon are known."""
        from ase.data import atomic_numbers  # noqa: PLC0415 - many commands need no ASE

        programme("tblite.ase")
        missing = [symbol for symbol in elements if atomic_numbers[symbol] > _HEAVIEST]
        if missing:
            raise lacking(self.method, missing)

    def label(self, numbers: Numbers, positions: Positions) -> Label:
        """Energy and analytic forces."""
        from ase import Atoms  # noqa: PLC0415 - likewise

        unpaired = excess_spin(numbers, unrestricted=self.unrestricted)
        atoms = Atoms(numbers, positions)
        atoms.calc = programme("tblite.ase").TBLite(
            method=self.method,
            accuracy=self.accuracy,
            max_iterations=self.cycles,
            multiplicity=unpaired + 1,
            verbosity=0,
        )
        return Label(energy=atoms.get_potential_energy(), forces=atoms.get_forces())
