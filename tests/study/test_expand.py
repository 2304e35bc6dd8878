"""Expansion: what a study file asks for, as stages that are shared, ordered and complete."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mfscale.study import Catalogue, Stage, StudyError, StudyGraph, expand, parse_study

GraphOf = Callable[[str], StudyGraph]

DIRECT = "direct: [{heads: {cc: {subset: a, size: [20, 50], validation: 8}}}]"
FINETUNE = """
  finetune:
    - heads: {dft: {subset: b, size: [100, 400], validation: 8}}
    - heads: {cc: {subset: a, size: [20, 50], validation: 8}}
"""
CHAIN = """
  chain:
    - heads: {xtb: {subset: b, size: 1000, validation: 8}}
    - heads: {dft: {subset: b, size: 200, validation: 8}}
    - heads: {cc: {subset: a, size: 50, validation: 8}}
"""


def only(graph: StudyGraph) -> Stage:
    (stage,) = graph.stages.values()
    return stage


def one_step(step: str, *, more: str = "") -> str:
    return f"strategies: {{direct: [{{heads: {{{step}}}}}]}}\n{more}"


CC = "cc: {subset: a, size: 20, validation: 8}"


def test_axes_of_two_steps_and_seeds_multiply(graph_of: GraphOf) -> None:
    graph = graph_of(f"seed: [0, 1]\nstrategies: {FINETUNE}")
    # Of each seed: two pre-trainings, and two fine-tunings of each.
    assert len(graph.stages) == 2 * (2 + 4)
    # Each of the 2·2·2 chains asks for its pre-training, though only 2·2 differ.
    assert graph.requests == 16
    assert graph.name == "study"


def test_every_parent_comes_before_its_children(graph_of: GraphOf) -> None:
    graph = graph_of(f"seed: [0, 1]\nstrategies: {{{DIRECT}}}\n")
    assert [stage.parent_id for stage in graph.stages.values()] == [None] * 4
    graph = graph_of(f"seed: [0, 1]\nstrategies: {FINETUNE}{CHAIN}")
    seen: set[str] = set()
    for stage_id, stage in graph.stages.items():
        assert stage.id == stage_id
        assert stage.parent_id is None or stage.parent_id in seen
        seen.add(stage_id)
    children = graph.children()
    assert children.keys() == graph.stages.keys()
    assert sum(map(len, children.values())) == sum(
        stage.parent_id is not None for stage in graph.stages.values()
    )


def test_a_chain_keeps_its_lineage(graph_of: GraphOf) -> None:
    first, second, third = graph_of(f"strategies: {CHAIN}").stages.values()
    assert [s.step for s in (first, second, third)] == [0, 1, 2]
    assert [s.parent_id for s in (first, second, third)] == [None, first.id, second.id]
    assert {s.root_id for s in (first, second, third)} == {first.id}
    seen = [(s.stage_id, s.method, s.subset, s.size, s.forces) for s in third.lineage]
    assert seen == [
        (first.id, "xtb", "b", 1000, True),
        (second.id, "dft", "b", 200, True),
        (third.id, "cc", "a", 50, False),
    ]
    assert third.heads["cc"].inherit == "dft"


def test_a_stage_that_two_strategies_need_appears_once(graph_of: GraphOf) -> None:
    graph = graph_of(
        """
strategies:
  dft-only: [{heads: {dft: {subset: b, size: 100, validation: 8}}}]
  short:
    - heads: {dft: {subset: b, size: 100, validation: 8}}
    - heads: {cc: {subset: a, size: 20, validation: 8}}
  long:
    - heads: {dft: {subset: b, size: 100, validation: 8}}
    - heads: {cc: {subset: a, size: [20, 50], validation: 8}}
"""
    )
    root, child, other = graph.stages.values()
    assert graph.uses[root.id] == ("dft-only[0]", "short[0]", "long[0]")
    assert graph.uses[child.id] == ("short[1]", "long[1]")
    assert graph.uses[other.id] == ("long[1]",)
    assert graph.children()[root.id] == [child.id, other.id]
    assert graph.requests == 7


def test_a_second_study_shares_what_the_first_has(graph_of: GraphOf) -> None:
    first = graph_of(f"name: first\nstrategies: {FINETUNE}")
    more = FINETUNE.replace("[20, 50]", "[20, 80]").replace("finetune:", "again:")
    second = graph_of(f"name: second\nseed: [0, 1]\nstrategies: {more}")
    shared = first.stages.keys() & second.stages.keys()
    # Of seed 0: both pre-trainings, and the fine-tunings on 20 labels.
    assert len(shared) == 2 + 2


def test_fine_tuning_starts_at_a_lower_rate_unless_told(graph_of: GraphOf) -> None:
    rates = [
        s.hyperparameters.learning_rate for s in graph_of(f"strategies: {CHAIN}").stages.values()
    ]
    assert rates == [0.01, 0.003, 0.003]
    told = graph_of(f"training: {{learning_rate: 0.02}}\nstrategies: {CHAIN}")
    assert {s.hyperparameters.learning_rate for s in told.stages.values()} == {0.02}


def test_a_default_written_out_is_the_same_stage(graph_of: GraphOf) -> None:
    written = graph_of(one_step(CC, more="training: {learning_rate: 0.01, batch_size: 16}"))
    assert only(graph_of(one_step(CC))).id == only(written).id


def test_training_of_a_step_goes_on_top_of_the_studys(graph_of: GraphOf) -> None:
    graph = graph_of(
        """
