"""Put a page together, and write it as one file that needs nothing else."""

import json
import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mfscale.report.errors import ReportError
from mfscale.report.mixes import MARKER_SIGNS
from mfscale.report.naming import title_of_groups
from mfscale.report.page.contents import Contents, FittedLaws
from mfscale.report.page.overview import overview_of
from mfscale.report.page.plots import colours_of_curves, figure_of_curves, figures_of_laws
from mfscale.report.page.stages import table_of_stages
from mfscale.report.page.verdicts import claims_of_page
from mfscale.report.panel import with_interval
from mfscale.report.selection import DrawnLaw
from mfscale.scaling import format_number, format_percent

MOST_CURVES = 60
_MOST_POINTS = 100  # of a curve
_HEADINGS = {
    "power": ("Error against labels", "exponent", "exponent β"),
    "line": ("Fine-tuned against pre-trained error", "slope", "slope b"),
}


def page_of(contents: Contents) -> str:
    """The page as HTML text: the same contents give the same text.

    All that comes from the store is escaped. Scripts, styles and data are inside, and the page
    itself forbids the browser to fetch anything.
    """
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - the page alone needs it
    from markupsafe import Markup  # noqa: PLC0415 - likewise
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - likewise

    rows = contents.science
    places = {str(stage): i for i, stage in enumerate(rows["stage_id"])}
    laws, figures = _laws(contents, places)
    claims, evidence = claims_of_page(contents.claims, places)
    curves, about_curves = _curves(contents, rows)
    if curves:
        figures["curves"] = figure_of_curves(curves, rows)
    table = table_of_stages(rows, contents.target)
    payload = {"table": table, "figures": figures, "evidence": evidence}
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_function"] = _json
    return environment.from_string(_resource("page.html.j2")).render(
        contents=contents,
        overview=overview_of(contents.frame, contents.notes),
        laws=laws,
        claims=claims,
        about_curves=about_curves,
        has_curves=bool(curves),
        curve_colours=colours_of_curves(curves, rows),
        filters=table["choices"],
        n_stages=len(rows),
        payload=payload,
        version=version("mfscale"),
        style=Markup(_resource("page.css")),  # noqa: S704 - our own file
        script=Markup(_resource("page.js")),  # noqa: S704 - likewise
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library
    )


def write_page(contents: Contents, path: Path) -> None:
    """Write the page, whole or not at all; the folder is made, an older file replaced.

    Raises
    ------
    ReportError
        If the file cannot be written.
    """
    text = page_of(contents)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".html", prefix=".report-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.chmod(0o644)  # mkstemp lets the owner alone read
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}; choose another file") from error


def _laws(
    contents: Contents, places: dict[str, int]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    sections, figures = [], {}
    for laws in contents.laws:
        heading, parameter, name = _HEADINGS[laws.law]
        panels: list[dict[str, Any]] = []
        for value, drawn, figure in figures_of_laws(_placed(laws, places)):
            key = f"{laws.law}-{len(panels)}"
            figures[key] = figure
            panels.append(
                {
                    "key": key,
                    "name": value,
                    "columns": title_of_groups([law.group_in_panel for law in drawn]),
                    "held_out": sum(len(law.held_out) for law in drawn),
                    "laws": [_law(law, i, parameter) for i, law in enumerate(drawn)],
                }
            )
        level = format_percent(laws.fits[0].level)
        sections.append({"heading": heading, "parameter": name, "level": level, "panels": panels})
    return sections, figures


def _placed(laws: FittedLaws, places: dict[str, int]) -> FittedLaws:
    def placed(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(page_row=[places[str(stage)] for stage in rows["stage_id"]])

    held_out = None if laws.held_out is None else placed(laws.held_out)
    return replace(laws, frame=placed(laws.frame), held_out=held_out)


def _law(law: DrawnLaw, number: int, parameter: str) -> dict[str, Any]:
    fit = law.fit
    return {
        "number": number,
        "name": law.name_in_panel,
        "colour": law.colour,
        "sign": MARKER_SIGNS[law.marker],
        "interval": with_interval(fit.parameters[parameter]),
        "scatter": f"× {format_number(fit.sigma_factor)}" if np.isfinite(fit.sigma) else "unknown",
        "n_rows": f"{fit.n_rows} + {len(law.held_out)}" if len(law.held_out) else fit.n_rows,
        "n_clusters": fit.n_clusters,
        "warnings": [f"{warning.code}: {warning.message}" for warning in fit.warnings],
        "group": [(column, "missing" if v is None else v) for column, v in fit.group.items()],
    }


def _curves(contents: Contents, rows: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], str]:
    """The curves of some stages, evenly chosen, and a sentence on those left out."""
    stages = [str(stage) for stage in rows["stage_id"]]
    chosen = np.unique(np.linspace(0, len(stages) - 1, min(len(stages), MOST_CURVES)).round())
    found = {}
    for i in chosen.astype(int):
        curve = contents.curve_of(stages[i])
        if curve is not None and len(curve):
            found[stages[i]] = curve.iloc[:: -(-len(curve) // _MOST_POINTS)]
    if not stages:
        return {}, "There are no stages yet."
    if not found:
        return {}, (
            "There are no learning curves to show: an archive leaves them behind, and so does a "
            "stage that failed before its first validation."
        )
    left = len(stages) - len(found)
    about = f"Of {len(stages)} stages {len(found)} are shown"
    are = "is" if left == 1 else "are"
    return found, f"{about}, evenly chosen; {left} {are} left out." if left else f"{about}."


def _json(value: object, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _resource(name: str) -> str:
    return files("mfscale.report.page").joinpath(name).read_text(encoding="utf-8")
