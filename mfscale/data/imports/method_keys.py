"""Which keys of a source hold the labels of which method, and in what unit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfscale.data.errors import DatasetError
from mfscale.data.header import Method

UNITS = {
    "eV": 1.0,
    "Ha": 27.211386245988,
    "kcal/mol": 0.0433641043,
    "kJ/mol": 0.0103642697,
}
"""Unit of energy → eV (CODATA 2018)."""

BOHR_A = 0.529177210903

FORCE_UNITS = {f"{unit}/Å": ev for unit, ev in UNITS.items()} | {
    f"{unit}/Bohr": ev / BOHR_A for unit, ev in UNITS.items()
}
"""Unit of force → eV/Å; ``A`` may be written for ``Å``."""

KNOWN_COSTS = {"xtb": 1.0, "dft": 100.0, "cc": 1000.0}
OTHER_COST = 1000.0

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
"""What a method or a dataset may be called."""

_FORM = (
    "NAME:energy=KEY[,forces=KEY][,unit=Ha][,forces_unit=Ha/Bohr][,cost=N][,level=TEXT]"
    "[,file=SOURCE]"
)
_KEYS = ("energy", "forces", "unit", "forces_unit", "cost", "level", "file")


@dataclass(frozen=True, kw_only=True)
class MethodKeys:
    """How one method's labels are found.

    Attributes
    ----------
    name
        Of the method, as studies write it.
    energy, forces
        Keys of the source; `forces` is None for a method without.
    unit
        Of the energies, a key of `UNITS`; forces are in this unit per Å.
    forces_unit
        Of the forces, a key of `FORCE_UNITS`, if it is another.
    cost
        Of one label, relative to coupled cluster = 1000; None: by the name.
    level
        Level of theory and programme.
    file
        The one source that holds this method, by its path or file name; None: any.
    """

    name: str
    energy: str
    forces: str | None = None
    unit: str = "eV"
    forces_unit: str | None = None
    cost: float | None = None
    level: str = ""
    file: str | None = None
    energy_ev: float = field(init=False)
    forces_ev_a: float = field(init=False)

    def __post_init__(self) -> None:
        energy = _factor(self.name, self.unit, UNITS)
        per_a = _factor(self.name, self.forces_unit, FORCE_UNITS) if self.forces_unit else energy
        object.__setattr__(self, "energy_ev", energy)
        object.__setattr__(self, "forces_ev_a", per_a)

    @property
    def known_cost(self) -> bool:
        """Whether the cost is stated, or the paper's for a method of this name."""
        return self.cost is not None or self.name in KNOWN_COSTS

    def is_in(self, source: Path) -> bool:
        """Whether a source is to be looked at for this method."""
        return self.file is None or self.file in {str(source), source.name}

    def method(self) -> Method:
        """The method as a dataset's header states it."""
        cost = self.cost if self.cost is not None else KNOWN_COSTS.get(self.name, OTHER_COST)
        said = self.level or f"imported from {self.energy}"
        return Method(self.name, has_forces=self.forces is not None, cost=cost, description=said)


def parse_method(text: str, unit: str) -> MethodKeys:
    """Read ``dft:energy=dft_energy,forces=dft_forces``, the form the command line takes.

    Parameters
    ----------
    text
        ``NAME:energy=KEY`` and, separated by commas, any of ``forces``, ``unit``,
        ``forces_unit``, ``cost``, ``level`` and ``file``.
    unit
        Of energies whose method names none.

    Raises
    ------
    DatasetError
        When it has another form.
    """
    name, _, rest = text.partition(":")
    if not NAME.fullmatch(name):
        raise DatasetError(f"--method {text!r}: {name!r} is no name of a method; write {_FORM}")
    given: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value or key in given:
            raise DatasetError(f"--method {text!r}: cannot read {part!r}; write {_FORM}")
        given[key] = value
    if "energy" not in given:
        raise DatasetError(f"--method {text!r}: no key for the energy; write {_FORM}")
    cost = given.pop("cost", None)
    try:
        number = None if cost is None else float(cost)
    except ValueError:
        number = -1.0
    if number is not None and not 0 < number < float("inf"):
        raise DatasetError(f"--method {text!r}: cost {cost} is not a positive number")
    return MethodKeys(
        name=name,
        energy=given["energy"],
        forces=given.get("forces"),
        unit=given.get("unit", unit),
        forces_unit=given.get("forces_unit"),
        cost=number,
        level=given.get("level", ""),
        file=given.get("file"),
    )


def check_methods(methods: Sequence[MethodKeys], sources: Sequence[Path]) -> None:
    """Raise `DatasetError` for a method named twice, or in a file that is not imported."""
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DatasetError(f"--method: {twice[0]} is named twice; name each method once")
    for method in methods:
        if not any(method.is_in(source) for source in sources):
            raise DatasetError(
                f"--method {method.name}: file={method.file} is none of the sources "
                f"({', '.join(map(str, sources))})"
            )


def _factor(name: str, unit: str, table: dict[str, float]) -> float:
    known = table.get(unit) or table.get(unit.replace("/A", "/Å"))
    if known is None:
        raise DatasetError(f"method {name}: unknown unit {unit!r}; choose from {', '.join(table)}")
    return known
