"""Energies and forces as compiled code, which a process keeps for all its stages of one kind.

A network with its forces is traced into one graph, whose inputs are the weights, the buffers and a
batch, and torch's inductor compiles that. ``torch.compile`` alone takes no second derivative, which
a loss on forces needs; a graph that holds the forces as operations is differentiated once. NequIP
trains compiled in the same way (arXiv:2504.16068). Other weights are other arguments, so that
one graph serves all stages of a kind; sizes of batches are symbols, so that it serves all batches.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.models.headed import Batch, HeadedModel
from mfscale.training.artefacts import Artefacts
from mfscale.training.errors import is_lost_gpu, is_out_of_memory
from mfscale.training.potential import Predict, in_ev

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""By how much energies, forces and gradients may differ from eager ones, relative to their norm."""

INPUTS = (
    keys.POSITIONS,
    keys.SPECIES,
    keys.EDGE_INDEX,
    keys.EDGE_SHIFT,
    keys.STRUCTURE,
    keys.N_ATOMS,
    keys.HEAD,
    keys.SCALE,
)
"""What of a batch enters, where it is there."""
LOGGER = logging.getLogger("mfscale")


class NotCompiledError(Exception):
    """A network that cannot be compiled, or not rightly; it trains eagerly as well."""


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


_kept: dict[_Kind, Callable[..., tuple[Tensor, ...]] | str] = {}
"""By kind: its code, or why there is none."""


