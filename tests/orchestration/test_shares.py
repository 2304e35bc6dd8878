"""What stages have to run in: how it begins, how it grows, and that it is never overdrawn."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.cli._running import footprints
from mfscale.orchestration import footprint, worker
from mfscale.orchestration.shares import SHARES, Rooms
from mfscale.study import Stage
from mfscale.training.evaluation import CHUNK
from mfscale.training.memory import CONTEXT_BYTES
from tests.orchestration.conftest import graph_of

GB = 1e9
STUDY = """
name: sizes
dataset: chno3
model: {architecture: ARCHITECTURE, size: [tiny, small, medium, large, xlarge]}
training: {batch_size: 16}
strategies:
  direct:
    - heads: {cc: {subset: a, size: 64}}
"""


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """One stage of every size of MACE, smallest first."""
    return list(graph_of(STUDY.replace("ARCHITECTURE", "mace")).stages.values())


def history(rooms: Rooms, stage: Stage) -> list[tuple[float, int]]:
    """Shares and parts that a stage is given which always runs out of memory."""
    found = [(rooms.of(stage).share, rooms.of(stage).parts)]
    while rooms.enlarge(stage):
        found.append((rooms.of(stage).share, rooms.of(stage).parts))
    return found


def test_a_stage_is_given_more_of_a_gpu_and_then_fewer_structures_at_once(
    stages: list[Stage],
) -> None:
    rooms = Rooms(cpus=16, gpus=1, share=0.25)
    parts = [(1.0, n) for n in (1, 2, 4, 8, 16)]
    assert history(rooms, stages[0]) == [(0.25, 1), (0.5, 1), *parts]
    assert history(Rooms(cpus=16, gpus=1, share=0.3), stages[0]) == [(0.3, 1), (0.5, 1), *parts]
    assert "a GPU with more memory" in rooms.too_large(stages[0])
    notes = rooms.config(stages[0])[worker.NOTES]
    assert notes[0] == "ran out of memory with 1/4 of a GPU; went on with 1/2 of a GPU"
    assert notes[-1].endswith("went on with a whole GPU and its batches in 16 parts")
    assert len(notes) == len(history(Rooms(cpus=16, gpus=1, share=0.25), stages[0])) - 1


def test_without_a_gpu_only_the_batches_can_be_taken_in_parts(stages: list[Stage]) -> None:
    rooms = Rooms(cpus=2)
    assert history(rooms, stages[0]) == [(0.0, n) for n in (1, 2, 4, 8, 16)]
    assert "fewer stages at once (--cpus)" in rooms.too_large(stages[0])


def test_the_estimate_takes_for_granted_what_workers_do() -> None:
    assert footprint.PROCESS_BYTES == CONTEXT_BYTES
    assert footprint.EVALUATED_AT_ONCE == CHUNK


@pytest.mark.parametrize("architecture", ["nequip", "allegro", "mace"])
def test_larger_models_begin_with_larger_shares(architecture: str) -> None:
    graph = graph_of(STUDY.replace("ARCHITECTURE", architecture))
    need = footprints(graph).bytes_of
    needed = [need(stage) for stage in graph.stages.values()]
    assert needed == sorted(needed)
    rooms = Rooms(cpus=64, gpus=1, need=need)
    rooms.gpu_bytes = 16 * GB
    shares = [rooms.of(stage).share for stage in graph.stages.values()]
    assert shares == sorted(shares)
    assert set(shares) <= set(SHARES)
    assert shares[0] < shares[-1]
    for share, bytes_needed in zip(shares, needed, strict=True):
        assert share * 16 * GB >= bytes_needed or share == 1


def test_where_nobody_knows_the_memory_stages_begin_with_whole_gpus(stages: list[Stage]) -> None:
    rooms = Rooms(cpus=64, gpus=2, need=lambda _: 1.0)
    assert {rooms.of(stage).share for stage in stages} == {1.0}


@pytest.mark.parametrize(
    ("cpus", "gpus", "at_once"),
    [(16, 1, 16), (8, 1, 8), (2, 1, 2), (1, 1, 1), (6, 4, 4), (3, 0, 3)],
)
def test_no_more_stages_at_once_than_cores(cpus: int, gpus: int, at_once: int) -> None:
    assert Rooms(cpus=cpus, gpus=gpus).at_once == at_once


@settings(max_examples=100)
@given(
    st.data(),
    st.integers(1, 3),
    st.integers(1, 40),
    st.one_of(st.none(), st.floats(0.01, 1)),
)
def test_gpus_and_cores_are_never_overdrawn_and_something_always_runs(
    stages: list[Stage], data: st.DataObject, gpus: int, cpus: int, share: float | None
) -> None:
    """Whatever starts, ends and runs out of memory, in any order."""
    rooms = Rooms(cpus=cpus, gpus=gpus, share=share, need=lambda s: s.model.cutoff_a * GB)
    rooms.gpu_bytes = data.draw(st.sampled_from([None, 8 * GB, 80 * GB]))
    inside: dict[str, Mapping[str, Any]] = {}
    for _ in range(20):
        stage = data.draw(st.sampled_from(stages))
        if stage.id in inside:
            rooms.leave(stage.id)
            del inside[stage.id]
            if data.draw(st.booleans()):
                rooms.enlarge(stage)
        elif rooms.enter(stage):
            inside[stage.id] = rooms.config(stage)
        else:
            assert inside
        assert sum(config[worker.GPU] for config in inside.values()) <= gpus + 1e-6
        assert sum(config[worker.CPUS] for config in inside.values()) <= cpus + 1e-6
        assert all(1 <= config[worker.THREADS] <= cpus for config in inside.values())
        assert len(inside) <= rooms.at_once
