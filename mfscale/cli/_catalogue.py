"""The catalogue a study is expanded with, from the data and models rooms."""

from mfscale.data import TRAINING_SUBSETS, Dataset, open_dataset
from mfscale.models import LADDER, TRAINABLE
from mfscale.study import Catalogue, DatasetEntry, LabelRequest, MethodEntry, ModelEntry


def catalogue() -> Catalogue:
    """Every dataset that can be opened and every model of the ladder."""
    return Catalogue(
        dataset=lambda name: _entry(name, open_dataset(name)),
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


def _entry(name: str, dataset: Dataset) -> DatasetEntry:
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
