"""Wrong tunings, trainable parts, differences and embeddings: one line says what would be right."""

import pytest

from mfscale.study import Catalogue, StudyError, expand, parse_study

DFT = "{heads: {dft: {subset: b, size: 20, validation: 8}}}"
CC = "{heads: {cc: {subset: a, size: 20, validation: 8}}}"
RATE = "learning_rate: [0.1, 0.2]"
EMBEDDING = "model: {fidelity: embedding}\n"


def steps(*texts: str) -> str:
    return f"dataset: toy\nstrategies: {{s: [{', '.join(texts)}]}}\n"


def trainable(text: str) -> str:
    """A fine-tuning that trains a part."""
    return steps(DFT, CC[:-1] + f", trainable: {text}}}")


def cc(text: str) -> str:
    """A step that learns some of the labels of cc in a."""
    return f"{{heads: {{cc: {{subset: a, size: 20, validation: 8, {text}}}}}}}"


def tune(text: str) -> str:
    return f"tune: {text}\n" + steps(CC)


def space(text: str) -> str:
    return tune(f"{{space: {{{text}}}}}")


CHOOSABLE = ["write {low: 0.001, high: 0.1, log: true}", "low below high", "two values or more"]
NEITHER = ["tune: give a space to search", "freeze: NAME", "one of the two"]

