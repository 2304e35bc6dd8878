"""How much test errors owe to the finite test set: the same resamples of it for every run.

All runs are tested on the same structures, so what a lucky or unlucky test set does to one it does
to the others: comparing on the same resample keeps that in common (a paired bootstrap; Efron &
Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 8).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mfscale.scaling.vectors import Indices, Vector

ErrorsOf = Callable[[str], pd.DataFrame]
"""Stage id → its errors, with columns structure, head, method, energy_error_mev; empty if none."""

DRAWS = 500  # the standard deviation over them is then known to 3%
_SEED = 20250614
# For a test set of 10⁵ structures, these keep both steps below 100 MB.
_DRAWS_AT_ONCE, _RUNS_AT_ONCE = 50, 64

Wanted = tuple[str, str, str]
"""Stage, head and the method that it is tested against."""


class Resamples:
    """Resampled test errors of any run, drawn when first asked for.

    Parameters
    ----------
    errors_of
        Where the errors of a stage are had from.
    """

    def __init__(self, errors_of: ErrorsOf) -> None:
        self._errors_of = errors_of
        self._changes: dict[Wanted, Vector | None] = {}
        self._counts: dict[bytes, np.ndarray] = {}

    def changes(self, wanted: Sequence[Wanted]) -> tuple[Vector, int]:
        """By how much ln MAE changes under each resample.

        Parameters
        ----------
        wanted
            m errors.

        Returns
        -------
        changes, missing
            Shape ``(DRAWS, m)``; 0 for errors that are not known structure by structure, of which
            the second is the number.
        """
        unknown = [key for key in dict.fromkeys(wanted) if key not in self._changes]
        for start in range(0, len(unknown), _RUNS_AT_ONCE):
            self._load(unknown[start : start + _RUNS_AT_ONCE])
        found = [self._changes[key] for key in wanted]
        missing = sum(self._changes[key] is None for key in set(wanted))
        nothing = np.zeros(DRAWS)
        columns = [nothing if change is None else change for change in found]
        return np.column_stack(columns), missing

    def _load(self, wanted: Sequence[Wanted]) -> None:
        by_structures: dict[bytes, list[tuple[Wanted, Vector]]] = {}
        by_stage: dict[str, list[Wanted]] = {}
        for key in wanted:
            by_stage.setdefault(key[0], []).append(key)
        for stage, keys in by_stage.items():
            table = self._errors_of(stage)
            for key in keys:
                structures, errors = _errors(table, key)
                self._changes[key] = None
                if len(errors) > 1 and errors.any():
                    by_structures.setdefault(structures.tobytes(), []).append((key, errors))
        for digest, known in by_structures.items():
            errors = np.column_stack([errors for _, errors in known])
            changed = _resampled(self._drawn(digest, len(errors)), errors)
            for (key, _), column in zip(known, changed.T, strict=True):
                self._changes[key] = column

    def _drawn(self, digest: bytes, n: int) -> np.ndarray:
        """How often each structure is drawn, shape ``(DRAWS, n)``; the same for the same set."""
        if digest not in self._counts:
            rng = np.random.default_rng([_SEED, n])
            self._counts[digest] = np.stack(
                [
                    np.bincount(rng.integers(n, size=n), minlength=n).astype(np.uint8)
                    for _ in range(DRAWS)
                ]
            )
        return self._counts[digest]


def _resampled(counts: np.ndarray, errors: Vector) -> Vector:
    """Change of the logarithm of the mean of each column of `errors`, shape ``(DRAWS, m)``."""
    n = len(errors)
    means = [
        counts[start : start + _DRAWS_AT_ONCE].astype(float) @ errors / n
        for start in range(0, len(counts), _DRAWS_AT_ONCE)
    ]
    smallest = np.finfo(float).tiny
    ratios = np.maximum(np.concatenate(means), smallest) / errors.mean(axis=0)
    return np.asarray(np.log(ratios), dtype=float)


def _errors(table: pd.DataFrame, key: Wanted) -> tuple[Indices, Vector]:
    """Structures in order, and the absolute errors (meV) of one head on them."""
    _, head, method = key
    if table.empty:
        return np.empty(0, dtype=np.intp), np.empty(0)
    of_head = table[(table["head"] == head) & (table["method"] == method)]
    known = of_head[of_head["energy_error_mev"].notna()].sort_values("structure")
    structures = known["structure"].to_numpy(dtype=np.intp)
    return structures, np.abs(known["energy_error_mev"].to_numpy(dtype=float))
