"""Sampling: molecules relaxed, displaced along normal modes, checked, and made a dataset."""

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.embedded import EMBEDDED
from mfscale.data.errors import DatasetError
from mfscale.data.fresh import write_structures
from mfscale.data.header import Method
from mfscale.data.imports.method_keys import KNOWN_COSTS, NAME
from mfscale.data.imports.record import Label, Record
from mfscale.data.labelling.join import Place, join
from mfscale.data.labelling.outcome import Outcome, compute
from mfscale.data.labelling.tight_binding import TightBinding
from mfscale.data.sampling.minima import Minimum, NoMinimumError, minima
from mfscale.data.sampling.normal_modes import AMPLITUDES
from mfscale.data.sampling.sources import Rough

CLOSEST_A, LARGEST_FORCE_EV_A = 0.55, 40.0
"""Structures beyond these are drawn again."""

_MOST_REJECTED = 1000
_LEVEL = TightBinding(method="GFN2-xTB")
_METHOD = "xtb"


@dataclass(frozen=True, kw_only=True)
class SampleReport:
    """What was drawn: structures of how many molecules and minima, and what was not taken.

    Attributes
    ----------
    rejected
        Reason → draws that were drawn again.
    left_out
        Molecule → why it has no minimum to sample.
    """

    name: str
    path: str
    structures: int
    molecules: int
    conformers: int
    rejected: dict[str, int]
    left_out: dict[str, str]
    wall_time_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def to_text(self) -> str:
        """For people."""
        said = f"{self.molecules} molecules, {self.conformers} conformers, with GFN2-xTB labels"
        lines = [f"{self.name}: {self.structures} structures of {said}, in {self.path}"]
        lines += [f"  drawn again: {n} × {reason}" for reason, n in self.rejected.items()]
        lines += [f"  left out: {name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)


def sample_dataset(
    rough: Mapping[str, Sequence[Rough]],
    destination: Path,
    *,
    name: str,
    n_structures: int,
    kelvins: tuple[float, float],
    amplitudes: str = "ani1",
    subsets: Mapping[str, float] | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> SampleReport:
    """Draw structures around the GFN2-xTB minima of molecules, and label them with GFN2-xTB.

    A molecule of n atoms is drawn in proportion to 3n − 5, its minimum evenly, the temperature
    uniformly. Draws with atoms closer than 0.55 Å, a force above 40 eV/Å or no converged SCF are
    repeated. The same seed draws the same structures.

    Parameters
    ----------
    rough
        Molecule → structures to relax.
    destination
        A folder that does not exist: the dataset.
    name
        Of the dataset.
    n_structures
        To draw.
    kelvins
        The lowest and the highest temperature.
    amplitudes
        A key of `AMPLITUDES`.
    subsets
        Subset → structures or share.
    seed
        Of all draws.
    progress
        Called now and then: what is done, how much of it, of how much.

    Raises
    ------
    DatasetError
        When the request is wrong, or no molecule can be sampled.
    """
    began = time.perf_counter()
    _check(name, destination, amplitudes)
    _LEVEL.check(())
    found: dict[str, list[Minimum]] = {}
    left_out: dict[str, str] = {}
    for done, (molecule, structures) in enumerate(rough.items()):
        progress("molecules relaxed", done, len(rough))
        try:
            found[molecule] = minima(structures)
        except NoMinimumError as error:
            left_out[molecule] = str(error)
    if not found:
        said = "; ".join(f"{molecule} {reason}" for molecule, reason in left_out.items())
        raise DatasetError(f"no molecule can be sampled: {said}")
    rejected: Counter[str] = Counter()
    drawn: list[_Drawn] = []
    names = list(found)
    weights = np.array([3.0 * len(found[molecule][0].numbers) - 5 for molecule in names])
    for k in range(n_structures):
        random = np.random.default_rng([seed, k])
        molecule = names[random.choice(len(names), p=weights / weights.sum())]
        draw = _Draw(molecule, found[molecule], kelvins, amplitudes)
        drawn.append(draw(k, random, rejected))
        progress("structures drawn", k + 1, n_structures)
    _write(drawn, destination, name, amplitudes, kelvins, subsets, seed)
    return SampleReport(
        name=name,
        path=str(destination),
        structures=len(drawn),
        molecules=len({d.record.molecule for d in drawn}),
        conformers=len({(d.record.molecule, d.conformer) for d in drawn}),
        rejected=dict(rejected),
        left_out=left_out,
        wall_time_s=time.perf_counter() - began,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """A structure with its GFN2-xTB label, and how it was drawn."""

    record: Record
    label: Label
    cpu_s: float
    conformer: int
    temperature: float


@dataclass(frozen=True)
class _Draw:
    """Draws structures of one molecule."""

    molecule: str
    minima: Sequence[Minimum]
    kelvins: tuple[float, float]
    amplitudes: str

    def __call__(self, k: int, random: np.random.Generator, rejected: Counter[str]) -> _Drawn:
        """The first draw that passes; those that do not are counted."""
        for _ in range(_MOST_REJECTED):
            conformer = int(random.integers(len(self.minima)))
            kelvin = float(random.uniform(*self.kelvins))
            minimum = self.minima[conformer]
            q = AMPLITUDES[self.amplitudes](minimum.modes, kelvin, random)
            positions = minimum.modes.displaced(q)
            if _closest(positions) < CLOSEST_A:
                rejected[f"two atoms are closer than {CLOSEST_A} Å"] += 1
                continue
            (outcome,) = compute(_LEVEL, [(k, minimum.numbers, positions)])
            reason = _unfit(outcome)
            if reason or outcome.label is None:
                rejected[reason] += 1
                continue
            record = Record(
                number=k,
                numbers=minimum.numbers,
                positions=positions,
                labels={},
                molecule=self.molecule,
            )
            return _Drawn(
                record=record,
                label=outcome.label,
                cpu_s=outcome.cpu_s,
                conformer=conformer,
                temperature=kelvin,
            )
        raise DatasetError(
            f"{self.molecule}: {_MOST_REJECTED} draws in a row were not fit; lower --temperature"
        )


def _unfit(outcome: Outcome) -> str:
    if outcome.label is None or outcome.label.forces is None:
        return "GFN2-xTB failed"
    if np.abs(outcome.label.forces).max() > LARGEST_FORCE_EV_A:
        return f"a force exceeds {LARGEST_FORCE_EV_A:g} eV/Å"
    return ""


def _closest(positions: NDArray[np.float64]) -> float:
    from scipy.spatial.distance import pdist  # noqa: PLC0415 - sampling alone needs it

    return float(pdist(positions).min())


def _check(name: str, destination: Path, amplitudes: str) -> None:
    if name in EMBEDDED or not NAME.fullmatch(name):
        raise DatasetError(
            f"--name {name!r}: begin with a letter, and use letters, digits, '_', '.' and '-' "
            f"alone; not the name of an embedded dataset"
        )
    if destination.exists():
        raise DatasetError(f"{destination}: exists already; choose another place with --out")
    if amplitudes not in AMPLITUDES:
        raise DatasetError(
            f"--amplitudes {amplitudes!r}: unknown; choose from {', '.join(AMPLITUDES)}"
        )


def _write(
    drawn: Sequence[_Drawn],
    destination: Path,
    name: str,
    amplitudes: str,
    kelvins: tuple[float, float],
    subsets: Mapping[str, float] | None,
    seed: int,
) -> None:
    """The dataset with its labels, beside its place and renamed to it."""
    building = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}")
    low, high = kelvins
    try:
        dataset = write_structures(
            building,
            [d.record for d in drawn],
            name=name,
            description=f"sampled along normal modes at {low:g} to {high:g} K ({amplitudes} "
            f"amplitudes, seed {seed}) around GFN2-xTB minima",
            conformer=[d.conformer for d in drawn],
            temperature_K=[d.temperature for d in drawn],
            subsets=subsets,
            seed=seed,
        )
        if dataset.n_structures < len(drawn):
            raise DatasetError("some draws are equal; raise --temperature")
        method = Method(
            _METHOD, has_forces=True, cost=KNOWN_COSTS[_METHOD], description=_LEVEL.description
        )
        outcomes = [Outcome(structure=k, label=d.label, cpu_s=d.cpu_s) for k, d in enumerate(drawn)]
        seconds = float(np.mean([outcome.cpu_s for outcome in outcomes]))
        record = {"level": _LEVEL.description, "cpu_s_per_label": seconds}
        join(Place(dataset=dataset, method=_METHOD, out=None), method, outcomes, record)
        building.rename(destination)
    except OSError as error:
        raise DatasetError(f"{destination}: cannot be written ({error})") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
