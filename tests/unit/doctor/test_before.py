"""`make setup` with a Python that only says what it was asked: what is refused, and when .venv is made again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.doctor import no_package

ROOT = Path(__file__).resolve().parents[3]
# It runs our checks with the real one, makes an environment that has nothing, and writes down the rest.
PYTHON = """#!/bin/sh
if [ "$2" = stages.doctor.before ]; then exec {real} "$@"; fi
echo "$2 user=$PIP_USER target=$PIP_TARGET path=$PYTHONPATH" >> {log}
if [ "$2" = venv ]; then
    mkdir -p .venv/bin .venv/lib
    printf 'home = /usr/bin\\nversion = {version}\\n' > .venv/pyvenv.cfg
    echo "command = /usr/bin/python3 -m venv --clear $PWD/.venv" >> .venv/pyvenv.cfg
    cp "$0" .venv/bin/python
fi
if [ "$1" = -c ]; then echo .venv/lib; fi
"""
MADE = ["venv", "pip", "import"]


class Clone:
    """A repository with a Makefile and the checks, and a Python of a version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        self.log = folder / "log"
        (self.folder / "stages/core").mkdir(parents=True)
        for name in ("Makefile", "requirements.lock", "stages/__init__.py", "stages/core/__init__.py", "stages/doctor"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.folder / name)
        for name in ("checkout.py", "git.py"):
            shutil.copy(ROOT / "stages/core" / name, self.folder / "stages/core")
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        for command in ("init -q", "commit -q --allow-empty -m one"):
            subprocess.run(["git", *identity, *command.split()], cwd=self.folder, check=True)

    def setup(self, version: str = f"{sys.version_info[0]}.{sys.version_info[1]}.0", **variables: str) -> list[str]:
        """What Python was asked for by `make setup`; the words of a refusal, if it was refused."""
        python = self.folder.parent / "python"
        python.write_text(PYTHON.format(real=sys.executable, log=self.log, version=version))
        python.chmod(0o755)
        self.log.unlink(missing_ok=True)
        environment = {**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
        command = ["make", "setup", f"PYTHON={python}"]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return [done.stderr]
        return self.log.read_text().splitlines() if self.log.is_file() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    return Clone(tmp_path)


def words(asked: list[str]) -> list[str]:
    return [line.split()[0] for line in asked]


def test_it_is_made_once_and_again_where_it_was_moved_or_another_python_is_asked_for(clone: Clone) -> None:
    assert words(clone.setup()) == MADE
    assert (clone.folder / ".venv/lib/safe_path.pth").is_file()
    assert clone.setup() == []
    moved = clone.folder.with_name("moved")
    clone.folder.rename(moved)
    clone.folder = moved
    assert words(clone.setup()) == MADE
    assert clone.setup() == []
    other = (moved / ".venv/pyvenv.cfg").read_text().replace("version = 3", "version = 2")
    (moved / ".venv/pyvenv.cfg").write_text(other)
    assert words(clone.setup()) == MADE
    gone = (moved / ".venv/pyvenv.cfg").read_text().replace("/usr/bin\n", "/no/such/python\n")
    (moved / ".venv/pyvenv.cfg").write_text(gone)
    assert words(clone.setup()) == MADE


def test_an_environment_of_before_these_checks_is_kept(clone: Clone) -> None:
    clone.setup()
    shutil.rmtree(clone.folder / ".cache")
    assert clone.setup() == []


def test_settings_of_pip_and_python_do_not_reach_in(clone: Clone) -> None:
    asked = clone.setup(PIP_USER="1", PIP_TARGET="/elsewhere", PYTHONPATH="/elsewhere", PYTHONSAFEPATH="1")
    assert words(asked) == MADE
    assert {line.partition(" ")[2].partition("user=")[2] for line in asked} == {" target= path="}


def test_without_a_commit_or_with_a_link_nothing_is_set_up(clone: Clone) -> None:
    (clone.folder / "data").mkdir()
    (clone.folder / "data/runs").symlink_to("/tmp")
    shutil.rmtree(clone.folder / ".git")
    [said] = clone.setup()
    assert "Error: git: there is no commit here" in said
    assert "Error: data/runs is a link" in said
    assert not (clone.folder / ".venv").exists()


def test_certificates_that_are_not_there_are_refused_before_pip_needs_them(clone: Clone) -> None:
    [said] = clone.setup(REQUESTS_CA_BUNDLE="/nope.pem")
    assert "Error: REQUESTS_CA_BUNDLE=/nope.pem does not exist; unset it" in said
    clone.setup()
    assert clone.setup(REQUESTS_CA_BUNDLE="/nope.pem") == []  # what is there needs no network


@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "get_requires_for_build_editable", "build_sdist"])
def test_whoever_wants_a_package_is_told_what_sets_up(hook: str) -> None:
    with pytest.raises(SystemExit, match="no package to install"):
        getattr(no_package, hook)({})
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'build-backend = "no_package"\nbackend-path = ["stages/doctor"]' in text
