"""A potential in the file format of its architecture's own package."""

from pathlib import Path

from mfscale.models.native import Trained, write_native
from mfscale.training.errors import TrainingError
from mfscale.training.potential import Potential


def export_native(potential: Potential, path: Path, head: str) -> None:
    """Write `potential` so that the package that its network comes from can use it.

    Parameters
    ----------
    potential
        A network of its own.
    path
        ``….nequip.zip`` of NequIP and Allegro, which holds `head`; ``….model`` of MACE, which
        holds all heads.
    head
        One of the potential's.

    Raises
    ------
    TrainingError
        If there is no such head, or one learned a difference.
    ModelError
        If the package is not installed or refuses; the message says why and what to do.
    """
    potential.head_index(head)
    for name, scale in potential.heads.items():
        if scale.minus is not None:
            raise TrainingError(
                f"head {name!r} learned {scale.method} minus {scale.minus}, which such a file "
                "cannot say; export it without --native"
            )
    trained = Trained(
        network=potential.network,
        settings=potential.spec.settings,
        elements=potential.elements,
        cutoff_a=potential.spec.cutoff_a,
        mean_neighbours=potential.mean_neighbours,
        energy_scale_ev={name: h.energy_scale_ev for name, h in potential.heads.items()},
        offsets_ev={name: h.offsets_ev for name, h in potential.heads.items()},
    )
    write_native(potential.spec.architecture, trained, path, head)
