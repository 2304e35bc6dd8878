"""What a picture of a dataset shows is what the dataset holds."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mfscale.data import Dataset
from mfscale.data.coverage import coverage
from mfscale.report.coverage import coverage as drawn
from mfscale.report.save import save


def test_counts_are_those_of_the_dataset(chno3: Dataset) -> None:
    found = coverage(chno3, "molecule")
    for method in chno3.methods:
        labels = found.labels[method]
        for subset in "abc":
            assert labels[subset] == sum(chno3.n_labels(method, subset, split="molecule"))
        assert found.shared[method, method] == sum(labels.values())
        assert len(found.energies_ev[method]) == len(found.n_atoms[method]) == sum(labels.values())
    both = np.isfinite(chno3.energies("dft", np.arange(17_000)))
    both &= np.isfinite(chno3.energies("cc", np.arange(17_000)))
    assert found.shared["dft", "cc"] == both.sum()
    assert found.elements["C"] == (chno3.composition(np.arange(17_000))[:, 1] > 0).mean()
    assert set(found.differences_mev) == {"xtb − cc", "dft − cc"}
    # The picture and `data describe` measure one thing: 27.4 meV/atom between DFT and CC.
    assert found.differences_mev["dft − cc"].std() == pytest.approx(27.4, abs=0.05)


def test_the_picture_is_written(chno3: Dataset, tmp_path: Path) -> None:
    png, pdf = save(drawn(coverage(chno3)), tmp_path / "coverage")
    assert imread(png).shape[:2] == (1380, 2160)
    assert pdf.read_bytes().startswith(b"%PDF")
