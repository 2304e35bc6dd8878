"""Wrong study files: one line that names the file, the place in it, and what would be right."""

import time
from pathlib import Path

import pytest

from mfscale.study import Catalogue, StudyError, expand, load_study, parse_study
from mfscale.study.load import LARGEST_FILE

STEP = "{heads: {cc: {subset: a, size: 20, validation: 8}}}"
GOOD = f"dataset: toy\nstrategies: {{s: [{STEP}]}}\n"


def head(text: str) -> str:
    """Write a study of one step whose only head is as given."""
    return f"dataset: toy\nstrategies: {{s: [{{heads: {{{text}}}}}]}}\n"


def steps(*texts: str) -> str:
    return f"dataset: toy\nstrategies: {{s: [{', '.join(texts)}]}}\n"


def bomb(levels: int) -> str:
    """Write nested anchors: ten to the power of `levels` values in a few lines."""
    lines = ["  a0: &a0 {x: 1}"]
    for level in range(1, levels):
        inside = ", ".join(f"k{i}: *a{level - 1}" for i in range(10))
        lines.append(f"  a{level}: &a{level} {{{inside}}}")
    return GOOD + "model:\n" + "\n".join(lines) + "\n"


def list_bomb(levels: int) -> str:
    lines = ["seed:", "- &a0 [1, 1]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return GOOD + "\n".join(lines) + "\n"


WRONG: dict[str, tuple[str, list[str]]] = {
    # keys
    "misspelt key": (GOOD + "sede: 1", ["sede: unknown key", "did you mean 'seed'?"]),
    "key of nothing": (GOOD + "zzz: 1", ["zzz: unknown key", "known: data_seed, dataset"]),
    "misspelt model key": (GOOD + "model: {sizes: tiny}", ["model.sizes", "mean 'size'?"]),
    "misspelt training key": (
        GOOD + "training: {max_step: 5}",
        ["study.yaml: training.max_step: unknown key", "mean 'max_steps'?"],
    ),
    "misspelt training key of a step": (
        steps(STEP[:-1] + ", training: {paitence: 5}}"),
        ["strategies.s[0].training.paitence", "mean 'patience'?"],
    ),
    "misspelt step key": (
        steps(STEP[:-1] + ", trainible: all}"),
        ["strategies.s[0].trainible", "mean 'trainable'?"],
    ),
    "misspelt heads": (steps("{head: {cc: {}}}"), ["s[0].head: unknown key", "mean 'heads'?"]),
    "misspelt head key": (
        head("cc: {subset: a, sise: 20}"),
        ["strategies.s[0].heads.cc.sise", "mean 'size'?"],
    ),
    "head called like a section": (
        head("model: {method: cc, subset: a, sise: 20}"),
        ["heads.model.sise", "mean 'size'?"],
    ),
    "missing dataset": (f"strategies: {{s: [{STEP}]}}", ["dataset: is missing"]),
    "missing strategies": ("dataset: toy", ["strategies: name at least one", "heads"]),
    "missing size": (head("cc: {subset: a}"), ["strategies.s[0].heads.cc.size: is missing"]),
    "missing heads": (steps("{trainable: all}"), ["strategies.s[0].heads: is missing"]),
    "number as key": (GOOD + "1: 2", ["the key 1 is not text", "quotes"]),
    "null as key": (GOOD + "null: 2", ["the key None is not text"]),
    "number as head": (head("1: {}"), ["strategies.s[0].heads: the key 1", "quotes"]),
    "number as strategy": ("strategies: {1: []}", ["strategies: the key 1 is not text"]),
    "list as key": (GOOD + "? [a, b]\n: 1", ["the key ('a', 'b') is not text"]),
    "mapping as key": (GOOD + "? {a: b}\n: 1", ["line 3", "not valid YAML"]),
    "head with a space": (
        head("'c c': {subset: a, size: 20}"),
        ["strategies.s[0].heads: 'c c' cannot name a head", "letters, digits"],
    ),
    # types
    "text for a number": (GOOD + "seed: one", ["seed: must be a whole number, got 'one'"]),
    "quoted number": (head("cc: {subset: a, size: '20'}"), ["cc.size", "whole number", "'20'"]),
    "boolean for a number": (GOOD + "seed: true", ["seed: must be a whole number, got True"]),
    "boolean for a rate": (
        GOOD + "training: {learning_rate: true}",
        ["training.learning_rate: must be a number, got True"],
    ),
    "fraction for a whole number": (GOOD + "seed: 1.5", ["seed", "whole number, got 1.5"]),
    "number for text": (GOOD.replace("toy", "3"), ["dataset: must be text, got 3"]),
    "yes for true": (
        head("dft: {subset: b, size: 20, forces: yes}"),
        ["heads.dft.forces: must be true or false, got 'yes'"],
    ),
    "date": (GOOD + "seed: 2020-01-01", ["seed: datetime.date(2020, 1, 1)", "quotes"]),
    "binary": (GOOD + "seed: !!binary aGk=", ["seed: b'hi'", "neither a number nor text"]),
    "set": (GOOD + "seed: !!set {a}", ["seed: {'a'}", "neither a number nor text"]),
    "null": (head("cc: {subset: a, size: }"), ["cc.size: must be a whole number, got None"]),
    "null model": (GOOD + "model:", ["model: must be a mapping", "got None"]),
    "null name": (GOOD + "name:", ["name: must be text, got None"]),
    "null training": (GOOD + "training:", ["training: must be a mapping", "{max_steps: 1000}"]),
    "null step": (steps(""), ["strategies.s", "list of steps"]),
    "model as text": (GOOD + "model: tiny", ["model: must be a mapping", "got 'tiny'"]),
    "training as an axis of numbers": (
        GOOD + "training: {zip: t, values: [1, 2]}",
        ["training: must be a mapping", "got 1"],
    ),
    "training of a step as text": (
        steps(STEP[:-1] + ", training: fast}"),
        ["strategies.s[0].training: must be a mapping", "got 'fast'"],
    ),
    "head as number": (
        head("cc: 50"),
        ["strategies.s[0].heads.cc: must be a mapping of keys to values, got 50"],
    ),
    "heads as text": (steps("{heads: cc}"), ["strategies.s[0].heads: must be a mapping"]),
    "step as text": (steps("cc"), ["strategies.s[0]: a step is a mapping", "e.g."]),
    "strategy as text": ("strategies: {s: cc}", ["strategies.s: must be a list of steps"]),
    "strategies as a list": (f"strategies: [{STEP}]", ["strategies: name at least one"]),
    "list in a list": (GOOD + "seed: [[0, 1]]", ["seed: must be a whole number, got [0, 1]"]),
    # values
    "misspelt schedule": (
        GOOD + "training: {schedule: cosin}",
        ["training.schedule: must be 'cosine' or 'constant', got 'cosin'"],
    ),
    "misspelt trainable": (
        steps(STEP, STEP[:-1] + ", trainable: readouts}"),
        ["strategies.s[1].trainable: unknown 'readouts'; did you mean 'readout'?"],
    ),
    "dtype nobody has": (
        GOOD + "model: {dtype: float16}",
        ["model.dtype", "'float32' or 'float64'", "'float16'"],
    ),
    "unknown dataset": (GOOD.replace("toy", "toys"), ["dataset: no dataset 'toys'", "name toy"]),
    "unknown split": (GOOD + "split: moleculle", ["split", "mean 'molecule'?"]),
    "unknown architecture": (GOOD + "model: {architecture: nequipp}", ["mean 'nequip'?"]),
    "odd architecture": (
        GOOD + "model: {architecture: 'a b'}",
        ["model.architecture: unknown 'a b'", "known: mace, nequip"],
    ),
    "unknown model size": (
        GOOD + "model: {size: tinny}",
        ["model.size: nequip has no size 'tinny'", "mean 'tiny'?"],
    ),
    "unknown method": (
        head("dtf: {subset: b, size: 20}"),
        ["strategies.s[0].heads.dtf: toy has no labels of method 'dtf'", "mean 'dft'?"],
    ),
    "unknown method of a named head": (
        head("best: {method: ccc, subset: b, size: 20}"),
        ["strategies.s[0].heads.best.method", "mean 'cc'?"],
    ),
    "unknown subset": (
        head("cc: {subset: z, size: 20}"),
        ["strategies.s[0].heads.cc.subset: cannot train on 'z'", "known: a, b, c"],
    ),
    "test subset": (head("cc: {subset: t, size: 20}"), ["cc.subset: cannot train on 't'"]),
    "nothing to learn from": (
        head("cc: {subset: b, size: 20}"),
        ["cc.subset: toy has no cc labels in 'b'", "some in a"],
    ),
    "size too large": (
        head("cc: {subset: a, size: [20, 101], validation: 8}"),
        ["strategies.s[0].heads.cc.size: asks for 101", "toy has 100", "at most"],
    ),
    "size zero": (head("cc: {subset: a, size: 0}"), ["cc.size", "at least 1, got 0"]),
    "size negative": (head("cc: {subset: a, size: -5}"), ["cc.size", "at least 1, got -5"]),
    "validation too large": (
        head("cc: {subset: a, size: 20, validation: 11}"),
        ["strategies.s[0].heads.cc.validation: asks for 11", "toy has 10"],
    ),
    "forces without labels": (
        head("cc: {subset: a, size: 20, validation: 8, forces: true}"),
        ["heads.cc.forces: cc labels of toy have no forces", "write false"],
    ),
    "rate of zero": (
        GOOD + "training: {learning_rate: 0}",
        ["training.learning_rate: must be greater than 0, got 0"],
    ),
    "decay of one": (
        GOOD + "training: {ema_decay: 1}",
        ["training.ema_decay: must be less than 1"],
    ),
    "nan": (GOOD + "training: {learning_rate: .nan}", ["learning_rate: must be a finite number"]),
    "inf": (GOOD + "training: {learning_rate: .inf}", ["learning_rate: must be a finite number"]),
    "too many digits": (GOOD + "training: {force_weight: 1.0e+999}", ["must be a finite number"]),
    "huge whole number": (GOOD + f"seed: {10**300}", ["seed: the number is too large", "64 bits"]),
    "huge hexadecimal": (GOOD + f"seed: 0x{'f' * 5000}", ["seed: the number is too large"]),
    "whole number no text can hold": (GOOD + f"seed: {'9' * 5000}", ["not valid YAML"]),
    "seed beyond its range": (GOOD + f"seed: {2**31}", ["seed: must be less than 2147483648"]),
    "cap of all time": (GOOD + f"training: {{max_steps: {2**64}}}", ["training.max_steps", "64"]),
    # steps that follow one another
    "readout of a root": (
        steps(STEP[:-1] + ", trainable: readout}"),
        ["strategies.s[0].trainable: a step from scratch", "needs a step before it"],
    ),
    "inherit at a root": (
        head("cc: {subset: a, size: 20, validation: 8, inherit: dft}"),
        ["strategies.s[0].heads.cc.inherit: there is no step before", "leave it out"],
    ),
    "inherit from nobody": (
        steps(STEP, "{heads: {cc: {subset: a, size: 20, validation: 8, inherit: dft}}}"),
        ["strategies.s[1].heads.cc.inherit", "no head 'dft'", "known: cc, fresh"],
    ),
    "a head passed over": (
        steps(STEP, "{heads: {cc: {subset: a, size: 20, validation: 8, inherit: fresh}, x: keep}}"),
        ["strategies.s[1].heads.x: cannot keep a head that is not there; known: cc"],
    ),
    "a head dropped in silence": (
        steps(STEP, "{heads: {dft: {subset: b, size: 20, validation: 8, inherit: fresh}}}"),
        ["strategies.s[1].heads: the step before also has head 'cc'", "'cc: keep'", "'cc: drop'"],
    ),
    "keep at a root": (
        head("cc: {subset: a, size: 20, validation: 8}, dft: keep"),
        ["strategies.s[0].heads.dft: cannot keep", "no step before this one"],
    ),
    "a fate that is none": (
        head("cc: {subset: a, size: 20, validation: 8}, dft: kept"),
        ["strategies.s[0].heads.dft: must be 'keep' or 'drop', got 'kept'"],
    ),
    "nothing learns": (
        steps(STEP, "{heads: {cc: keep}}"),
        ["strategies.s[1].heads: no head learns", "labelled set"],
    ),
    "half the sampling ratios": (
        head(
            "cc: {subset: a, size: 5, validation: 8, sampling_ratio: 1}, "
            "dft: {subset: b, size: 5, validation: 8}"
        ),
        ["strategies.s[0].heads.dft.sampling_ratio: is missing", "every head a ratio"],
    ),
    # axes
    "empty list": (GOOD + "seed: []", ["seed: the list is empty", "at least one value"]),
    "empty list of sizes": (
        head("cc: {subset: a, size: []}"),
        ["heads.cc.size: the list is empty"],
    ),
    "empty heads": (steps("{heads: {}}"), ["strategies.s[0].heads: must not be empty"]),
    "empty strategy": ("strategies: {s: []}", ["strategies.s: must be a list of steps"]),
    "empty strategies": ("strategies: {}", ["strategies: name at least one", "e.g."]),
    "unequal zips": (
        GOOD + "seed: {zip: z, values: [1, 2]}\ndata_seed: {zip: z, values: [1]}",
        ["'z' must be equally long", "seed has 2", "data_seed has 1"],
    ),
    "half a zip": (GOOD + "seed: {zip: z}", ["seed: a zipped axis is written {zip: NAME"]),
    "too many combinations": (
        GOOD + f"seed: {list(range(300))}\ndata_seed: {list(range(300))}",
        ["strategies.s", "90,000 combinations", "more than 50,000", "shorten or zip"],
    ),
    "too many in all": (
        GOOD + f"seed: {list(range(999))}\ndata_seed: {list(range(51))}",
        ["50,949 combinations"],
    ),
    # YAML
    "duplicate key": (GOOD + "seed: 1\nseed: 2", ["line 4", 'duplicate key "seed"']),
    "tab": ("dataset: toy\n\tseed: 1", ["line 2", "not valid YAML"]),
    "open bracket": (
        "dataset: toy\nseed: [0,\nmodel: {}\nsplit: random",
        ["line 4: not valid YAML", "a flow sequence that begins in line 2"],
    ),
    "anchor used again": (GOOD + "seed: [&a 1, &a x]", ["seed: must be a whole number, got 'x'"]),
    "control characters": ("dataset: \x01", ["not valid YAML", "x0001"]),
    "escaped control characters": (GOOD + 'name: "a\\eb"', ["name: 'a\\x1bb'", "printed"]),
    "half a surrogate": (GOOD + 'name: "\\ud800"', ["name: '\\ud800'", "printed"]),
    "unprintable key": (GOOD + '"a\\nb": 1', ["the key 'a\\nb' is not text"]),
    "two documents": (GOOD + "---\nseed: 1", ["line 3", "another document"]),
    "undefined alias": (GOOD + "seed: *x", ["line 3", "undefined alias"]),
    "a tag of Python": (GOOD + "seed: !!python/object:os.system x", ["line 3", "not valid YAML"]),
    "a tag that does not fit": (GOOD + "seed: !!bool maybe", ["not valid YAML", "maybe"]),
    "empty file": ("", ["a study is a mapping of keys", "strategies"]),
    "prose": ("a study of nothing", ["a study is a mapping of keys"]),
    "list": ("- dataset: toy", ["a study is a mapping of keys"]),
    "anchor in itself": (GOOD + "model: &m {x: *m}", ["model.x.x", "nested more than 20 deep"]),
    "anchor bomb of mappings": (bomb(12), ["more than 100,000 values", "shorten"]),
    "anchor bomb of lists": (list_bomb(12), ["more than 100,000 values", "shorten"]),
    "deep nesting": (GOOD + f"seed: {'[' * 100}{']' * 100}", ["seed[0]", "more than 20 deep"]),
    "endless nesting": ("- " * 5000, ["not valid YAML", "nested too deep"]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_one_line_says_what_is_wrong_and_where(
    catalogue: Catalogue, text: str, words: list[str]
) -> None:
    began = time.process_time()
    with pytest.raises(StudyError) as caught:
        expand(parse_study(text, source="study.yaml"), catalogue)
    message = str(caught.value)
    for word in ("study.yaml: ", *words):
        assert word in message
    assert message.startswith("study.yaml: ")
    assert message.count("study.yaml") == 1
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 300
    assert time.process_time() - began < 5, "a wrong study file must not keep anyone waiting"


def test_the_study_all_of_these_were_made_from_is_right(catalogue: Catalogue) -> None:
    assert len(expand(parse_study(GOOD, source="study.yaml"), catalogue).stages) == 1


@pytest.mark.parametrize("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), "# über\n" + GOOD])
def test_files_of_other_systems_are_read(catalogue: Catalogue, tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode())
    assert len(expand(load_study(path), catalogue).stages) == 1


def test_anchors_within_reason_are_welcome(catalogue: Catalogue) -> None:
    text = """
dataset: toy
strategies:
  direct: [{heads: {cc: &cc {subset: a, size: 20, validation: 8}}}]
  finetune: [{heads: {dft: {<<: *cc, size: 30}}}, {heads: {cc: *cc}}]
"""
    assert len(expand(parse_study(text, source="study.yaml"), catalogue).stages) == 3


def test_a_study_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my-sweep.yaml"
    path.write_text(GOOD)
    assert load_study(path).name == "my-sweep"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"dataset: \xff\xfe", "not UTF-8"),
        (GOOD.encode("utf-16"), "not UTF-8"),
        (b"# \n" * LARGEST_FILE, "larger than 100,000 bytes"),
    ],
    ids=["bytes", "UTF-16", "large"],
)
def test_files_that_are_no_studies(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=words) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["", "absent.yaml", "absent/study.yaml", "x" * 300])
def test_paths_that_lead_to_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match=r"cannot be read \(.+\); give a study file"):
        load_study(tmp_path / name)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(StudyError, match="larger than"):
        load_study(Path("/dev/zero"))
