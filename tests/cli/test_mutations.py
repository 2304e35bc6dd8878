"""Mutations of the quickstart and of a study of everything: each ends in a plan or one message."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mfscale
from tests.cli.conftest import Command, assert_one_message

QUICKSTART = Path(mfscale.__file__).parents[1] / "sweeps" / "quickstart.yaml"
EVERYTHING = """
name: everything
dataset: chno3
model: {architecture: nequip, size: tiny, fidelity: [readout, embedding]}
seed: {zip: replicate, values: [0, 1]}
data_seed: {zip: replicate, values: [0, 1]}
training: {max_steps: 100, batch_size: 8, loss: huber}
tune:
  name: everything
  strategies: [dft, difference]
  trials: 4
  space:
    learning_rate: {low: 0.002, high: 0.05, log: true}
    schedule: [cosine, constant]
    batch_size: {low: 4, high: 16}
    heads.dft.weight: [0.5, 2]
strategies:
  dft:
    - heads: {dft: {subset: b, size: 30, forces: false}, xtb: {subset: b, size: 30}}
    - heads: {cc: {subset: a, size: [20, 30], inherit: dft}, xtb: drop}
      trainable: [all, {freeze_blocks: 1}, {lora: 2}]
  difference:
    - heads: {cc: {subset: a, size: 20, minus: xtb, weight: 2.0}}
  plain:
    - heads: {cc: {subset: a, size: 20, sampling_ratio: 1}}
      training: {learning_rate: 0.02}
"""
"""All that a study file can say of tuning, differences, parts and fidelities."""

VALUES = (
    "",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "one",
    "[]",
    "[1, x]",
    "{}",
    "{zip: a}",
    "{zip: a, values: [1, 2]}",
    "{literal: 3}",
    "2020-01-01",
    "*a",
    "&a 1",
    "!!binary aGk=",
    ".nan",
    "99999999999999999999",
    "a: b",
    "[[1]]",
    "lora",
    "{lora: 1}",
    "{lora: 99}",
    "{freeze_blocks: x}",
    "{low: 1, high: 2}",
    "{low: 0, high: 0.1, log: true}",
    "[cosine, constant]",
    "embedding",
    "xtb",
)
ODD = "\t\x00\x07\x1b\u00a0\u200b\ud800\u2028:#{}[]&*!|>'\"%@`-?,\\é漢~"

Mutation = Callable[[str, random.Random], str]


def deleted_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def repeated_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "".join(lines)


def swapped_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i, j = rng.sample(range(len(lines)), 2)
    lines[i], lines[j] = lines[j], lines[i]
    return "".join(lines)


def misspelt_word(text: str, rng: random.Random) -> str:
    word = rng.choice(list(re.finditer(r"[A-Za-z_]{2,}", text)))
    i = rng.randrange(word.start(), word.end() - 1)
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def other_value(text: str, rng: random.Random) -> str:
    value = rng.choice(list(re.finditer(r"(?<=: )[^\s,{}\[\]]+|\[[^\]]*\]", text)))
    return text[: value.start()] + rng.choice(VALUES) + text[value.end() :]


def truncated(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text))]


def odd_characters(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(1, 4)):
        i = rng.randrange(len(text))
        text = text[:i] + rng.choice(ODD) + text[i:]
    return text


def shifted_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i = rng.randrange(len(lines))
    lines[i] = rng.choice([" " + lines[i], "   " + lines[i], lines[i][1:], lines[i][2:]])
    return "".join(lines)


def lost_characters(text: str, rng: random.Random) -> str:
    i = rng.randrange(len(text))
    return text[:i] + text[i + rng.randrange(1, 8) :]


MUTATIONS: tuple[Mutation, ...] = (
    deleted_line,
    repeated_line,
    swapped_lines,
    misspelt_word,
    other_value,
    truncated,
    odd_characters,
    shifted_line,
    lost_characters,
)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_quickstart_ends_in_a_plan_or_a_message(
    mfscale_here: Command, tmp_path: Path, mutation: Mutation, seed: int
) -> None:
    text = mutation(QUICKSTART.read_text(encoding="utf-8"), random.Random(seed))  # noqa: S311
    plan_or_message(mfscale_here, tmp_path, text)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_study_of_everything_ends_in_a_plan_or_a_message(
    mfscale_here: Command, tmp_path: Path, mutation: Mutation, seed: int
) -> None:
    text = mutation(EVERYTHING, random.Random(1000 + seed))  # noqa: S311
    plan_or_message(mfscale_here, tmp_path, text)


def plan_or_message(mfscale_here: Command, tmp_path: Path, text: str) -> None:
    study = tmp_path / "mutated.yaml"
    study.write_bytes(text.encode("utf-8", "surrogatepass"))
    answer = mfscale_here("plan", study)
    if answer.status == 0:
        assert "steps make" in answer.out
        assert answer.err == ""
    else:
        assert_one_message(answer, f"error: {study}: ")
        assert len(answer.err.splitlines()) == 1
        assert len(answer.err) < 400 + len(str(study))


def test_the_quickstart_itself_ends_in_a_plan(mfscale_here: Command) -> None:
    answer = mfscale_here("plan", QUICKSTART)
    assert answer.status == 0
    assert "0 are cached" in answer.out


def test_the_study_of_everything_ends_in_a_plan(mfscale_here: Command, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(EVERYTHING, encoding="utf-8")
    answer = mfscale_here("plan", study)
    assert (answer.status, answer.err) == (0, "")
    assert "stages wait for these choices" in answer.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("patience", "patiense"), ["training.patiense", "did you mean 'patience'?"]),
        (("[50, 150, 500]", "[50, 150, 5000]"), ["heads.cc.size", "asks for 5000", "has 591"]),
        (("chno3", "chno"), ["dataset", "did you mean chno3?"]),
        (("size: tiny}", "size: tiny"), [": line ", "not valid YAML"]),
    ],
)
def test_a_process_of_its_own_says_the_same(
    mfscale_process: Command, tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    study = tmp_path / "study.yaml"
    text = QUICKSTART.read_text(encoding="utf-8")
    assert change[0] in text
    study.write_text(text.replace(*change), encoding="utf-8")
    answer = mfscale_process("plan", study)
    assert_one_message(answer, study, *words)
    assert len(answer.err.splitlines()) == 1
