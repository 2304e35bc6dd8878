"""Read a study file: safe YAML, duplicate keys refused, top-level keys checked."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mfscale.study.errors import StudyError
from mfscale.study.schema import STUDY_KEYS

__all__ = ["Study", "load_study", "parse_study", "suggest"]

LARGEST_FILE = 1_000_000
"""Bytes; a study is a page, and nested YAML anchors can make a small file enormous."""


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
        Hyperparameters every step starts from; a step's own `training` goes on top.
    strategies
        Strategy → list of steps.
    """

    name: str
    source: str
    shared: Mapping[str, Any]
    training: Mapping[str, Any]
    strategies: Mapping[str, list[dict[str, Any]]]


def load_study(path: Path) -> Study:
    """Read the study file at `path`.

    Raises
    ------
    StudyError
        If it cannot be read or is not a study.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise StudyError(f"{path}: larger than {LARGEST_FILE} bytes; that is not a study file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); give a study file") from None
    except UnicodeDecodeError:
        raise StudyError(f"{path}: not UTF-8 text; a study file is YAML") from None
    return parse_study(text, source=str(path), default_name=path.stem)


def parse_study(text: str, *, source: str, default_name: str = "study") -> Study:
    """Make a study of YAML text; `source` names it in messages.

    Raises
    ------
    StudyError
        If the text is not YAML, a key is repeated or unknown, or there is no strategy.
    """
    tree = _yaml(text, source)
    if not isinstance(tree, dict):
        raise StudyError(f"{source}: a study is a mapping of keys such as dataset, strategies")
    for key in tree:
        if key not in STUDY_KEYS:
            raise StudyError(f"{source}: {key}: unknown key{suggest(key, STUDY_KEYS)}")
    name = tree.get("name", default_name)
    if not isinstance(name, str) or not name.strip():
        raise StudyError(f"{source}: name: must be text, got {name!r}")
    training = tree.get("training", {})
    if not isinstance(training, dict):
        raise StudyError(f"{source}: training: must be a mapping, e.g. {{max_steps: 1000}}")
    return Study(
        name=name,
        source=source,
        shared={k: v for k, v in tree.items() if k not in {"name", "training", "strategies"}},
        training=training,
        strategies=_strategies(tree.get("strategies"), source),
    )


def suggest(word: object, known: Iterable[str]) -> str:
    """End a message with the nearest known word, or with all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(word), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"


def _yaml(text: str, source: str) -> object:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise StudyError(f"{source}: {where}not valid YAML ({problem})") from None
    except (ValueError, RecursionError, TypeError) as error:
        raise StudyError(f"{source}: not valid YAML ({error})") from None


def _strategies(tree: object, source: str) -> dict[str, list[dict[str, Any]]]:
    example = "strategies: {direct: [{heads: {cc: {subset: a, size: [50, 200]}}}]}"
    if not isinstance(tree, dict) or not tree:
        raise StudyError(f"{source}: strategies: name at least one, e.g. {example}")
    for name, steps in tree.items():
        where = f"{source}: strategies.{name}"
        if not isinstance(name, str):
            raise StudyError(f"{where}: a strategy's name is text; put it in quotes")
        if not isinstance(steps, list) or not steps:
            raise StudyError(f"{where}: must be a list of steps, e.g. {example}")
        for index, step in enumerate(steps):
            if not isinstance(step, dict) or not isinstance(step.get("heads"), dict):
                raise StudyError(f"{where}[{index}]: a step names its heads, e.g. {example}")
            if not isinstance(step.get("training", {}), dict):
                raise StudyError(f"{where}[{index}].training: must be a mapping")
    return tree
