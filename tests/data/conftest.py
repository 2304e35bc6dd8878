"""The embedded dataset, the table it was made from, and small datasets made on the spot."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfscale.data import SUBSETS, Dataset, Method, open_dataset
from mfscale.data.arrays import write_arrays
from mfscale.data.digests import forces_digests, structure_digests
from mfscale.data.header import Header, write_header
from mfscale.data.ragged import offsets

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "chno3.parquet"

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="session")
def chno3() -> Dataset:
    return open_dataset("chno3")


@pytest.fixture(scope="session")
def source_file() -> Path:
    if not SOURCE.exists():
        pytest.skip("the source table is not beside the checkout")
    return SOURCE


@pytest.fixture(scope="session")
def source(source_file: Path) -> pd.DataFrame:
    return pd.read_parquet(source_file)


@pytest.fixture
def copied(chno3: Dataset, tmp_path: Path) -> Path:
    """A copy of the embedded dataset's directory, to be damaged."""
    return Path(shutil.copytree(chno3.path, tmp_path / "copied"))


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """Write and open a dataset of random molecules, with labels ``cheap`` and ``dear``."""

    def make(
        n: int = 60,
        *,
        name: str = "random",
        n_dear: int | None = None,
        change: Callable[[dict[str, np.ndarray]], None] = lambda _: None,
    ) -> Dataset:
        rng = np.random.default_rng(7)
        n_atoms = rng.integers(1, 6, size=n)
        first_atom = offsets(n_atoms)
        total = int(first_atom[-1])
        labelled = np.arange(n if n_dear is None else n_dear)
        arrays = {
            "numbers": rng.choice([1, 8], size=total).astype(np.uint8),
            "positions": rng.uniform(-2, 2, size=(total, 3)),
            "first_atom": first_atom,
            "molecule": np.arange(n) % 5,
            "conformer": np.zeros(n),
            "source_id": np.arange(n) + 100,
            "temperature_K": np.full(n, 300.0),
            "split_random": rng.integers(0, len(SUBSETS), size=n),
            "cheap_structure": np.arange(n),
            "cheap_energy": rng.normal(size=n),
            "cheap_first_force": first_atom,
            "cheap_forces": rng.normal(size=(total, 3)).astype(np.float32),
            "dear_structure": labelled,
            "dear_energy": rng.normal(size=n)[labelled],
        }
        change(arrays)
        arrays["digest"] = structure_digests(arrays["numbers"], arrays["positions"], first_atom)
        arrays["cheap_forces_digest"] = forces_digests(arrays["cheap_forces"], first_atom)
        header = Header(
            name=name,
            description="random molecules",
            licence="none",
            elements={"H": 1, "O": 8},
            molecules=tuple("vwxyz"),
            methods=(
                Method("cheap", has_forces=True, cost=1, description="random"),
                Method("dear", has_forces=False, cost=1000, description="random"),
            ),
            splits={"random": "random"},
        )
        path = Path(tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}")
        path.mkdir()
        write_arrays(arrays, header, path)
        write_header(header, path)
        return Dataset(path)

    return make
