"""Files of a store that nothing needs, or only exports do; deleting them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mfscale.results import Store, StoreError, temporaries
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
        The file.
    stage_id
        Whose it is; None for a temporary file.
    what, lost
        What it is, and what deleting it costs.
    """

    path: Path
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
    aside = store.path / "set-aside"
    if (aside / "results.parquet").exists() or (aside / "inbox").exists():
        raise StoreError(
            f"{aside} holds damaged rows, whose stages may yet need their checkpoints; run their "
            "studies again and delete that folder, then collect"
        )
    rows = store.table().select(["stage_id", "parent_id", "status"]).to_pylist()
    statuses = {row["stage_id"]: row["status"] for row in rows}
    parents = {row["parent_id"] for row in rows}
    if study is not None:
        parents |= {stage.parent_id for stage in study.stages.values()}
    found = []
    if study is None:
        found += [_garbage(p, None, "temporary file", "nothing") for p in temporaries(store)]
    for stage in _with_checkpoints(store):
        if study is None or stage in study.stages:
            known = study is not None
            found += _of_stage(store, stage, statuses, parents, known=known, leaves=leaves)
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
        for item in deleted:
            _delete(item)
    return deleted


def _delete(item: Garbage) -> None:
    if item.what == FINAL:
        note = f"mfscale gc --leaves deleted the model, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        item.path.with_name(DELETED).write_text(note, encoding="utf-8")
    item.path.unlink(missing_ok=True)
    if item.stage_id is not None and not any(item.path.parent.iterdir()):
        item.path.parent.rmdir()


def _of_stage(
    store: Store,
    stage: str,
    statuses: Mapping[str, str],
    parents: Collection[str | None],
    *,
    known: bool,
    leaves: bool,
) -> Iterator[Garbage]:
    folder, status = store.checkpoint_dir(stage), statuses.get(stage)
    model, progress = folder / POTENTIAL, folder / PROGRESS
    if status is None and not known:
        lost = "a run that wants the stage starts it afresh"
        for path in (model, progress):
            if path.is_file():
                yield _garbage(path, stage, "checkpoint of a stage without row", lost)
    trained = status == "diverged" or (status == "finished" and model.exists())
    if trained and progress.is_file():
        yield _garbage(progress, stage, f"progress of a {status} stage", "nothing")
    if leaves and status == "finished" and stage not in parents and model.is_file():
        lost = "it cannot be exported, nor a stage start from it, without being trained again"
        yield _garbage(model, stage, FINAL, lost)


def _with_checkpoints(store: Store) -> list[str]:
    """Stages with a folder of checkpoints; links are not followed, lest others' files are deleted.

    But for one in the place of all checkpoints, which may well be on a larger disk.
    """
    folder = store.path / "checkpoints"
    if not folder.is_dir():
        return []
    named = (p for p in folder.iterdir() if not p.name.startswith("."))
    return sorted(p.name for p in named if p.is_dir() and not p.is_symlink())


def _garbage(path: Path, stage_id: str | None, what: str, lost: str) -> Garbage:
    return Garbage(path, path.lstat().st_size, stage_id, what, lost)
