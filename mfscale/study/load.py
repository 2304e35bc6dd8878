"""Read a study file: safe YAML, duplicate keys refused, top-level keys checked."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLWarning

from mfscale.study.errors import StudyError
from mfscale.study.messages import shown, suggest
from mfscale.study.plain import require_plain
from mfscale.study.schema import STUDY_KEYS

LARGEST_FILE = 100_000
"""Bytes; a study is a page, and reading this much YAML takes seconds already."""


@dataclass(frozen=True)
class Study:
    """A study file as read: axes unresolved, strategies unchecked.

    Attributes
    ----------
    name
        The file's `name`, or its stem.
    source
        What messages call the file.
    shared
        Top-level settings every step of every strategy shares.
    training
        Hyperparameters every step starts from, a mapping once its axes are resolved; a step's own
        `training` goes on top.
    strategies
        Strategy → list of steps.
    tune
        The block that says which hyperparameters are chosen first; None if there is none.
    """

    name: str
    source: str
    shared: Mapping[str, Any]
    training: Any
    strategies: Mapping[str, list[dict[str, Any]]]
    tune: Any = None


def load_study(path: Path) -> Study:
    """Read the study file at `path`.

    Raises
    ------
    StudyError
        If it cannot be read or is not a study.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise StudyError(
                f"{path}: larger than {LARGEST_FILE:,} bytes; a study is a page of YAML"
            )
        text = content.decode("utf-8")
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); give a study file") from None
    except UnicodeDecodeError:
        raise StudyError(f"{path}: not UTF-8 text; save it as a YAML file in UTF-8") from None
    return parse_study(text, source=str(path), default_name=path.stem)


def parse_study(text: str, *, source: str, default_name: str = "study") -> Study:
    """Make a study of YAML text; `source` names it in messages.

    Raises
    ------
    StudyError
        If the text is not YAML or holds more than plain values, a key is repeated or unknown, or
        there is no strategy.
    """
    try:
        tree = _yaml(text)
        require_plain(tree)
        return _study(tree, source, default_name)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None


def _yaml(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", YAMLWarning)  # of what is odd, but legal
            return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        raise StudyError(_explained(error)) from None
    except YAMLError as error:
        raise StudyError(f"not valid YAML ({str(error).splitlines()[0]}); correct it") from None
    except RecursionError:
        raise StudyError("not valid YAML (brackets or dashes nested too deep)") from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # What the parser's own conversions raise, e.g. for `!!bool maybe`.
        raise StudyError(f"not valid YAML ({error}); correct it") from None


def _explained(error: MarkedYAMLError) -> str:
    """Where the parser gave up, and where what it was reading had begun."""
    end, begin = error.problem_mark, error.context_mark
    where = f"line {end.line + 1}: " if end else ""
    within = ""
    if end and begin and begin.line < end.line and "parsing" in error.context:
        within = f", {error.context} that begins in line {begin.line + 1}"
    return f"{where}not valid YAML ({error.problem}{within}); correct it"


def _study(tree: object, source: str, default_name: str) -> Study:
    if not isinstance(tree, dict):
        raise StudyError("a study is a mapping of keys such as dataset and strategies")
    for key in tree:
        if key not in STUDY_KEYS:
            raise StudyError(f"{key}: unknown key{suggest(key, STUDY_KEYS)}")
    name = tree.get("name", default_name)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise StudyError(f"name: must be text, got {shown(name)}")
    return Study(
        name=name,
        source=source,
        shared={
            k: v for k, v in tree.items() if k not in {"name", "training", "strategies", "tune"}
        },
        training=tree.get("training", {}),
        strategies=_strategies(tree.get("strategies")),
        tune=tree.get("tune"),
    )


def _strategies(tree: object) -> dict[str, list[dict[str, Any]]]:
    example = "strategies: {direct: [{heads: {cc: {subset: a, size: [50, 200]}}}]}"
    if not isinstance(tree, dict) or not tree:
        raise StudyError(f"strategies: name at least one, e.g. {example}")
    for name, steps in tree.items():
        where = f"strategies.{name}"
        if not isinstance(steps, list) or not steps:
            raise StudyError(f"{where}: must be a list of steps, e.g. {example}")
        for index, step in enumerate(steps):
            if not isinstance(step, dict):
                raise StudyError(
                    f"{where}[{index}]: a step is a mapping with heads, e.g. {example}"
                )
    return tree
