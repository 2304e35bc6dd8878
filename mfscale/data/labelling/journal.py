"""Labels as they come: Parquet pieces in a folder, each there whole or not at all."""

import fcntl
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mfscale.data.durable import write_whole
from mfscale.data.errors import DatasetError
from mfscale.data.imports.record import Label
from mfscale.data.labelling.outcome import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

JOB_FILE, LOCK_FILE = "job.json", "lock"


class Journal:
    """Outcomes of one job: a dataset's structures at one level of theory.

    A context: while it is open, no other process opens it.

    Parameters
    ----------
    folder
        Comes to be if it is not there.
    job
        What the outcomes depend on, as plain text values.

    Raises
    ------
    DatasetError
        When the folder holds another job's outcomes, or is in use.
    """

    def __init__(self, folder: Path, job: dict[str, str]) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / LOCK_FILE).open("w")
            self._hold()
            file = folder / JOB_FILE
            if not file.exists():
                write_whole(file, json.dumps(job, indent=1, ensure_ascii=False).encode())
            before = json.loads(file.read_text(encoding="utf-8"))
        except DatasetError:
            raise
        except (OSError, ValueError) as error:
            raise DatasetError(f"{folder}: labels cannot be kept there ({error})") from None
        for key, value in job.items():
            if before.get(key) != value:
                self._lock.close()
                raise DatasetError(
                    f"{folder}: holds unfinished labels of another {key}, {before.get(key)!r}, not "
                    f"{value!r}; finish those with the options they were begun with, or delete "
                    f"the folder"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise DatasetError(
                f"{self.folder}: another process is labelling these structures; wait for its end"
            ) from None

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes as a piece of their own."""
        import pyarrow as pa  # noqa: PLC0415 - a quarter of a second that few commands need
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        table = pa.table(
            {
                "structure": [o.structure for o in outcomes],
                "energy_eV": [o.label.energy if o.label else None for o in outcomes],
                "forces_eV_A": [_flat(o.label) for o in outcomes],
                "cpu_s": [o.cpu_s for o in outcomes],
                "reason": [o.reason or None for o in outcomes],
            },
            schema=_schema(),
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        try:
            write_whole(self.folder / f"{uuid.uuid4().hex}.parquet", sink.getvalue().to_pybytes())
        except OSError as error:
            raise DatasetError(
                f"{self.folder}: labels cannot be written ({error.strerror}); those so far are "
                f"there, and the same command goes on"
            ) from None

    def read(self) -> dict[int, Outcome]:
        """The outcome of each structure; a label counts for more than a failure."""
        import pyarrow as pa  # noqa: PLC0415 - likewise
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        found: dict[int, Outcome] = {}
        for file in sorted(self.folder.glob("*.parquet")):
            try:
                rows = pq.read_table(file, schema=_schema()).to_pylist()
            except (OSError, pa.ArrowInvalid) as error:
                raise DatasetError(f"{file}: is damaged ({error}); delete it and go on") from None
            for row in rows:
                outcome = _outcome(row)
                if outcome.label or row["structure"] not in found:
                    found[row["structure"]] = outcome
        return found


def _schema() -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - likewise

    return pa.schema(
        {
            "structure": pa.int64(),
            "energy_eV": pa.float64(),
            "forces_eV_A": pa.list_(pa.float32()),
            "cpu_s": pa.float64(),
            "reason": pa.string(),
        }
    )


def _outcome(row: dict[str, object]) -> Outcome:
    forces, energy = row["forces_eV_A"], row["energy_eV"]
    per_atom = None if forces is None else np.array(forces, dtype=np.float64).reshape(-1, 3)
    label = Label(energy=float(energy), forces=per_atom) if isinstance(energy, float) else None
    return Outcome(
        structure=int(str(row["structure"])),
        label=label,
        reason=str(row["reason"] or ""),
        cpu_s=float(str(row["cpu_s"])),
    )


def _flat(label: Label | None) -> np.ndarray | None:
    return None if label is None or label.forces is None else label.forces.astype("<f4").ravel()
