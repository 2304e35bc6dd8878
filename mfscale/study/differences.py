"""In what two stages differ, field by field, in the words of a study file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mfscale.study.catalogue import Plain
from mfscale.study.stage import RECIPE, Stage, acting

_OF_LABELS = ("method", "minus", "subset", "size", "n_validation")
_OF_HEAD = ("forces", "weight", "sampling_ratio", "inherit")
_WHERE_FROM = ("dataset", "split", "data_seed")
_WORDS = {"n_validation": "validation"}

Fields = dict[str, Plain | None]


@dataclass(frozen=True)
class Difference:
    """One field in which two stages differ: ``size of cc: 200, not 150``."""

    field: str
    mine: Plain | None
    theirs: Plain | None

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.mine)}, not {_shown(self.theirs)}"


@dataclass(frozen=True)
class Description:
    """A stage in words.

    Attributes
    ----------
    fields
        All that decides what is trained, by its name in a study file; that of the stages before
        with ``in step …`` behind it. A setting that does not act on the stage is not there.
    labels
        Words for a labelled set (``cc``, ``dft in step 0``) → its digest, empty if unknown.
    parent_id
        What the stage starts from.
    """

    fields: Fields
    labels: dict[str, str]
    parent_id: str | None


def describe(
    stage: Stage, ancestors: Sequence[Stage] = (), *, recipe: int | None = RECIPE
) -> Description:
    """Put into words what a stage, and all it starts from, trains on what and how.

    Parameters
    ----------
    stage, ancestors
        The stage; what is known of those before it.
    recipe
        The version of the training semantics that it was, or will be, trained with.
    """
    fields: Fields = {"recipe": recipe}
    fields |= {name: getattr(stage, name) for name in ("step", *_WHERE_FROM)}
    model = stage.model
    fields |= {f"model.{n}": getattr(model, n) for n in ("architecture", "size", "dtype")}
    fields |= {"model.cutoff_a": model.cutoff_a, "model.fidelity": model.fidelity}
    fields |= {"seed": stage.seed}
    labels: dict[str, str] = {}
    for member in (stage, *ancestors):
        suffix = "" if member is stage else f" in step {member.step}"
        fields |= {f"{name}{suffix}": value for name, value in _of_step(member).items()}
        labels |= {f"{name}{suffix}": head.digest for name, head in member.heads.items()}
    return Description(fields, labels, stage.parent_id)


def differences(mine: Description, theirs: Description) -> list[Difference]:
    """In what one stage differs from another; never empty for two that are not the same.

    Labels that are known to be equal are: by whatever name, draw or dataset they were asked for.
    A field that only one of the two has follows from another, such as the weight of forces that
    only one of them learns.
    """
    equal: set[str] = set()
    changed: list[str] = []
    for labels, digest in mine.labels.items():
        other = theirs.labels.get(labels, "")
        if digest and other:
            (equal.add if digest == other else changed.append)(labels)
    ignored = {field for labels in equal for field in _words_for(labels)}
    if equal.issuperset(mine.labels):
        ignored |= set(_WHERE_FROM)
    found = [
        Difference(field, value, theirs.fields[field])
        for field, value in mine.fields.items()
        if field in theirs.fields and value != theirs.fields[field] and field not in ignored
    ]
    told = {difference.field for difference in found}
    found += [
        Difference(f"labels of {labels}", "other content", "the same")
        for labels in changed
        if not told & {*_words_for(labels), f"forces of {labels}", *_WHERE_FROM}
    ]
    if not found and mine.parent_id != theirs.parent_id:
        found.append(Difference("starts from", mine.parent_id, theirs.parent_id))
    return found or [Difference("settings that model.size stands for", "others", "the same")]


def nearest(mine: Description, others: Mapping[str, Description]) -> str | None:
    """The stage with the fewest differences, the first of equals; None if there is no other.

    A field that only one of two stages has counts too: other heads are further than other sizes.
    """

    def distance(name: str) -> int:
        other = others[name]
        return len(differences(mine, other)) + len(mine.fields.keys() ^ other.fields.keys())

    return min(others, key=distance, default=None)


def ancestors_of(stage: Stage, known: Mapping[str, Stage]) -> list[Stage]:
    """The stages before one, nearest first, as far as they are `known`."""
    found: list[Stage] = []
    parent_id = stage.parent_id
    while parent_id is not None and parent_id in known:
        found.append(known[parent_id])
        parent_id = known[parent_id].parent_id
    return found


def described(
    stages: Iterable[Stage], known: Mapping[str, Stage], recipes: Mapping[str, int | None]
) -> dict[str, Description]:
    """Describe stages, each with those before it; `recipes` has those that are not today's."""
    return {
        stage.id: describe(stage, ancestors_of(stage, known), recipe=recipes.get(stage.id, RECIPE))
        for stage in stages
    }


def _of_step(stage: Stage) -> Fields:
    fields: Fields = {"heads": " & ".join(sorted(stage.heads))}
    fields |= {"kept heads": " & ".join(stage.kept), "trainable": stage.trainable}
    for name, head in stage.heads.items():
        fields |= {
            f"{_WORDS.get(key, key)} of {name}": getattr(head, key)
            for key in (*_OF_LABELS, *_OF_HEAD)
        }
    return fields | acting(stage.hyperparameters, stage.heads)


def _words_for(labels: str) -> set[str]:
    return {f"{_WORDS.get(key, key)} of {labels}" for key in _OF_LABELS}


def _shown(value: Plain | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
