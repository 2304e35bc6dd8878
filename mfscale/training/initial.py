"""The potential a stage starts from: a root's from scratch, a child's from its parent."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mfscale.data import Dataset, LabelledSet, fit_offsets
from mfscale.models.fidelity import inherited_state
from mfscale.study import Stage
from mfscale.training import offsets
from mfscale.training.checkpoint import load_weights
from mfscale.training.errors import TrainingError
from mfscale.training.evaluation import Evaluator
from mfscale.training.potential import HeadScale, Potential, initial_state, kept_network

Sets = Mapping[str, LabelledSet]


def root_potential(stage: Stage, sets: Sets, evaluator: Evaluator) -> Potential:
    """Fresh weights; neighbour number from all training labels, the rest from each head's own."""
    elements = evaluator.dataset.elements
    heads = {name: _fresh_head(stage, name, chosen, evaluator) for name, chosen in sets.items()}
    if stage.model.fidelity == "embedding":
        heads = _of_one_scale(stage, heads)
    structures = np.concatenate([chosen.train for chosen in sets.values()])
    # First, for the network that this may build is then the one that is kept.
    fresh = initial_state(stage.model, elements, list(heads), stage.seed)
    potential = Potential(
        network=kept_network(stage.model, elements, list(heads)).to(evaluator.device),
        spec=stage.model,
        elements=elements,
        heads=heads,
        mean_neighbours=_mean_neighbours(stage, structures, evaluator),
    )
    load_weights(potential.network, fresh, potential.mean_neighbours)
    return potential


def child_potential(stage: Stage, sets: Sets, evaluator: Evaluator, parent: Potential) -> Potential:
    """The parent's backbone; readouts inherited, fresh or kept; offsets fitted to the new labels.

    The neighbour number stays the parent's, and so does the energy scale of an inherited readout,
    for its weights were trained with them. A fresh readout has a scale of its own. A kept head is
    the parent's, offsets and all; its other heads end here.
    """
    heads = {name: _child_head(stage, name, sets[name], evaluator, parent) for name in stage.heads}
    heads |= {name: parent.heads[name] for name in stage.kept}
    sources = {name: head.inherit for name, head in stage.heads.items()}
    sources |= {name: name for name in stage.kept}
    fresh = {}
    if None in sources.values():
        fresh = initial_state(stage.model, parent.elements, list(heads), stage.seed)
    state = inherited_state(parent.network.state_dict(), fresh, sources)
    network = kept_network(stage.model, parent.elements, list(heads)).to(evaluator.device)
    load_weights(network, state, parent.mean_neighbours)
    return dataclasses.replace(parent, network=network, heads=heads)


def _child_head(
    stage: Stage, name: str, chosen: LabelledSet, evaluator: Evaluator, parent: Potential
) -> HeadScale:
    head = stage.heads[name]
    inherited = head.inherit
    if inherited is None:
        return _fresh_head(stage, name, chosen, evaluator)
    scale = parent.heads[inherited].energy_scale_ev
    if stage.hyperparameters.offsets == "labels":
        return HeadScale(head.method, _fitted(chosen, evaluator), scale, head.minus)
    dataset = evaluator.dataset
    fitted = offsets.from_residuals(
        dataset.composition(chosen.train),
        dataset.energies(chosen.method, chosen.train),
        evaluator.predict(parent, inherited, chosen.train).energies_ev,
        parent.heads[inherited].offsets_ev,
        ridge=stage.hyperparameters.offset_ridge,
    )
    return HeadScale(head.method, fitted, scale, head.minus)


def _of_one_scale(stage: Stage, heads: Mapping[str, HeadScale]) -> dict[str, HeadScale]:
    """Heads that speak in one unit, as one readout for all must: the root mean square of theirs.

    Weighted by labels. Else the methods' vectors would have to make up for units that differ.
    """
    sizes = [stage.heads[name].size for name in heads]
    squares = [head.energy_scale_ev**2 for head in heads.values()]
    scale = float(np.sqrt(np.average(squares, weights=sizes)))
    return {n: dataclasses.replace(head, energy_scale_ev=scale) for n, head in heads.items()}


def _fresh_head(stage: Stage, name: str, chosen: LabelledSet, evaluator: Evaluator) -> HeadScale:
    offsets_ev = _fitted(chosen, evaluator)
    head = stage.heads[name]
    scale = _energy_scale(chosen, offsets_ev, evaluator.dataset, forces=head.forces)
    return HeadScale(head.method, offsets_ev, scale, head.minus)


def _fitted(chosen: LabelledSet, evaluator: Evaluator) -> offsets.Floats:
    dataset = evaluator.dataset
    return fit_offsets(
        dataset.composition(chosen.train), dataset.energies(chosen.method, chosen.train)
    )


def _mean_neighbours(
    stage: Stage, structures: npt.NDArray[np.int64], evaluator: Evaluator
) -> float:
    found = evaluator.graphs.mean_neighbours(structures)
    if found == 0:
        raise TrainingError(
            f"no atom of the training labels has a neighbour within {stage.model.cutoff_a} Å; "
            "give the model a larger cutoff_a"
        )
    return found


def _energy_scale(
    chosen: LabelledSet, offsets_ev: offsets.Floats, dataset: Dataset, *, forces: bool
) -> float:
    """Root mean square of the labelled force components, in eV for a length of 1 Å.

    Without forces, that of the energies without offsets per √atom. Never below 1 meV, so that
    labels that offsets explain exactly do no harm.
    """
    if forces:
        typical = dataset.forces(chosen.method, chosen.train).astype(np.float64)
    else:
        composition = dataset.composition(chosen.train)
        energies = dataset.energies(chosen.method, chosen.train) - composition @ offsets_ev
        typical = energies / np.sqrt(composition.sum(axis=1))
    return max(1e-3, float(np.sqrt(np.mean(typical**2))))
