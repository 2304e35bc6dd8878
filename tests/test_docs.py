"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from mfscale.cli._catalogue import catalogue
from mfscale.models import LADDER
from mfscale.results import Store
from mfscale.study import Hyperparameters, expand, load_study, parse_study, read_choices
from mfscale.study.schema import STUDY_KEYS, HeadSpec, ModelSpec, StepSpec
from mfscale.study.tuning import TuneSpec

ROOT = Path(__file__).parents[1]
STUDY_PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")


def test_every_key_of_a_study_is_documented_with_its_default() -> None:
    documented = dict(re.findall(r"^\| `([\w.]+)` \|([^|]*)\|", STUDY_PAGE, re.MULTILINE))
    keys = set(STUDY_KEYS) - {"model"} | {f"model.{key}" for key in ModelSpec.model_fields}
    for spec in (StepSpec, HeadSpec, Hyperparameters, TuneSpec):
        keys |= set(spec.model_fields)
        for name, field in spec.model_fields.items():
            if isinstance(field.default, (int, float, str)):
                shown = documented[name].strip().strip("`")
                assert type(field.default)(shown) == field.default, name
            else:
                assert field.default in (None, PydanticUndefined, {}) or name == "training"
    assert documented.keys() == keys


def test_every_size_is_documented() -> None:
    assert all(f"`{size}`" in STUDY_PAGE for sizes in LADDER.values() for size in sizes)


@pytest.mark.parametrize("page", ["docs/study.md", "README.md"])
def test_studies_in_the_documents_expand(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        graph = expand(parse_study(block, source=page), catalogue())
        assert graph.stages or graph.waiting


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_studies_expand_with_the_choices_beside_them(path: Path) -> None:
    graph = expand(load_study(path), catalogue(), read_choices(path.parent))
    assert graph.stages
    assert not graph.waiting


def test_links_and_pictures_of_the_documents_exist() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_column_of_the_page_is_there() -> None:
    """Those whose name is whole, in the results that are shipped; views of ``sql`` too."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    named = {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    store = Store(ROOT / "examples" / "embedded")
    query = "select table_name, column_name from information_schema.columns"
    columns: dict[str, set[str]] = {}
    for row in store.sql(query).to_pylist():
        columns.setdefault(row["table_name"], set()).add(row["column_name"])
    assert len(named) > 10
    assert named <= columns["results"]
    evaluations = page.partition("an error a row:")[2].partition(".\n")[0]
    assert (
        set(re.findall(r"`(\w+)`", evaluations)) - {"baseline", "start", "end"}
        == columns["evaluations"]
    )
