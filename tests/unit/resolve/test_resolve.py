"""Stage `resolve` writes what an edit changes, and nothing else."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.config.loading import load_params
from stages.records.spec import check_spec, resolve_spec, resolve_specs, spec_path
from stages.resolve.__main__ import main
from tests.shipped import shipped_text

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped params.yaml and sources, to be edited."""
    (tmp_path / "params.yaml").write_text(shipped_text())
    shutil.copytree(REPOSITORY / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def resolve(*arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--out", "specs"])
    assert done.exit_code == 0, done.output
    return done.output


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text("utf-8")
    assert old in text
    Path(path).write_text(text.replace(old, new, 1), "utf-8")


def contents() -> dict[str, bytes]:
    return {path.relative_to("specs").as_posix(): path.read_bytes() for path in Path("specs").rglob("*.json")}


def test_the_stage_writes_every_cell_and_what_an_edit_changes_alone(clone: Path) -> None:
    params = load_params()
    every = len(params.resolved)
    assert resolve() == f"resolve@quick: {every} specs (rows and alternatives), {every} of them changed\n"
    first = contents()
    assert set(first) == {f"{cell}.json" for cell in params.resolved}
    assert resolve("--budget", "quick") == f"resolve@quick: {every} specs (rows and alternatives), 0 of them changed\n"

    def changed(path: str, old: str, new: str) -> set[str]:
        edit(path, old, new)
        resolve()
        found = contents()
        edit(path, new, old)
        assert set(found) == set(first)
        return {name for name in first if found[name] != first[name]}

    assert changed("stages/engine/training.py", '"""One training', '"""  One training') == set()
    assert changed("stages/engine/loop.py", "\nfrom", "\n# a comment\nfrom") == set()
    assert changed("params.yaml", '"VGG on MNIST"', '"VGG"') == set()
    assert changed("params.yaml", '"seeds": [0]', '"seeds": [1]') == set()
    of_googlenet = changed("stages/engine/networks/googlenet/network.py", "\nimport", "\nX = 1\nimport")
    assert of_googlenet == {name for name in first if "/googlenet" in name}
    assert changed("stages/engine/training.py", "\nimport", "\nX = 1\nimport") == set(first)
    of_one = changed("params.yaml", '"resnet18-adam": {"network": ', '"resnet18-adam": {"stem": "3x3", "network": ')
    assert of_one == {name for name in first if name.startswith("mnist/resnet18-adam") and "augmented" not in name} - {
        "mnist/resnet18-adam-3x3-stem-28.json"
    }
    assert changed("params.yaml", '"test_images": {"mnist": 500,', '"test_images": {"mnist": 400,') == {
        name for name in first if name.startswith("mnist/")
    }


def test_the_stage_refuses_in_one_line(clone: Path) -> None:
    done = CliRunner().invoke(main, ["--budget", "free", "--out", "specs"])
    assert (done.exit_code, done.output) == (1, "Error: budget: 'free' is not allowed; allowed: one of quick, paper\n")
    edit("stages/engine/loop.py", "\nimport", "\nfrom . import x\nimport")
    done = CliRunner().invoke(main, ["--out", "specs"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: stages/engine/loop.py, line ")
    assert not Path("specs").exists()


def test_resolving_one_cell_gives_the_stage_s_file(clone: Path) -> None:
    resolve("--budget", "paper")
    params = load_params()
    for cell in ("mnist/vgg16", "cifar10/googlenet-sgd-224"):
        check_spec(spec_path(Path("specs"), cell), resolve_spec(params, "paper", cell), "train")
    assert len(resolve_specs(params, "paper")) == len(params.resolved)
