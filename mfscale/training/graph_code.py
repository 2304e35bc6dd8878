"""A network with its forces as one graph of operations, compiled, and kept in a file.

``torch.compile`` alone takes no second derivative, which a loss on forces needs; a graph that holds
the forces as operations is differentiated once. NequIP trains compiled in the same way
(arXiv:2504.16068). The graph and its derivative are compiled ahead of use, as torch does for whom
code is to outlast a process, so that a process that finds the file neither traces nor compiles.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mfscale.data import keys
from mfscale.data.durable import write_whole
from mfscale.models.headed import Batch, HeadedModel
from mfscale.training.potential import in_ev

if TYPE_CHECKING:
    from torch._inductor.standalone_compile import CompiledArtifact

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


@dataclass(frozen=True)
class GraphCode:
    """Compiled code.

    Attributes
    ----------
    run
        Parameters, buffers and a batch's tensors → energies and, if computed, forces.
    sizes
        What must hold for the sizes of a batch's tensors, in the terms of torch's guards.
    inputs
        A batch's tensors that enter, in order.
    """

    run: "CompiledArtifact"
    sizes: str
    inputs: tuple[str, ...]

    def takes(self, batch: Batch) -> bool:
        """Whether a batch has sizes that the code was made for."""
        return self._guard({f"t{place}": batch[name] for place, name in enumerate(self.inputs)})

    @cached_property
    def _guard(self) -> Callable[[dict[str, Tensor]], bool]:
        from torch.fx.experimental.symbolic_shapes import (  # noqa: PLC0415 - with the compiler
            SYMPY_INTERP,
        )

        text = compile(self.sizes, "<sizes>", "eval")
        return lambda tensors: bool(eval(text, SYMPY_INTERP, {"L": tensors}))  # noqa: S307 - torch's own


def compiled(
    network: HeadedModel, example: Batch, learning: Sequence[bool], *, forces: bool
) -> GraphCode:
    """Trace and compile.

    Parameters
    ----------
    network
        Whose structure counts, and not its weights.
    example
        A batch; its numbers of structures, atoms and edges stand for any.
    learning
        Of each parameter, whether its gradient will be wanted.
    forces
        Whether forces are computed.
    """
    from torch._inductor.standalone_compile import (  # noqa: PLC0415 - seconds
        standalone_compile,
    )

    inputs = _inputs(example)
    graph, weights, batch = _traced(network, example, inputs, learning, forces=forces)
    arguments = [*weights, *batch]
    # What must hold for sizes is not told of code that torch finds in a cache of its own.
    with torch.compiler.config.patch(  # type: ignore[attr-defined]
        cache_key_tag=uuid.uuid4().hex
    ):
        run = standalone_compile(
            graph, arguments, dynamic_shapes="from_graph", options={}, aot=True
        )
    sizes = batch[0].fake_mode.shape_env.produce_guards_expression(batch)
    return GraphCode(run, sizes or "True", inputs)


def keep(code: GraphCode, file: Path) -> None:
    """Leave code in a file, and beside it what must hold for sizes."""
    _beside(file).unlink(missing_ok=True)
    code.run.save(path=str(file))
    write_whole(_beside(file), code.sizes.encode())


def kept(file: Path, example: Batch) -> GraphCode | None:
    """The code in a file; None if there is none.

    Raises
    ------
    Exception
        Of any kind, if it is another torch's file, or was cut short.
    """
    if not file.exists() or not _beside(file).exists():
        return None
    from torch._inductor.standalone_compile import (  # noqa: PLC0415 - seconds
        CompiledArtifact,
    )

    run = CompiledArtifact.load(path=str(file))
    return GraphCode(run, _beside(file).read_text(encoding="utf-8"), _inputs(example))


def _inputs(example: Batch) -> tuple[str, ...]:
    return tuple(name for name in INPUTS if name in example)


def _beside(file: Path) -> Path:
    return file.with_suffix(".sizes")


def _traced(
    network: HeadedModel,
    example: Batch,
    inputs: Sequence[str],
    learning: Sequence[bool],
    *,
    forces: bool,
) -> tuple[torch.fx.GraphModule, list[Any], list[Any]]:
    """The operations of `in_ev`, and what stands for its arguments: tensors without elements.

    Sizes that depend on the batch are symbols, each of its own.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: PLC0415 - with the compiler
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415
    from torch.fx.experimental.symbolic_shapes import (  # noqa: PLC0415
        DimDynamic,
        ShapeEnv,
        StatelessSymbolicContext,
    )

    whole = _InEv(network, forces=forces)
    tensors = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}

    def function(*arguments: Tensor) -> list[Tensor]:
        values = dict(zip(tensors, arguments, strict=False))
        batch = dict(zip(inputs, arguments[len(tensors) :], strict=True))
        found: list[Tensor] = torch.func.functional_call(whole, values, (batch,))
        return found

    mode = FakeTensorMode(shape_env=ShapeEnv(duck_shape=False), allow_non_fake_inputs=True)
    static = [mode.from_tensor(t.detach(), static_shapes=True) for t in tensors.values()]
    symbolic = []
    for name in inputs:
        sizes = [DimDynamic.STATIC] * example[name].dim()
        sizes[1 if name == keys.EDGE_INDEX else 0] = DimDynamic.DYNAMIC
        context: Any = StatelessSymbolicContext(dynamic_sizes=sizes)
        symbolic.append(mode.from_tensor(example[name], symbolic_context=context))
    with mode:
        graph = make_fx(function, _allow_non_fake_inputs=True)(*static, *symbolic)
    graph.graph.eliminate_dead_code()
    for node in graph.graph.output_node().all_input_nodes:  # where the compiler looks for symbols
        node.meta["example_value"] = node.meta["val"]
    graph.recompile()
    for tensor, learns in zip(static, learning, strict=False):
        tensor.requires_grad_(learns)
    return graph, static, symbolic


class _InEv(nn.Module):
    """`in_ev` as a module, whose tensors can be given."""

    def __init__(self, network: HeadedModel, *, forces: bool) -> None:
        super().__init__()
        self.network = network
        self.forces = forces

    def forward(self, batch: Batch) -> list[Tensor]:
        energy, forces = in_ev(self.network, batch, forces=self.forces, create_graph=True)
        return [energy] if forces is None else [energy, forces]
