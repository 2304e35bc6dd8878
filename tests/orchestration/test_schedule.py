"""The schedule: over any forest, with any failures, each stage once and after its parent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.orchestration.schedule import Schedule, Skip

Parents = Mapping[str, str | None]
FAILURES = ("failed", "diverged")


@st.composite
def forests(draw: st.DrawFn) -> dict[str, str | None]:
    """Stages in any order of names; each but the roots starts from one made before it."""
    names = draw(st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, max_size=14))
    return {name: draw(st.sampled_from([None, *names[:index]])) for index, name in enumerate(names)}


def subset_of(parents: Parents) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(sorted(parents))) if parents else st.just(frozenset())


def below(parents: Parents, stage: str) -> set[str]:
    """The stages that start from a stage, or from one that does."""
    children = {s for s, parent in parents.items() if parent == stage}
    return children.union(*(below(parents, child) for child in children))


@dataclass
class Run:
    """What a run on a few slots has seen, and the order in which things ended."""

    schedule: Schedule
    started: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    skips: list[Skip] = field(default_factory=list)

    def fill(self, slots: int) -> None:
        """Start what may start on so many slots."""
        while len(self.schedule.running) < slots and (stage := self.schedule.start()) is not None:
            self.started.append(stage)

    def end(self, stage: str, status: str) -> None:
        """Let a running stage end."""
        self.ended[stage] = status
        self.skips += self.schedule.complete(stage, status)


@settings(max_examples=200)
@given(st.data(), forests(), st.integers(1, 4))
def test_every_stage_is_done_failed_or_skipped_with_a_reason(
    data: st.DataObject, parents: dict[str, str | None], slots: int
) -> None:
    done = data.draw(subset_of(parents), "done")
    failing = data.draw(subset_of(parents), "failing")
    run = Run(Schedule(parents, done))
    while True:
        run.fill(slots)
        running = set(run.started) - run.ended.keys()
        settled = done | run.ended.keys() | {skip.stage_id for skip in run.skips}
        assert run.schedule.running == running
        assert run.schedule.unfinished == len(parents.keys() - settled)
        if not running:
            break
        stage = data.draw(st.sampled_from(sorted(running)), "ends next")
        run.end(stage, data.draw(st.sampled_from(FAILURES)) if stage in failing else "finished")

    assert run.schedule.unfinished == 0
    assert run.schedule.start() is None
    skipped = [skip.stage_id for skip in run.skips]
    # Each stage ends in exactly one way, and what was done already is left alone.
    assert sorted([*run.started, *skipped, *done]) == sorted(parents)
    finished = done | {s for s, status in run.ended.items() if status == "finished"}
    for stage in run.started:
        parent = parents[stage]
        assert parent is None or parent in finished
    for skip in run.skips:
        parent = parents[skip.stage_id]
        assert parent is not None
        expected = run.ended.get(parent, "was skipped")
        assert skip.reason == f"the stage it starts from, {parent}, {expected}"
        assert parent not in finished


@settings(max_examples=300)
@given(st.data(), forests(), st.integers(1, 4))
def test_stages_that_join_later_are_done_failed_or_skipped_all_the_same(
    data: st.DataObject, parents: dict[str, str | None], slots: int
) -> None:
    """Whenever a stage joins: before its parent starts, while it runs, or after it has ended."""
    done = data.draw(subset_of(parents), "done")
    failing = data.draw(subset_of(parents), "failing")
    run = Run(Schedule({}))
    joined: dict[str, str | None] = {}
    while True:
        coming = [stage for stage in parents if stage not in joined]
        running = sorted(set(run.started) - run.ended.keys())
        if not coming and not running:
            break
        if coming and (not running or data.draw(st.booleans(), "join")):
            group = coming[: data.draw(st.integers(1, len(coming)), "how many")]
            new = {stage: parents[stage] for stage in group}
            joined |= new
            whole = data.draw(st.booleans(), "with the known ones")
            run.skips += run.schedule.extend(joined if whole else new, done & joined.keys())
        else:
            stage = data.draw(st.sampled_from(running), "ends next")
            status = data.draw(st.sampled_from(FAILURES)) if stage in failing else "finished"
            run.end(stage, status)
        run.fill(slots)
        settled = (done & joined.keys()) | run.ended.keys() | {s.stage_id for s in run.skips}
        assert run.schedule.unfinished == len(joined.keys() - settled)
        finished = {s for s, status in run.ended.items() if status == "finished"}
        assert {s for s in joined if run.schedule.is_done(s)} == finished | (done & joined.keys())

    assert run.schedule.unfinished == 0
    skipped = [skip.stage_id for skip in run.skips]
    assert sorted([*run.started, *skipped, *done]) == sorted(parents)
    ends = run.ended | dict.fromkeys(done, "finished") | dict.fromkeys(skipped, "was skipped")
    for stage in run.started:
        parent = parents[stage]
        assert parent is None or ends[parent] == "finished"
    for skip in run.skips:
        parent = parents[skip.stage_id]
        assert parent is not None
        assert ends[parent] != "finished"
        assert skip.reason == f"the stage it starts from, {parent}, {ends[parent]}"
    lost = {stage: run.schedule.lost(stage) for stage in parents if run.schedule.lost(stage)}
    assert lost == {stage: how for stage, how in ends.items() if how != "finished"}


@given(st.data(), forests())
def test_no_stage_starts_before_its_parent_has_ended(
    data: st.DataObject, parents: dict[str, str | None]
) -> None:
    done = data.draw(subset_of(parents), "done")
    run = Run(Schedule(parents, done))
    while run.schedule.unfinished:
        run.fill(slots=len(parents))
        # With slots for all, whatever may run does: only stages behind a running one wait.
        running = run.schedule.running
        blocked = set().union(*(below(parents, stage) for stage in running))
        assert parents.keys() - done - run.ended.keys() - running <= blocked
        run.end(data.draw(st.sampled_from(sorted(running)), "ends next"), "finished")


@given(st.data(), forests())
def test_an_excluded_stage_takes_all_below_it_along(
    data: st.DataObject, parents: dict[str, str | None]
) -> None:
    excluded = data.draw(subset_of(parents), "excluded")
    run = Run(Schedule(parents))
    for stage in sorted(excluded):
        run.skips += run.schedule.exclude(stage, "diverged")
    gone = excluded.union(*(below(parents, stage) for stage in excluded))
    assert {skip.stage_id for skip in run.skips} <= gone
    while run.schedule.unfinished:
        run.fill(slots=1)
        run.end(run.started[-1], "finished")
    assert set(run.started) == parents.keys() - gone


def test_below_a_failure_the_finished_stay_finished() -> None:
    # The row of `a` was lost, those of its grandchild `c` and of a child of that were not.
    schedule = Schedule({"a": None, "b": "a", "c": "b", "d": "c"}, done=frozenset({"c"}))
    assert {schedule.start(), schedule.start()} == {"a", "d"}
    skips = schedule.complete("a", "failed")
    assert skips == [Skip("b", "the stage it starts from, a, failed")]
    assert schedule.complete("d", "finished") == []
    assert schedule.unfinished == 0


def test_reasons_name_the_nearest_stage() -> None:
    schedule = Schedule({"a": None, "b": "a", "c": "b"})
    assert schedule.exclude("a", "diverged") == [
        Skip("b", "the stage it starts from, a, diverged"),
        Skip("c", "the stage it starts from, b, was skipped"),
    ]


def test_the_heaviest_chain_goes_first() -> None:
    parents = {"alone": None, "root": None, "child": "root", "grandchild": "child", "light": None}
    weights = {"alone": 5.0, "root": 1.0, "child": 2.0, "grandchild": 3.5, "light": 1.0}
    schedule = Schedule(parents, weight=weights.__getitem__)
    assert schedule.start() == "root"  # 1 + 2 + 3.5 wait behind it
    schedule.complete("root", "finished")
    assert [schedule.start() for _ in range(3)] == ["child", "alone", "light"]


@given(st.data(), forests())
def test_ready_stages_go_by_the_work_behind_them(
    data: st.DataObject, parents: dict[str, str | None]
) -> None:
    weights = {stage: float(data.draw(st.integers(1, 9))) for stage in parents}

    def chain(stage: str) -> float:
        longest = (chain(child) for child in parents if parents[child] == stage)
        return weights[stage] + max(longest, default=0.0)

    run = Run(Schedule(parents, weight=weights.__getitem__))
    run.fill(slots=len(parents))
    roots = [stage for stage, parent in parents.items() if parent is None]
    assert run.started == sorted(roots, key=lambda stage: (-chain(stage), stage))


def test_work_that_is_done_already_does_not_count() -> None:
    parents = {"a": None, "done": "a", "b": None, "after": "b"}
    weights = {"a": 1.0, "done": 100.0, "b": 1.0, "after": 2.0}
    schedule = Schedule(parents, frozenset({"done"}), weight=weights.__getitem__)
    assert schedule.start() == "b"


def test_below_a_lost_stage_whatever_joins_is_skipped_at_once() -> None:
    schedule = Schedule({"a": None, "b": "a"})
    schedule.start()
    schedule.complete("a", "diverged")
    assert schedule.extend({"c": "b", "d": "c", "e": None}) == [
        Skip("c", "the stage it starts from, b, was skipped"),
        Skip("d", "the stage it starts from, c, was skipped"),
    ]
    assert (schedule.start(), schedule.start()) == ("e", None)


def test_nothing_to_do() -> None:
    for schedule in (Schedule({}), Schedule({"a": None, "b": "a"}, frozenset("ab"))):
        assert schedule.unfinished == 0
        assert schedule.start() is None


def test_a_parent_outside_the_graph_is_refused() -> None:
    with pytest.raises(KeyError, match="absent"):
        Schedule({"a": "absent"})


def test_a_long_chain_needs_no_recursion() -> None:
    parents: dict[str, str | None] = {f"{i:05}": f"{i - 1:05}" if i else None for i in range(3000)}
    schedule = Schedule(parents)
    assert schedule.start() == "00000"
    assert len(schedule.complete("00000", "failed")) == 2999
