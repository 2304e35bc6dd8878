"""Fits on file: everything comes back, laws of one's own by name, other files are refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import Fit, FitError, Law, fit, label_equivalent, own_law


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"cc": np.tile([10, 30, 100, 300, 1000], 12)})
    table["dft"] = np.repeat([0, 100, 1000, 10_000], 15)
    table["root"] = np.repeat(np.arange(12), 5)
    worth = table["cc"] + 0.1 * table["dft"] ** 0.8
    table["mae"] = (1 + 90 * worth**-0.5) * np.exp(rng.normal(0, 0.03, 60))
    table.loc[7, "mae"] = np.nan
    return table


def late(x, *, amplitude=90.0, exponent=0.5, onset=3.0):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - as a user writes it
    return amplitude * (x + onset) ** -exponent


LAWS = {
    "power": ("power", "cc"),
    "saturating power": ("saturating power", "cc"),
    "mix": (label_equivalent("cc", "dft"), {"cc": "cc", "dft": "dft"}),
    "own": (own_law(late, positive=("amplitude", "onset")), "cc"),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_loaded_fit_says_what_the_saved_one_said(name: str, tmp_path: Path) -> None:
    law, x = LAWS[name]
    [found] = fit(_table(), law, x=x, y="mae", cluster="root", draws=40)
    found.save(tmp_path / "fit.json")
    loaded = Fit.load(tmp_path / "fit.json", law=law if isinstance(law, Law) else None)
    assert loaded.report() == found.report()
    assert loaded.fingerprint == found.fingerprint
    assert loaded.versions.keys() >= {"mfscale", "numpy", "scipy"}
    assert [e.row for e in loaded.exclusions] == ["7"]
    np.testing.assert_array_equal(loaded.draws, found.draws)
    at = {"cc": [20, 2000], "dft": [0, 500]}
    pd.testing.assert_frame_equal(loaded.predict(at), found.predict(at))
    pd.testing.assert_frame_equal(loaded.influence(), found.influence())
    content = json.loads((tmp_path / "fit.json").read_text())
    assert content["law"] == found.law
    assert content["options"]["seed"] == 0


def test_a_law_of_ones_own_must_be_passed_again(tmp_path: Path) -> None:
    law, x = LAWS["own"]
    fit(_table(), law, x=x, y="mae", draws=0)[0].save(tmp_path / "fit.json")
    with pytest.raises(FitError, match=r"of 'late', a law of your own.*pass the law when loading"):
        Fit.load(tmp_path / "fit.json")
    with pytest.raises(FitError, match="of the law 'late', not 'label-equivalent'"):
        Fit.load(tmp_path / "fit.json", law=label_equivalent("cc", "dft"))


def test_files_that_are_no_fits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"missing.json cannot be read as a fit"):
        Fit.load(tmp_path / "missing.json")
    (tmp_path / "text.json").write_text("[1, 2]")
    with pytest.raises(FitError, match="not a saved fit"):
        Fit.load(tmp_path / "text.json")
