"""A ``.npy`` file that grows row by row, so that what is written need not fit into memory."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class AppendedArray:
    """Rows of numbers, written as they come; whole once it is closed.

    NumPy leaves room in the header for a first axis of any length, so that it can be written anew.

    Parameters
    ----------
    path
        A file that does not exist.
    dtype
        Of the numbers.
    row
        Shape of a row; none of a number alone.
    """

    def __init__(self, path: Path, dtype: "np.dtype[Any]", *row: int) -> None:
        self._dtype, self._row = dtype, row
        self._n = 0
        self._file = path.open("xb")
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.seek(0)
            self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows (k, …)."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self._n += len(rows)

    def _write_header(self) -> None:
        shape = (self._n, *self._row)
        about = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, about)
