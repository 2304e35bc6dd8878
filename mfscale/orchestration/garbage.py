"""Files of a store that nothing needs, or only exports do; deleting them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mfscale.results import Store, StoreError, checkpoint
from mfscale.study import StudyGraph
from mfscale.training import POTENTIAL, PROGRESS

FINAL = "final model"
DELETED = "deleted.txt"
"""What stands in a finished stage's folder where its model was deleted on purpose."""


@dataclass(frozen=True)
class Garbage:
    """A file that can be deleted.

    Attributes
    ----------
    path, size_bytes
        The file, as messages call it.
    name
        What the store calls it.
    stage_id
        Whose it is; None for a temporary file.
    what, lost
        What it is, and what deleting it costs.
    """

    path: str
    name: str
    size_bytes: int
    stage_id: str | None
    what: str
    lost: str


def garbage(
    store: Store, *, study: StudyGraph | None = None, leaves: bool = False
) -> list[Garbage]:
    """List what can be deleted, changing nothing.

    That is: what writers that died left behind, progress of settled stages, checkpoints of stages
    without a row; with `leaves` also the models of finished stages from which no stage of the
    store, nor of the study, starts.

    Parameters
    ----------
    store
        To look into.
    study
        Only files of its stages; what it still needs stays, the checkpoints of stages it lacks too.
    leaves
        Include final models.

    Raises
    ------
    StoreError
        If rows were damaged and set aside: whose checkpoints are needed is then unknown.
    """
    aside = store.place.tree("set-aside")
    if any(name.startswith(("set-aside/results", "set-aside/inbox/")) for name in aside):
        raise StoreError(
            f"{store.place.of('set-aside')} holds damaged rows, whose stages may yet need their "
            "checkpoints; run their studies again and delete that folder, then collect"
        )
    rows = store.table().select(["stage_id", "parent_id", "status"]).to_pylist()
    statuses = {row["stage_id"]: row["status"] for row in rows}
    parents = {row["parent_id"] for row in rows}
    if study is not None:
        parents |= {stage.parent_id for stage in study.stages.values()}
    found = []
    if study is None:
        found += [
            Garbage(store.place.of(name), name, size, None, "temporary file", "nothing")
            for name, size in store.place.temporaries().items()
        ]
    for stage, files in store.checkpoints().items():
        if study is None or stage in study.stages:
            leaf = leaves and stage not in parents
            of = statuses.get(stage)
            found += _of_stage(store, stage, files, of, known=study is not None, leaves=leaf)
    return found


def collect(
    store: Store,
    found: Collection[Garbage],
    *,
    study: StudyGraph | None = None,
    leaves: bool = False,
) -> list[Garbage]:
    """Delete what `garbage` listed and still lists, for time may have passed; return that.

    StoreError if a run uses the store; nothing is deleted then.
    """
    with store.alone():
        still = {item.path for item in garbage(store, study=study, leaves=leaves)}
        deleted = [item for item in found if item.path in still]
        note = f"mfscale gc --leaves deleted the model, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        for item in deleted:
            if item.what == FINAL and item.stage_id is not None:
                store.place.put(checkpoint(item.stage_id, DELETED), note.encode())
        store.place.delete(item.name for item in deleted)
    return deleted


def _of_stage(
    store: Store,
    stage: str,
    files: Mapping[str, int],
    status: str | None,
    *,
    known: bool,
    leaves: bool,
) -> Iterator[Garbage]:
    """What can be deleted of a stage's checkpoints; final models if it is one of the `leaves`."""

    def item(file: str, what: str, lost: str) -> Garbage:
        name = checkpoint(stage, file)
        return Garbage(store.place.of(name), name, files[file], stage, what, lost)

    if status is None and not known:
        lost = "a run that wants the stage starts it afresh"
        for file in sorted(files.keys() & {POTENTIAL, PROGRESS}):
            yield item(file, "checkpoint of a stage without row", lost)
    trained = status == "diverged" or (status == "finished" and POTENTIAL in files)
    if trained and PROGRESS in files:
        yield item(PROGRESS, f"progress of a {status} stage", "nothing")
    if leaves and status == "finished" and POTENTIAL in files:
        lost = "it cannot be exported, nor a stage start from it, without being trained again"
        yield item(POTENTIAL, FINAL, lost)
