"""``adopt``: take a model that was trained elsewhere as a finished stage."""

from pathlib import Path
from typing import Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyArgument
from mfscale.cli._output import console, print_json
from mfscale.cli.study import expand_to_run


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(adopt)


def adopt(
    study: StudyArgument,
    stage: Annotated[str, typer.Argument(help="Stage of the study: its id, or its beginning.")],
    source: Annotated[
        Path, typer.Option("--from", help="A file that export wrote, or a model in another store.")
    ],
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Take an existing model as a finished stage of a study, so that it need not be trained.

    The model must fit the stage: architecture and its settings, elements, heads, methods. It is
    evaluated as a trained one; its row says where it came from, and that it was adopted.
    """
    from mfscale.results import Store, StoreError, checkpoint, errors_table
    from mfscale.training import POTENTIAL, adopt_stage

    graph = expand_to_run(study, store)
    wanted = graph.stages[graph.resolve(stage)]
    opened = Store(store, create=True)
    with opened.alone():
        model = checkpoint(wanted.id, POTENTIAL)
        if opened.statuses().get(wanted.id) == "finished" and opened.place.exists(model):
            raise StoreError(f"stage {wanted.id} has finished in {store}; nothing was adopted")
        with opened.local() as files:
            result = adopt_stage(
                wanted, source, checkpoint_dir=lambda stage_id: files.path(checkpoint(stage_id))
            )
            files.saved(files.path(model))
        opened.publish_errors(wanted.id, errors_table(map(vars, result.errors)))
        opened.publish({**result.row, "attempt": opened.next_attempt(wanted.id)})
    ends = [
        e
        for e in result.row["evaluations"]
        if (e["moment"], e["subset"], e["metric"], e["unit"]) == ("end", "t", "energy_mae", "meV")
    ]
    if json:
        errors_mev = {f"{e['head']} against {e['method']}": e["value"] for e in ends}
        print_json(
            {"stage": wanted.id, "warnings": result.row["warnings"], "test_mae_mev": errors_mev}
        )
        return
    console.print(f"stage {wanted.id} in {store} is {source} from now on", soft_wrap=True)
    for e in ends:
        console.print(f"  head {e['head']} against {e['method']}: {e['value']:.1f} meV test MAE")
    for warning in result.row["warnings"][1:]:
        console.print(f"  warning: {warning}", soft_wrap=True)
