"""Which structures of a dataset are to be labelled."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfscale.data.arrays import open_array
from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.splits import SUBSETS

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Structures in these subsets that `labelled_by` has labelled, the first `limit` of them.

    Nothing given asks for all. Subsets are those of the dataset's first split, mostly ``random``.
    """

    subsets: Collection[str] = ()
    labelled_by: str | None = None
    limit: int | None = None

    def choose(self, dataset: Dataset, method: str) -> Indices:
        """Structures (k,) that lack a label of the method, ascending.

        Raises
        ------
        DatasetError
            For an unknown subset or method.
        """
        lacking = np.ones(dataset.n_structures, dtype=np.bool_)
        if method in dataset.methods:
            lacking[dataset.labelled_structures(method)] = False
        if self.subsets:
            unknown = [subset for subset in self.subsets if subset not in SUBSETS]
            if unknown:
                raise DatasetError(
                    f"--subset {unknown[0]}: unknown; choose from {', '.join(SUBSETS)}"
                )
            codes = open_array(dataset.path / f"split_{dataset.splits[0]}.npy")
            lacking &= np.isin(codes, [SUBSETS.index(subset) for subset in self.subsets])
        if self.labelled_by:
            also = np.zeros_like(lacking)
            also[dataset.labelled_structures(self.labelled_by)] = True
            lacking &= also
        return np.flatnonzero(lacking)[: self.limit]
