"""Some hundred stages that train nothing, on real Ray: each runs once, and no files pile up."""

from pathlib import Path

import pytest

from mfscale.orchestration import Progress, Rates, compaction, run
from mfscale.results import Store
from mfscale.study import Stage, of_stage
from mfscale.training import StageResult
from tests.orchestration.conftest import graph_of

MANY = """
name: many
dataset: chno3
seed: {seeds}
training: {{max_steps: 30, validate_every: 10, batch_size: 8}}
strategies:
  direct:
    - heads: {{cc: {{subset: a, size: 16, validation: 8}}}}
  finetune:
    - heads: {{dft: {{subset: b, size: 16, validation: 8}}}}
    - heads: {{cc: {{subset: a, size: [16, 24], validation: 8}}}}
"""
COUNTS = ("samples_seen", "train_time_s", "wall_time_s")


@pytest.mark.slow
def test_every_stage_of_many_runs_once_and_few_files_wait_for_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST", 20)
    graph = graph_of(MANY.format(seeds=list(range(40))))
    store = Store(tmp_path / "store", create=True)
    waiting: list[int] = []  # rows that readers meet one by one

    def made_up(stage: Stage, store: Store, *_: object) -> StageResult:  # here: workers import none
        if stage.parent_id is not None:
            parent = store.row(stage.parent_id)
            assert parent is not None
            assert parent["status"] == "finished"
        row = {**of_stage(stage), "status": "finished", "reason": None, "warnings": []}
        return StageResult({**row, **dict.fromkeys(COUNTS, 1)}, curve=[], errors=[])

    def look(_: Progress) -> None:
        waiting.append(len(list((store.path / "inbox").glob("*.parquet"))))

    summary = run(
        graph,
        store,
        estimate=Rates({}, {}, 0.0, 0),
        cpus=2,
        on_progress=look,
        train=made_up,
    )

    assert summary.progress.finished == len(graph.stages) == 160
    assert summary.progress.left_s == 0
    assert not summary.unfinished
    rows = store.table().select(["stage_id", "status", "attempt"]).to_pylist()
    assert {(row["status"], row["attempt"]) for row in rows} == {("finished", 0)}
    assert {row["stage_id"] for row in rows} == graph.stages.keys()
    assert max(waiting) < 120  # it compacts on the way, however slow the disk