training: {max_steps: 100, batch_size: 4}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 100, validation: 8}}
    - heads: {cc: {subset: a, size: 20, validation: 8}}
      training: {max_steps: [200, 300]}
"""
    )
    caps = [
        (s.hyperparameters.max_steps, s.hyperparameters.batch_size) for s in graph.stages.values()
    ]
    assert caps == [(100, 4), (200, 4), (300, 4)]


def test_heads_and_training_may_themselves_be_axes(graph_of: GraphOf) -> None:
    graph = graph_of(
        """
training: [{max_steps: 100}, {max_steps: 200}]
strategies:
  direct:
    - heads:
        - cc: {subset: a, size: 20, validation: 8}
        - dft: {subset: b, size: 20, validation: 8}
"""
    )
    seen = {(*s.heads, s.hyperparameters.max_steps) for s in graph.stages.values()}
    assert seen == {("cc", 100), ("cc", 200), ("dft", 100), ("dft", 200)}


def test_a_mix_at_fixed_cost_is_a_zip(graph_of: GraphOf) -> None:
    graph = graph_of(
        """
strategies:
  mix:
    - heads: {dft: {subset: b, size: {zip: mix, values: [100, 300]}, validation: 8}}
    - heads: {cc: {subset: a, size: {zip: mix, values: [40, 20]}, validation: 8}}
"""
    )
    leaves = [s for s in graph.stages.values() if s.step == 1]
    assert [[part.size for part in leaf.lineage] for leaf in leaves] == [[100, 40], [300, 20]]


def test_forces_are_learnt_wherever_the_method_has_them(graph_of: GraphOf) -> None:
    dft = "dft: {subset: b, size: 20, validation: 8"
    assert only(graph_of(one_step(dft + "}"))).heads["dft"].forces
    assert not only(graph_of(one_step(dft + ", forces: false}"))).heads["dft"].forces
    assert not only(graph_of(one_step(CC))).heads["cc"].forces


def test_a_head_may_have_a_name_of_its_own(graph_of: GraphOf) -> None:
    head = only(graph_of(one_step("best: {method: cc, subset: a, size: 20, validation: 8}"))).heads
    assert head["best"].method == "cc"


@pytest.mark.parametrize(
    ("inherit", "expected"),
    [("}", "dft"), (", inherit: dft}", "dft"), (", inherit: fresh}, dft: drop", None)],
)
def test_a_head_starts_from_the_parents_unless_fresh(
    graph_of: GraphOf, inherit: str, expected: str | None
) -> None:
    graph = graph_of(
        f"""
