"""Structures, labels of several methods, labelled sets and neighbour graphs.

`open_dataset` opens one; `Dataset.labelled_set` draws what a head learns from; `neighbour_graphs`
and `pack` turn structures into batches of plain arrays under the names of `mfscale.data.keys`.
Energies are in eV, lengths in Å, forces in eV/Å.
"""

from mfscale.data import keys
from mfscale.data.batches import Batch, Packed, collate, pack
from mfscale.data.composition import fit_offsets
from mfscale.data.counted import COUNTED, Counts, counts_of, no_data
from mfscale.data.dataset import Dataset
from mfscale.data.describe import Description, Difference, LabelCount, describe
from mfscale.data.embedded import EMBEDDED, open_dataset
from mfscale.data.errors import DatasetError
from mfscale.data.graphs import (
    CACHE_VARIABLE,
    Graphs,
    cache_directory,
    close_pairs,
    edges_of,
    neighbour_graphs,
)
from mfscale.data.header import Method
from mfscale.data.labelled_set import LabelledSet
from mfscale.data.splits import SUBSETS, TRAINING_SUBSETS

__all__ = [
    "CACHE_VARIABLE",
    "COUNTED",
    "EMBEDDED",
    "SUBSETS",
    "TRAINING_SUBSETS",
    "Batch",
    "Counts",
    "Dataset",
    "DatasetError",
    "Description",
    "Difference",
    "Graphs",
    "LabelCount",
    "LabelledSet",
    "Method",
    "Packed",
    "cache_directory",
    "close_pairs",
    "collate",
    "counts_of",
    "describe",
    "edges_of",
    "fit_offsets",
    "keys",
    "neighbour_graphs",
    "no_data",
    "open_dataset",
    "pack",
]
