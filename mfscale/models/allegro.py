"""Allegro, from the `nequip-allegro` package, as a backbone and readouts.

*Readout* means the edge readout (``edge_readout`` in Allegro): the perceptron from the scalars
that all layers leave on an edge to that edge's energy. Everything before it is the backbone. The
sum of edge energies over an atom's edges has no parameters; it and its normalisation serve all
heads alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from allegro.model import AllegroModel
from allegro.nn._strided._contract import Contracter  # it has no public name
from nequip.data import AtomicDataDict
from nequip.nn import ScalarMLP, SequentialGraphNetwork, replace_submodules
from torch import Tensor, nn

from mfscale.models.fidelity import KINDS
from mfscale.models.headed import HeadedModel
from mfscale.models.ladder import Setting
from mfscale.models.nequip import FrameworkBackbone, in_framework, layers_before
from mfscale.models.nequip import arguments as nequip_arguments

READOUT = "edge_readout"
"""What Allegro calls its readout; all before it is the backbone."""

_EMBEDDING = ("num_bessels", "bessel_trainable", "polynomial_cutoff_p")
"""Settings of the radial and chemical embedding, which Allegro takes as a dictionary."""


class AllegroBackbone(FrameworkBackbone):
    """An Allegro up to its readout."""

    embedding = "radial_chemical_embed"
    field = AtomicDataDict.EDGE_EMBEDDING_KEY

    def shifted(self, features: dict[str, Tensor], shift: Tensor) -> Tensor:
        """Edge scalars (E, embedding_width), shifted as their centre atoms are.

        The shift vanishes at the cutoff with the scalars, for nothing after them would make it.
        """
        envelope = features[AtomicDataDict.EDGE_CUTOFF_KEY]
        centre = features[AtomicDataDict.EDGE_INDEX_KEY][0]
        return features[self.field] + envelope * shift[centre]

    def blocks(self) -> list[list[nn.Module]]:
        """Tensor products, each with the perceptron after it; all else is embedding."""
        *embeddings, inner = self.layers.children()
        first, *rest = ([tp, latent] for tp, latent in zip(inner.tps, inner.latents, strict=True))
        return [[*embeddings, inner.first_layer_env_embed_projection, *first], *rest]

    def use_cuequivariance(self, method: str) -> None:
        """In the products of edges with their atoms; one of a single path stays Allegro's."""
        from mfscale.models.products import StridedProduct  # noqa: PLC0415 - an optional package

        def new(old: Contracter) -> nn.Module:
            return StridedProduct(old, method) if old.num_paths > 1 else old

        replace_submodules(self.layers, Contracter, new)


class AllegroReadout(nn.Module):
    """A perceptron from edge scalars to edge energies, summed over the edges of each atom.

    Its last linear map starts at zero, which makes step 0 the offset-only baseline exactly; the
    maps before it start as Allegro initialises them.
    """

    def __init__(self, layers: SequentialGraphNetwork, settings: Mapping[str, Setting]) -> None:
        super().__init__()
        self.perceptron = ScalarMLP(
            output_dim=1,
            hidden_layers_depth=settings["readout_mlp_hidden_layers_depth"],
            hidden_layers_width=settings["readout_mlp_hidden_layers_width"],
            nonlinearity=settings["readout_mlp_nonlinearity"],
            field=AtomicDataDict.EDGE_FEATURES_KEY,
            out_field=AtomicDataDict.EDGE_ENERGY_KEY,
            irreps_in=layers.irreps_out,
        )
        *_, last = self.perceptron.parameters()
        nn.init.zeros_(last)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Per-atom energies (N,).

        Sums are normalised as the backbone's are, by the factor (N, 1) it leaves in `features`, and
        by Allegro's √2: both directions of an edge contribute to the force on an atom.
        """
        scalars = features[AtomicDataDict.EDGE_FEATURES_KEY]
        edge_energy: Tensor = self.perceptron.mlp_module(scalars).squeeze(-1)
        norm = features[AtomicDataDict.FEATURE_NORM_FACTOR_KEY].squeeze(-1) / 2**0.5
        centre = features[AtomicDataDict.EDGE_INDEX_KEY][0]
        return norm * torch.zeros_like(norm).index_add(0, centre, edge_energy)


def build(
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    heads: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
    fidelity: str,
) -> HeadedModel:
    """Build an Allegro model for all heads; no two readouts start alike."""
    of_package = arguments(settings, elements=elements, dtype=dtype, cutoff_a=cutoff_a, seed=seed)
    with in_framework(dtype):
        whole = AllegroModel(avg_num_neighbors=1.0, do_derivatives=False, **of_package)
        layers = layers_before(READOUT, whole.model.func)
        torch.manual_seed(-1 - seed)  # other numbers than the backbone's, whatever was drawn before
        backbone = AllegroBackbone(layers)
        return KINDS[fidelity](backbone, heads, lambda: AllegroReadout(layers, settings))


def arguments(
    settings: Mapping[str, Setting],
    *,
    elements: Sequence[str],
    dtype: torch.dtype,
    cutoff_a: float,
    seed: int,
) -> dict[str, Any]:
    """What Allegro's own model is built from, apart from normalisation, units and forces."""
    embedding = {name: settings[name] for name in _EMBEDDING}
    rest = {name: value for name, value in settings.items() if name not in _EMBEDDING}
    return {
        **nequip_arguments(rest, elements=elements, dtype=dtype, cutoff_a=cutoff_a, seed=seed),
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed", **embedding},
    }
