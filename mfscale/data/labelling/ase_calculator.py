"""Any ASE calculator, by its import path."""

import inspect
import json
import sys
from collections.abc import Collection
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mfscale.data.errors import DatasetError
from mfscale.data.imports.record import Label, cause
from mfscale.data.labelling.level import Level, Numbers, Positions


class AseCalculator(Level):
    """An ASE calculator, made once in each worker.

    Attributes
    ----------
    path
        ``package.module:Class``; modules of the current folder count too.
    arguments
        Its keyword arguments.
    """

    usual_name: ClassVar[str] = "ase"

    path: str
    arguments: Annotated[dict[str, Any], Field(default_factory=dict)]

    @property
    def description(self) -> str:
        """Path, arguments and the package's version."""
        package = self.path.partition(":")[0].partition(".")[0]
        try:
            said = f", {package} {version(package)}"
        except PackageNotFoundError:
            said = ""
        given = f" {self.arguments}" if self.arguments else ""
        return f"{self.path}{given}{said}"

    @property
    def has_forces(self) -> bool:
        """As the calculator says."""
        return "forces" in self._made().implemented_properties

    def check(self, elements: Collection[str]) -> None:  # noqa: ARG002 - no calculator tells
        """It can be made, and gives energies."""
        if "energy" not in self._made().implemented_properties:
            raise DatasetError(f"{self.path}: gives no energies; name another calculator")

    def label(self, numbers: Numbers, positions: Positions) -> Label:
        """Energy, and forces if it has them."""
        from ase import Atoms  # noqa: PLC0415 - many commands need no ASE

        atoms = Atoms(numbers, positions, calculator=self._made())
        energy = float(atoms.get_potential_energy())
        return Label(energy=energy, forces=atoms.get_forces() if self.has_forces else None)

    def _made(self) -> Any:  # noqa: ANN401 - ASE is not typed
        return _make(self.path, json.dumps(self.arguments))


@cache  # a machine-learned one takes seconds to load
def _make(path: str, arguments: str) -> Any:  # noqa: ANN401 - ASE is not typed
    found = _find(path)
    try:
        return found(**json.loads(arguments))
    except Exception as error:  # noqa: BLE001 - whatever a foreign class raises
        raise DatasetError(
            f"{path}: cannot be made with --options {arguments} ({cause(error)})"
        ) from None


def _find(path: str) -> type:
    """The class that a path names; `DatasetError` if there is none."""
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = import_module(module_name)
    except Exception as error:  # noqa: BLE001 - whatever a foreign module raises
        raise DatasetError(
            f"--method {path}: module {module_name} cannot be imported ({cause(error)})"
        ) from None
    found = getattr(module, name, None)
    if not inspect.isclass(found) or not hasattr(found, "implemented_properties"):
        classes = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and hasattr(value, "implemented_properties")
        ]
        raise DatasetError(
            f"--method {path}: {module_name} has no ASE calculator {name!r}; it has "
            f"{', '.join(classes) or 'none'}"
        )
    return found
