"""params.yaml as a file: what is not YAML, not text or not there is one line, for a command too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.core.errors import MissingFileError, StageError
from tests.shipped import shipped
from tests.unit.config.conftest import REPOSITORY

TEXT = "".join(f"{section}: {json.dumps(content)}\n" for section, content in shipped().items())
LINE = next(i for i, line in enumerate(TEXT.splitlines(), 1) if line.startswith("budget:"))


def edited(folder: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = folder / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("budget: ", "budget: paper\nbudget: ", [f"line {LINE + 1}: ", 'key "budget"', "allowed: every key once"]),
        ('"vgg11": {"net', '"vgg16": {"net', ['key "vgg16"', "allowed: every key once"]),
        ("seeds: [0]", "seeds: [0", ["not YAML"]),
        ("seeds: [0]", "seeds: !!python/object:os.system [0]", ["not YAML"]),
        ("seeds: [0]", "seeds: *nowhere", ["not YAML"]),
        ("seeds: [0]", "---\nseeds: [0]", ["not YAML"]),
        ("seeds: [0]", "seeds: 2020-13-45", ["not YAML: month must be in 1..12"]),
        ("seeds: [0]", "? {a: 1}\n: 1", ["not YAML"]),
        ('"title": "MNIST"', '"title": "\\ud800"', ["not YAML"]),
        ('"title": "MNIST"', '"title": "\0"', ["not YAML"]),
    ],
)
def test_what_is_not_yaml_is_refused(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    path = edited(tmp_path, old, new)
    with pytest.raises(StageError) as caught:
        load_params(path)
    assert "\n" not in caught.value.message
    for part in [str(path), *parts]:
        assert part in caught.value.message


def refusal(path: Path) -> str:
    with pytest.raises(StageError) as caught:
        load_params(path)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    return caught.value.message


def test_numbers_and_nestings_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    message = refusal(edited(tmp_path, "seeds: [0]", f"seeds: [{'9' * 5000}]"))
    assert "not YAML: Exceeds the limit" in message
    message = refusal(edited(tmp_path, "seeds: [0]", f"seeds: [0x{'f' * 5000}]"))
    assert "params.yaml: seeds.0: (int too large to print) is not allowed" in message
    message = refusal(edited(tmp_path, '"lr": 0.01}', '"lr": 1.0e+999}'))
    assert "params.yaml: cells.mnist.vgg16-lr1e-2.lr: inf is not allowed; allowed: " in message
    message = refusal(edited(tmp_path, "seeds: [0]", f"seeds: {'[' * 500}{']' * 500}"))
    assert "params.yaml: not YAML: nested deeper than 64" in message
    message = refusal(edited(tmp_path, "seeds: [0]", f"seeds: {'[' * 1_000_000}"))
    assert "params.yaml: not YAML: nested deeper than 64" in message


def test_an_alias_of_itself_is_refused(tmp_path: Path) -> None:
    message = refusal(edited(tmp_path, '"hidden_layers": [4096, 4096]', '"hidden_layers": &it [*it]'))
    assert "params.yaml: not YAML: an anchor that holds itself" in message
    message = refusal(edited(tmp_path, '"vgg": {"batch_size": 64}', '"vgg": {"batch_size": &it [*it]}'))
    assert "params.yaml: not YAML: an anchor that holds itself" in message


def test_a_short_text_of_many_values_is_refused(tmp_path: Path) -> None:
    layers = "".join(f', "x{level}": &x{level} [{", ".join([f"*x{level - 1}"] * 9)}]' for level in range(1, 9))
    message = refusal(edited(tmp_path, "seeds: [0]", f'seeds: [0]\nbomb: {{"x0": &x0 [1, 1]{layers}}}'))
    assert "params.yaml: not YAML: anchors that make more than 1000000 values of it" in message


@pytest.mark.parametrize(("content", "named"), [(b"", "None"), (b"[1, 2]", "[1, 2]"), (b"word", "'word'")])
def test_a_file_without_sections_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    assert refusal(tmp_path / "params.yaml") == (
        f"params.yaml: {named} is not allowed; allowed: a mapping of keys to values"
    )


def test_a_file_that_is_no_text_or_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not YAML" in refusal(tmp_path / "params.yaml")
    with pytest.raises(MissingFileError, match="run from the top folder of the repository"):
        load_params(tmp_path / "other.yaml")


def test_yaml_is_that_of_version_1_2(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{a: yes, b: 1e-8, c: 012, d: off}")
    assert read_yaml(tmp_path / "a.yaml") == {"a": "yes", "b": 1e-8, "c": 12, "d": "off"}


@pytest.mark.parametrize(
    ("old", "new", "arguments", "status", "named"),
    [
        ('"alpha": 0.99,', '"alpha": 1.5,', ["mnist/vgg16"], 1, "optimizers.rmsprop.alpha: 1.5 is not"),
        ("seeds: [0]", "seeds: [0]\nseeds: [1]", ["mnist/vgg16"], 1, 'duplicate key "seeds"'),
        ("", "", ["mnist/vgg15"], 1, "cell: 'mnist/vgg15' is not allowed; allowed: one of mnist/vgg16"),
        ("", "", ["mnist/vgg16", "--budget", "free"], 1, "budget: 'free' is not allowed; allowed: one of quick, paper"),
        ("", "", ["mnist/vgg16", "--seed", "-1"], 2, "-1 is not in the range"),
    ],
)
def test_the_command_says_one_line_and_no_traceback(
    tmp_path: Path, old: str, new: str, arguments: list[str], status: int, named: str
) -> None:
    edited(tmp_path, old, new)
    command = [sys.executable, "-m", "stages.train", *arguments, "--data", "data", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert named in lines[0]
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]  # refused before anything was begun
