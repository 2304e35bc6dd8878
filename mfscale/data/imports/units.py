"""Units as people and tables write them → eV and eV/Å."""

import re

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import BOHR_A, UNITS

_ENERGIES = {
    "ev": UNITS["eV"],
    "electronvolt": UNITS["eV"],
    "mev": UNITS["eV"] / 1000,
    "ha": UNITS["Ha"],
    "hartree": UNITS["Ha"],
    "eh": UNITS["Ha"],
    "kcal/mol": UNITS["kcal/mol"],
    "kj/mol": UNITS["kJ/mol"],
}
_LENGTHS = {
    **dict.fromkeys(("å", "a", "ang", "angstrom", "ångström", "angstroms"), 1.0),
    **dict.fromkeys(("bohr", "a0", "a_0"), BOHR_A),
}


def energy_factor(text: str, where: str) -> float:
    """Energy → eV: ``Ha``, ``Hartree``, ``kcal/mol``, whatever their case.

    Raises
    ------
    DatasetError
        For another unit; `where` says where it stands.
    """
    factor = _ENERGIES.get(_plain(text))
    if factor is None:
        raise DatasetError(f"{where}: unknown unit of energy {text!r}; {', '.join(UNITS)} are read")
    return factor


def forces_factor(text: str, where: str) -> float:
    """Force → eV/Å: ``Ha/Bohr``, ``eV/A``, ``kcal/mol/Angstrom``, ``kcal/(mol*Å)`` and the like.

    Raises
    ------
    DatasetError
        For another unit.
    """
    energy, _, length = _plain(text).rpartition("/")
    grouped = re.fullmatch(r"(kcal|kj)/\(?mol[*·]?(.+?)\)?", _plain(text))
    if grouped and not energy.endswith("/mol"):
        energy, length = f"{grouped[1]}/mol", grouped[2]
    if energy not in _ENERGIES or length not in _LENGTHS:
        raise DatasetError(
            f"{where}: unknown unit of force {text!r}; {', '.join(UNITS)} per Å or Bohr are read"
        )
    return _ENERGIES[energy] / _LENGTHS[length]


def _plain(text: str) -> str:
    """Lower case, without blanks; ``mol^-1`` and ``Å⁻¹`` as divisions."""
    lower = "".join(text.lower().split())
    return re.sub(r"[*·]?(mol|å|a|ang|angstrom|bohr|a0)(?:\^-1|\^\(-1\)|⁻¹|\*\*-1)", r"/\1", lower)
