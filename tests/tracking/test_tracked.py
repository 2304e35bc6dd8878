"""What trackers are told is the same, whether of one stage as it ends or of a whole store."""

from mfscale.results import Store
from mfscale.study import Stage
from mfscale.tracking import find_curve, read_stage, tracked_stage


def test_a_stage_of_a_run_and_of_a_store_are_told_alike(store: Store, stages: list[Stage]) -> None:
    rows = store.frame().to_dict(orient="records")
    together = {
        row["stage_id"]: tracked_stage(row, find_curve(store, row["stage_id"])) for row in rows
    }
    for stage in stages[:4]:
        alone = read_stage(store, stage.id)
        assert alone is not None
        assert alone == together[stage.id]
        assert alone.digest == together[stage.id].digest
    assert read_stage(store, stages[4].id) is None  # skipped


def test_settings_and_metrics_are_told_apart(store: Store, stages: list[Stage]) -> None:
    stage = read_stage(store, stages[1].id, study="small", places=["finetune[1]", "other[1]"])
    assert stage is not None
    assert (stage.group, stage.strategies) == ("finetune", ("finetune", "other"))
    assert not stage.config.keys() & stage.metrics.keys()
    assert {"seed", "root_id", "cc_size", "hp_batch_size", "n_labels_dft"} <= stage.config.keys()
    assert {"steps", "cc_t_energy_mae_mev", "wall_time_s"} <= stage.metrics.keys()
    assert not [k for k in stage.metrics if k.startswith(("start_", "baseline_", "parent_"))]
    assert not [k for k in stage.config if k.startswith(("offset_", "parent_hp", "log_file"))]
    assert stage.last_step == 20
    assert stage.ended_s is not None
    assert stage.started_s is not None
    assert stage.ended_s > stage.started_s
