"""``diff``: in what two stages, or two studies, differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption
from mfscale.cli._output import console, print_json, print_table
from mfscale.cli._why import of_rows, of_stages
from mfscale.cli.study import expand_file

if TYPE_CHECKING:
    from mfscale.results import Store
    from mfscale.study import Description, StudyGraph

Either = Annotated[
    str, typer.Argument(help="A stage of the store (id, or its beginning), or a study file.")
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(diff)


def diff(
    a: Either, b: Either, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Show in what two stages of a store, or two study files, differ.

    Of two studies: the stages that they share, those that only one of them has, and for each of
    these what parts it from the nearest of the other study.
    """
    from mfscale.study import StudyError

    files = [_is_file(name) for name in (a, b)]
    if all(files):
        _studies(expand_file(Path(a), store), expand_file(Path(b), store), json=json)
    elif not any(files):
        _stages(a, b, store, json=json)
    else:
        name = b if files[0] else a
        raise StudyError(
            f"{a} and {b}: one is a study file, {name!r} is not; name two stages, or two files"
        )


def _is_file(name: str) -> bool:
    return Path(name).suffix in {".yaml", ".yml"} or Path(name).is_file()


def _stages(a: str, b: str, address: str, *, json: bool) -> None:
    from mfscale.results import Store
    from mfscale.study import differences

    store = Store(address)
    first, second = store.resolve(a), store.resolve(b)
    told = _told(store, first, second)
    found = differences(told[first], told[second]) if first != second else []
    if json:
        print_json({"a": first, "b": second, "differences": [vars(d) for d in found]})
    elif not found:
        console.print(f"{a} and {b} are one stage, {first}", soft_wrap=True)
    else:
        print_table(("", first, second), [(d.field, d.mine, d.theirs) for d in found])


def _told(store: "Store", *stages: str) -> "dict[str, Description]":
    """Describe stages of a store; StudyError for one whose row does not say what it was."""
    from mfscale.study import recorded

    rows = {row["stage_id"]: row for row in store.table().to_pylist()}
    for stage in stages:
        recorded(rows[stage])
    return of_rows(rows.values())


def _studies(a: "StudyGraph", b: "StudyGraph", *, json: bool) -> None:
    only_a = [s for s in a.stages if s not in b.stages]
    only_b = [s for s in b.stages if s not in a.stages]
    shared = [s for s in a.stages if s in b.stages]
    rows = [
        *_unshared(only_a, a, "a", only_b, b),
        *_unshared(only_b, b, "b", only_a, a),
    ]
    if json:
        print_json({"shared": shared, "only_a": only_a, "only_b": only_b, "nearest": rows})
        return
    console.print(
        f"{len(shared)} stages are shared; {len(only_a)} are only in {a.name} (a), {len(only_b)} "
        f"only in {b.name} (b)",
        soft_wrap=True,
    )
    if rows:
        columns = ("only in", "stage", "used by", "nearest of the other", "in what it differs")
        print_table(
            columns,
            [
                (r["in"], r["stage"][:8], ", ".join(r["used_by"]), (r["nearest"] or "none")[:8],
                 "; ".join(r["differences"]))
                for r in rows
            ],
        )  # fmt: skip


def _unshared(
    stages: list[str], graph: "StudyGraph", name: str, others: list[str], other: "StudyGraph"
) -> list[dict[str, Any]]:
    """Each of `stages` with the nearest among `others`, of the same step, and the differences.

    Where the other study has none of its own, those that both have are looked at too.
    """
    from mfscale.study import differences, nearest

    told, theirs = of_stages(graph.stages.values()), of_stages(other.stages.values())
    rows = []
    for stage in stages:
        step = graph.stages[stage].step
        candidates = [s for s in others if other.stages[s].step == step] or [
            s for s in other.stages if other.stages[s].step == step
        ]
        closest = nearest(told[stage], {s: theirs[s] for s in candidates})
        found = differences(told[stage], theirs[closest]) if closest else []
        rows.append(
            {
                "in": name,
                "stage": stage,
                "used_by": list(graph.uses[stage]),
                "nearest": closest,
                "differences": [str(difference) for difference in found],
            }
        )
    return rows
