"""An import is the same in however many parts its structures are looked at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from mfscale.data import scratch
from mfscale.data.imports import writer
from mfscale.data.imports.run import REPORT_FILE
from tests.data.imports.conftest import Import, molecules


def frames() -> list[Atoms]:
    """Molecules, some of them again with less, other or more labels, in subsets, shuffled."""
    rng = np.random.default_rng(5)
    known = molecules(150)
    again = [atoms.copy() for atoms in known[:60]]
    for k, atoms in enumerate(again):
        atoms.positions += rng.uniform(-3e-5, 3e-5, size=atoms.positions.shape)
        atoms.info["cc_energy"] = known[k].info["cheap_energy"] - 5.0 + (k % 5 == 0)
        if k % 3 == 0:
            del atoms.arrays["cheap_forces"]
        if k % 4 == 0:
            del atoms.info["cheap_energy"]
    every = [*known, *again]
    for atoms in every:
        atoms.info["part"] = str(rng.choice(["a", "b", "t", "a/validation"]))
    del every[3].info["cheap_energy"]
    every[3].info.pop("cc_energy", None)
    return [every[k] for k in rng.permutation(len(every))]


@pytest.mark.parametrize(
    "options", [{}, {"only_with": ["cc"], "seed": 3}, {"split_key": "part"}], ids=str
)
def test_of_a_few_structures(
    imported: Import,
    written: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    source = written(frames())
    imported(source, **options)
    whole = (tmp_path / "out" / "mine").rename(tmp_path / "whole")
    monkeypatch.setattr(scratch, "AT_ONCE", 7)
    monkeypatch.setattr(writer, "_AT_ONCE", 5)
    _, report = imported(source, **options)
    assert report.duplicates
    assert report.matched
    assert sum(method.contradictions for method in report.methods)
    found = tmp_path / "out" / "mine"
    assert {path.name for path in found.iterdir()} == {path.name for path in whole.iterdir()}
    for path in found.iterdir():
        if path.name == REPORT_FILE:
            assert json.loads(path.read_text()) == json.loads((whole / path.name).read_text())
        else:
            assert path.read_bytes() == (whole / path.name).read_bytes(), path.name
