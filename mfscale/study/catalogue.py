"""What a study may ask for: the datasets, methods and models on offer, as plain data.

The study room knows nothing of arrays or networks. Whoever expands a study passes a
`Catalogue`; the command line makes one from the data and models rooms, a test makes one by hand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Plain = bool | int | float | str


@dataclass(frozen=True)
class MethodEntry:
    """A label source: does it come with forces, and what does a label cost (CC = 1000)."""

    has_forces: bool
    cost: float


def label_source(method: str, minus: str | None) -> str:
    """Whose labels a head learns: a method's, or the difference of two, as datasets call it."""
    return method if minus is None else f"{method} - {minus}"


@dataclass(frozen=True, kw_only=True)
class LabelRequest:
    """Which labels one head is to learn from, before anything is read.

    `method` is a `label_source`: a method, or a difference of two.
    """

    method: str
    subset: str
    split: str
    size: int
    n_validation: int
    forces: bool
    data_seed: int


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """What a study needs to know of a dataset.

    Attributes
    ----------
    name
        As written in the study file.
    methods
        By name.
    subsets, splits
        The training subsets, and the ways the dataset can be divided into them.
    n_labels
        ``(label source, subset, split)`` → labels for training, labels reserved for validation.
    digest
        Content digest of a labelled set: equal for equal labels, whatever the dataset's name.
    """

    name: str
    methods: Mapping[str, MethodEntry]
    subsets: tuple[str, ...]
    splits: tuple[str, ...]
    n_labels: Callable[[str, str, str], tuple[int, int]]
    digest: Callable[[LabelRequest], str]


@dataclass(frozen=True)
class ModelEntry:
    """A named size of an architecture.

    Attributes
    ----------
    settings
        What the name stands for.
    n_parameters
        With one head.
    most
        Trainable part that takes a number → the largest this size allows; 0 or absent if the
        model has no such part.
    """

    settings: Mapping[str, Plain]
    n_parameters: int
    most: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """Everything on offer.

    Attributes
    ----------
    dataset
        Name or path → its entry; raises `ValueError` with a clear message for an unknown one.
    models
        Architecture → size → entry.
    trainable
        Parts of a model that a step may train → what the number that goes with the name means;
        None for a part without a number.
    """

    dataset: Callable[[str], DatasetEntry]
    models: Mapping[str, Mapping[str, ModelEntry]]
    trainable: Mapping[str, str | None]
