"""A few hundred structures of chno3 as a dataset of their own, and stages planned on them."""

import dataclasses
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mfscale.cli._catalogue import catalogue
from mfscale.data import CACHE_VARIABLE, Dataset, open_dataset
from mfscale.data.arrays import open_arrays, write_arrays
from mfscale.data.header import read_header, write_header
from mfscale.study import Stage, expand, parse_study
from mfscale.training import StageResult, run_stage

torch.set_num_threads(1)

N_STRUCTURES = 600
"""The first of chno3: all with DFT labels, and CC labels except in subset b."""

SHORT = {
    "max_steps": 20,
    "validate_every": 10,
    "batch_size": 8,
    "learning_rate": 0.03,
    "warmup_steps": 2,
}

VARIES = {
    *("train_time_s", "total_train_time_s", "wall_time_s", "structures_per_second"),
    *("started_at", "peak_memory_mb", "elapsed_s"),
}
"""Fields of a row or curve that two equal runs may differ in."""

ALONE = Path(__file__).parent / "alone.py"

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """`N_STRUCTURES` structures of chno3 with all their labels."""
    return _excerpt(tmp_path_factory.mktemp("few"), lambda _: None)


@pytest.fixture
def make_few(tmp_path: Path) -> Callable[[Callable[[Arrays], None]], Dataset]:
    """The same structures with labels that a function changes in place."""

    def make(change: Callable[[Arrays], None]) -> Dataset:
        path = tmp_path / f"dataset-{len(list(tmp_path.iterdir()))}"
        path.mkdir()
        return _excerpt(path, change)

    return make


@pytest.fixture(scope="session")
def plan() -> Callable[..., list[Stage]]:
    """Expand a study of one strategy to its stages, parents first."""

    def plan(
        dataset: Dataset,
        *steps: dict[str, Any],
        training: dict[str, Any] | None = None,
        **shared: Any,  # noqa: ANN401 - any key of a study file
    ) -> list[Stage]:
        tree = {
            "name": "test",
            "dataset": str(dataset.path),
            "training": {**SHORT, **(training or {})},
            "strategies": {"only": list(steps)},
            **shared,
        }
        study = parse_study(json.dumps(tree), source="test.yaml")
        return list(expand(study, catalogue()).stages.values())

    return plan


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., StageResult]:
    """Run a stage with its checkpoints in a folder of the test."""

    def run(stage: Stage, *, every_s: float = 60.0, folder: str = "checkpoints") -> StageResult:
        return run_stage(
            stage,
            checkpoint_dir=lambda stage_id: tmp_path / folder / stage_id,
            checkpoint_every_s=every_s,
        )

    return run


@pytest.fixture(scope="session")
def reproducible() -> Callable[[StageResult], dict[str, Any]]:
    """All of a result that an equal run must repeat bit by bit, as JSON holds it."""
    return _reproducible


@pytest.fixture(scope="session")
def start_alone() -> Callable[..., subprocess.Popen[bytes]]:
    """Start a stage in a process of its own, which leaves ``result.pickle`` in the folder."""

    def start_alone(stage: Stage, folder: Path, every_s: float = 60.0) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stage.json").write_text(stage.model_dump_json())
        return subprocess.Popen([sys.executable, ALONE, folder, str(every_s)])

    return start_alone


@pytest.fixture(scope="session")
def result_alone() -> Callable[[Path], dict[str, Any]]:
    """Read what a process left, in the form of `reproducible`."""
    return lambda folder: _reproducible(
        pickle.loads((folder / "result.pickle").read_bytes())  # noqa: S301 - our own
    )


def _reproducible(stage_result: StageResult) -> dict[str, Any]:
    text = json.dumps(
        dataclasses.asdict(stage_result),
        default=lambda value: value.tolist() if isinstance(value, np.ndarray) else str(value),
    )
    result: dict[str, Any] = json.loads(text)
    for entry in (result["row"], *result["curve"]):
        for key in VARIES & entry.keys():
            del entry[key]
    return result


def _excerpt(path: Path, change: Callable[[Arrays], None]) -> Dataset:
    source = open_dataset("chno3")
    header = read_header(source.path)
    whole = open_arrays(header, source.path)
    atoms = int(whole["first_atom"][N_STRUCTURES])
    arrays = {name: array[:N_STRUCTURES].copy() for name, array in whole.items()}
    arrays["first_atom"] = whole["first_atom"][: N_STRUCTURES + 1].copy()
    arrays |= {name: whole[name][:atoms].copy() for name in ("numbers", "positions")}
    for method in header.methods:
        n = int((whole[f"{method.name}_structure"] < N_STRUCTURES).sum())
        labels = [name for name in whole if name.startswith(f"{method.name}_")]
        arrays |= {name: whole[name][:n].copy() for name in labels}
        if method.has_forces:
            first = whole[f"{method.name}_first_force"][: n + 1].copy()
            arrays[f"{method.name}_first_force"] = first
            arrays[f"{method.name}_forces"] = whole[f"{method.name}_forces"][: first[-1]].copy()
    change(arrays)
    write_arrays(arrays, header, path)
    write_header(header, path)
    return Dataset(path)
