"""Energies and forces as compiled code, which a process keeps for all its stages of one kind.

Other weights are other arguments, so that one piece of code serves all stages of a kind; sizes of
batches are symbols, so that it serves all batches. See `mfscale.training.graph_code`.
"""

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from mfscale.data import keys
from mfscale.models.headed import Batch, HeadedModel
from mfscale.training import graph_code
from mfscale.training.agreement import disagreement, shaken
from mfscale.training.artefacts import Artefacts
from mfscale.training.errors import is_lost_gpu, is_out_of_memory
from mfscale.training.graph_code import INPUTS, GraphCode
from mfscale.training.potential import Predict, in_ev

LOGGER = logging.getLogger("mfscale")
_VARIANTS = 4
"""Pieces of code of one kind that are kept, for other sizes of batches each."""


class NotCompiledError(Exception):
    """A network that cannot be compiled, or not rightly; it trains eagerly as well."""


class NotNowError(NotCompiledError):
    """Code that this stage cannot use, and the next one perhaps can."""


@dataclass(frozen=True)
class _Kind:
    """What compiled code depends on, in this process."""

    described: str
    n_elements: int
    learning: tuple[tuple[int, ...], ...]
    forces: bool
    inputs: tuple[str, ...]
    device: str
    threads: int


_kept: dict[_Kind, list[GraphCode] | str] = {}
"""By kind: its code, for other sizes of batches each, or why there is none."""


def compiled_in_ev(
    network: HeadedModel,
    batches: Sequence[Batch],
    *,
    described: str,
    n_elements: int,
    forces: bool,
    artefacts: Artefacts,
    learning: bool = True,
    waits: bool = True,
) -> Predict:
    """`in_ev` of a network as compiled code, made from some batches and checked on them.

    Parameters
    ----------
    network
        With `requires_grad` as in the training that follows; its weights may change afterwards.
    batches
        Some of those that it will see.
    described
        Of its model and its number of heads: what its structure follows from.
    n_elements
        That its species count.
    forces
        Whether forces are computed.
    artefacts
        Where compiled code is kept for other processes.
    learning
        Whether gradients by weights will be wanted, as by training, which evaluation does not.
    waits
        Whether to wait where another process is just making the code.

    Raises
    ------
    NotNowError
        If that is so and `waits` is not.
    NotCompiledError
        If torch cannot, no batch is like others, or the code computes something else.
    """
    usable = [batch for batch in batches if _is_general(batch)]
    if not usable:
        raise NotCompiledError("its batches are too small or too much alike")
    parameters = list(network.parameters())
    learn = [p for p in enumerate(parameters) if p[1].requires_grad] if learning else []
    kind = _Kind(
        described,
        n_elements,
        tuple((place, *parameter.shape) for place, parameter in learn),
        forces,
        tuple(name for name in INPUTS if name in usable[0]),
        str(parameters[0].device),
        torch.get_num_threads() if parameters[0].device.type == "cpu" else 0,
    )
    codes = _kept.get(kind, [])
    if isinstance(codes, str):
        raise NotCompiledError(codes)
    if not any(code.takes(batch) for code in codes for batch in usable):
        more = _make(kind, network, usable, artefacts, waits=waits)
        if isinstance(more, str):
            _kept[kind] = codes or more
            raise NotCompiledError(more)
        codes = _kept[kind] = [*codes, *more]
    return _bound(codes, network, kind)


def _make(
    kind: _Kind,
    network: HeadedModel,
    batches: Sequence[Batch],
    artefacts: Artefacts,
    *,
    waits: bool,
) -> list[GraphCode] | str:
    """Code that was kept, or else is made and kept, and is right; or what kept it from that."""
    began = time.perf_counter()
    described, done = f"{kind} {_device(kind)}", "compiled code loaded"
    files = [artefacts.file(f"{described} {number}") for number in range(_VARIANTS)]
    try:
        artefacts.open()
        with _quiet():
            codes = _right(kind, network, batches, files)
            if not codes:
                with FileLock(files[0].with_suffix(".lock"), timeout=-1 if waits else 0):
                    codes = _right(kind, network, batches, files)
                    if not codes:
                        codes, done = [_made(kind, network, batches, files)], "compiled"
        if kind.learning:
            artefacts.made()
    except Timeout:
        raise NotNowError("another process is making its code") from None
    except NotCompiledError as error:
        return str(error)
    except Exception as error:
        if is_out_of_memory(error) or is_lost_gpu(error):  # which says nothing of the code
            raise
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    LOGGER.info("%s in %.0f s", done, time.perf_counter() - began)
    return codes


