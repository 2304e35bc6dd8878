"""What came of labelling a structure, and the function that workers run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfscale.data.errors import DatasetError
from mfscale.data.imports.record import Label, cause
from mfscale.data.labelling.level import FailedLabelError, Level, Numbers, Positions

Piece = Sequence[tuple[int, Numbers, Positions]]
"""Structures that a worker labels at one go: index in the dataset, (n,) and (n, 3) in Å."""

DIED = "the worker that computed it died (out of memory?)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A label, or the reason why there is none.

    Attributes
    ----------
    structure
        Its index in the dataset.
    label
        None if it failed.
    reason
        Empty unless it failed; equal for equal failures.
    cpu_s
        Processor time it took, s.
    """

    structure: int
    label: Label | None
    reason: str = ""
    cpu_s: float = 0.0


def compute(level: Level, piece: Piece) -> list[Outcome]:
    """Label each structure of a piece; a failure is an outcome, not an error."""
    level.check(())  # imports the programme, which is no part of a label's cost
    return [_one(level, *structure) for structure in piece]


def _one(level: Level, structure: int, numbers: Numbers, positions: Positions) -> Outcome:
    began = time.process_time()
    label, reason = None, ""
    try:
        label = level.label(numbers, positions)
        reason = _fault(label, level, len(numbers))
    except FailedLabelError as error:
        reason = str(error)
    except DatasetError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign programme may raise anything
        reason = f"{type(error).__name__}: {cause(error)}"
    return Outcome(
        structure=structure,
        label=None if reason else label,
        reason=reason,
        cpu_s=time.process_time() - began,
    )


def _fault(label: Label, level: Level, n: int) -> str:
    if not np.isfinite(label.energy):
        return "the energy is not finite"
    if not level.has_forces:
        return ""
    if label.forces is None or label.forces.shape != (n, 3) or not np.isfinite(label.forces).all():
        return "the forces are not finite"
    return ""
