"""Which part of a model a stage trains: every kind that a study can name, in one table.

A new kind is an entry of `TRAINABLE` and the function it names. Neither needs torch to be listed.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfscale.models.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from mfscale.models.headed import Backbone, HeadedModel
    from mfscale.models.ladder import Size

    Learning = AbstractContextManager[list[nn.Parameter]]


@dataclass(frozen=True)
class Part:
    """A part of a model that a stage can train, beside what its heads own.

    Attributes
    ----------
    meaning
        What learns, in words.
    of_backbone
        Backbone, number, seed → what learns of the backbone while a context lasts, which leaves
        the backbone as plain as it was.
    number
        What the number after the part's name counts; None if it takes none.
    most
        Size → the largest sensible number, which may be 0; None if the part takes no number.
    """

    meaning: str
    of_backbone: Callable[[Backbone, int, int], Learning]
    number: str | None = None
    most: Callable[[Size], int] | None = None


def _everything(backbone: Backbone, _number: int, _seed: int) -> Learning:
    return nullcontext(list(backbone.parameters()))


def _nothing(_backbone: Backbone, _number: int, _seed: int) -> Learning:
    return nullcontext([])


def _later_blocks(backbone: Backbone, frozen: int, _seed: int) -> Learning:
    blocks = backbone.blocks()
    if frozen >= len(blocks):
        raise ModelError(
            f"freeze_blocks:{frozen} leaves none of {len(blocks)} blocks to train; freeze fewer, "
            "or train the readout alone"
        )
    later = (module for block in blocks[frozen:] for module in block)
    return nullcontext([p for module in later for p in module.parameters()])


def _low_rank(backbone: Backbone, rank: int, seed: int) -> Learning:
    lora = importlib.import_module("mfscale.models.lora")
    learning: Learning = lora.corrected(backbone, rank, seed=seed)
    return learning


TRAINABLE: Mapping[str, Part] = {
    "all": Part("the whole model", _everything),
    "readout": Part("the readout; the backbone stays frozen", _nothing),
    "freeze_blocks": Part(
        "the readout and the later interaction blocks; embeddings and the first blocks stay frozen",
        _later_blocks,
        number="number of frozen blocks",
        most=lambda size: size.n_blocks - 1,
    ),
    "lora": Part(
        "the readout and a low-rank correction to every linear map of the backbone",
        _low_rank,
        number="rank",
        most=lambda size: size.largest_rank,
    ),
}
"""Name of a part, before a colon and its number, → what it is."""


def read_part(trainable: str) -> tuple[Part, int]:
    """The part that a text such as ``all`` or ``lora:8`` names, and its number, 0 if it has none.

    Raises
    ------
    ModelError
        If the text is not the name of a part, with a number from 1 where the part takes one.
    """
    found = re.fullmatch(r"([a-z_]+)(?::([1-9][0-9]*))?", trainable)
    name, number = found.groups() if found else ("", None)
    part = TRAINABLE.get(name)
    if part is None or (part.number is None) != (number is None):
        known = [name + (f":<{p.number}>" if p.number else "") for name, p in TRAINABLE.items()]
        raise ModelError(f"trainable is {trainable!r}; give one of: {', '.join(known)}")
    return part, int(number or 0)


@contextlib.contextmanager
def trainable_part(
    model: HeadedModel, trainable: str, heads: Collection[str], *, seed: int
) -> Iterator[list[nn.Parameter]]:
    """Freeze all of a model but the trainable part while the context lasts.

    However it ends, the model is a plain network afterwards: its state has the names it had, what
    was learned beside the weights is folded into them, and every parameter is trainable as built.

    Parameters
    ----------
    model
        Changed in place.
    trainable
        A part's name and number, as in `TRAINABLE`.
    heads
        That learn; what belongs to the others stays as it is.
    seed
        Of weights that the part adds.

    Yields
    ------
    list
        The parameters that learn, backbone first, in an order that depends on nothing else than
        the arguments; those without elements are left out.

    Raises
    ------
    ModelError
        If `trainable` names no part, or one that this model does not have.
    """
    part, number = read_part(trainable)
    model.requires_grad_(requires_grad=False)
    try:
        with part.of_backbone(model.backbone, number, seed) as of_backbone:
            learning = [p for p in (*of_backbone, *model.of_heads(heads)) if p.numel() > 0]
            for parameter in learning:
                parameter.requires_grad_()
            yield learning
    finally:
        model.requires_grad_()