def _device(kind: _Kind) -> str:
    """Which model of GPU code is for; the folder says which processor."""
    if not kind.device.startswith("cuda"):
        return torch.backends.cpu.get_cpu_capability()
    properties = torch.cuda.get_device_properties(torch.device(kind.device))
    return f"{properties.name} {properties.major}.{properties.minor} CUDA {torch.version.cuda}"


def _right(
    kind: _Kind, network: HeadedModel, batches: Sequence[Batch], files: Sequence[Path]
) -> list[GraphCode]:
    """What was kept, takes some of the batches, and computes what the network computes."""
    found = []
    for file in files:
        try:
            code = graph_code.kept(file, batches[0])
            if code is not None and any(code.takes(batch) for batch in batches):
                _check(network, code, batches, kind)
                found.append(code)
        except Exception as error:
            if is_out_of_memory(error) or is_lost_gpu(error):
                raise
            # Of another torch or network, or cut short: it is made again.
    return found


def _made(
    kind: _Kind, network: HeadedModel, batches: Sequence[Batch], files: Sequence[Path]
) -> GraphCode:
    """Code made, checked and kept."""
    places = {place for place, *_ in kind.learning}
    learning = [place in places for place, _ in enumerate(network.parameters())]
    code = graph_code.compiled(network, batches[0], learning, forces=kind.forces)
    _check(network, code, batches, kind)
    graph_code.keep(code, _free(files, batches[0]))
    return code


def _free(files: Sequence[Path], example: Batch) -> Path:
    """Where there is no code yet, or none that is right; or else the last."""
    for file in files:
        try:
            code = graph_code.kept(file, example)
        except Exception:  # noqa: BLE001 - whatever is wrong with it
            return file
        if code is None or code.takes(example):
            return file
    return files[-1]


def _bound(codes: Sequence[GraphCode], network: HeadedModel, kind: _Kind) -> Predict:
    """Code with a network's tensors for weights; what none was made for runs eagerly."""
    weights = (*network.parameters(), *network.buffers())

    def predict(batch: Batch) -> tuple[Tensor, Tensor | None]:
        with torch.enable_grad():
            for code in codes:
                if code.takes(batch):
                    found = code.run(*weights, *(batch[name] for name in code.inputs))
                    return (found[0], found[1]) if kind.forces else (found[0], None)
            return in_ev(network, batch, forces=kind.forces, create_graph=bool(kind.learning))

    return predict


def _is_general(batch: Batch) -> bool:
    """Whether a batch's numbers of structures, atoms and edges are such that none is special."""
    numbers = [len(batch[name]) for name in (keys.N_ATOMS, keys.SPECIES)]
    numbers.append(batch[keys.EDGE_INDEX].shape[1])
    return min(numbers) > 1 and len(set(numbers)) == len(numbers)


def _check(network: HeadedModel, code: GraphCode, batches: Sequence[Batch], kind: _Kind) -> None:
    """Raise NotCompiledError if compiled code does not compute what the network computes."""
    taken = [batch for batch in batches if code.takes(batch)]
    if not taken:
        raise NotCompiledError("the code takes no batch like those that it was made from")
    parameters = list(network.parameters())
    learning = [parameters[place] for place, *_ in kind.learning]
    ours, dtype = _bound([code], network, kind), parameters[0].dtype
    theirs = partial(in_ev, network, forces=kind.forces, create_graph=bool(learning))
    with shaken(parameters):
        off = disagreement(ours, theirs, (taken[0], taken[-1]), (learning, learning), dtype)
    if off:
        raise NotCompiledError(f"compiled code was {off}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the compiler's remarks on our code be; its worker processes end with its work."""
    from torch._inductor.async_compile import shutdown_compile_workers  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            shutdown_compile_workers()
