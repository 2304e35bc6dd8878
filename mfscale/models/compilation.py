"""What compiling a size takes and brings, as plain data: what a run weighs before it compiles."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Compilation:
    """Of one size, trained on energies alone or on forces too; one core, single precision.

    Attributes
    ----------
    speedup
        Of a training step on 32 molecules.
    cold_s
        Seconds once for a user and machine; less, of sizes that share operations.
    warm_s
        Seconds once for a process, with the code kept.
    """

    speedup: float
    cold_s: float
    warm_s: float


COMPILATION: Mapping[tuple[str, str, bool], Compilation] = {
    ("nequip", "tiny", True): Compilation(3.0, 93, 11),
    ("nequip", "tiny", False): Compilation(2.7, 52, 9),
    ("allegro", "tiny", True): Compilation(1.6, 138, 11),
    ("allegro", "tiny", False): Compilation(1.8, 45, 3),
}
"""Architecture, size, whether forces are trained on → costs; measured by
``benchmarks/compiling.py``. A run that decides for itself compiles no others."""
