"""Contents of a page, made up: stages of two architectures with laws; and figures looked at."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mfscale.claims import CLAIMS, ClaimResult, PartResult
from mfscale.report.page import Contents, FittedLaws
from mfscale.scaling import fit

ERROR, PARENT = "cc_t_energy_mae_mev", "parent_validation_energy_mae_mev"
HOSTILE = (
    "</script><script>document.hacked = 1</script><img src=x onerror='document.hacked = 2'>\"&"
)
"""What would run, and break out of a script, if it were written as it is."""

Make = Callable[..., Contents]


def lines_of(figure: Figure, axes: int = 0) -> dict[str, np.ndarray]:
    """Named lines of a figure → their points, shape ``(n, 2)``."""
    return {
        str(line.get_gid()): np.asarray(line.get_xydata())
        for line in figure.axes[axes].lines
        if line.get_gid()
    }


def assert_texts_apart(figure: Figure) -> None:
    """No text overlaps another one or leaves the page."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [text.get_window_extent().padded(-0.5) for text in shown]
    page = figure.bbox
    for text, box in zip(shown, boxes, strict=True):
        assert box.x0 >= page.x0, text
        assert box.x1 <= page.x1, text
        assert box.y0 >= page.y0, text
        assert box.y1 <= page.y1, text
    for (one, a), (other, b) in combinations(zip(shown, boxes, strict=True), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())


def stages(seeds: int = 3, hostile: str = "") -> pd.DataFrame:
    """Rows as a store flattens them; `hostile` is put into what a user may name."""
    rng = np.random.default_rng(1)
    rows = []
    for architecture in ("nequip", "mace"):
        for pretraining, factor in (("none", 1.0), ("dft:b:100+forces", 0.6), ("xtb:b:400", 0.4)):
            for seed in range(seeds):
                luck = rng.normal(0, 0.08)
                for labels in (25, 50, 100):
                    root = f"{architecture}-{pretraining}-{seed}"
                    error = (
                        180 * factor * (labels / 50) ** -0.45 * np.exp(luck + rng.normal(0, 0.05))
                    )
                    rows.append(
                        {
                            "architecture": architecture + hostile,
                            "pretraining": pretraining,
                            "labels": f"cc:a:{labels}",
                            "cc_size": labels,
                            "seed": seed,
                            "root_id": root if pretraining != "none" else f"{root}-{labels}",
                            PARENT: np.nan if pretraining == "none" else 90 * factor * np.exp(luck),
                            ERROR: error,
                        }
                    )
    frame = pd.DataFrame(rows).assign(
        stage_id=[f"{i:04x}f00d" for i in range(len(rows))],
        status="finished",
        reason=None,
        purpose="science",
        used_by=f"study{hostile}",
        size=f"tiny{hostile}",
        trainable="all",
        n_parameters=8784,
        converged=pd.array([i % 2 == 0 for i in range(len(rows))], dtype="boolean"),
        train_time_s=12.0,
        samples_seen=1600,
        device=f"cpu{hostile}",
        recipe=2,
        cc_subset="a",
        dft_subset=None,
    )
    frame["seed"] = frame["seed"].astype("Int64")
    frame.loc[0, ["status", "reason", ERROR]] = ["diverged", f"NaN{hostile}", np.nan]
    return frame


def claims_about(frame: pd.DataFrame, hostile: str = "") -> list[ClaimResult]:
    """A decided part, an undecided one of a group, and one of which nothing is known."""
    told = CLAIMS[0].parts
    ids = frame["stage_id"].tolist()
    plain = {"claim": 1, "side": "below", "margin": 1.0, "quantity": "ratio"}
    parts = (
        PartResult(
            **plain,  # type: ignore[arg-type]
            part="a",
            statement=told[0].statement,
            budget="equal caps",
            factor=0.6,
            low=0.5,
            high=0.7,
            n_pairs=9,
            n_clusters=9,
            verdict="supported",
            treatments=tuple(ids[9:18]),
            controls=tuple(ids[:9]),
            notes=(f"a note{hostile}",),
        ),
        PartResult(
            **plain,  # type: ignore[arg-type]
            part="b",
            statement=told[1].statement,
            budget="matched total compute",
            group=f"a group{hostile}",
            factor=5.0,
            low=0.01,
            high=500.0,
            n_pairs=3,
            n_clusters=3,
        ),
        PartResult(
            **plain,  # type: ignore[arg-type]
            part="b",
            statement=told[1].statement,
            budget="not compared",
            reason="no pairs",
        ),
    )
    return [
        ClaimResult(number=1, statement=CLAIMS[0].statement, parts=parts),
        ClaimResult(number=2, statement=CLAIMS[1].statement, parts=parts[2:]),
    ]


def curve(stage_id: str) -> pd.DataFrame:
    steps = np.arange(50, 1550, 50)
    error = 100 + 400 * np.exp(-steps / 300) + int(stage_id[:4], 16)
    return pd.DataFrame({"step": steps, "validation_energy_mae_mev": error})


@pytest.fixture(scope="session")
def make() -> Make:
    """Contents of a page, with whatever a test wants otherwise."""

    def made(seeds: int = 3, hostile: str = "", **otherwise: object) -> Contents:
        frame = stages(seeds, hostile)
        rows = frame[frame[ERROR].notna()]
        laws = []
        for law, x, groups, used in (
            ("power", "cc_size", ("pretraining", "architecture"), rows),
            ("line", PARENT, ("cc_size", "architecture"), rows[rows[PARENT].notna()]),
        ):
            fits = fit(used, law, x=x, y=ERROR, group=groups, cluster="root_id")
            laws.append(FittedLaws(law=law, frame=used, x=x, y=ERROR, group=groups, fits=fits))
        given: dict[str, object] = {
            "name": f"store{hostile}",
            "target": "cc",
            "frame": frame,
            "laws": laws,
            "claims": claims_about(frame, hostile),
            "curve_of": curve,
            "notes": [f"note{hostile}"] if hostile else [],
        }
        return Contents(**(given | otherwise))  # type: ignore[arg-type]

    return made


@pytest.fixture(scope="session")
def held_out(make: Make) -> Contents:
    """Contents whose power laws are fitted without the runs of 100 labels."""
    contents = make()
    power, line = contents.laws
    apart = power.frame["cc_size"] == 100
    rest = power.frame[~apart]
    fits = fit(rest, "power", x=power.x, y=power.y, group=power.group, cluster="root_id")
    power = replace(power, frame=rest, fits=fits, held_out=power.frame[apart])
    return replace(contents, laws=[power, line])
