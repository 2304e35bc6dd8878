"""Stages as event files of TensorBoard, with its own record writer: no TensorFlow, no torch.

A stage is one folder with one file, whose name ends in a hash of its content. Settings are there
as hyperparameters, so that TensorBoard's HParams tab compares stages.
"""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.struct_pb2 import Value
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from mfscale.tracking.errors import TrackingError
from mfscale.tracking.tracked import Setting, TrackedStage, described

FOLDER = "mfscale-tracking/tensorboard"
_STAGE_FOLDER = re.compile(r"(?:.+-)?([0-9a-f]{16})")


class TensorBoard:
    """A folder of event files, each stage a run; one that is there already is replaced.

    Parameters
    ----------
    out
        The folder; ``FOLDER`` if not given.
    """

    def __init__(self, out: str | None, project: str | None) -> None:
        if project is not None:
            raise TrackingError("tensorboard has no projects: name a folder with --out instead")
        self._root = Path(out or FOLDER)
        self._root.mkdir(parents=True, exist_ok=True)
        self.place = str(self._root)
        self._there: dict[str, list[Path]] = defaultdict(list)
        for path in self._root.iterdir():
            if named := _STAGE_FOLDER.fullmatch(path.name):
                self._there[named[1]].append(path)

    def write(self, stage: TrackedStage) -> bool:
        """Write the event file of a stage; false if it is there as it is."""
        folder = self._root / _folder_name(stage)
        path = folder / f"events.out.tfevents.{int(stage.started_s or 0):010d}.{stage.digest}"
        if path.exists():
            return False
        earlier = [*folder.glob("events.*")] if folder.exists() else []
        folder.mkdir(exist_ok=True)
        unfinished = folder / f"{stage.digest}.part"
        with unfinished.open("wb") as file:
            writer = RecordWriter(file)
            for event in _events(stage):
                writer.write(event.SerializeToString())
        unfinished.replace(path)
        for old in earlier:
            old.unlink()
        for other in self._there[stage.stage_id]:  # a failed stage had no name yet
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        self._there[stage.stage_id] = [folder]
        return True

    def close(self) -> None:
        """Nothing is open."""


def _folder_name(stage: TrackedStage) -> str:
    if stage.name == stage.stage_id:
        return stage.stage_id
    name = re.sub(r"[^\w.+-]+", "-", stage.name)
    return f"{name[:150]}-{stage.stage_id}"


def _events(stage: TrackedStage) -> Iterator[Event]:
    began, ended = stage.started_s or 0.0, stage.ended_s or stage.started_s or 0.0
    yield Event(wall_time=began, file_version="brain.Event:2")
    yield Event(wall_time=began, summary=_session_start(stage))
    for point in stage.curve:
        values = [
            Summary.Value(
                tag=f"curve/{key}",
                simple_value=value,
                metadata=SummaryMetadata(summary_description=described(key)),
            )
            for key, value in point.items()
            if key != "step"
        ]
        yield Event(
            wall_time=stage.seconds_at(point),
            step=int(point["step"]),
            summary=Summary(value=values),
        )
    finals = [Summary.Value(tag=f"final/{k}", simple_value=v) for k, v in stage.metrics.items()]
    yield Event(wall_time=ended, step=stage.last_step, summary=Summary(value=finals))
    yield Event(wall_time=ended, summary=_session_end(stage, ended))


def _session_start(stage: TrackedStage) -> Summary:
    start = SessionStartInfo(
        hparams={key: _value(setting) for key, setting in stage.config.items()},
        group_name=stage.stage_id,
        start_time_secs=stage.started_s or 0.0,
    )
    return _session(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))


def _session_end(stage: TrackedStage, ended: float) -> Summary:
    well = stage.status == "finished"
    status = api_pb2.Status.STATUS_SUCCESS if well else api_pb2.Status.STATUS_FAILURE
    end = SessionEndInfo(status=status, end_time_secs=ended)
    return _session(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))


def _session(tag: str, data: HParamsPluginData) -> Summary:
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Summary(value=[value])


def _value(setting: Setting) -> Value:
    if isinstance(setting, bool):
        return Value(bool_value=setting)
    if isinstance(setting, (int, float)):
        return Value(number_value=setting)
    return Value(string_value=setting)