strategies:
  finetune:
    - heads: {{dft: {{subset: b, size: 100, validation: 8}}}}
    - heads: {{cc: {{subset: a, size: 20, validation: 8{inherit}}}
"""
    )
    _, child = graph.stages.values()
    assert child.heads["cc"].inherit == expected


def test_readout_alone_is_another_stage(graph_of: GraphOf) -> None:
    text = f"strategies: {FINETUNE}      trainable: [all, readout]\n"
    graph = graph_of(text)
    assert len(graph.stages) == 2 + 2 * 4
    assert sum(stage.trainable == "readout" for stage in graph.stages.values()) == 4


def test_a_wrong_stage_late_in_the_file_is_named_by_file_and_place(graph_of: GraphOf) -> None:
    text = f"strategies:\n  {DIRECT}{CHAIN}".replace("size: 200", "size: 501")
    with pytest.raises(
        StudyError, match=r"^study\.yaml: strategies\.chain\[1\]\.heads\.dft\.size:"
    ):
        graph_of(text)


def test_each_labelled_set_is_drawn_once(catalogue: Catalogue) -> None:
    drawn: list[object] = []
    toy = catalogue.dataset("toy")

    def counted(request: object) -> str:
        drawn.append(request)
        return str(request)

    counting = replace(catalogue, dataset=lambda _: replace(toy, digest=counted))
    text = f"dataset: toy\nseed: [0, 1, 2]\nstrategies: {FINETUNE}"
    expand(parse_study(text, source="study.yaml"), counting)
    assert len(drawn) == len(set(drawn)) == 4


TOUR = """
name: syntax-tour
dataset: chno3
model: {architecture: nequip, size: tiny}
seed: [0, 1]
strategies:
  direct:
    - heads: {cc: {subset: a, size: [50, 200]}}
  finetune:
    - heads: {dft: {subset: b, size: [100, 400], forces: true}}
    - heads: {cc: {subset: a, size: [50, 200]}}
      trainable: all
  chain:
    - heads: {xtb: {subset: b, size: 1000}}
    - heads: {dft: {subset: b, size: 200}}
    - heads: {cc: {subset: a, size: 50}}
"""
TWO_HEADED = """
name: two-headed
dataset: chno3
strategies:
  multihead:
    - heads: {dft: {subset: b, size: 400, weight: 1}, cc: {subset: a, size: 50, weight: 1}}
  replay:
    - heads: {dft: {subset: b, size: 400}}
    - heads: {cc: {subset: a, size: 50}, dft: {subset: b, size: 100, weight: 0.1}}
"""


@pytest.fixture(scope="module")
def real() -> Catalogue:
    from mfscale.cli._catalogue import catalogue

    return catalogue()


def test_the_syntax_tour_on_real_labels(real: Catalogue) -> None:
    graph = expand(parse_study(TOUR, source="tour.yaml"), real)
    # Of each seed: 2 direct, 2 pre-trainings with 2 children each, and a chain of 3.
    assert len(graph.stages) == 2 * (2 + 2 + 4 + 3)
    # Another seed trains on the same labels; another size of the same draw does not.
    digests = {
        (h.method, h.size): h.digest for s in graph.stages.values() for h in s.heads.values()
    }
    assert len(set(digests.values())) == len(digests) == 6
    assert {h.digest for s in graph.stages.values() for h in s.heads.values()} == set(
        digests.values()
    )


def test_replay_trains_an_old_head_beside_the_new_one(real: Catalogue) -> None:
    _, _, replay = expand(parse_study(TWO_HEADED, source="tour.yaml"), real).stages.values()
    assert {name: head.inherit for name, head in replay.heads.items()} == {
        "cc": "dft",
        "dft": "dft",
    }
    assert replay.heads["dft"].weight == 0.1


def test_the_order_of_heads_in_the_file_does_not_matter(graph_of: GraphOf) -> None:
    dft = "dft: {subset: b, size: 20, validation: 8}"
    one, other = (only(graph_of(one_step(heads))) for heads in (f"{CC}, {dft}", f"{dft}, {CC}"))
    assert one == other
    assert list(one.heads) == ["cc", "dft"]


PRETRAINED = """
strategies:
  s:
    - heads:
        dft: {subset: b, size: 100, validation: 8}
        xtb: {subset: b, size: 100, validation: 8}
    - heads: {cc: {subset: a, size: 20, validation: 8, inherit: dft}, FATES}
"""


@pytest.mark.parametrize(
    ("fates", "kept"),
    [
        ("xtb: keep", ("xtb",)),
        ("xtb: drop", ()),
        ("xtb: keep, dft: keep", ("dft", "xtb")),
        ("xtb: drop, dft: drop", ()),
    ],
)
def test_a_head_that_does_not_learn_is_kept_or_dropped(
    graph_of: GraphOf, fates: str, kept: tuple[str, ...]
) -> None:
    _, child = graph_of(PRETRAINED.replace("FATES", fates)).stages.values()
    assert child.kept == kept
    assert child.carried == ("cc", *kept)


def test_what_is_kept_makes_another_stage(graph_of: GraphOf) -> None:
    graph = graph_of(PRETRAINED.replace("FATES", "xtb: [keep, drop]"))
    assert len(graph.stages) == 3


def test_a_kept_head_can_be_handed_on_later(graph_of: GraphOf) -> None:
    text = PRETRAINED.replace("FATES", "xtb: keep") + (
        "    - heads: {cc: keep, xtb: drop, best: {method: cc, subset: a, size: 20, validation: 8, "
        "inherit: xtb}}\n"
    )
    *_, last = graph_of(text).stages.values()
    assert last.heads["best"].inherit == "xtb"
    assert last.kept == ("cc",)


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ("cc: {subset: a, size: 592}", ["direct[0].heads.cc.size", "592", "chno3 has 591"]),
        ("dft: {subset: b, size: 1, validation: 134}", ["dft.validation", "134", "has 133"]),
        ("cc: {subset: b, size: 1}", ["cc.subset", "no cc labels in 'b'", "some in a, c"]),
        ("cc: {subset: t, size: 1}", ["cc.subset", "cannot train on 't'", "a, b, c"]),
        ("cc: {subset: a, size: 5, forces: true}", ["cc.forces", "no forces", "write false"]),
        ("ccsd: {subset: a, size: 5}", ["heads.ccsd", "no labels of method 'ccsd'", "cc"]),
    ],
)
def test_what_chno3_lacks_is_said_with_what_it_has(
    real: Catalogue, heads: str, words: list[str]
) -> None:
    text = f"dataset: chno3\n{one_step(heads)}"
    with pytest.raises(StudyError) as caught:
        expand(parse_study(text, source="study.yaml"), real)
    for word in words:
        assert word in str(caught.value)


def test_the_molecule_split_draws_other_labels(real: Catalogue) -> None:
    step = one_step("cc: {subset: a, size: 50, validation: 30}")
    text = f"dataset: chno3\nsplit: [random, molecule]\n{step}"
    random, molecule = expand(parse_study(text, source="s"), real).stages.values()
    assert (random.split, molecule.split) == ("random", "molecule")
    assert random.heads["cc"].digest != molecule.heads["cc"].digest
