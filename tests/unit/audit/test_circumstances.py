"""What stands around a command does not reach into what it says: other tools' settings, locale, clock, folders."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GIT_CONFIGURATION = """
[color]
ui = always
[diff]
noprefix = true
external = /bin/false
[core]
abbrev = 4
autocrlf = true
[log]
decorate = full
date = relative
showSignature = true
[status]
short = true
branch = true
showUntrackedFiles = no
"""
ELSEWHERE = {  # no asserts and docstrings, another day and letter I, a narrow terminal, no folder for temporary files
    "PYTHONOPTIMIZE": "2",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "tr_TR.UTF-8",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "TMPDIR": "/nowhere",
    "MLFLOW_EXPERIMENT_NAME": "other",
    "MLFLOW_RUN_ID": "0" * 32,
}
STRICT = {  # warnings are errors, and files are ASCII unless a reader says otherwise
    "PYTHONWARNINGS": "error",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "utf-8",
}


def explained(**variables: str) -> str:
    """What `explain` says of a committed number."""
    command = [sys.executable, "-m", "stages.audit", "explain", "I", "VGG16"]
    environment = os.environ | variables
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


@cache
def plainly() -> str:
    return explained()


@pytest.mark.parametrize("variables", [ELSEWHERE, STRICT], ids=["elsewhere", "strict"])
def test_variables_change_nothing_that_is_said(variables: dict[str, str]) -> None:
    assert explained(**variables) == plainly()


def test_the_user_s_settings_of_git_and_no_home_change_nothing_that_is_said(tmp_path: Path) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(GIT_CONFIGURATION)
    assert explained(GIT_CONFIG_GLOBAL=str(settings), HOME="/nowhere") == plainly()
