"""A stage as trackers take it: a name, settings, a learning curve, errors, how it ended."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from mfscale.results import CURVE_SCHEMA, SCHEMA, Store, StoreError, flatten

TRACKED = ("finished", "diverged", "failed")
"""Statuses of stages that a tracker gets; of a skipped one there is nothing to see."""

Setting = str | int | float | bool

_ERROR = re.compile(r"_(mae|rmse)_mev(_per_atom|_per_a)?$")
_OTHER_MOMENTS = ("start_", "baseline_")
_NUMBERS = (
    *("steps", "steps_to_best", "samples_seen", "total_samples_seen", "converged"),
    *("best_validation_loss", "train_time_s", "total_train_time_s", "wall_time_s"),
    *("structures_per_second", "peak_memory_mb", "peak_gpu_memory_mb"),
)
_LEFT_OUT = re.compile(r"offset_.+_ev|energy_scale_.+|parent_(?!id$).+|log_file|started_at|used_by")


@dataclass(frozen=True)
class TrackedStage:
    """What a tracker is told of a stage.

    Attributes
    ----------
    stage_id
        The tracker's run is found again by it.
    name
        For people: the labels, those of pre-training before them, and the seed.
    group
        The first strategy that uses the stage; else what it was pre-trained on.
    study, strategies
        Those that use the stage, as far as is known.
    status, reason
        As in the store.
    config
        Settings, with the names that ``mfscale results`` has; status and reason too.
    metrics
        Errors at the end of training, units in their names, and what training took.
    curve
        One mapping per validation: ``step``, ``elapsed_s`` and what was measured.
    started_s, ended_s
        Seconds since 1970; none if the attempt left no time.
    """

    stage_id: str
    name: str
    group: str
    study: str | None
    strategies: tuple[str, ...]
    status: str
    reason: str | None
    config: Mapping[str, Setting]
    metrics: Mapping[str, float]
    curve: Sequence[Mapping[str, float]]
    started_s: float | None
    ended_s: float | None

    @property
    def digest(self) -> str:
        """A hash of all there is to tell, 16 hexadecimal digits."""
        content = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def last_step(self) -> int:
        """The step to which the metrics belong."""
        return int(self.metrics.get("steps", self.curve[-1]["step"] if self.curve else 0))

    def seconds_at(self, point: Mapping[str, float]) -> float:
        """When a point of the curve was measured, in seconds since 1970."""
        return (self.started_s or 0.0) + point.get("elapsed_s", 0.0)


def tracked_stage(
    row: Mapping[Any, Any],
    curve: pa.Table | None,
    *,
    study: str | None = None,
    places: Sequence[str] = (),
) -> TrackedStage:
    """Make of a flat row (``mfscale.results.flatten``) what trackers take.

    Parameters
    ----------
    row
        Values by column; missing ones None or NaN.
    curve
        The learning curve; None if there is none.
    study, places
        The study that the stage is of, and its places there, ``finetune[1]``.
    """
    known: dict[str, Any] = {
        key: _plain(value) for key, value in row.items() if not _missing(value)
    }
    known = {key: value for key, value in known.items() if value or not _is_sum(key)}
    strategies = tuple(dict.fromkeys(place.partition("[")[0] for place in places))
    return TrackedStage(
        stage_id=known["stage_id"],
        name=_name(known),
        group=(*strategies, known.get("pretraining", "unknown"))[0],
        study=study,
        strategies=strategies,
        status=known["status"],
        reason=known.get("reason"),
        config={key: value for key, value in known.items() if _is_setting(key)},
        metrics={key: float(value) for key, value in known.items() if _is_metric(key)},
        curve=[] if curve is None else [_known(point) for point in curve.to_pylist()],
        started_s=_seconds(row.get("started_at")),
        ended_s=_ended_s(row),
    )


def read_stage(
    store: Store, stage_id: str, *, study: str | None = None, places: Sequence[str] = ()
) -> TrackedStage | None:
    """Read what trackers take of a stage; None of a trial, a skipped stage, or one without row."""
    row = store.row(stage_id)
    if row is None or row["purpose"] != "science" or row["status"] not in TRACKED:
        return None
    flat = flatten(pa.Table.from_pylist([row], SCHEMA)).iloc[0]
    return tracked_stage(flat.to_dict(), find_curve(store, stage_id), study=study, places=places)


def find_curve(store: Store, stage_id: str) -> pa.Table | None:
    """Read the learning curve of a stage; None if there is none that can be read."""
    try:
        return store.curve(stage_id)
    except StoreError:
        return None


def described(name: str) -> str:
    """What a quantity of the learning curve is, with its unit."""
    told: dict[bytes, bytes] = CURVE_SCHEMA.field(name).metadata
    description, unit = (told.get(key, b"").decode() for key in (b"description", b"unit"))
    return f"{description} ({unit})" if unit else description


def _name(known: Mapping[str, Any]) -> str:
    if "labels" not in known:  # of a failed stage the store knows little more than its id
        return str(known["stage_id"])
    before = known.get("pretraining", "none")
    name = f"{known['labels']}, seed {known['seed']}"
    return name if before == "none" else f"{before} > {name}"


def _is_sum(key: str) -> bool:
    """Whether a column is 0 or absent for methods of other stages, as the store happens to be."""
    return key.startswith("n_labels_")


def _is_metric(key: str) -> bool:
    if key in _NUMBERS:
        return True
    return bool(_ERROR.search(key)) and not key.startswith((*_OTHER_MOMENTS, "parent_"))


def _is_setting(key: str) -> bool:
    return not (key in _NUMBERS or _ERROR.search(key) or _LEFT_OUT.fullmatch(key))


def _missing(value: object) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value  # noqa: PLR0124 - NaN


def _plain(value: Any) -> Setting:  # noqa: ANN401 - whatever a data frame holds
    plain = value.tolist() if hasattr(value, "tolist") else value
    return plain if isinstance(plain, (bool, int, float, str)) else str(plain)


def _known(point: Mapping[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in point.items() if value is not None}


def _seconds(started_at: object) -> float | None:
    if _missing(started_at) or not isinstance(started_at, datetime):
        return None
    return started_at.timestamp()


def _ended_s(row: Mapping[Any, Any]) -> float | None:
    started = _seconds(row.get("started_at"))
    took = row.get("wall_time_s")
    return None if started is None or _missing(took) else started + float(took)  # type: ignore[arg-type]
