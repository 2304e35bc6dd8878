"""Array files with headers that are none, or with other things in them: one message each."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import DatasetError
from mfscale.data.arrays import open_array
from mfscale.data.header import read_header


def test_a_flipped_header_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.npy"
    np.save(path, np.arange(12.0))
    whole = path.read_bytes()

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.integers(0, 127), st.integers(0, 255))
    def check(place: int, byte: int) -> None:
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        try:
            open_array(path)
        except DatasetError as error:
            told = str(error)
        else:
            told = f"{path}: "
        assert told.startswith(f"{path}: ")

    check()


@pytest.mark.parametrize("what", ["pickle", "objects", "archive", "nothing"])
def test_what_is_no_array_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "numbers.npy"
    with path.open("wb") as file:
        if what == "pickle":
            pickle.dump([1.0], file)
        elif what == "objects":
            np.save(file, np.array([{}], dtype=object), allow_pickle=True)
        elif what == "archive":
            np.savez(file, x=np.zeros(3))
    with pytest.raises(DatasetError, match=rf"^{path}: is .*; restore the file"):
        open_array(path)


def test_a_header_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(DatasetError, match="unreadable"):
        read_header(tmp_path)
