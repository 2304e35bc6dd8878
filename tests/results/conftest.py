"""Hand-made rows: a stage pre-trained on DFT labels and one fine-tuned from it on CC labels."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.results import Store

Row = dict[str, object]
UNITS = {
    "energy_mae": ("meV", "meV/atom"),
    "energy_rmse": ("meV", "meV/atom"),
    "forces_mae": ("meV/Å",),
    "forces_rmse": ("meV/Å",),
}


def evaluations(head: str, method: str, subset: str, first: float) -> list[Row]:
    """Make an error for each moment, metric and unit, counting up from the first."""
    kinds = [
        {"moment": moment, "metric": metric, "unit": unit}
        for moment in ("end", "start", "baseline")
        for metric, units in UNITS.items()
        for unit in units
        if method != "cc" or metric.startswith("energy")
    ]
    return [
        {"head": head, "method": method, "subset": subset, "value": first + i, "n": 50} | kind
        for i, kind in enumerate(kinds)
    ]


def labelled(method: str, subset: str, size: int, *, forces: bool) -> Row:
    return {"method": method, "subset": subset, "size": size, "forces": forces}


@pytest.fixture
def pretrained() -> Row:
    dft = labelled("dft", "b", 400, forces=True)
    return {
        "stage_id": "aa11",
        "attempt": 0,
        "status": "finished",
        "purpose": "science",
        "recipe": 2,
        "root_id": "aa11",
        "step": 0,
        "architecture": "nequip",
        "size": "tiny",
        "cutoff_a": 5.0,
        "n_parameters": 12_345,
        "seed": 0,
        "heads": [{"name": "dft", "n_validation": 40, "weight": 1.0} | dft],
        "lineage": [{"step": 0, "stage_id": "aa11", "head": "dft"} | dft],
        "hyperparameters": {"learning_rate": 0.01, "batch_size": 8},
        "offsets": [
            {"head": "dft", "element": "H", "offset_ev": -16.25},
            {"head": "dft", "element": "O", "offset_ev": -2041.5},
        ],
        "converged": True,
        "evaluations": [
            *evaluations("dft", "dft", "t", 100),
            *evaluations("dft", "cc", "t", 200),
            *evaluations("dft", "dft", "b/validation", 300),
        ],
        "started_at": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC),
        "packages": [{"name": "torch", "version": "2.13.0"}],
        "warnings": ["slow"],
    }


@pytest.fixture
def finetuned(pretrained: Row) -> Row:
    """Fine-tune on CC labels while replaying a quarter of the DFT labels."""
    cc = labelled("cc", "a", 50, forces=False)
    dft = labelled("dft", "b", 100, forces=True)
    lineage = pretrained["lineage"]
    assert isinstance(lineage, list)
    return {
        "stage_id": "bb22",
        "attempt": 0,
        "status": "finished",
        "purpose": "science",
        "parent_id": "aa11",
        "root_id": "aa11",
        "step": 1,
        "architecture": "nequip",
        "size": "tiny",
        "seed": 0,
        "heads": [
            {"name": "cc", "n_validation": 10, "weight": 1.0} | cc,
            {"name": "dft", "n_validation": 40, "weight": 0.1, "sampling_ratio": 2.0} | dft,
        ],
        "kept_heads": [{"name": "old", "method": "xtb"}],
        "scales": [{"head": "cc", "energy_scale_ev": 0.25}, {"head": "old", "energy_scale_ev": 2}],
        "lineage": [
            *lineage,
            {"step": 1, "stage_id": "bb22", "head": "cc"} | cc,
            {"step": 1, "stage_id": "bb22", "head": "dft"} | dft,
        ],
        "hyperparameters": {"learning_rate": 0.002, "batch_size": 4},
        "evaluations": [
            *evaluations("cc", "cc", "t", 10),
            *evaluations("cc", "dft", "t", 20),
            *evaluations("cc", "cc", "a/validation", 30),
            *evaluations("dft", "dft", "b/validation", 60),
            *evaluations("old", "xtb", "t", 80),
            *evaluations("old", "cc", "t", 90),
        ],
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", create=True)


@pytest.fixture
def brief_row() -> Callable[..., Row]:
    """Make a row of the required fields alone, and what else is given."""

    def make(
        stage_id: str = "aa11", attempt: int = 0, status: str = "finished", **more: object
    ) -> Row:
        required = {"stage_id": stage_id, "attempt": attempt, "status": status}
        return required | {"purpose": "science"} | more

    return make
