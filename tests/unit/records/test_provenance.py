"""Provenance says what DVC and git say, and a run whose spec, code or data changed meanwhile is not recorded."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.config.loading import load_params
from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.files import file_hash
from stages.records import provenance
from stages.records.fingerprint import ROOTS, Kind, closure, fingerprint
from stages.records.provenance import Provenance
from stages.records.spec import Spec, resolve_spec, resolve_specs, write_specs
from tests.shipped import shipped_params, shipped_text

REPOSITORY = Path(__file__).resolve().parents[3]
# The options by which dvc.yaml gives a stage its data: what `train` and `evaluate` hand to `snapshot_inputs`.
INPUTS: dict[Kind, list[str]] = {"train": ["--data"], "evaluate": ["--run", "--description", "--test"]}
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
    """A DVC repository without git that has this repository's pipeline, ignored files and specs."""
    folder = tmp_path_factory.mktemp("dvc")
    dvc("init", "--no-scm", "--quiet", cwd=folder)
    (folder / "params.yaml").write_text(shipped_text())
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(REPOSITORY / name, folder / name)
    params = shipped_params()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        write_specs(resolve_specs(params, params.budget), folder / "reports" / params.budget / "specs")
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
    assert found.md5 == line.partition("md5: ")[2]
    assert found.files == {
        name: file_hash(folder / name) for name, content in contents.items() if content != b"ignored"
    }


def test_the_ignored_names_are_those_of_dvcignore() -> None:
    lines = (REPOSITORY / ".dvcignore").read_text().splitlines()
    assert sorted(provenance._IGNORED) == sorted(line for line in lines if line and not line.startswith("#"))


