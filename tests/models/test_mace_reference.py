"""MACE computes under the installed e3nn what it does under the release that it pins."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfscale.models import LADDER
from mfscale.models.surroundings import leaving_no_trace

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "mace_e3nn_0.4.4.json").read_text())
*SAME, OTHER = REFERENCE["models"]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """What made the reference: its models are built anew, under another e3nn."""
    with leaving_no_trace():
        return runpy.run_path(str(HERE / "mace_reference.py"))


def deviations(script: dict[str, Any], model: dict[str, Any]) -> list[float]:
    """Of each energy relative to itself and each force relative to the largest."""
    with leaving_no_trace():
        found = script["evaluate"](model["option"], REFERENCE["structures"])
    result = []
    for ours, theirs in zip(found, model["results"], strict=True):
        forces, reference = np.array(ours["forces"]), np.array(theirs["forces"])
        assert np.abs(reference).max() > 0.01
        result.append(abs(ours["energy"] / theirs["energy"] - 1))
        result.append(np.abs(forces - reference).max() / np.abs(reference).max())
    return result


def test_the_reference_was_made_under_the_pinned_release(script: dict[str, Any]) -> None:
    assert REFERENCE["versions"]["e3nn"] == "0.4.4"
    assert REFERENCE["seed"] == script["SEED"]
    assert [model["option"] for model in SAME] == [list(option) for option in script["OPTIONS"]]


@pytest.mark.parametrize("model", SAME, ids=lambda model: "-".join(map(str, model["option"])))
def test_energies_and_forces_are_those_under_the_pinned_release(
    script: dict[str, Any], model: dict[str, Any]
) -> None:
    assert max(deviations(script, model)) < 1e-8


def test_every_size_is_of_a_kind_that_was_compared(script: dict[str, Any]) -> None:
    compared = {
        (c, max_ell, hidden.count("+"), first) for c, max_ell, hidden, _, first in script["OPTIONS"]
    }
    for size in LADDER["mace"].values():
        hidden = str(size.settings["hidden_irreps"])
        names = ("correlation", "max_ell", "interaction_cls_first")
        correlation, max_ell, first = (size.settings[name] for name in names)
        assert (correlation, max_ell, hidden.count("+"), first) in compared


def test_what_was_left_out_means_another_model_under_each_release(script: dict[str, Any]) -> None:
    """Or it may be let in."""
    assert OTHER["option"] == list(script["UNPORTABLE"])
    assert max(deviations(script, OTHER)) > 1e-6
