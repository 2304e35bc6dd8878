"""The examples in the documentation do what they say."""

import doctest

import pytest

import mfscale.scaling
from mfscale.scaling import choice, comparison, fitting, noisy_pairs
from mfscale.scaling.designs import suggestion
from mfscale.scaling.laws import own
from mfscale.scaling.questions import inversion, mix_law, mixes, worths

MODULES = (
    mfscale.scaling,
    fitting,
    own,
    comparison,
    choice,
    noisy_pairs,
    inversion,
    mix_law,
    mixes,
    worths,
    suggestion,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module: object) -> None:
    attempted = doctest.testmod(module)  # type: ignore[arg-type] - a module is meant
    assert attempted.attempted > 0
    assert attempted.failed == 0