def test_a_file_s_hash_is_its_md5_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb")
    found = provenance.hash_dependency(tmp_path / "file")
    assert (found.md5, found.files) == (file_hash(tmp_path / "file"), None)
    with pytest.raises(MissingFileError, match="is missing"):
        provenance.hash_dependency(tmp_path / "other")


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_stages_are_what_dvc_makes_of_dvc_yaml(kind: Kind, resolved: dict[str, Any], dvc_folder: Path) -> None:
    """Of each planned training: DVC's name, the values that DVC takes from its spec, and its data."""
    params = load_params(dvc_folder / "params.yaml")
    trainings = params.trainings()
    names = [training.stage(kind, params.budget) for training in trainings]
    assert sorted(names) == sorted(name for name in resolved if name.startswith(f"{kind}-"))
    for training, name in zip(trainings, names, strict=True):
        words = resolved[name]["cmd"].split()
        spec = Spec.read(dvc_folder / words[words.index("--spec") + 1], "resolve")
        assert spec.cell == str(training.key) == words[words.index(f"stages.{kind}") + 1]
        assert words[words.index("--seed") + 1] == str(training.seed)
        assert flat(resolved[name]["params"]) == spec.parameters(kind)
        assert sorted(resolved[name]["deps"]) == sorted(words[words.index(option) + 1] for option in INPUTS[kind])


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def test_stage_resolve_runs_when_any_module_of_a_number_is_edited(resolved: dict[str, Any]) -> None:
    """But for files that hold a docstring alone."""
    (stage,) = (name for name in resolved if name.startswith("resolve@"))
    below = tuple(f"{folder}/" for folder in resolved[stage]["deps"] if folder.startswith("stages/"))
    assert "params.yaml" in resolved[stage]["deps"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        every = closure("train", "vgg") | closure("evaluate", "vgg")
        empty = fingerprint("train", "vgg").modules["stages/__init__.py"]
        modules = fingerprint("train", "vgg").modules | fingerprint("evaluate", "vgg").modules
    assert {modules[path] for path in every if not path.startswith(below)} == {empty}


# What is taken, and whether it is still so


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit of a few sources, with a spec and data beside."""
    sources = {path: "x = 1\n" for kind in ROOTS for path in ROOTS[kind]}
    sources |= {"stages/engine/networks/vgg/__init__.py": "import stages.engine.layers\n"}
    sources |= {"stages/engine/networks/resnet/__init__.py": "x = 1\n", "stages/engine/layers.py": "x = 1\n"}
    others = {"dvc.yaml": "1", "params.yaml": "seeds: [0]", "requirements.lock": "1", "dvc.lock": "1"}
    for name, content in (sources | others | {"reports/table.md": "1"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    for name in ("images.npy", "sub/labels.npy"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    spec().write(SPEC)
    git("init", "--quiet")
    git("add", "stages", *others, "reports")
    commit()
    for name, value in {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "GIT_WORK_TREE": "/nowhere"}.items():
        monkeypatch.setenv(name, value)  # as in a hook of git, whatever repository it is of
    return tmp_path


SPEC = Path("reports/quick/specs/mnist/vgg16.json")
IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def spec() -> Spec:
    return resolve_spec(shipped_params(), "quick", "mnist/vgg16")


def git(*arguments: str) -> str:
    here = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")  # which the fixture sets; the tests' own settings stay
    variables = {name: value for name, value in os.environ.items() if name not in here}
    done = subprocess.run(["git", *IDENTITY, *arguments], env=variables, capture_output=True, check=True)
    return done.stdout.decode()


def commit() -> None:
    git("commit", "--quiet", "-a", "-m", "one")


def taken(kind: Kind = "train") -> Provenance:
    return provenance.snapshot_inputs(kind, "train-mnist@quick-vgg16-0", spec(), SPEC, [Path("data")])


def test_what_a_run_starts_from_is_taken_whole(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "train-mnist@quick-vgg16-0")
    found = taken()
    assert (found.spec.path, found.spec.md5) == (SPEC.as_posix(), file_hash(SPEC))
    assert found.code == fingerprint("train", "vgg")
    assert found.sources == {path.as_posix(): file_hash(path) for path in Path("stages").rglob("*.py")}
    assert found.inputs == {"data": provenance.hash_dependency(Path("data"))}
    assert found.git.dirty is False
    assert found.run_by == "dvc"
    assert Provenance.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))) == found
    monkeypatch.setenv("DVC_STAGE", "train-mnist@quick-vgg16-1")
    assert taken().run_by == "hand"


def test_what_is_missing_is_refused(clone: Path) -> None:
    with pytest.raises(MissingFileError, match="no-such-folder is missing"):
        provenance.snapshot_inputs("train", "a", spec(), SPEC, [Path("no-such-folder")])
    Path("stages/engine/training.py").unlink()
    with pytest.raises(StageError, match=r"stages/engine/training.py is missing"):
        provenance.snapshot_inputs("train", "a", Spec.read(SPEC, "resolve"), SPEC, [])


def edit_comment() -> None:
    Path("stages/engine/layers.py").write_text("x = 1  # a comment\n")


def edit_other_family() -> None:
    Path("stages/engine/networks/resnet/__init__.py").write_text("x = 2\n")


def edit_testing_and_resolve() -> None:
    Path("stages/evaluate/metrics.py").write_text("x = 2\n")
    spec().write(SPEC)


def new_dates() -> None:
    for path in (SPEC, Path("data"), *Path("data").rglob("*"), *Path("stages").rglob("*")):
        os.utime(path)


def same_bytes_anew() -> None:
    Path("data/images.npy").unlink()
    Path("data/images.npy").write_bytes(b"1")


def ignored_file() -> None:
    Path("data/x.pyc").write_bytes(b"1")


@pytest.mark.parametrize(
    "change", [edit_comment, edit_other_family, edit_testing_and_resolve, new_dates, same_bytes_anew, ignored_file]
)
def test_what_changes_no_number_ends_no_training(clone: Path, change: Callable[[], None]) -> None:
    before, started, found = spec(), time.time(), taken()
    change()
    provenance.assert_unchanged(found, "train", "train-x", before, started)


def edit_code() -> str:
    Path("stages/engine/layers.py").write_text("x = 2\n")
    return "stages/engine/layers.py"


def new_module() -> str:
    Path("stages/engine/extra.py").write_text("x = 2\n")
    Path("stages/engine/layers.py").write_text("import stages.engine.extra\nx = 1\n")
    return "stages/engine/extra.py, stages/engine/layers.py"


def edit_spec() -> str:
    content = spec().content()
    content["settings"]["epochs"] = 7
    Spec.model_validate(content).write(SPEC)
    return SPEC.as_posix()


def remove_spec() -> str:
    SPEC.unlink()
    return SPEC.as_posix()


def break_spec() -> str:
    SPEC.write_text("{}")
    return SPEC.as_posix()


def edit_data() -> str:
    Path("data/images.npy").write_bytes(b"2")
    return "data"


def edit_data_with_its_old_date() -> str:
    dates = Path("data/images.npy").stat()
    Path("data/images.npy").write_bytes(b"2")
    os.utime("data/images.npy", ns=(dates.st_atime_ns, 0))
    return "data"


def add_data() -> str:
    Path("data/sub/more.npy").write_bytes(b"1")
    return "data"


def remove_data() -> str:
    Path("data/sub/labels.npy").unlink()
    return "data"


def move_data() -> str:
    Path("data").rename("elsewhere")
    return "data"


def old_data_moved_in() -> str:
    Path("other").mkdir()
    Path("other/images.npy").write_bytes(b"3")
    os.utime("other/images.npy", (0, 0))
    Path("other/images.npy").replace("data/images.npy")
    return "data"


@pytest.mark.parametrize(
    "change",
    [
        edit_code,
        new_module,
        edit_spec,
        remove_spec,
        break_spec,
        edit_data,
        edit_data_with_its_old_date,
        add_data,
        remove_data,
        move_data,
        old_data_moved_in,
    ],
)
def test_what_could_change_a_number_is_named(clone: Path, change: Callable[[], str]) -> None:
    before, started, found = spec(), time.time(), taken()
    named = change()
    with pytest.raises(StageError) as caught:
        provenance.assert_unchanged(found, "train", "train-x", before, started)
    assert caught.value.message == (
        f"{named} changed while train-x ran, so DVC must not record it; run dvc repro again"
    )


def test_of_testing_its_own_code_counts(clone: Path) -> None:
    before, started, found = spec(), time.time(), taken("evaluate")
    Path("stages/engine/training.py").write_text("x = 2\n")
    provenance.assert_unchanged(found, "evaluate", "x", before, started)
    Path("stages/evaluate/metrics.py").write_text("x = 2\n")
    with pytest.raises(StageError, match=r"^stages/evaluate/metrics.py changed while x ran"):
        provenance.assert_unchanged(found, "evaluate", "x", before, started)


# git


def test_a_clean_clone_has_its_commit(clone: Path) -> None:
    (clone / "untracked.txt").write_text("not a source")
    found = provenance.git_state(SPEC)
    assert found.commit == git("rev-parse", "HEAD").strip()
    assert (found.dirty, found.changed, found.difference) == (False, [], None)


@pytest.mark.parametrize("name", ["dvc.lock", "reports/table.md", "params.yaml"])
def test_what_stages_write_and_switches_do_not_make_a_clone_dirty(clone: Path, name: str) -> None:
    """params.yaml: what of it decides a number is in the spec."""
    (clone / name).write_text("seeds: [1]")
    assert provenance.git_state(SPEC).dirty is False


@pytest.mark.parametrize("name", ["stages/engine/layers.py", "dvc.yaml", "requirements.lock", SPEC.as_posix()])
@pytest.mark.parametrize("staged", [True, False])
@pytest.mark.parametrize("content", [b"2\n", b"2\r\n", b"no end", b"", None])
def test_the_difference_gives_the_files_again(clone: Path, name: str, staged: bool, content: bytes | None) -> None:
    before = (clone / name).read_bytes()
    if content is None:
        (clone / name).unlink()
    else:
        (clone / name).write_bytes(content)
    if staged:
        git("add", name)
    found = provenance.git_state(SPEC)
    assert (found.dirty, found.changed) == (True, [name])
    assert found.difference is not None
    git("reset", "--quiet", "--hard")
    assert (clone / name).read_bytes() == before
    (clone / "patch").write_bytes(found.difference.encode())
    git("apply", "patch")
    assert ((clone / name).read_bytes() if (clone / name).exists() else None) == content


@pytest.mark.parametrize("staged", [True, False])
def test_a_new_source_makes_a_clone_dirty_and_is_in_the_difference(clone: Path, staged: bool) -> None:
    (clone / "stages/new").mkdir()
    for name in ("new/a b.py", "é.py"):
        (clone / "stages" / name).write_text(f"# {name}\r\n", newline="")
    if staged:
        git("add", "stages")
    found = provenance.git_state()
    assert found.changed == ["stages/new/a b.py", "stages/é.py"]
    assert found.difference is not None
    (clone / "patch").write_bytes(found.difference.encode())
    git("rm", "-r", "--quiet", "--force", "--cached", "stages/new", "stages/é.py", "--ignore-unmatch")
    for name in found.changed:
        (clone / name).unlink()
    git("apply", "patch")
    assert (clone / "stages/é.py").read_bytes() == "# é.py\r\n".encode()
    assert (clone / "stages/new/a b.py").is_file()


def test_a_module_that_git_ignores_runs_like_any_other_and_is_in_the_difference(clone: Path) -> None:
    (clone / ".gitignore").write_text("local.py\nprivate/\n")
    for name in ("local.py", "private/deep/net.py", "private/notes.txt"):
        (clone / "stages" / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / "stages" / name).write_text(f"# {name}\n")
    found = provenance.git_state(SPEC)
    assert (found.dirty, found.changed) == (True, ["stages/local.py", "stages/private/deep/net.py"])
    assert set(found.changed) <= provenance.source_hashes().keys()
    assert found.difference is not None
    assert "+# private/deep/net.py\n" in found.difference


def test_a_file_that_is_removed_and_made_anew_stands_once(clone: Path) -> None:
    git("rm", "--quiet", "--cached", "dvc.yaml")
    assert provenance.git_state().changed == ["dvc.yaml"]


@pytest.mark.parametrize(
    "setting",
    [
        ("color.ui", "always"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.external", "false"),
        ("status.showUntrackedFiles", "no"),
        ("status.short", "true"),
        ("core.quotePath", "false"),
    ],
)
def test_the_difference_is_the_same_whatever_git_s_configuration(clone: Path, setting: tuple[str, str]) -> None:
    (clone / "stages/engine/layers.py").write_text("x = 2\n")
    (clone / "stages/new.py").write_text("x = 2\n")
    before = provenance.git_state(SPEC)
    git("config", *setting)
    assert provenance.git_state(SPEC) == before
    assert before.changed == ["stages/engine/layers.py", "stages/new.py"]


def test_a_long_difference_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "stages/new.py").write_text("x = 2\n" * 100)
    monkeypatch.setattr(provenance, "_LONGEST_DIFFERENCE", 50)
    with pytest.raises(StageError, match=r"characters of uncommitted changes in .*; allowed: 50, so commit them first"):
        provenance.git_state()


def test_bytes_that_are_no_utf_8_can_be_recorded(clone: Path) -> None:
    (clone / "stages/new.py").write_bytes(b"# \xe9\n")
    difference = provenance.git_state().difference
    assert difference is not None
    assert "# \ufffd" in difference


def test_outside_a_clone_or_before_the_first_commit_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(StageError, match=r"git rev-parse HEAD failed: fatal: .*; run inside the clone") as caught:
            provenance.git_state()
        assert "\n" not in caught.value.message
        git("init", "--quiet")


def test_without_git_one_line_says_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(clone))
    with pytest.raises(StageError, match="git is not installed"):
        provenance.git_state()


# The machine


def test_the_environment_can_be_written_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_CBWR", os.fsdecode(b"\xff\xc3\xa9"))
    found = json.loads(json.dumps(provenance.environment().model_dump(mode="json"), ensure_ascii=False))
    assert found["cores"] == os.cpu_count()
    assert found["python"] == sys.version.split()[0]
    assert found["processor"]
    assert {"torch", "numpy", "dvc", "mlflow"} <= found["packages"].keys()
    assert found["variables"]["MKL_CBWR"] == "\\udcffé"
    assert found["speed_variables"]["OMP_NUM_THREADS"] == "1"


def test_times_are_utc_to_the_millisecond() -> None:
    assert provenance.timestamp(1.5) == "1970-01-01T00:00:01.500+00:00"
