"""GPUs of a Ray cluster: their memory, and what of them Ray reserves for a trial."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfscale.orchestration import worker

if TYPE_CHECKING:
    from ray.tune import PlacementGroupFactory

_PATIENCE_S = 120.0
_BOOKED = 1e-3
"""Of a GPU, while a node is asked about its own."""


def smallest_memory() -> int | None:
    """Bytes of the smallest GPU of all nodes, which must be up; None if one has none for torch.

    Ray knows how many GPUs there are, but not how large.
    """
    import ray  # noqa: PLC0415 - once it is set up
    from ray.util.scheduling_strategies import (  # noqa: PLC0415 - likewise
        NodeAffinitySchedulingStrategy,
    )

    asked = ray.remote(num_cpus=0, num_gpus=_BOOKED, max_calls=1)(_memory)
    found = [
        asked.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get("GPU", 0) > 0
    ]
    try:
        memories: list[int | None] = ray.get(found, timeout=_PATIENCE_S)
    except (
        ray.exceptions.GetTimeoutError,  # others have all of it
        ray.exceptions.NodeDiedError,
        ray.exceptions.TaskUnschedulableError,
        ray.exceptions.WorkerCrashedError,
    ):
        return None
    told = [memory for memory in memories if memory is not None]
    return min(told) if told and len(told) == len(memories) else None


def reserved(config: Mapping[str, Any]) -> "PlacementGroupFactory":
    """What Ray reserves for a trial with this configuration."""
    from ray.tune import PlacementGroupFactory  # noqa: PLC0415 - once it is set up

    bundle = {"CPU": config[worker.CPUS]}
    if config[worker.GPU]:
        bundle["GPU"] = config[worker.GPU]
    return PlacementGroupFactory([bundle])


def _memory() -> int | None:
    """Bytes of the GPU that this process was given."""
    import torch  # noqa: PLC0415 - in a process of its own

    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.get_device_properties(0).total_memory)
