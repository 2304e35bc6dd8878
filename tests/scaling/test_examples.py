"""The examples in the documentation do what they say."""

import doctest

import mfscale.scaling
from mfscale.scaling import fitting


def test_examples() -> None:
    for module in (mfscale.scaling, fitting):
        attempted = doctest.testmod(module)
        assert attempted.attempted > 0
        assert attempted.failed == 0
