"""Labelled structures of all heads of a step, and the batches they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mfscale.data import Dataset, Graphs, LabelledSet, Packed, keys, pack
from mfscale.models.headed import Batch
from mfscale.study import Head
from mfscale.training.potential import Potential
from mfscale.training.transfer import batch_on, sent


@dataclass(frozen=True)
class Samples:
    """One sample is a structure with its label for one head.

    Attributes
    ----------
    packed
        Structures of the k samples, in sample order.
    head
        (k,) index of each sample's head.
    weight, scale_ev
        (k,) weight of its head in the loss, and the head's energy scale.
    energy_ev
        (k,) label without its head's offsets.
    forces_ev_a
        (atoms of all k, 3), NaN where a head learns no forces; None if none does.
    dtype
        Of the network; labels are brought to it once their offsets are gone.
    device
        Where batches go.
    """

    packed: Packed
    head: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    scale_ev: npt.NDArray[np.float64]
    energy_ev: npt.NDArray[np.float64]
    forces_ev_a: npt.NDArray[np.float32] | None
    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int:
        return len(self.packed)

    def batch(self, chosen: npt.NDArray[np.int64]) -> Batch:
        """The labelled batch of the samples at positions `chosen`."""
        batch = batch_on(self.packed.batch(chosen), self.device)
        batch[keys.HEAD] = sent(self.head[chosen], self.device)
        batch[keys.WEIGHT] = self._real(self.weight[chosen])
        batch[keys.SCALE] = self._real(self.scale_ev[chosen])
        batch[keys.ENERGY] = self._real(self.energy_ev[chosen])
        if self.forces_ev_a is not None:
            batch[keys.FORCES] = self._real(self.forces_ev_a[self.packed.atom_rows(chosen)])
        return batch

    def parts(self, chosen: npt.NDArray[np.int64], n: int) -> list[Batch]:
        """The same samples in `n` batches as equal as can be; in one each if they are fewer."""
        return [self.batch(part) for part in np.array_split(chosen, min(n, len(chosen)))]

    def _real(self, array: npt.NDArray[np.floating]) -> torch.Tensor:
        return sent(array, self.device, self.dtype)


class Order:
    """Which samples each step sees: one shuffle an epoch, drawn from (seed, epoch).

    Epochs follow each other without a break, so that every batch has the same size, and a step's
    batch depends on nothing but the step: a resumed run sees what an uninterrupted one would.

    Parameters
    ----------
    sizes
        Samples of each head; positions count through the heads in this order.
    ratios
        Of the heads' shares in an epoch, where all samples are taken that their number leaves room
        for before one is taken again. None for all: every sample once.
    batch_size
        At most an epoch.
    seed
        Of the shuffles.
    """

    def __init__(
        self, sizes: Sequence[int], ratios: Sequence[float | None], batch_size: int, seed: int
    ) -> None:
        self.sizes = tuple(sizes)
        self.shares = _shares(self.sizes, [r for r in ratios if r is not None])
        self.n_samples = sum(self.shares)
        self.batch_size = min(batch_size, self.n_samples)
        self.seed = seed
        self._epochs: dict[int, npt.NDArray[np.int64]] = {}

    def __call__(self, step: int) -> npt.NDArray[np.int64]:
        """Sample positions (batch size,) of step `step`."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = positions // self.n_samples
        return np.concatenate(
            [
                self._epoch(int(epoch))[positions[epochs == epoch] % self.n_samples]
                for epoch in range(epochs[0], epochs[-1] + 1)
            ]
        )

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e >= epoch - 1}
            generator = np.random.default_rng([self.seed, epoch])
            self._epochs[epoch] = generator.permutation(self._drawn(epoch))
        return self._epochs[epoch]

    def _drawn(self, epoch: int) -> npt.NDArray[np.int64]:
        """The samples (n_samples,) of an epoch, head after head."""
        if self.shares == self.sizes:
            return np.arange(self.n_samples)
        firsts = np.cumsum([0, *self.sizes[:-1]])
        return np.concatenate(
            [
                first + self._of_head(head, epoch * share, (epoch + 1) * share)
                for head, (first, share) in enumerate(zip(firsts, self.shares, strict=True))
            ]
        )

    def _of_head(self, head: int, start: int, end: int) -> npt.NDArray[np.int64]:
        """Draws `start` to `end` of a head: one permutation of its samples after the other."""
        size = self.sizes[head]
        passes = range(start // size, (end - 1) // size + 1)
        drawn = [np.random.default_rng([self.seed, p, head]).permutation(size) for p in passes]
        return np.concatenate(drawn)[start - passes[0] * size :][: end - start]


def _shares(sizes: tuple[int, ...], ratios: Sequence[float]) -> tuple[int, ...]:
    """Samples of each head in an epoch, which has about as many as there are labels."""
    if len(sizes) == 1 or not ratios:
        return sizes
    return tuple(max(1, round(sum(sizes) * ratio / sum(ratios))) for ratio in ratios)


def make_samples(
    dataset: Dataset,
    graphs: Graphs,
    potential: Potential,
    heads: Mapping[str, tuple[Head, LabelledSet, npt.NDArray[np.int64]]],
    device: torch.device,
) -> Samples:
    """Gather the labels of every head.

    Parameters
    ----------
    dataset, graphs
        Where structures, labels and neighbours are.
    potential
        Gives each head's offsets, and the floating-point type.
    heads
        Head → its settings, labelled set, and which of the set's structures to gather.
    device
        Where batches go.
    """
    sizes = [len(chosen) for _, _, chosen in heads.values()]
    energies, forces = [], []
    for name, (head, labelled, chosen) in heads.items():
        composition = dataset.composition(chosen)
        offsets = potential.heads[name].offsets_ev
        energies.append(dataset.energies(labelled.method, chosen) - composition @ offsets)
        forces.append(
            dataset.forces(labelled.method, chosen)
            if head.forces
            else np.full((int(composition.sum()), 3), np.nan, dtype=np.float32)
        )
    structures = np.concatenate([chosen for _, _, chosen in heads.values()])
    return Samples(
        packed=pack(dataset, graphs, structures),
        head=np.repeat([potential.head_index(name) for name in heads], sizes),
        weight=np.repeat([head.weight for head, _, _ in heads.values()], sizes),
        scale_ev=np.repeat([potential.heads[name].energy_scale_ev for name in heads], sizes),
        energy_ev=np.concatenate(energies),
        forces_ev_a=np.concatenate(forces) if any(h.forces for h, _, _ in heads.values()) else None,
        dtype=next(potential.network.parameters()).dtype,
        device=device,
    )
