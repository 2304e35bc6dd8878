"""Which part of a study to run again after failures."""

from collections.abc import Mapping
from typing import Any

from mfscale.results import below
from mfscale.study import StudyGraph


def failures(
    graph: StudyGraph, rows: Mapping[str, Mapping[str, Any]], reason: str = ""
) -> list[str]:
    """The stages of a study that failed for a reason that contains `reason`, in any case."""
    return [
        stage
        for stage in graph.stages
        if stage in rows
        and rows[stage]["status"] == "failed"
        and reason.lower() in (rows[stage]["reason"] or "").lower()
    ]


def retried(graph: StudyGraph, failed: list[str]) -> StudyGraph:
    """The part of a study that failed stages, what they block and what they start from make up.

    What is finished of it stays so when the part is run.
    """
    parents = {stage.id: stage.parent_id for stage in graph.stages.values()}
    return graph.only({*failed, *below(failed, parents)})
