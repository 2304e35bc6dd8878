"""What a stage learns from and is tested on, in place: its dataset, graphs and labelled sets."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from mfscale.data import Dataset, Graphs, LabelledSet, neighbour_graphs, open_dataset
from mfscale.study import Stage
from mfscale.training.errors import TrainingError
from mfscale.training.evaluation import CHUNK, Evaluation, Evaluator


@dataclass(frozen=True)
class Labelled:
    """A stage's labels.

    Attributes
    ----------
    methods
        Head → the method it predicts.
    sets
        Head → its labelled set, checked to be the one the study was expanded with.
    evaluator
        Of the stage's split, on the device it runs on.
    """

    dataset: Dataset
    graphs: Graphs
    methods: dict[str, str]
    sets: dict[str, LabelledSet]
    evaluator: Evaluator

    def baseline(self) -> list[Evaluation]:
        """Errors of element offsets alone, of every head that learns."""
        return [
            e
            for head, chosen in self.sets.items()
            for e in self.evaluator.baseline(head, self.methods[head], chosen)
        ]


def labelled(stage: Stage, device: torch.device, chunk: int = CHUNK) -> Labelled:
    """Bring a stage's labels in place; datasets and graphs are kept for the process's next stage.

    `chunk` structures are evaluated at once.

    Raises
    ------
    TrainingError
        If the labels are not those the study was expanded with.
    """
    dataset = _dataset(stage.dataset)
    graphs = _graphs(stage.dataset, stage.model.cutoff_a)
    return Labelled(
        dataset=dataset,
        graphs=graphs,
        methods={name: head.method for name, head in stage.heads.items()},
        sets={name: _labelled_set(dataset, stage, name) for name in stage.heads},
        evaluator=Evaluator(dataset, graphs, stage.split, device, chunk),
    )


def _labelled_set(dataset: Dataset, stage: Stage, name: str) -> LabelledSet:
    """The labels of one head, checked to be those the study was expanded with."""
    head = stage.heads[name]
    chosen = dataset.labelled_set(
        head.source,
        head.subset,
        head.size,
        forces=head.forces,
        data_seed=stage.data_seed,
        split=stage.split,
        n_validation=head.n_validation,
    )
    if chosen.digest != head.digest:
        raise TrainingError(
            f"dataset {stage.dataset!r} here holds other labels for ({head.source}; {head.subset}; "
            f"{head.size}) than where the study was planned; bring the same dataset to every node"
        )
    return chosen


@lru_cache(maxsize=4)
def _dataset(name: str) -> Dataset:
    return open_dataset(name)


@lru_cache(maxsize=8)
def _graphs(name: str, cutoff_a: float) -> Graphs:
    return neighbour_graphs(_dataset(name), cutoff_a)
