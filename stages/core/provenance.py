"""What a run is made of, taken when it starts: hashes of its code, data and parameters, the commit, the machine.

DVC hashes dependencies after a command has ended (treeverse/dvc issue 11058), so a file edited meanwhile is recorded
wrongly there. What a stage depends on is said once, in dvc.yaml; this module reads it from there and hashes it in
DVC's own format, so that a run record can be held against dvc.lock.
"""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import psutil

from stages.core.errors import MissingFileError, StageError
from stages.core.params import PARAMS_FILE, CellKey, read_yaml
from stages.core.records import file_hash

DVC_FILE = Path("dvc.yaml")
_IGNORED = ("__pycache__", "*.pyc", ".mypy_cache", ".venv")  # as in .dvcignore
_SOURCES = "stages/"
_TRACKED = ("stages", "params.yaml", "dvc.yaml", "data/paper", "requirements.lock")  # what a commit says of a number
_PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn", "pydantic", "dvc", "mlflow")


def stage_name(kind: str, key: CellKey, budget: str, seed: int) -> str:
    """The DVC stage of a cell: `train-cifar10@paper-vgg16-0`; `kind` is `train` or `evaluate`."""
    return f"{kind}-{key.stage_suffix}@{budget}-{key.name}-{seed}"


def take(kind: str, key: CellKey, budget: str, seed: int, inputs: Sequence[Path]) -> dict[str, Any]:
    """Everything a run depends on, as it is now: the sources and parameters that dvc.yaml names, and its `inputs`.

    Raises StageError where that cannot be established.
    """
    item = {"item.budget": budget, "item.cell": key.name, "item.seed": str(seed)}
    template = read_yaml(DVC_FILE)["stages"][f"{kind}-{key.stage_suffix}"]
    raw = read_yaml(PARAMS_FILE)
    sources = [Path(path) for path in template["deps"] if path.startswith(_SOURCES)]
    return {
        "stage": stage_name(kind, key, budget, seed),
        "params": {path: _look_up(raw, path) for path in (_fill(path, item) for path in template["params"])},
        "deps": {path.as_posix(): hash_dependency(path) for path in [*sources, *inputs]},
        "git": git_state(),
    }


def hash_dependency(path: Path) -> dict[str, Any]:
    """md5 of a file, or DVC's md5 of a folder with the md5 of each file in it."""
    if path.is_file():
        return {"md5": file_hash(path)}
    if not path.is_dir():
        raise MissingFileError(path, "an earlier stage (dvc repro)")
    files = {
        file.relative_to(path).as_posix(): file_hash(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and not _ignored(file.relative_to(path))
    }
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    content = json.dumps(listing, sort_keys=True).encode()
    return {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir", "files": files}


def _ignored(file: Path) -> bool:
    return any(PurePath(part).match(pattern) for part in file.parts for pattern in _IGNORED)


def git_state() -> dict[str, Any]:
    """The commit, and whether sources, parameters or the lock file differ from it, new files among them."""
    commit = _git("rev-parse", "HEAD").strip()
    changed = [
        line[3:] for line in _git("status", "--porcelain", "--untracked-files=all", "--", *_TRACKED).splitlines()
    ]
    return {"commit": commit, "dirty": bool(changed), "changed": changed}


def environment() -> dict[str, Any]:
    """The machine and the software."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # DVC and MLflow need not be there
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
    except FileNotFoundError:
        raise StageError("git is not installed; a run is recorded with the commit it came from") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise StageError(f"git {' '.join(arguments)} failed: {said}; run inside the clone") from None
    return done.stdout


def _fill(text: str, item: dict[str, str]) -> str:
    """Resolve DVC's `${item.x}` in a stage of a matrix."""
    for name, value in item.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _look_up(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[part]
    return tree
