"""Provenance says what DVC and git say: the same hashes, stages, parameters and dependencies, the same commit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.config.params import load_params
from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.files import file_hash
from stages.records import provenance

REPOSITORY = Path(__file__).resolve().parents[3]
PIPELINE_FILES = ("dvc.yaml", "params.yaml", ".dvcignore")
# The options by which dvc.yaml gives a stage its data: what train.py and evaluate.py hand to `take` as inputs.
INPUTS = {"train": ["--data"], "evaluate": ["--run", "--description", "--test"]}
# What DVC makes of dvc.yaml: each stage's command, its files and the values of its parameters.
RESOLVE = """
import json
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
stages = {}
for stage in Repo().index.stages:
    files = [d.def_path for d in stage.deps if not isinstance(d, ParamsDependency)]
    values = {k: v for d in stage.deps if isinstance(d, ParamsDependency) for k, v in d.read_params().items()}
    stages[stage.addressing] = {"cmd": stage.cmd, "deps": files, "params": values}
print(json.dumps(stages))
"""


def command(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        arguments, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dvc(*arguments: str, cwd: Path) -> str:
    return command(sys.executable, "-m", "dvc", *arguments, cwd=cwd, DVC_NO_ANALYTICS="1")


@pytest.fixture(scope="module")
def dvc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository without git that has this repository's pipeline and ignored files."""
    folder = tmp_path_factory.mktemp("dvc")
    dvc("init", "--no-scm", "--quiet", cwd=folder)
    for name in PIPELINE_FILES:
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def resolved(dvc_folder: Path) -> dict[str, Any]:
    return json.loads(command(sys.executable, "-c", RESOLVE, cwd=dvc_folder))


def test_a_linked_folder_is_refused_since_no_hash_would_see_into_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "metrics").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptFileError, match="sources/metrics: a link to a folder"):
        provenance.hash_dependency(tmp_path / "sources")


def test_a_folder_s_hash_is_dvc_s(dvc_folder: Path) -> None:
    folder = dvc_folder / "folder"
    contents = {
        "b.txt": b"text\r\nwith lines\n",
        "a/deep/one.bin": bytes(range(256)),
        "a.txt": b"",
        "a/B.txt": b"upper",
        "a-b/x": b"sorts between a and a/",
        "é ü.txt": "é".encode(),
        "a/__pycache__/m.cpython-311.pyc": b"ignored",
        "stray.pyc": b"ignored",
        ".mypy_cache/x.json": b"ignored",
        ".venv/bin/python": b"ignored",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    dvc("add", "folder", "--quiet", cwd=dvc_folder)
    (line,) = [
        line for line in (dvc_folder / "folder.dvc").read_text().splitlines() if "md5:" in line and "dir" in line
    ]
    found = provenance.hash_dependency(folder)
    assert found["md5"] == line.partition("md5: ")[2]
    assert found["files"] == {
        name: file_hash(folder / name) for name, content in contents.items() if content != b"ignored"
    }


def test_the_ignored_names_are_those_of_dvcignore() -> None:
    lines = (REPOSITORY / ".dvcignore").read_text().splitlines()
    assert sorted(provenance._IGNORED) == sorted(line for line in lines if line and not line.startswith("#"))


def test_a_file_s_hash_is_its_md5_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb")
    assert provenance.hash_dependency(tmp_path / "file") == {"md5": file_hash(tmp_path / "file")}
    with pytest.raises(MissingFileError, match="is missing"):
        provenance.hash_dependency(tmp_path / "other")


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_stages_are_what_dvc_makes_of_dvc_yaml(
    kind: str, resolved: dict[str, Any], dvc_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dvc_folder)
    monkeypatch.setattr(provenance, "hash_dependency", lambda path: {"md5": path.as_posix()})
    monkeypatch.setattr(provenance, "git_state", lambda: {"commit": "none"})
    params = load_params()
    planned = [(key, seed) for key in params.cell_keys() for seed in params.seeds]
    names = [provenance.stage_name(kind, key, params.budget, seed) for key, seed in planned]
    assert sorted(names) == sorted(name for name in resolved if name.startswith(f"{kind}-"))
    for (key, seed), name in zip(planned, names, strict=True):
        words = resolved[name]["cmd"].split()
        inputs = [Path(words[words.index(option) + 1]) for option in INPUTS[kind]]
        taken = provenance.take(kind, key, params.budget, seed, inputs)
        assert taken["stage"] == name
        assert taken["params"] == resolved[name]["params"]
        assert {path: entry["md5"] for path, entry in taken["deps"].items()} == {
            path: path for path in resolved[name]["deps"]
        }
        assert taken["git"] == {"commit": "none"}


def test_a_dependency_that_is_not_there_is_refused(dvc_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dvc_folder)
    key, _ = load_params().find("mnist/vgg16")
    with pytest.raises(MissingFileError, match=r"stages/train.py is missing"):
        provenance.take("train", key, "quick", 0, [])
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(MissingFileError, match=r"no-such-folder is missing"):
        provenance.take("train", key, "quick", 0, [dvc_folder / "no-such-folder"])


# git


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in {"stages/train.py": "1", "dvc.lock": "1", "reports/table.md": "1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    for name, value in {"NAME": "A", "EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "one"]):
        command("git", *arguments, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_clean_clone_has_its_commit(clone: Path) -> None:
    commit = command("git", "rev-parse", "HEAD", cwd=clone).strip()
    assert len(commit) == 40
    (clone / "untracked.txt").write_text("not a source")
    assert provenance.git_state() == {"commit": commit, "dirty": False, "changed": []}


def test_a_new_source_makes_a_clone_dirty(clone: Path) -> None:
    (clone / "stages/new.py").write_text("1")
    assert provenance.git_state()["changed"] == ["stages/new.py"]


def test_what_stages_write_does_not_make_a_clone_dirty(clone: Path) -> None:
    for name in ("dvc.lock", "reports/table.md"):
        (clone / name).write_text("2")
    assert provenance.git_state()["dirty"] is False


@pytest.mark.parametrize("staged", [True, False])
def test_a_changed_source_makes_a_clone_dirty(clone: Path, staged: bool) -> None:
    (clone / "stages/train.py").write_text("2")
    if staged:
        command("git", "add", "stages/train.py", cwd=clone)
    state = provenance.git_state()
    assert (state["dirty"], state["changed"]) == (True, ["stages/train.py"])


def test_a_removed_source_makes_a_clone_dirty(clone: Path) -> None:
    (clone / "stages/train.py").unlink()
    assert provenance.git_state()["changed"] == ["stages/train.py"]


def test_outside_a_clone_or_before_the_first_commit_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(StageError, match=r"git rev-parse HEAD failed: fatal: .*; run inside the clone") as caught:
            provenance.git_state()
        assert "\n" not in caught.value.message
        command("git", "init", "--quiet", cwd=tmp_path)


def test_without_git_one_line_says_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(clone))
    with pytest.raises(StageError, match="git is not installed"):
        provenance.git_state()


def test_the_environment_can_be_written_as_json() -> None:
    found = json.loads(json.dumps(provenance.environment()))
    assert found["cores"] == os.cpu_count()
    assert found["python"] == sys.version.split()[0]
    assert found["processor"]
    assert {"torch", "numpy", "dvc", "mlflow"} <= found["packages"].keys()
