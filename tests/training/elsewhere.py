"""A device of its own for torch, whose tensors do not mix with the processor's.

It has no memory or arithmetic: each of its tensors holds one of the processor, which does the work.
What torch would refuse of tensors on a GPU and off it, it refuses too; and it counts how often a
GPU would be waited for. Torch takes one such device a process, so this is for a process of its own:

``python elsewhere.py FOLDER`` runs the stages of FOLDER/stages.json there, each interrupted before
its step `INTERRUPTED`, and leaves in FOLDER/results.pickle of each the result, and how often it had
waited before each step, until it was interrupted and from then on.
"""

import json
import math
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from mfscale.study import Stage
from mfscale.training import Interrupted, StageResult, run_stage

INTERRUPTED = 4
_setup_privateuseone_for_python_backend("elsewhere")
DEVICE = torch.device("elsewhere", 0)
MOVE = torch.ops.aten._to_copy.default  # noqa: SLF001 - torch's name
COPY = torch.ops.aten.copy_.default
READ = torch.ops.aten._local_scalar_dense.default  # noqa: SLF001
BY_INDEX = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default)
FOR_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class There(Tensor):
    """A tensor on the device.

    Attributes
    ----------
    held
        Its values.
    waits
        How often something was read back, for which a GPU would have to finish all it was given.
    """

    held: Tensor
    waits = 0

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:  # noqa: D102, ANN001
        return torch.Tensor._make_wrapper_subclass(  # noqa: SLF001 - what torch has for this
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
            requires_grad=held.requires_grad,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"There({self.held})"

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,  # noqa: ANN401 - torch's signature
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Do the work on what is held; only a single number may come from the processor."""
        flat, shape = tree_flatten((args, kwargs or {}))
        there = [t for t in flat if isinstance(t, There)]
        here = [t for t in flat if isinstance(t, Tensor) and not isinstance(t, There)]
        listed = any(isinstance(a, list | tuple) and a and isinstance(a[0], Tensor) for a in args)
        if func not in (MOVE, COPY) and any(t.dim() or listed for t in here):
            raise RuntimeError(f"{func}: one tensor is on {DEVICE}, another on the processor")
        arguments, named = tree_unflatten([_held(t) for t in flat], shape)
        stays = True
        if func is COPY:
            stays = isinstance(args[0], There)
        elif named.get("device") is not None:
            stays = torch.device(named["device"]).type == DEVICE.type
            named["device"] = torch.device("cpu")
        There.waits += func is READ or not stays or _looked_at(func, flat)
        known = {id(t.held): t for t in there}  # what was changed in place is what it was

        def wrapped(found: Tensor) -> Tensor:
            return known[id(found)] if id(found) in known else There(found)

        found = func(*arguments, **named)
        return tree_map_only(Tensor, wrapped, found) if stays else found


def _looked_at(func: Any, values: Sequence[object]) -> bool:  # noqa: ANN401 - torch's own
    """Whether the shape of what comes out depends on values: a mask, `nonzero`, `unique`."""
    if func in BY_INDEX:
        return any(isinstance(v, Tensor) and v.dtype == torch.bool for v in values[1:])
    return bool(FOR_VALUES & set(func.tags))


def _held(value: object) -> Any:  # noqa: ANN401 - as it came
    return value.held if isinstance(value, There) else value


@torch.library.impl("aten::empty.memory_format", "PrivateUse1")
def _empty(size: list[int], dtype: torch.dtype | None = None, **_: object) -> Tensor:
    return There(torch.empty(size, dtype=dtype))


@torch.library.impl("aten::empty_strided", "PrivateUse1")
def _empty_strided(
    size: list[int], stride: list[int], dtype: torch.dtype | None = None, **_: object
) -> Tensor:
    return There(torch.empty_strided(size, stride, dtype=dtype))


@torch.library.impl("aten::_copy_from", "PrivateUse1")
def _copy_from(source: Tensor, to: Tensor, *_: object) -> Tensor:
    _held(to).copy_(_held(source))
    There.waits += not isinstance(to, There)
    return to


def run(stage: Stage, folder: Path, interrupted_at: int | None) -> tuple[StageResult, list[int]]:
    """Run a stage on the device; Interrupted, with what was counted, if it is interrupted."""
    waits: list[int] = []

    def asked() -> bool:
        waits.append(There.waits)
        return len(waits) - 1 == interrupted_at

    try:
        result = run_stage(
            stage,
            checkpoint_dir=lambda stage_id: folder / stage_id,
            device=DEVICE,
            checkpoint_every_s=math.inf,  # a slow machine would save, and wait for that
            interrupted=asked,
        )
    except Interrupted as stop:
        raise Interrupted(waits) from stop
    return result, waits


def main(folder: Path) -> None:
    """Run the stages, interrupt each, and let it go on."""
    torch.set_num_threads(1)
    results = []
    for text in json.loads((folder / "stages.json").read_text()):
        stage = Stage.model_validate_json(text)
        try:
            run(stage, folder, INTERRUPTED)
        except Interrupted as stop:
            result, waits = run(stage, folder, None)
            results.append((result, stop.args[0], waits))
    (folder / "results.pickle").write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
