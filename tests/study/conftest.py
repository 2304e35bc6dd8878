"""A catalogue made by hand: no dataset is opened and no network built."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from mfscale.study import (
    Catalogue,
    DatasetEntry,
    LabelRequest,
    MethodEntry,
    ModelEntry,
    StudyGraph,
    expand,
    parse_study,
)

LABELS = {
    ("dft", "a"): 100,
    ("dft", "b"): 500,
    ("cc", "a"): 100,
    ("xtb", "b"): 2000,
    ("cc - dft", "a"): 80,
    ("dft - xtb", "b"): 400,
}
"""Training labels by source and subset; ten are reserved for validation in each."""


class UnknownDatasetError(ValueError):
    """What the toy catalogue says of a dataset it does not know."""


def toy_dataset(name: str, content: str = "") -> DatasetEntry:
    """Make a dataset whose labels are the same under any name; `content` makes them others."""

    def digest(request: LabelRequest) -> str:
        return hashlib.sha256(f"{content}{request}".encode()).hexdigest()

    return DatasetEntry(
        name=name,
        methods={
            "xtb": MethodEntry(has_forces=True, cost=1),
            "dft": MethodEntry(has_forces=True, cost=100),
            "cc": MethodEntry(has_forces=False, cost=1000),
        },
        subsets=("a", "b", "c"),
        splits=("random", "molecule"),
        n_labels=lambda method, subset, _: (
            (LABELS[method, subset], 10) if (method, subset) in LABELS else (0, 0)
        ),
        digest=digest,
    )


def open_toy(name: str) -> DatasetEntry:
    if name in {"toy", "renamed"}:
        return toy_dataset(name)
    raise UnknownDatasetError(f"no dataset {name!r}; name toy or renamed")


@pytest.fixture
def catalogue() -> Catalogue:
    small = {"layers": 2, "features": 8, "parity": False}
    most = {"freeze_blocks": 1, "lora": 4}
    return Catalogue(
        dataset=open_toy,
        models={
            "nequip": {
                "tiny": ModelEntry(small, 1000, most),
                "petite": ModelEntry(small, 1000),
                "large": ModelEntry({**small, "features": 32}, 16000),
            },
            "mace": {"tiny": ModelEntry(small, 1200, {"freeze_blocks": 1, "lora": 0})},
        },
        trainable={
            "all": None,
            "readout": None,
            "freeze_blocks": "number of frozen blocks",
            "lora": "rank",
        },
    )


@pytest.fixture
def other_labels(catalogue: Catalogue) -> Catalogue:
    """The same catalogue after somebody has corrected every label."""
    return replace(catalogue, dataset=lambda name: toy_dataset(name, content="corrected"))


GraphOf = Callable[[str], StudyGraph]


@pytest.fixture
def graph_of(catalogue: Catalogue) -> GraphOf:
    """Expand the text of a study, on dataset ``toy`` with a validation part of eight."""

    def make(text: str) -> StudyGraph:
        return expand(parse_study(f"dataset: toy\n{text}", source="study.yaml"), catalogue)

    return make
