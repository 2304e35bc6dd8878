"""Potentials and interrupted runs on disk: safetensors with a JSON header, published whole.

Nothing here is unpickled: weights are tensors, everything else is plain data.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from mfscale.models.headed import HeadedModel
from mfscale.study import Model
from mfscale.training.errors import TrainingError
from mfscale.training.header import (
    DIGEST,
    FORMAT,
    KEY,
    PROGRESS,
    UNREADABLE,
    damaged,
    digest,
    parsed,
    require_file,
    require_whole,
)
from mfscale.training.loop import CurvePoint, Progress
from mfscale.training.potential import HeadScale, Potential, kept_network, new_network

_UNUSABLE = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a header of another shape, or settings that an architecture refuses, end in."""


@dataclass(frozen=True)
class History:
    """What a potential has cost, all its ancestors included."""

    stage_id: str
    samples_seen: int
    train_time_s: float


def save_potential(path: Path, potential: Potential, history: History) -> None:
    """Publish a potential at `path`, atomically."""
    header = {
        "format": FORMAT,
        "kind": "potential",
        "spec": potential.spec.model_dump(),
        "elements": list(potential.elements),
        "heads": {
            name: {
                "method": head.method,
                "minus": head.minus,
                "energy_scale_ev": head.energy_scale_ev,
                "offsets_ev": dict(
                    zip(potential.elements, map(float, head.offsets_ev), strict=True)
                ),
            }
            for name, head in potential.heads.items()
        },
        "mean_neighbours": potential.mean_neighbours,
        "history": dataclasses.asdict(history),
    }
    _publish(path, dict(potential.network.state_dict()), header)


def load_potential(path: Path, *, own_network: bool = False) -> tuple[Potential, History]:
    """Read a potential.

    Parameters
    ----------
    path
        A file that `save_potential` wrote.
    own_network
        Build a network that no stage of this process will change, rather than use the kept one.

    Raises
    ------
    TrainingError
        If the file is missing, damaged, of a newer format, or not a potential.
    """
    header, tensors = _read(path, "potential")
    try:
        spec = Model.model_validate(header["spec"])
        elements, heads = tuple(header["elements"]), header["heads"]
        network = (
            new_network(spec, elements, list(heads), seed=0)
            if own_network
            else kept_network(spec, elements, list(heads))
        )
        potential = Potential(
            network=network,
            spec=spec,
            elements=elements,
            heads={
                name: HeadScale(
                    head["method"],
                    np.array([head["offsets_ev"][element] for element in elements]),
                    float((header if header["format"] == 1 else head)["energy_scale_ev"]),
                    head.get("minus"),
                )
                for name, head in heads.items()
            },
            mean_neighbours=float(header["mean_neighbours"]),
        )
        load_weights(potential.network, tensors, potential.mean_neighbours)
        return potential, History(**header["history"])
    except _UNUSABLE as error:
        raise TrainingError(f"{path}: not a potential this version can use ({error})") from None


def load_weights(network: HeadedModel, state: Mapping[str, Tensor], mean_neighbours: float) -> None:
    """Set all of a network's weights, and its normalisation by neighbours."""
    network.load_state_dict(dict(state))
    network.backbone.set_mean_neighbours(mean_neighbours)


def save_progress(path: Path, progress: Progress, stage_id: str) -> None:
    """Publish an interrupted run, atomically."""
    tensors = dict(_numbered("weights", progress.weights))
    tensors |= dict(_numbered("average", progress.average))
    tensors |= dict(_numbered("best", progress.best))
    for index, moments in enumerate(progress.optimizer):
        tensors |= {f"optimizer.{index}.{name}": t for name, t in moments.items()}
    header = {
        "format": FORMAT,
        "kind": "progress",
        "stage_id": stage_id,
        "n_parameters": len(progress.weights),
        "step": progress.step,
        "best_step": progress.best_step,
        "best_loss": progress.best_loss,
        "stale": progress.stale,
        "elapsed_s": progress.elapsed_s,
        "loss_sum": progress.loss_sum,
        "curve": [dataclasses.asdict(point) for point in progress.curve],
    }
    _publish(path, tensors, header)


def discard_progress(folder: Path) -> None:
    """Remove what only an interrupted run needs; for when the stage's row is in the store."""
    (folder / PROGRESS).unlink(missing_ok=True)


def load_progress(path: Path, stage_id: str) -> Progress | None:
    """The run that was interrupted here; None if there is none that can be used."""
    if not path.exists():
        return None
    try:
        header, tensors = _read(path, "progress")
        if header["stage_id"] != stage_id:
            return None
        n = int(header["n_parameters"])
        return Progress(
            weights=[tensors[f"weights.{i}"] for i in range(n)],
            average=[tensors[f"average.{i}"] for i in range(n)],
            best=[tensors[f"best.{i}"] for i in range(n)],
            optimizer=[
                {
                    name.removeprefix(f"optimizer.{i}."): tensor
                    for name, tensor in tensors.items()
                    if name.startswith(f"optimizer.{i}.")
                }
                for i in range(n)
            ],
            step=header["step"],
            best_step=header["best_step"],
            best_loss=header["best_loss"],
            stale=header["stale"],
            elapsed_s=header["elapsed_s"],
            loss_sum=header.get("loss_sum", 0.0),  # earlier ones were all saved at a validation
            curve=[CurvePoint(**point) for point in header["curve"]],
        )
    except _UNUSABLE:
        return None


def _numbered(prefix: str, tensors: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((f"{prefix}.{index}", tensor) for index, tensor in enumerate(tensors))


def _publish(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write beside the target, flush to disk, rename: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    content = _with_header(plain, header)
    content = _with_header(plain, {**header, DIGEST: digest(content)})
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _with_header(tensors: dict[str, Tensor], header: Mapping[str, Any]) -> bytes:
    return bytes(save(tensors, metadata={KEY: json.dumps(header, allow_nan=False)}))


def _read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = parsed(file.metadata(), path, kind)
            require_whole(path, header)
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except UNREADABLE as error:
        raise damaged(path, error) from None