def compiled_in_ev(
    network: HeadedModel,
    batches: Sequence[Batch],
    *,
    described: str,
    n_elements: int,
    forces: bool,
    artefacts: Artefacts,
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

    Raises
    ------
    NotCompiledError
        If torch cannot, no batch is like others, or the code computes something else.
    """
    usable = [batch for batch in batches if _is_general(batch)]
    if not usable:
        raise NotCompiledError("its batches are too small or too much alike")
    parameters = list(network.parameters())
    kind = _Kind(
        described,
        n_elements,
        tuple((place, *p.shape) for place, p in enumerate(parameters) if p.requires_grad),
        forces,
        tuple(name for name in INPUTS if name in usable[0]),
        str(parameters[0].device),
        torch.get_num_threads(),
    )
    if kind not in _kept:
        _kept[kind] = _make(kind, network, usable, artefacts)
    graph = _kept[kind]
    if isinstance(graph, str):
        raise NotCompiledError(graph)
    return _bound(graph, kind, network)


def _make(
    kind: _Kind, network: HeadedModel, batches: Sequence[Batch], artefacts: Artefacts
) -> Callable[..., tuple[Tensor, ...]] | str:
    """Trace, compile and check; or what kept it from that."""
    began = time.perf_counter()
    try:
        with artefacts.turn(), _quiet():
            graph = torch.compile(_traced(kind, network, batches[0]), fullgraph=True, dynamic=False)
            _mark(batches[0], kind)
            predict = _bound(graph, kind, network, first=True)
            _check(network, predict, batches, forces=kind.forces)
            artefacts.made()
    except NotCompiledError as error:
        return str(error)
    except Exception as error:
        if is_out_of_memory(error) or is_lost_gpu(error):  # which says nothing of the code
            raise
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    LOGGER.info("compiled in %.0f s", time.perf_counter() - began)
    return graph


def _bound(
    graph: Callable[..., tuple[Tensor, ...]],
    kind: _Kind,
    network: HeadedModel,
    *,
    first: bool = False,
) -> Predict:
    """A graph with a network's tensors for weights; what it was not made for runs eagerly."""
    weights = (*network.parameters(), *network.buffers())
    stance = "default" if first else "eager_on_recompile"

    def predict(batch: Batch) -> tuple[Tensor, Tensor | None]:
        with torch.enable_grad(), torch.compiler.set_stance(stance):
            found = graph(*weights, *(batch[name] for name in kind.inputs))
        return (found[0], found[1]) if kind.forces else (found[0], None)

    return predict


def _traced(kind: _Kind, network: HeadedModel, example: Batch) -> torch.fx.GraphModule:
    """The operations of `in_ev`, as a function of weights, buffers and a batch's tensors.

    Sizes that depend on the batch are symbols, each of its own.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: PLC0415 - with the compiler
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415
    from torch.fx.experimental.symbolic_shapes import (  # noqa: PLC0415
        DimDynamic,
        ShapeEnv,
        StatelessSymbolicContext,
    )

    whole = _InEv(network, forces=kind.forces)
    tensors = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}

    def function(*arguments: Tensor) -> tuple[Tensor, ...]:
        values = dict(zip(tensors, arguments, strict=False))
        batch = dict(zip(kind.inputs, arguments[len(tensors) :], strict=True))
        found: tuple[Tensor, ...] = torch.func.functional_call(whole, values, (batch,))
        return found

    mode = FakeTensorMode(shape_env=ShapeEnv(duck_shape=False), allow_non_fake_inputs=True)
    static = [mode.from_tensor(tensor, static_shapes=True) for tensor in tensors.values()]
    symbolic = []
    for name in kind.inputs:
        sizes = [DimDynamic.STATIC] * example[name].dim()
        sizes[_varying(name)] = DimDynamic.DYNAMIC
        context: Any = StatelessSymbolicContext(dynamic_sizes=sizes)
        symbolic.append(mode.from_tensor(example[name], symbolic_context=context))
    with mode:
        graph = make_fx(function, _allow_non_fake_inputs=True)(*static, *symbolic)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


class _InEv(nn.Module):
    """`in_ev` as a module, whose tensors can be given."""

    def __init__(self, network: HeadedModel, *, forces: bool) -> None:
        super().__init__()
        self.network = network
        self.forces = forces

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        energy, forces = in_ev(self.network, batch, forces=self.forces, create_graph=True)
        return (energy,) if forces is None else (energy, forces)


def _varying(name: str) -> int:
    """Which size of an input depends on the batch."""
    return 1 if name == keys.EDGE_INDEX else 0


def _mark(batch: Batch, kind: _Kind) -> None:
    """Have the compiler take the sizes that depend on the batch for unknown."""
    for name in kind.inputs:
        torch._dynamo.mark_dynamic(  # noqa: SLF001 - where torch documents it
            batch[name], _varying(name)
        )


def _is_general(batch: Batch) -> bool:
    """Whether a batch's numbers of structures, atoms and edges are such that none is special."""
    numbers = [len(batch[name]) for name in (keys.N_ATOMS, keys.SPECIES)]
    numbers.append(batch[keys.EDGE_INDEX].shape[1])
    return min(numbers) > 1 and len(set(numbers)) == len(numbers)


def _check(
    network: HeadedModel, predict: Predict, batches: Sequence[Batch], *, forces: bool
) -> None:
    """Raise NotCompiledError if compiled code does not compute what the network computes.

    With other weights than its own: those of a fresh readout, which are zero, would hide a lot.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    tolerance = TOLERANCE[parameters[0].dtype]

    def eager(batch: Batch) -> tuple[Tensor, Tensor | None]:
        return in_ev(network, batch, forces=forces, create_graph=True)

    with _shaken(parameters):
        for batch in (batches[0], batches[-1]):
            ours, theirs = (_found(way, batch, parameters) for way in (predict, eager))
            for mine, right in zip(ours, theirs, strict=True):
                miss, norm = float((mine - right).norm()), float(right.norm())
                if not miss <= tolerance * norm:
                    raise NotCompiledError(f"compiled code was off by {miss:.1e} of {norm:.1e}")


@contextmanager
def _shaken(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Add some noise to parameters while the block runs."""
    before = [p.detach().clone() for p in parameters]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise.to(parameter.device), alpha=0.1)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)


def _found(predict: Predict, batch: Batch, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Energies, forces, and the gradients of the sum of both's squares."""
    energy, forces = predict(batch)
    found = [energy] if forces is None else [energy, forces]
    total = torch.stack([tensor.square().sum() for tensor in found]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    return [tensor.detach() for tensor in found] + [torch.cat([g.flatten() for g in gradients])]


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
