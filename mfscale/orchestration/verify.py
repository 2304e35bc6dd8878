"""What is wrong with a store and the models in it, and what is missing of a study."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mfscale.orchestration.garbage import DELETED
from mfscale.results import Finding, Store, checkpoint, inspect
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
    models = {} if store.is_archive else store.checkpoints()
    for row in rows.values():
        is_result = row["purpose"] == "science"  # a tuning trial leaves no model
        if row["status"] == "finished" and is_result and not store.is_archive:
            findings += _model(store, row, models.get(row["stage_id"], {}))
    return findings + list(_missing(graph, rows) if graph else ())


def _model(store: Store, row: Mapping[str, Any], there: Collection[str]) -> Iterator[Finding]:
    """What is wrong with the model of a finished stage, given the files that it has."""
    stage = row["stage_id"]
    name = checkpoint(stage, POTENTIAL)
    place = store.place.of(name)
    if POTENTIAL not in there:
        if DELETED not in there:
            yield Finding(
                "finished without model",
                stage,
                f"there is no {place}",
                "restore the file, or let it be: a run trains the stage again once one needs it",
            )
        return
    with store.local(name) as files:
        try:
            header = read_header(files.path(name), "potential")
        except TrainingError as error:
            said = str(error).replace(str(files.path(name)), place)
            yield Finding("damaged model", stage, said, TRAIN_AGAIN)
            return
    if found := disagreements(header, row):
        yield Finding("model of another stage", stage, f"{place}: {'; '.join(found)}", TRAIN_AGAIN)


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