WRONG: dict[str, tuple[str, list[str]]] = {
    # trainable parts
    "unknown part": (trainable("weights"), ["trainable: unknown 'weights'", "known: all, fre"]),
    "misspelt part": (trainable("{freeze_block: 1}"), ["did you mean 'freeze_blocks'?"]),
    "part without its number": (trainable("lora"), ["s[1].trainable: write {lora: NUMBER}"]),
    "part with a number too many": (trainable("{readout: 2}"), ["s[1].trainable: write readout"]),
    "rank too large": (trainable("{lora: 5}"), ["rank is 5, too large", "ask for at most 4"]),
    "all blocks frozen": (trainable("{freeze_blocks: 2}"), ["frozen blocks", "at most 1"]),
    "an axis with one value too large": (
        trainable("[{lora: 1}, {lora: 9}]"), ["rank is 9", "nequip tiny", "at most 4"]
    ),
    "no linear map": (
        "model: {architecture: mace}\n" + trainable("{lora: 1}"),
        ["s[1].trainable: the rank is 1", "mace tiny has no such part"],
    ),
    "part of a size that has none": (
        "model: {size: petite}\n" + trainable("{freeze_blocks: 1}"), ["petite has no such part"]
    ),
    "rank of zero": (trainable("{lora: 0}"), ["s[1].trainable.lora: must be at least 1, got 0"]),
    "rank of half": (trainable("{lora: 0.5}"), ["trainable.lora: must be a whole number, got 0.5"]),
    "two parts": (trainable("{lora: 1, freeze_blocks: 1}"), ["s[1].trainable: name one part"]),
    "no part": (trainable("{}"), ["s[1].trainable: name one part with its number", "{lora: 8}"]),
    "number for a part": (trainable("5"), ["s[1].trainable: must be text, got 5"]),
    "part of a root": (
        steps(CC[:-1] + ", trainable: {lora: 1}}"),
        ["s[0].trainable: a step from scratch trains everything", "'lora' needs a step before it"],
    ),
    # differences
    "minus nobody": (
        steps(cc("minus: dtf")), ["s[0].heads.cc.minus: toy has no labels", "mean 'dft'?"]
    ),
    "minus itself": (steps(cc("minus: cc")), ["heads.cc.minus: cc minus itself is nothing"]),
    "minus without common labels": (
        steps(cc("minus: xtb")), ["heads.cc.subset: toy has no cc - xtb labels in 'a'"]
    ),
    "minus with forces of one": (
        steps(cc("minus: dft, forces: true")),
        ["heads.cc.forces: cc - dft labels of toy have no forces", "write false"],
    ),
    "more differences than common labels": (
        steps("{heads: {cc: {subset: a, size: 81, validation: 8, minus: dft}}}"),
        ["cc.size: asks for 81 labels of (cc - dft; a), but toy has 80"],
    ),
    "a difference after totals": (
        steps(DFT, cc("minus: dft")),
        ["s[1].heads.cc.inherit", "a difference to dft, 'dft' of the step before totals", "fresh"],
    ),
    "totals after a difference": (
        steps(cc("minus: dft"), CC),
        ["s[1].heads.cc.inherit", "learns totals, 'cc' of the step before a difference to dft"],
    ),
    "totals after a difference that was kept": (
        steps(
            cc("minus: dft"),
            "{heads: {dft: {subset: b, size: 20, validation: 8, inherit: fresh}, cc: keep}}",
            CC[:-2] + ", dft: drop}}",
        ),
        ["s[2].heads.cc.inherit", "learns totals, 'cc' of the step before a difference to dft"],
    ),
    # an embedded fidelity
    "unknown fidelity": (
        "model: {fidelity: embeding}\n" + steps(CC),
        ["model.fidelity: must be 'readout' or 'embedding', got 'embeding'"],
    ),
    "keep with an embedding": (
        EMBEDDING + steps(DFT, cc("inherit: dft")[:-2] + ", dft: keep}}"),
        ["s[1].heads.dft: cannot keep", "share one readout", "or drop it"],
    ),
    "fresh with an embedding": (
        EMBEDDING + steps(DFT, cc("inherit: fresh")[:-2] + ", dft: drop}}"),
        ["s[1].heads.cc.inherit: all heads share one readout", "name the head", ": dft"],
    ),
    # the tune block
    "tune as a number": (tune("5"), ["tune: must be a mapping of keys to values, got 5"]),
    "neither space nor freeze": (tune("{trials: 4}"), NEITHER),
    "both": (tune(f"{{space: {{{RATE}}}, freeze: other}}"), NEITHER),
    "empty space": (tune("{space: {}}"), NEITHER),
    "space as a list": (tune("{space: [learning_rate]}"), ["tune.space: must be a mapping"]),
    "misspelt tune key": (tune(f"{{trails: 4, space: {{{RATE}}}}}"), ["tune.trails: unknown key"]),
    "one trial": (
        tune(f"{{trials: 1, space: {{{RATE}}}}}"), ["tune.trials: must be at least 2, got 1"]
    ),
    "half a trial": (
        tune(f"{{trials: 4.5, space: {{{RATE}}}}}"), ["tune.trials: must be a whole number"]
    ),
    "trials as an axis": (
        tune(f"{{trials: [4, 8], space: {{{RATE}}}}}"), ["tune.trials: must be a whole number"]
    ),
    "unknown setting": (
        space("learning_rat: [0.1, 0.2]"), ["tune.space.learning_rat: no such setting; did you"]
    ),
    "a head's size as a setting": (
        space("heads.cc.size: [1, 2]"), ["tune.space.heads.cc.size: no such", "heads.HEAD.weight"]
    ),
    "budget": (space("max_steps: [10, 20]"), ["tune.space.max_steps: is part of the budget"]),
    "patience": (space("patience: {low: 1, high: 9}"), ["patience: is part of the budget"]),
    "range reversed": (space("learning_rate: {low: 0.2, high: 0.1}"), CHOOSABLE),
    "range of one": (space("learning_rate: {low: 0.1, high: 0.1}"), CHOOSABLE),
    "ratio from nought": (space("energy_weight: {low: 0, high: 1, log: true}"), CHOOSABLE),
    "half a range": (space("learning_rate: {low: 0.1}"), CHOOSABLE),
    "misspelt end": (
        space("learning_rate: {low: 0.1, hihg: 0.2}"),
        ["tune.space.learning_rate.hihg: unknown key; did you mean 'high'?"],
    ),
    "zipped values": (
        space("learning_rate: {zip: z, values: [0.1, 0.2]}"),
        ["tune.space.learning_rate.zip: unknown key; known: high, log, low"],
    ),
    "list of one": (space("learning_rate: [0.1]"), ["tune.space.learning_rate", *CHOOSABLE]),
    "one value": (space("learning_rate: 0.1"), CHOOSABLE),
    "range of switches": (space("learning_rate: {low: false, high: true}"), CHOOSABLE),
    "range of words": (space("schedule: {low: cosine, high: constant}"), CHOOSABLE),
    "unknown value": (
        space("schedule: [cosine, cosin]"), ["tune.space.schedule: 'cosin': must be 'cosine' or"]
    ),
    "value beyond its range": (
        space("ema_decay: {low: 0.5, high: 1.0}"), ["tune.space.ema_decay: 1.0: must be less than"]
    ),
    "fraction of a batch": (
        space("batch_size: [8, 16.5]"), ["tune.space.batch_size: 16.5: must be a"]
    ),
    "weight of nought": (
        space("heads.cc.weight: [0.0, 1.0]"), ["heads.cc.weight: 0.0: must be greater than 0"]
    ),
    "energies of no weight": (
        space("energy_weight: [0, 100]"), ["tune.space.energy_weight: 0: trials are judged by"]
    ),
    "energies of no weight at one end": (
        space("energy_weight: {low: 0.0, high: 9.0}"), ["energy_weight: 0", "give them a weight"]
    ),
    "unknown strategy": (
        tune(f"{{strategies: [t], space: {{{RATE}}}}}"), ["tune.strategies: unknown 't'; known: s"]
    ),
    "strategy as text": (
        tune(f"{{strategies: s, space: {{{RATE}}}}}"), ["tune.strategies: must be a list"]
    ),
    "freeze what is not there": (
        tune("{freeze: other}"),
        ["tune.freeze: there is no tuning 'other' in the store", "choices/", "known: none"],
    ),
    "name with a path": (
        tune(f"{{name: ../x, space: {{{RATE}}}}}"),
        ["tune.name: '../x' cannot name a tuning", "letters, digits, _ and -"],
    ),
    "freeze with a path": (tune("{freeze: a/b}"), ["tune.freeze: 'a/b' cannot name a tuning"]),
    "study whose name is no tuning's": (
        "name: my study\n" + space(RATE), ["name: 'my study' cannot name a tuning"]
    ),
    # axes
    "unequal zips of one head": (
        steps(
            "{heads: {cc: {subset: a, size: {zip: z, values: [10, 20]}, "
            "validation: {zip: z, values: [2, 4, 8]}}}}"
        ),
        ["'z' must be equally long", "cc.size has 2", "cc.validation has 3"],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_one_line_says_what_is_wrong_and_where(
    catalogue: Catalogue, text: str, words: list[str]
) -> None:
    with pytest.raises(StudyError) as caught:
        expand(parse_study(text, source="study.yaml"), catalogue)
    message = str(caught.value)
    assert message.startswith("study.yaml: ")
    for word in words:
        assert word in message
    assert message.count("study.yaml") == 1
    assert message.isprintable()
    assert len(message) < 400
    for ours in ("Spec", "Range", "function-", "input should"):
        assert ours not in message, "a word of the program, not of the file"


@pytest.mark.parametrize(
    "text",
    [
        trainable("[all, readout, {freeze_blocks: 1}, {lora: 4}]"),
        steps(cc("minus: dft")),
        steps(DFT, cc("minus: dft, inherit: fresh")[:-2] + ", dft: drop}}"),
        EMBEDDING + steps(DFT, cc("inherit: dft")),
        space("learning_rate: {low: 0.001, high: 0.1, log: true}, schedule: [cosine, constant]"),
    ],
)
def test_the_studies_that_these_were_made_from_are_right(catalogue: Catalogue, text: str) -> None:
    assert any(expand(parse_study(text, source="study.yaml"), catalogue).all_stages())
