"""What is refused before anything is set up, and that no locale or line end reaches into what is read."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.audit.__main__ import main as audit
from stages.core import checkout
from stages.records.dvc_lock import Lock
from tests.conftest import own_settings
from tests.unit.test_import_rules import COMMANDS, package

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def repository(*commands: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in ("init -q", *commands):
        subprocess.run(["git", *identity, *command.split()], check=True)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 4), (3, 14, 1)])
def test_a_python_with_wheels_is_taken(version: tuple[int, ...]) -> None:
    assert checkout.python_version(version) == []


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 14), (3, 15, 0), (4, 0, 0)])
def test_another_python_is_refused_with_those_that_do(version: tuple[int, ...]) -> None:
    [line] = checkout.python_version(version)
    assert "no wheels for " + ".".join(map(str, version)) in line
    assert "allowed: 3.11, 3.12, 3.13, 3.14" in line


def test_wheels_are_there_for_what_pyproject_allows() -> None:
    assert f'requires-python = ">={checkout.OLDEST[0]}.{checkout.OLDEST[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_a_commit_is_needed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ZIP has no repository, and a new one no commit; what a hook of git names is another repository."""
    for commands in ([], ["init -q"]):
        for command in commands:
            subprocess.run(["git", *command.split()], check=True)
        [line] = checkout.commit()
        assert "there is no commit here" in line
        assert "git clone the repository" in line
    repository("commit -q --allow-empty -m one")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert checkout.commit() == []
    monkeypatch.setenv("PATH", "")
    assert checkout.commit()[0].startswith("git: it is not installed")


def test_git_s_own_cure_of_another_owner_is_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cure = "git config --global --add safe.directory /x"
    git = here / "git"
    said = f"fatal: detected dubious ownership in repository at /x. Call: {cure}"
    git.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 128\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:/bin:/usr/bin")
    [line] = checkout.commit()
    assert line.startswith("git: fatal: detected dubious ownership")
    assert line.endswith(cure)
    done = CliRunner().invoke(audit, ["explain", "I", "VGG16"])
    assert (done.exit_code, done.stderr) == (1, f"Error: git: {said}\n")


@pytest.mark.parametrize("name", ["data", "data/runs", "data/raw", "reports"])
def test_folders_that_are_links_are_named_with_ways_that_work(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (here / "disk").mkdir()
    (here / name).parent.mkdir(exist_ok=True)
    assert checkout.links() == []
    (here / name).symlink_to(here / "disk")
    [line] = checkout.links()
    assert line.startswith(f"{name} is a link")
    assert "dvc cache dir" in line
    assert checkout.links_under_dvc() == []  # by hand a link does no harm
    monkeypatch.setenv("DVC_STAGE", "train")
    assert checkout.links_under_dvc() == [line]


def test_variables_of_other_tools_are_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*checkout._CERTIFICATES, *checkout._OF_PIP, *checkout._OF_PYTHON):
        monkeypatch.delenv(name, raising=False)
    assert checkout.certificates() == checkout.interpreter_variables() == []
    monkeypatch.setenv("SSL_CERT_DIR", str(here))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nope.pem")
    monkeypatch.setenv("PIP_USER", "1")
    assert checkout.certificates() == ["REQUESTS_CA_BUNDLE=/nope.pem does not exist; unset it"]
    assert [line.split()[0] for line in checkout.interpreter_variables()] == ["PIP_USER"]


def test_too_little_disk_is_told_in_numbers() -> None:
    assert checkout.room(1 << 30, 2 << 30) == []
    [line] = checkout.room(3 << 30, 1 << 30)
    assert line.startswith("disk: 3.0 GiB are needed and 1.0 GiB free; make room")


def test_it_needs_the_standard_library_alone() -> None:
    """And syntax that Python 3.8 reads, which is to say that it is too old."""
    for file in ("stages/core/checkout.py", "stages/core/git.py", "stages/doctor/before.py"):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"), feature_version=(3, 8))
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names, "stages"}
        assert {name for name in imported if name.startswith("stages")} <= {"stages.core.checkout", "stages.core.git"}


def test_the_tests_are_not_reached_by_the_user_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of git names the user's repository; signing, hooks and templates are the user's."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    users = dict.fromkeys(("GIT_DIR", "GIT_INDEX_FILE", "MLFLOW_TRACKING_URI", "PIP_USER"), "/nowhere")
    os.environ |= users
    own_settings()
    assert not users.keys() & os.environ.keys()
    asked = ["git", "config", "--type=bool", "commit.gpgsign"]
    found = subprocess.run(asked, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert found.stdout == "false\n"


def test_dvc_lock_is_read_whatever_its_line_ends(here: Path) -> None:
    """Git for Windows checks out CRLF by default; .gitattributes says no, and an editor may write them all the same."""
    assert "* -text" in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    text = "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: p\n      md5: " + "ab" * 16 + "\n"
    for ends in ("\n", "\r\n"):
        (here / "dvc.lock").write_bytes(text.replace("\n", ends).encode())
        assert Lock().md5("a", "outs", "p") == "ab" * 16


def test_every_text_has_an_encoding_of_its_own() -> None:
    """Else a locale that is not UTF-8 ends a stage: ascii cannot decode the book's libraries."""
    found = []
    for file in sorted((*(ROOT / "stages").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _text_without_encoding(node):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def _text_without_encoding(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given:
        return False
    if name in ("read_text", "write_text"):
        of_ours = isinstance(call.func, ast.Name)  # stages.core.files.write_text
        return not of_ours and "files" not in ast.unparse(call.func)
    if name in ("run", "Popen", "check_output"):
        return "text" in given or "universal_newlines" in given
    return False


def test_a_safe_path_still_finds_the_working_folder(here: Path) -> None:
    """`PYTHONSAFEPATH=1 dvc repro`: the environment has a line that looks there."""
    line = (ROOT / "stages/doctor/safe_path.pth").read_text(encoding="utf-8")
    assert "safe_path.pth" in (ROOT / "Makefile").read_text(encoding="utf-8")
    (here / "found_here.py").write_text("print('found')")
    (here / "site").mkdir()
    (here / "site/safe_path.pth").write_text(line)
    code = "import site, sys; site.addsitedir('site'); import found_here"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "found\n")


def test_a_user_without_a_name_is_told_before_dvc_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container started with `--user 12345`: DVC ends with 'getpwuid(): uid not found'."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 2)
    [line] = checkout.user_name()
    assert line.startswith("user: number 2147483646 has no name")
    monkeypatch.setenv("USER", "somebody")
    assert checkout.user_name() == []


@pytest.mark.parametrize("command", [name for name in COMMANDS if package(name) != "preprocess"])
def test_a_python_without_the_libraries_is_told_how_to_get_them(command: str) -> None:
    module = command.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    done = subprocess.run([sys.executable, "-S", "-m", module], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Error: {sys.executable} has no click, pydantic, ruamel; make setup, then: . .venv/bin/act")
