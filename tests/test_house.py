"""The house keeps its order: imports run downwards, and quick commands load nothing heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mfscale

PACKAGE = Path(mfscale.__file__).parent
ALLOWED = {
    "study": set(),
    "data": set(),
    "results": set(),
    "scaling": set(),
    "models": {"data"},
    "training": {"study", "data", "models"},
    "orchestration": {"study", "training", "results"},
    "claims": {"scaling"},
    "report": {"scaling", "claims"},
    "tracking": {"results"},
    "calculator": {"data", "models", "training"},
    "cli": {
        "study",
        "data",
        "models",
        "training",
        "results",
        "orchestration",
        "scaling",
        "claims",
        "report",
        "tracking",
    },
    "__init__": {"calculator"},
    "__main__": {"cli"},
}
"""Room → the rooms it may import; the picture of it is in docs/architecture.md."""

ALONE = {
    "ray": {"orchestration"},
    "torch": {"models", "training", "orchestration", "calculator"},
    "wandb": {"tracking"},
    "mlflow": {"tracking"},
    "tensorboard": {"tracking"},
}
"""Heavy package → the rooms that may import it."""


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all modules a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what they cross"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} == ALLOWED.keys()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_imports_run_downwards(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "mfscale" and len(parts) > 1 and parts[1] != room:
            assert parts[1] in ALLOWED[room], f"{path} imports {name}"
        if parts[0] in ALONE:
            assert room in ALONE[parts[0]], f"{path} imports {name}"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"torch", "ray", "pandas", "matplotlib", "duckdb", "scipy", "statsmodels"}),
        (["plan", "STUDY"], {"torch", "ray", "matplotlib", "duckdb", "statsmodels"}),
        (["status", "STUDY", "--store", "STORE"], {"torch", "ray", "matplotlib", "statsmodels"}),
        (["results", "--store", "STORE"], {"torch", "ray", "matplotlib", "statsmodels"}),
        (["fit", "--table", "TABLE", "--x", "x", "--y", "y"], {"torch", "ray", "matplotlib"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_quick_commands_load_nothing_heavy(
    arguments: list[str], absent: set[str], tmp_path: Path
) -> None:
    from mfscale.results import Store

    study, table = tmp_path / "study.yaml", tmp_path / "table.csv"
    study.write_text(
        "dataset: chno3\nstrategies: {direct: [{heads: {cc: {subset: a, size: 50}}}]}\n"
    )
    table.write_text("x,y\n1,8\n2,4.1\n4,2\n8,1.1\n")
    Store(tmp_path / "store", create=True)
    places = {"STUDY": str(study), "STORE": str(tmp_path / "store"), "TABLE": str(table)}
    program = (
        "import sys\nfrom mfscale.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *(places.get(word, word) for word in arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ast.literal_eval(done.stderr.splitlines()[-1]))
    assert not loaded & absent
