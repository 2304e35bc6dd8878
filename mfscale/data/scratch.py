"""Work on more numbers than memory should hold: arrays in nameless files, sorted piece by piece."""

import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

AT_ONCE = 50_000
"""Rows looked at together; arrays of no more stay in memory."""

_OVERSAMPLING = 32


def parts(n: int, at_once: int | None = None) -> Iterator[slice]:
    """Divide n rows into runs of `at_once`, or else of `AT_ONCE`."""
    at_once = at_once or AT_ONCE
    return (slice(begin, min(n, begin + at_once)) for begin in range(0, n, at_once))


def reserve(descriptor: int, n_bytes: int) -> None:
    """Make a file as long as it will be; `OSError` if the disk has no room.

    A disk that fills up while a file is mapped ends the process instead. Where files cannot be
    given their room beforehand (macOS), that is so.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, n_bytes)
    else:
        os.truncate(descriptor, n_bytes)


class Scratch:
    """Makes arrays, in a folder's file system if it has one, or else in memory.

    Their files have no name and are gone with the arrays, even if the process is killed.

    Parameters
    ----------
    folder
        Exists.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros to write to; `OSError` if the disk has no room for it."""
        axes = (shape,) if isinstance(shape, int) else shape
        if self._folder is None or axes[0] <= AT_ONCE:
            return np.zeros(axes, dtype)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            reserve(file.fileno(), math.prod(axes) * np.dtype(dtype).itemsize)
            mapped: NDArray[Any] = np.memmap(file, dtype, mode="r+", shape=axes)
        return mapped.view(np.ndarray)

    def offsets(self, counts: NDArray[Any]) -> NDArray[np.int64]:
        """As `mfscale.data.ragged.offsets`: (k,) counts → (k + 1,)."""
        first = self.zeros(len(counts) + 1, np.int64)
        for part in parts(len(counts)):
            ends = np.cumsum(counts[part], dtype=np.int64)
            first[part.start + 1 : part.stop + 1] = first[part.start] + ends
        return first

    def order(self, *keys: NDArray[Any]) -> NDArray[np.int64]:
        """Rows (n,) in ascending order of their keys (n,), the first key before the next.

        Rows with equal keys keep their order. This is a sample sort (Frazer and McKellar, J. ACM
        17, 496 (1970)): splitters drawn from the keys divide the rows into buckets, each of which
        is sorted in memory.
        """
        n = len(keys[0])
        if n <= AT_ONCE:
            return np.lexsort(keys[::-1])
        splitters = self._splitters(keys)
        bucket = self.zeros(n, np.uint32)
        sizes = np.zeros(len(splitters) + 1, dtype=np.int64)
        for part in parts(n):
            bucket[part] = _passed(keys, splitters, part)
            sizes += np.bincount(bucket[part], minlength=len(sizes))
        order = self.zeros(n, np.int64)
        ends = sizes.cumsum()
        free = ends - sizes
        for part in parts(n):
            rows = part.start + np.argsort(bucket[part], kind="stable")
            there = np.bincount(bucket[part], minlength=len(sizes))
            within = np.arange(len(rows)) - (there.cumsum() - there).repeat(there)
            order[free.repeat(there) + within] = rows
            free += there
        for begin, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True):
            rows = order[begin:end]
            order[begin:end] = rows[np.lexsort([key[rows] for key in keys[::-1]])]
        return order

    def median(self, values: NDArray[np.float64]) -> float:
        """Median of values (n,), n > 0, none of them NaN."""
        n = len(values)
        if n <= AT_ONCE:
            return float(np.median(values))
        middle = self.order(values)[[(n - 1) // 2, n // 2]]
        return float(values[middle].mean())

    def _splitters(self, keys: tuple[NDArray[Any], ...]) -> NDArray[np.int64]:
        """Rows that divide all into buckets of about half of what is sorted at once, in order."""
        n = len(keys[0])
        n_sampled = _OVERSAMPLING * math.ceil(2 * n / AT_ONCE)
        sampled = np.unique(np.random.default_rng(0).integers(n, size=n_sampled))
        in_order = np.lexsort([key[sampled] for key in keys[::-1]])
        return sampled[in_order][_OVERSAMPLING::_OVERSAMPLING]


def _passed(
    keys: tuple[NDArray[Any], ...], splitters: NDArray[np.int64], part: slice
) -> NDArray[np.int64]:
    """How many splitters each row of a part comes after; equal keys are told apart by the row."""
    rows = np.concatenate([splitters, np.arange(part.start, part.stop)])
    order = np.lexsort([rows, *(key[rows] for key in keys[::-1])])
    passed = np.empty(len(rows), dtype=np.int64)
    passed[order] = np.cumsum(order < len(splitters))
    return passed[len(splitters) :]
