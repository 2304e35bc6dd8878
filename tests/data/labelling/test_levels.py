"""Levels of theory: they reproduce the embedded dataset, and say what they cannot do."""

import re

import numpy as np
import pytest

from mfscale.data import Dataset, DatasetError
from mfscale.data.labelling import Outcome, compute, parse_level
from mfscale.data.labelling.level import programme

WATER = (np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
METHYL = (
    np.array([6, 1, 1, 1]),
    np.array([[0, 0, 0], [1.08, 0, 0], [-0.54, 0.93, 0], [-0.54, -0.93, 0]]),
)


def one(level: str, structure: tuple[np.ndarray, np.ndarray], options: str = "{}") -> Outcome:
    (outcome,) = compute(parse_level(level, options), [(0, *structure)])
    return outcome


def tolerance(dataset: Dataset, method: str) -> float:
    """What the dataset's README states, eV."""
    text = (dataset.path / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^- `{method}`:.*$", text, re.MULTILINE)
    (stated,) = re.findall(r"Relabelling agrees to (\S+) eV", line)
    return float(stated)


def smallest(dataset: Dataset, method: str, n: int) -> list[int]:
    """The smallest labelled structures, each of another molecule."""
    labelled = dataset.labelled_structures(method)
    order = labelled[np.argsort(dataset.n_atoms(labelled), kind="stable")]
    first = {int(dataset.molecule[k]): int(k) for k in reversed(order.tolist())}
    return sorted(first.values(), key=lambda k: int(dataset.n_atoms([k])[0]))[:n]


@pytest.mark.parametrize(
    ("method", "level", "n"),
    [("xtb", "gfn2-xtb", 60), ("dft", "wb97x/6-31g(d)", 3), ("cc", "ccsd(t)/cc-pvdz", 4)],
)
def test_the_recipe_of_the_embedded_dataset_gives_its_labels(
    chno3: Dataset, method: str, level: str, n: int
) -> None:
    within = tolerance(chno3, method)
    for index in smallest(chno3, method, n):
        atoms = chno3.structure(index)
        label = one(level, (atoms.numbers, atoms.positions)).label
        assert label is not None
        assert abs(label.energy - chno3.energies(method, [index])[0]) < within
        if chno3.has_forces(method):
            assert label.forces is not None
            assert np.abs(label.forces - chno3.forces(method, [index])).max() < within
        else:
            assert label.forces is None


@pytest.mark.slow
def test_the_recipe_holds_for_molecules_of_three_heavy_atoms(chno3: Dataset) -> None:
    both = np.intersect1d(chno3.labelled_structures("cc"), chno3.labelled_structures("dft"))
    (index, *_) = (k for k in both.tolist() if chno3.molecules[chno3.molecule[k]] == "N=CO")
    atoms = chno3.structure(index)
    for method, level in (("dft", "wb97x/6-31g(d)"), ("cc", "ccsd(t)/cc-pvdz")):
        label = one(level, (atoms.numbers, atoms.positions)).label
        assert label is not None
        apart = abs(label.energy - chno3.energies(method, [index])[0])
        assert apart < tolerance(chno3, method)


def test_settings_act_and_are_named() -> None:
    fitted, exact = one("pbe/6-31g", WATER), one("pbe/6-31g", WATER, '{"density_fitting": false}')
    assert fitted.label is not None
    assert exact.label is not None
    assert 1e-6 < abs(fitted.label.energy - exact.label.energy) < 0.05
    level = parse_level("pbe/6-31g", '{"grid_level": 4, "density_fitting": false}')
    assert level.description.startswith("RKS pbe/6-31g, grid level 4, PySCF")
    gfn1, gfn2 = one("GFN1-xTB", WATER).label, one("gfn2-xtb", WATER).label
    assert gfn1 is not None
    assert gfn2 is not None
    assert abs(gfn1.energy - gfn2.energy) > 1


@pytest.mark.parametrize("level", ["gfn2-xtb", "pbe/6-31g", "ccsd(t)/6-31g"])
def test_a_radical_is_refused_unless_asked_for(level: str) -> None:
    refused = one(level, METHYL)
    assert refused.label is None
    assert "odd number of electrons" in refused.reason
    assert one(level, METHYL, '{"unrestricted": true}').label is not None


@pytest.mark.parametrize(
    ("level", "cycles"), [("gfn2-xtb", 1), ("pbe/6-31g", 2), ("ccsd(t)/6-31g", 2)]
)
def test_an_scf_that_does_not_converge_is_a_failure_with_its_reason(
    level: str, cycles: int
) -> None:
    failed = one(level, WATER, f'{{"cycles": {cycles}}}')
    assert failed.label is None
    assert re.search("not converge", failed.reason)


@pytest.mark.parametrize(
    ("level", "options", "said"),
    [
        ("gfn3-xtb", "{}", "did you mean gfn2-xtb?"),
        ("wb97x", "{}", "FUNCTIONAL/BASIS"),
        ("mp2/cc-pvdz", "{}", "CCSD(T) alone"),
        ("gfn2-xtb", '{"cycle": 3}', "did you mean cycles?"),
        ("gfn2-xtb", '{"cycles": 0}', "--options: cycles"),
        ("pbe/6-31g", '{"basis": "sto-3g"}', "unknown 'basis'"),
        ("pbe/6-31g", "[]", "no JSON object"),
        ("pbe/6-31g", "{", "no JSON"),
    ],
)
def test_what_is_no_level_of_theory_is_refused(level: str, options: str, said: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(said)):
        parse_level(level, options)


@pytest.mark.parametrize(
    ("level", "elements", "said"),
    [
        ("wb79x/6-31g(d)", ["H"], "unknown functional 'wb79x': did you mean wb97x?"),
        ("pbe/def2-svpx", ["H"], "unknown basis 'def2-svpx': did you mean def2svp"),
        ("pbe/6-31g(d)", ["H", "U"], "basis 6-31g(d) has no parameters for U"),
        ("ccsd(t)/cc-pvdz", ["Cs"], "has no parameters for Cs"),
        ("gfn1-xtb", ["C", "Fr", "Cm"], "GFN1-xTB has no parameters for Fr, Cm"),
        ("ase.calculators.emt:ETM", ["H"], "no ASE calculator 'ETM'; it has"),
        ("nowhere.to.be:Found", ["H"], "module nowhere.to.be cannot be imported"),
        ("ase:ase.atoms:Atoms", ["H"], "no ASE calculator 'Atoms'"),
    ],
)
def test_what_a_programme_lacks_is_said_before_the_first_label(
    level: str, elements: list[str], said: str
) -> None:
    with pytest.raises(DatasetError, match=re.escape(said)):
        parse_level(level).check(elements)


def test_a_programme_that_is_not_installed_is_named() -> None:
    with pytest.raises(DatasetError, match=re.escape("no_such is not installed; pip install no_s")):
        programme("no_such.module")


def test_an_ase_calculator_takes_its_arguments() -> None:
    path, pair = "ase.calculators.lj:LennardJones", (np.array([18, 18]), np.eye(3)[:2] * 4)
    weak, strong = (one(path, pair, f'{{"epsilon": {e}, "rc": 50}}') for e in (0.5, 1.0))
    assert weak.label is not None
    assert strong.label is not None
    assert strong.label.energy == pytest.approx(2 * weak.label.energy)
    assert strong.label.forces is not None
    with pytest.raises(DatasetError, match="cannot be made with --options"):
        parse_level("ase.calculators.tip3p:TIP3P", '{"nonsense": 1}').check(["O"])
