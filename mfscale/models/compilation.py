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
    ("nequip", "tiny", True): Compilation(2.8, 130, 3),
    ("nequip", "tiny", False): Compilation(2.9, 79, 2),
    ("allegro", "tiny", True): Compilation(3.2, 100, 3),
    ("allegro", "tiny", False): Compilation(1.9, 80, 2),
    ("mace", "tiny", True): Compilation(2.6, 174, 1),
    ("mace", "tiny", False): Compilation(2.0, 155, 5),
    ("nequip", "small", True): Compilation(3.0, 182, 20),
    ("nequip", "small", False): Compilation(1.7, 75, 9),
    ("allegro", "small", True): Compilation(2.2, 81, 10),
    ("allegro", "small", False): Compilation(1.9, 44, 8),
    ("mace", "small", True): Compilation(2.3, 185, 20),
    ("mace", "small", False): Compilation(1.7, 73, 11),
}
"""Architecture, size, whether forces are trained on → costs; measured by
``benchmarks/compiling.py``. A run that decides for itself compiles no others."""
