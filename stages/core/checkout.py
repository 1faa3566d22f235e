"""What must hold of a checkout before anything is set up or downloaded. Standard library alone: it runs before .venv.

Every check returns lines for the user, each with its cure; no line means that all is well.
"""

from __future__ import annotations  # an older Python must read this file, to say that it is too old

import getpass
import os
import shutil
import sys
from pathlib import Path

from stages.core.git import git

OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons for which all of requirements.lock has wheels
MADE = ("data", "data/raw", "data/processed", "data/runs", "data/predictions", "reports")  # DVC writes into them
ENVIRONMENT_SIZE = 6_500_000_000  # bytes of .venv
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT")
# pip would install somewhere else than into .venv, or not what requirements.lock has. The Makefile takes them out.
_OF_PIP = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_DEPS", "PIP_DRY_RUN", "PIP_PYTHON")
_FOREIGN = "dubious ownership"  # git's words for a repository of another user
_OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONWARNINGS")


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> list[str]:
    """A Python for which the locked packages have no wheels."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return []
    allowed = ", ".join(f"{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1))
    found = ".".join(map(str, version))
    return [f"Python: the locked packages have no wheels for {found}; allowed: {allowed} (make PYTHON=python3.12 ...)"]


def commit() -> list[str]:
    """No git, no repository, no commit yet, or a repository of another user; git's own cure is in its words."""
    try:
        done = git("rev-parse", "--verify", "HEAD")
    except FileNotFoundError:
        return ["git: it is not installed; every number is recorded with the commit it came from"]
    if done.returncode == 0:
        return []
    said = " ".join(done.stderr.decode(errors="replace").split())
    if _FOREIGN in said:
        return [f"git: {said}"]
    cure = "git clone the repository (a ZIP has none), or: git init && git add -A && git commit -m start"
    return [f"git: there is no commit here, and every number is recorded with one ({said}); {cure}"]


def foreign_repository() -> list[str]:
    """A repository of another user, in which git says nothing of any commit."""
    return [line for line in commit() if _FOREIGN in line]


def user_name() -> list[str]:
    """A user without a name, as in a container that was started with a number; DVC asks for one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return [f"user: number {os.getuid()} has no name on this machine, and DVC asks for it; export USER=somebody"]
    return []


def links(folder: Path | None = None) -> list[str]:
    """Folders that DVC writes into and that are links: DVC trains, and then refuses what lies outside of git."""
    linked = [name for name in MADE if (folder or Path()).joinpath(name).is_symlink()]
    cure = "to use a larger disk: dvc cache dir /disk/cache, or mount --bind /disk/folder there, or clone there"
    return [f"{name} is a link, and DVC keeps nothing outside of the repository; {cure}" for name in linked]


def links_under_dvc() -> list[str]:
    """`links`, where DVC runs this process."""
    return links() if os.environ.get("DVC_STAGE") else []


def certificates() -> list[str]:
    """Variables that name certificates which are not there."""
    named = [(name, os.environ[name]) for name in _CERTIFICATES if os.environ.get(name)]
    return [f"{name}={path} does not exist; unset it" for name, path in named if not Path(path).exists()]


def interpreter_variables() -> list[str]:
    """Variables that change what Python or pip do; targets of the Makefile run without them."""
    found = [name for name in (*_OF_PIP, *_OF_PYTHON) if os.environ.get(name)]
    return [f"{name} is set; make runs without it, and so should you: unset it" for name in found]


def room(needed: int, free: int | None = None) -> list[str]:
    """Too little disk for so many bytes; `free` is by default what the working directory's disk has."""
    free = shutil.disk_usage(".").free if free is None else free
    said = f"disk: {gibibytes(needed)} are needed and {gibibytes(free)} free"
    return [f"{said}; make room, or move the clone to a larger disk"] if free < needed else []


def gibibytes(count: float) -> str:
    """A number of bytes in GiB."""
    return f"{count / 2**30:.1f} GiB"
