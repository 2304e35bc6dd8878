"""What is wrong with a store and the models in it, and what is missing of a study."""

from collections.abc import Iterator, Mapping
from typing import Any

from mfscale.orchestration.garbage import DELETED
from mfscale.results import Finding, Store, inspect
from mfscale.study import StudyGraph
from mfscale.training import POTENTIAL, TrainingError, disagreements, read_header

TRAIN_AGAIN = "delete the file: the next run trains the stage again, once a stage needs its model"


def verify(store: Store, graph: StudyGraph | None = None) -> list[Finding]:
    """Check a store: its files, rows and models; and with a study, what of it is missing.

    An archive needs no models. Nothing is changed.

    Raises
    ------
    StoreError
        If a file is of a newer format.
    """
    rows, findings = inspect(store)
    for row in rows.values():
        is_result = row["purpose"] == "science"  # a tuning trial leaves no model
        if row["status"] == "finished" and is_result and not store.is_archive:
            findings += _model(store, row)
    return findings + list(_missing(graph, rows) if graph else ())


def _model(store: Store, row: Mapping[str, Any]) -> Iterator[Finding]:
    stage = row["stage_id"]
    folder = store.checkpoint_dir(stage)
    path = folder / POTENTIAL
    if not path.exists():
        if not (folder / DELETED).exists():
            yield Finding(
                "finished without model",
                stage,
                f"there is no {path}",
                "restore the file, or let it be: a run trains the stage again once one needs it",
            )
        return
    try:
        header = read_header(path, "potential")
    except TrainingError as error:
        yield Finding("damaged model", stage, str(error), TRAIN_AGAIN)
        return
    if found := disagreements(header, row):
        yield Finding("model of another stage", stage, f"{path}: {'; '.join(found)}", TRAIN_AGAIN)


def _missing(graph: StudyGraph, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    for stage in graph.stages:
        status = rows[stage]["status"] if stage in rows else "missing"
        if status not in ("finished", "diverged"):
            used = ", ".join(graph.uses[stage])
            reason = "" if status == "missing" else f": {rows[stage]['reason']}"
            yield Finding(
                f"{status} stage of the study",
                stage,
                f"{graph.name} needs it for {used}{reason}",
                "mfscale run" if status == "missing" else "mfscale triage; mfscale retry",
            )
