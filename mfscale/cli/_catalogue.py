"""What the data and models rooms offer, as the plain data that other rooms take."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from mfscale.data import (
    TRAINING_SUBSETS,
    Counts,
    Dataset,
    DatasetError,
    counts_of,
    no_data,
    open_dataset,
)
from mfscale.models import LADDER, TRAINABLE
from mfscale.study import Catalogue, DatasetEntry, LabelRequest, MethodEntry, ModelEntry

if TYPE_CHECKING:
    from mfscale.orchestration import Extent
    from mfscale.study import StudyGraph


def catalogue() -> Catalogue:
    """Every dataset that can be opened or is known by its counts, every model of the ladder."""
    return Catalogue(
        dataset=_dataset,
        models={
            architecture: {
                name: ModelEntry(
                    size.settings,
                    size.n_parameters,
                    most={part: p.most(size) for part, p in TRAINABLE.items() if p.most},
                )
                for name, size in sizes.items()
            }
            for architecture, sizes in LADDER.items()
        },
        trainable={name: part.number for name, part in TRAINABLE.items()},
    )


def require_data(graph: "StudyGraph") -> None:
    """Raise `DatasetError` if a study is planned on the counts of a dataset alone."""
    for name in dict.fromkeys(stage.dataset for stage in graph.all_stages()):
        if counts_of(name) is not None:
            raise DatasetError(f"study {graph.name}: dataset: {no_data(name)}")


def extents(wanted: Iterable[tuple[str, str]]) -> "dict[tuple[str, str], Extent]":
    """Mean atoms and test structures of datasets and splits, of those that are still there."""
    from mfscale.orchestration import Extent

    found = {}
    for name, split in dict.fromkeys(wanted):
        counts = counts_of(name)
        if counts is not None:
            found[name, split] = Extent(counts.mean_atoms.value, counts.n_in("t"))
            continue
        with suppress(DatasetError):  # a store outlives its datasets
            dataset = open_dataset(name)
            n_test = len(dataset.test_structures(split=split))
            found[name, split] = Extent(dataset.first_atom[-1] / dataset.n_structures, n_test)
    return found


def _dataset(name: str) -> DatasetEntry:
    counts = counts_of(name)
    return _opened(name, open_dataset(name)) if counts is None else _planned(counts)


def _opened(name: str, dataset: Dataset) -> DatasetEntry:
    def digest(request: LabelRequest) -> str:
        return dataset.labelled_set(
            request.method,
            request.subset,
            request.size,
            forces=request.forces,
            data_seed=request.data_seed,
            split=request.split,
            n_validation=request.n_validation,
        ).digest

    return DatasetEntry(
        name=name,
        methods={
            method.name: MethodEntry(method.has_forces, method.cost)
            for method in dataset.methods.values()
        },
        subsets=TRAINING_SUBSETS,
        splits=dataset.splits,
        n_labels=lambda method, subset, split: dataset.n_labels(method, subset, split=split),
        digest=digest,
    )


def _planned(counts: Counts) -> DatasetEntry:
    """The entry of a dataset without its data: stage ids change once the real data are there."""
    return DatasetEntry(
        name=counts.name,
        methods={m.name: MethodEntry(m.has_forces, m.cost.value) for m in counts.methods},
        subsets=TRAINING_SUBSETS,
        splits=counts.splits,
        n_labels=lambda _method, subset, _split: counts.n_labels(subset),
        digest=lambda request: counts.planned_digest(asdict(request)),
    )
