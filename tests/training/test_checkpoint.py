"""Potentials on disk: what is read back is what was written, and nothing else is read."""

import contextlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from mfscale.data import Dataset, neighbour_graphs
from mfscale.study import Stage
from mfscale.training import POTENTIAL, StageResult, TrainingError, load_potential, read_header
from mfscale.training.checkpoint import save_potential
from mfscale.training.evaluation import Evaluator
from mfscale.training.header import FORMAT

CC = {"heads": {"cc": {"subset": "a", "size": 16, "validation": 8}}}
Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


@pytest.fixture
def saved(
    few: Dataset,
    plan: Callable[..., list[Stage]],
    run: Callable[..., StageResult],
    tmp_path: Path,
) -> Path:
    (stage,) = plan(few, CC)
    run(stage)
    return tmp_path / "checkpoints" / stage.id / POTENTIAL


def rewrite(path: Path, change: Change) -> None:
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["mfscale"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    del header["sha256"]  # as older versions wrote none
    change(header, tensors)
    save_file(tensors, path, metadata={"mfscale": json.dumps(header)})


def test_a_potential_comes_back_as_it_was(few: Dataset, saved: Path, tmp_path: Path) -> None:
    evaluator = Evaluator(few, neighbour_graphs(few, 5.0), "random", torch.device("cpu"))
    structures = np.arange(20)
    one, history = load_potential(saved)
    before = evaluator.predict(one, "cc", structures)
    copy = tmp_path / "elsewhere" / POTENTIAL
    save_potential(copy, one, history)
    two, same_history = load_potential(copy, own_network=True)
    after = evaluator.predict(two, "cc", structures)
    np.testing.assert_array_equal(before.energies_ev, after.energies_ev)
    np.testing.assert_array_equal(before.forces_ev_a, after.forces_ev_a)
    assert history == same_history
    assert history.samples_seen == 20 * 8
    assert (one.spec, one.elements) == (two.spec, two.elements)
    np.testing.assert_array_equal(one.heads["cc"].offsets_ev, two.heads["cc"].offsets_ev)
    assert list(copy.parent.iterdir()) == [copy]


def test_a_network_of_its_own_is_no_stage_s(saved: Path) -> None:
    own, kept = load_potential(saved, own_network=True)[0], load_potential(saved)[0]
    with torch.no_grad():
        for parameter in kept.network.parameters():
            parameter.fill_(7.0)
    assert all(not (p == 7.0).any() for p in own.network.parameters())


def test_a_file_cut_short_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    cut = tmp_path / POTENTIAL

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, len(whole) - 1))
    def check(length: int) -> None:
        cut.write_bytes(whole[:length])
        with pytest.raises(TrainingError, match="damaged, or not written by mfscale"):
            load_potential(cut)

    check()


def test_a_flipped_header_is_refused_or_read(saved: Path, tmp_path: Path) -> None:
    """Any one byte of the header replaced: a potential or a TrainingError, nothing else."""
    whole = saved.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    flipped = tmp_path / POTENTIAL

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 8 + length - 1), st.integers(0, 255))
    def check(place: int, byte: int) -> None:
        flipped.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        with contextlib.suppress(TrainingError):
            load_potential(flipped)

    check()


def test_no_flipped_bit_passes(saved: Path, tmp_path: Path) -> None:
    """Any bit of any byte, weights included: else a child would start from other weights."""
    whole = saved.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    flipped = tmp_path / POTENTIAL

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.integers(0, 8 + length - 1) | st.integers(0, len(whole) - 1), st.integers(0, 7))
    def check(place: int, bit: int) -> None:
        content = bytearray(whole)
        content[place] ^= 1 << bit
        flipped.write_bytes(content)
        if said(bytes(content)) != said(whole):
            for read in (load_potential, lambda path: read_header(path, "potential")):
                with pytest.raises(TrainingError, match=rf"^{flipped}: "):
                    read(flipped)

    check()


KEYS = ("format", "kind", "spec", "elements", "heads", "mean_neighbours", "history")


def said(content: bytes) -> tuple[object, ...] | None:
    """All that a file says, its digest aside; None if it cannot be told.

    A flip in the last digit of a number, or in the name of the digest, may leave it as it was.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        table = json.loads(content[8 : 8 + length])
        header = json.loads(table.pop("__metadata__")["mfscale"])
        known = [header.get(key) for key in KEYS]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return table, known, content[8 + length :]


def drop_offset(header: dict[str, Any], _: object) -> None:
    del header["heads"]["cc"]["offsets_ev"]["N"]


def test_a_potential_of_the_first_format_is_read(saved: Path) -> None:
    """It had one energy scale for all heads."""

    def age(header: dict[str, Any], _: object) -> None:
        header["format"] = 1
        header["energy_scale_ev"] = header["heads"]["cc"].pop("energy_scale_ev")

    before = load_potential(saved)[0].heads["cc"]
    rewrite(saved, age)
    assert load_potential(saved)[0].heads["cc"].energy_scale_ev == before.energy_scale_ev


CHANGES: dict[str, tuple[Change, str]] = {
    "newer": (
        lambda h, _: h.update(format=FORMAT + 1),
        rf"newer mfscale \(format {FORMAT + 1}.*upgrade",
    ),
    "odd format": (lambda h, _: h.update(format="2"), "names no format"),
    "progress": (lambda h, _: h.update(kind="progress"), "holds no potential"),
    "no heads": (lambda h, _: h.pop("heads"), "not a potential this version can use"),
    "odd heads": (lambda h, _: h.update(heads=["cc"]), "not a potential this version can use"),
    "an element lacks its offset": (drop_offset, "not a potential this version can use"),
    "unknown architecture": (
        lambda h, _: h["spec"].update(architecture="oracle"),
        "not a potential this version can use.*oracle",
    ),
    "impossible settings": (
        lambda h, _: h["spec"]["settings"].update(num_layers=-1),
        "not a potential this version can use",
    ),
    "other size": (
        lambda h, _: h["spec"]["settings"].update(num_features=8),
        "not a potential this version can use",
    ),
    "missing tensor": (
        lambda _, tensors: tensors.popitem(),
        "not a potential this version can use",
    ),
    "odd history": (
        lambda h, _: h.update(history={"stage_id": "x"}),
        "not a potential this version can use",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_does_not_fit_is_refused(saved: Path, change: Change, message: str) -> None:
    rewrite(saved, change)
    with pytest.raises(TrainingError, match=message) as caught:
        load_potential(saved)
    assert str(saved) in str(caught.value)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(TrainingError, match="not written by mfscale"):
        load_potential(foreign)


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_place_without_a_file_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    with pytest.raises(TrainingError, match="no such file"):
        load_potential(path)


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_pickle_is_not_executed(tmp_path: Path, dump: Callable[..., None]) -> None:
    target = tmp_path / "executed"
    disguised = tmp_path / POTENTIAL
    with disguised.open("wb") as file:
        dump(Hostile(target), file)
    with pytest.raises(TrainingError, match="not written by mfscale"):
        load_potential(disguised)
    assert not target.exists()
