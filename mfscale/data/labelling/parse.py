"""Levels of theory as the command line takes them."""

import json
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from mfscale.data.errors import DatasetError
from mfscale.data.labelling.ase_calculator import AseCalculator
from mfscale.data.labelling.level import Level
from mfscale.data.labelling.pyscf_levels import CoupledCluster, DensityFunctional
from mfscale.data.labelling.tight_binding import TightBinding

TIGHT_BINDING = {"gfn1-xtb": "GFN1-xTB", "gfn2-xtb": "GFN2-xTB"}

_FORM = (
    f"write {', '.join(TIGHT_BINDING)}, FUNCTIONAL/BASIS (wb97x/6-31g(d)), ccsd(t)/BASIS, or an "
    f"ASE calculator as package.module:Class"
)


def parse_level(text: str, options: str = "{}") -> Level:
    """Read ``gfn2-xtb``, ``wb97x/6-31g(d)``, ``ccsd(t)/cc-pvdz`` or ``package.module:Class``.

    Parameters
    ----------
    text
        The level of theory; ``ase:`` may stand before a calculator.
    options
        Its settings, a JSON object.

    Raises
    ------
    DatasetError
        When either cannot be read. What the programme itself knows is `Level.check`'s to say.
    """
    given = _object(options)
    if text.lower() in TIGHT_BINDING:
        return _made(TightBinding, {"method": TIGHT_BINDING[text.lower()]}, given)
    theory, slash, basis = text.partition("/")
    if slash and theory and basis:
        if theory.lower() == "ccsd(t)":
            return _made(CoupledCluster, {"basis": basis}, given)
        if theory.lower().startswith(("ccs", "mp")):
            raise DatasetError(
                f"--method {text!r}: of wave functions CCSD(T) alone is here; {_FORM}"
            )
        return _made(DensityFunctional, {"functional": theory, "basis": basis}, given)
    path = text.removeprefix("ase:")
    module, colon, name = path.partition(":")
    if colon and module and name:
        return AseCalculator(path=path, arguments=given)
    close = get_close_matches(text.lower(), TIGHT_BINDING, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DatasetError(f"--method {text!r}: unknown method: {hint}Please {_FORM}")


def _object(options: str) -> dict[str, Any]:
    try:
        given = json.loads(options)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"--options {options!r}: is no JSON ({error})") from None
    if not isinstance(given, dict):
        raise DatasetError(f'--options {options!r}: is no JSON object; write {{"key": value}}')
    return given


def _made(kind: type[Level], named: dict[str, str], given: dict[str, Any]) -> Level:
    """A level of theory with its settings; `DatasetError` for any that it does not have."""
    known = [field for field in kind.model_fields if field not in named]
    for key in given:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise DatasetError(f"--options: unknown {key!r}: {hint}Choose from {', '.join(known)}")
    try:
        return kind.model_validate({**given, **named})
    except ValidationError as error:
        first = error.errors()[0]
        raise DatasetError(f"--options: {first['loc'][0]}: {first['msg']}") from None
