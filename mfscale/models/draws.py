"""Initial weights of many seeds from few networks that are built.

Building a network takes hundreds of milliseconds, most of them for code that its weights have no
part in. All that a seed decides is what is drawn at random meanwhile, and that can be drawn again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

State = dict[str, Tensor]
_SCALING = (torch.ops.aten.div.Tensor, torch.ops.aten.mul.Tensor)
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Draw:
    """One drawing of random numbers.

    Attributes
    ----------
    operation, arguments, named
        What draws; into a new tensor where the first argument is None.
    shape, dtype
        Of the initial values.
    negative
        Whether the generator's seed was −1 − seed.
    scaled
        What multiplies or divides what is drawn, and the number; None if nothing does.
    parameter
        Whose initial values they are; None if no parameter's.
    """

    operation: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: torch.dtype
    negative: bool
    scaled: tuple[Callable[..., Tensor], Any] | None
    parameter: str | None

    def again(self) -> Tensor:
        """Draw, from torch's generator as it stands."""
        drawn = self._drawn()
        return self.scaled[0](drawn, self.scaled[1]) if self.scaled else drawn

    def _drawn(self) -> Tensor:
        if self.arguments[0] is not None:
            return self.operation(*self.arguments, **{**self.named, "dtype": self.dtype})
        empty = torch.empty(self.shape, dtype=self.dtype)
        return self.operation(empty, *self.arguments[1:], **self.named)


class _Noted(NamedTuple):
    """A drawing as it came, perhaps scaled: where to, and a copy of what."""

    operation: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    seed: int
    scaled: tuple[Callable[..., Tensor], Any] | None
    place: Tensor
    values: Tensor


class _Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what is drawn from torch's generator while it is active."""

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seeds = [seed % 2**64, (-1 - seed) % 2**64]
        self._noted: list[_Noted] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's signature
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Do as told, and note it if it drew."""
        named = kwargs or {}
        found = func(*args, **named)
        if torch.Tag.nondeterministic_seeded in func.tags and named.get("generator") is None:
            arguments = (None, *args[1:]) if found is args[0] else args
            # Held on to, or something else could come to lie in its place.
            place = found.detach()
            seed = torch.initial_seed() % 2**64
            self._noted.append(_Noted(func, arguments, named, seed, None, place, place.clone()))
        elif func in _SCALING and self._noted and _same(args[0], self._noted[-1].place):
            place = found.detach()
            noted = self._noted[-1]._replace(scaled=(func, args[1]), place=place)
            self._noted[-1] = noted._replace(values=place.clone())
        return found

    def draws(self, network: nn.Module) -> list[Draw]:
        """What was drawn, and which parameters still are what was drawn into them."""
        names = {(p.data_ptr(), p.numel()): name for name, p in network.named_parameters()}
        return [
            Draw(
                operation=noted.operation,
                arguments=noted.arguments,
                named=noted.named,
                shape=tuple(noted.values.shape),
                dtype=noted.values.dtype,
                negative=noted.seed == self._seeds[1],
                scaled=noted.scaled,
                parameter=names.get((noted.place.data_ptr(), noted.place.numel()))
                if torch.equal(noted.place, noted.values)
                else None,
            )
            for noted in self._noted
            if noted.seed in self._seeds
        ]


@dataclass(frozen=True)
class _First(Generic[Network]):
    """A network that was built, its state as built, and what was drawn for it."""

    network: Network
    seed: int
    state: State
    draws: list[Draw]


class InitialWeights(Generic[Network]):
    """The initial state of one kind of network for any seed.

    Two seeds' networks are built. If what the first drew, drawn again, gives the second's state to
    the bit, that is done for all others; else each is built.

    Parameters
    ----------
    build
        Makes the network of a seed, whose parameters follow from draws on torch's generator
        seeded with it, or with −1 − seed.
    """

    def __init__(self, build: Callable[[int], Network]) -> None:
        self._build = build
        self._first: _First[Network] | None = None
        self._as_built: bool | None = None

    @property
    def network(self) -> Network:
        """The first that was built, which is its owner's to change; of any seed."""
        return self._begun(0).network

    def state(self, seed: int) -> State:
        """The state of the network that a seed stands for."""
        first = self._begun(seed)
        if seed == first.seed:
            return dict(first.state)
        if self._as_built:
            return _redrawn(first.state, first.draws, seed)
        state = _copied(self._build(seed))
        if self._as_built is None:
            self._as_built = _equal(_redrawn(first.state, first.draws, seed), state)
        return state

    def _begun(self, seed: int) -> _First[Network]:
        """The first network, of this seed if there was none yet."""
        if self._first is None:
            with _Drawing(seed) as drawing:
                network = self._build(seed)
            self._first = _First(network, seed, _copied(network), drawing.draws(network))
        return self._first


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors begin at the same place and have the same shape."""
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape


def _redrawn(state: State, draws: Sequence[Draw], seed: int) -> State:
    """The state of another seed, given that of one, and what is drawn for any."""
    found = dict(state)
    negative = None
    with torch.random.fork_rng(devices=[]):
        for draw in draws:
            if draw.negative != negative:
                negative = draw.negative
                torch.manual_seed(-1 - seed if negative else seed)
            values = draw.again()
            if draw.parameter is not None:
                found[draw.parameter] = values.reshape(state[draw.parameter].shape)
    return found


def _copied(network: nn.Module) -> State:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )
