"""What a stage trains moves, nothing else does, and a plain network is left."""

import subprocess
import sys
from collections.abc import Callable, Collection, Sequence

import pytest
import torch
from ase import Atoms
from torch import Tensor, nn

from mfscale.models import LADDER, TRAINABLE, ModelError
from mfscale.models.headed import Batch, HeadedModel, energy_and_forces
from mfscale.models.trainable import read_part, trainable_part

MakeModel = Callable[..., HeadedModel]
MakeBatch = Callable[[Sequence[Atoms]], Batch]

PARTS = ["all", "readout", "freeze_blocks:1", "lora:2"]
SIZES = ["tiny", "small", "medium", "large", "xlarge"]

BACKBONE = {
    "nequip": {"all": 8_768, "readout": 0, "freeze_blocks:1": 6_400, "lora:2": 864},
    "allegro": {"all": 10_224, "readout": 0, "freeze_blocks:1": 3_600, "lora:2": 1_264},
    "mace": {"all": 8_384, "readout": 0, "freeze_blocks:1": 4_160, "lora:2": 1_032},
}
"""Parameters that learn in a tiny backbone.

Blocks: each a NequIP layer, an Allegro tensor product (8 × 2 paths) and perceptron (40·64 + 64·16),
a MACE interaction and product. Rank 2 costs 2·(in + out) for each path of a linear map.
"""


@pytest.fixture
def batch(make_batch: MakeBatch, chiral: Atoms, water: Atoms) -> Batch:
    return make_batch([chiral, water])


def learn(model: HeadedModel, batch: Batch, parameters: Sequence[nn.Parameter]) -> None:
    """A few of Adam's steps, the second of which is the first to move what zeros hid."""
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    for _ in range(3):
        energy, forces = energy_and_forces(model, batch, create_graph=True)
        optimizer.zero_grad()
        ((energy - 1).square().sum() + (forces - 0.1).square().sum()).backward()
        optimizer.step()


def copied(model: HeadedModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def names(model: HeadedModel, modules: Collection[nn.Module]) -> set[str]:
    """Of all parameters with elements in `modules`."""
    chosen = {id(p) for module in modules for p in module.parameters()}
    return {name for name, p in model.named_parameters() if id(p) in chosen and p.numel()}


@pytest.mark.parametrize("trainable", PARTS)
def test_each_part_has_its_number_of_parameters(
    make_model: MakeModel, architecture: str, trainable: str
) -> None:
    model = make_model()
    of_readout = sum(p.numel() for p in model.readouts.parameters())
    with trainable_part(model, trainable, model.heads, seed=0) as parameters:
        found = sum(p.numel() for p in parameters)
        assert all(p.requires_grad for p in parameters)
        assert {id(p) for p in model.parameters() if p.requires_grad} == set(map(id, parameters))
    assert found - of_readout == BACKBONE[architecture][trainable]
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("trainable", PARTS)
def test_what_learns_moves_and_the_rest_is_bitwise_as_it_was(
    make_model: MakeModel, batch: Batch, trainable: str
) -> None:
    model = make_model(heads=("dft", "cc"))
    before, plain = copied(model), [type(module) for module in model.modules()]
    with trainable_part(model, trainable, ["dft"], seed=0) as parameters:
        learn(model, batch, parameters)
    blocks = model.backbone.blocks()
    moved = names(model, [model.readout("dft")])
    if trainable == "all":
        moved |= names(model, [model.backbone])
    if trainable == "freeze_blocks:1":
        moved |= names(model, blocks[1])
    found = changed(before, copied(model))
    if trainable == "lora:2":
        assert found > moved
        assert all(name.endswith("weight") for name in found - moved)
        assert not any(name.startswith("readouts.head-cc") for name in found)
    else:
        assert found == moved
    assert list(model.state_dict()) == list(before)
    assert [type(module) for module in model.modules()] == plain


@pytest.mark.parametrize("trainable", PARTS)
def test_an_exception_leaves_a_plain_network_too(
    make_model: MakeModel, batch: Batch, trainable: str
) -> None:
    model, other = make_model(), make_model(seed=1)
    learned = []

    def interrupted() -> None:
        with trainable_part(model, trainable, model.heads, seed=0) as parameters:
            learn(model, batch, parameters)
            learned.append(model(batch))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(batch), *learned, rtol=0, atol=1e-12)
    assert all(p.requires_grad for p in model.parameters())


def test_parts_follow_one_another_on_one_network(make_model: MakeModel) -> None:
    """A kept network serves stages of any kind in turn."""
    model = make_model()
    order = [name for name, _ in model.named_parameters()]
    for trainable in (*PARTS, *reversed(PARTS)):
        with trainable_part(model, trainable, model.heads, seed=0):
            pass
    assert [name for name, _ in model.named_parameters()] == order
    with trainable_part(model, "all", model.heads, seed=0) as parameters:
        assert [*map(id, parameters)] == [id(p) for p in model.parameters() if p.numel()]


def test_every_parameter_of_a_backbone_is_in_one_block(make_model: MakeModel) -> None:
    backbone = make_model().backbone
    found = [id(p) for block in backbone.blocks() for m in block for p in m.parameters()]
    assert sorted(found) == sorted(map(id, backbone.parameters()))


@pytest.mark.parametrize("size", SIZES)
def test_the_ladder_knows_how_many_blocks_can_be_frozen(
    make_model: MakeModel, architecture: str, size: str
) -> None:
    most = TRAINABLE["freeze_blocks"].most
    assert most is not None
    blocks = make_model(size, dtype=torch.float32).backbone.blocks()
    assert most(LADDER[architecture][size]) == len(blocks) - 1
    assert all(any(p.numel() for m in block for p in m.parameters()) for block in blocks)


def test_the_last_block_cannot_be_frozen(make_model: MakeModel) -> None:
    model = make_model()
    with (
        pytest.raises(ModelError, match="freeze_blocks:2 leaves none of 2 blocks"),
        trainable_part(model, "freeze_blocks:2", model.heads, seed=0),
    ):
        pass
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    "trainable",
    ["", "most", "all:1", "readout:2", "lora", "lora:", "lora:0", "lora:04", "lora:-1", "lora:2 "],
)
def test_a_text_must_name_a_part(trainable: str) -> None:
    known = "all, readout, freeze_blocks:<number of frozen blocks>, lora:<rank>"
    with pytest.raises(ModelError, match=f"trainable is '{trainable}'; give one of: {known}"):
        read_part(trainable)


def test_a_text_gives_part_and_number() -> None:
    assert read_part("readout") == (TRAINABLE["readout"], 0)
    assert read_part("lora:16") == (TRAINABLE["lora"], 16)


def test_parts_are_listed_without_torch() -> None:
    program = "import sys; from mfscale.models import TRAINABLE; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
