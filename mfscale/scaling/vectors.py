"""The array types of this room."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator

Vector = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


def _array(plain: Any) -> Vector:  # noqa: ANN401 - lists of a file
    return np.array(plain, dtype=float)


StoredVector = Annotated[Vector, PlainValidator(_array)]
"""An array that a saved fit holds as nested lists."""
