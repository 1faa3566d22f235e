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
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import psutil

from stages.config.params import PARAMS_FILE, CellKey, read_yaml
from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.files import file_hash

DVC_FILE = Path("dvc.yaml")
_IGNORED = ("__pycache__", "*.pyc", ".mypy_cache", ".venv", ".*.json")  # as in .dvcignore
_SOURCES = "stages/"
_TRACKED = ("stages", "params.yaml", "dvc.yaml", "data/paper", "requirements.lock")  # what a commit says of a number
OF_BITS = ("MKL_", "ONEDNN_", "DNNL_", "ATEN_", "CUBLAS_")  # variables that choose instructions or algorithms
OF_SPEED = ("OMP_", "GOMP_", "MALLOC_", "GLIBC_")
_PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn", "pydantic", "dvc", "mlflow")


def stage_name(kind: str, key: CellKey, budget: str, seed: int) -> str:
    """The DVC stage of a cell: `train-cifar10@paper-vgg16-0`; `kind` is `train` or `evaluate`."""
    return f"{kind}-{key.stage_suffix}@{budget}-{key.name}-{seed}"


def take(kind: str, key: CellKey, budget: str, seed: int, inputs: Sequence[Path]) -> dict[str, Any]:
    """Everything a run depends on, as it is now: the sources and parameters that dvc.yaml names, and its `inputs`.

    Raises StageError where that cannot be established.
    """
    params, sources = _params_and_sources(kind, key, budget, seed)
    return {
        "stage": stage_name(kind, key, budget, seed),
        "params": params,
        "deps": sources | {path.as_posix(): hash_dependency(path) for path in inputs},
        "git": git_state(),
    }


def refuse_changes(
    taken: dict[str, Any], kind: str, key: CellKey, budget: str, seed: int, inputs: Sequence[Path], started: float
) -> None:
    """Raise StageError when what was `taken` at the start is no longer so: DVC would record what is there now.

    Sources and parameters are compared; of the inputs, which are large, it is enough that none was written since.
    """
    params, sources = _params_and_sources(kind, key, budget, seed)
    changed = [path for path, value in params.items() if value != taken["params"][path]]
    changed += [path for path, found in sources.items() if found != taken["deps"][path]]
    for path in inputs:
        files = path.rglob("*") if path.is_dir() else [path]
        changed += [str(file) for file in files if file.stat().st_mtime > started]
    if changed:
        raise StageError(
            f"{', '.join(changed)} changed while {stage_name(kind, key, budget, seed)} ran, so DVC must not record it; "
            "run dvc repro again"
        )


def _params_and_sources(kind: str, key: CellKey, budget: str, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    item = {"item.budget": budget, "item.cell": key.name, "item.seed": str(seed)}
    template = read_yaml(DVC_FILE)["stages"][f"{kind}-{key.stage_suffix}"]
    raw = read_yaml(PARAMS_FILE)
    params = {path: _look_up(raw, path) for path in (_fill(path, item) for path in template["params"])}
    sources = [path for path in template["deps"] if path.startswith(_SOURCES)]
    return params, {path: hash_dependency(Path(path)) for path in sources}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def run_by_dvc(stage: str) -> bool:
    """Whether DVC runs this process as that stage, rather than a person by hand."""
    return os.environ.get("DVC_STAGE") == stage


def hash_dependency(path: Path, hash_of: Callable[[Path], str] = file_hash) -> dict[str, Any]:
    """md5 of a file, or DVC's md5 of a folder with the md5 of each file in it, which `hash_of` gives."""
    if path.is_file():
        return {"md5": hash_of(path)}
    if not path.is_dir():
        raise MissingFileError(path, "an earlier stage (dvc repro)")
    found = sorted(path.rglob("*"))
    for file in found:
        if file.is_symlink() and file.is_dir():  # Python imports from it, and no hash here, nor DVC's, would tell
            raise CorruptFileError(file, "a link to a folder", "files and folders of its own, which can be hashed")
    files = {
        file.relative_to(path).as_posix(): hash_of(file)
        for file in found
        if file.is_file() and not _ignored(file.relative_to(path))
    }
    return {"md5": folder_md5(files), "files": files}


def folder_md5(files: Mapping[str, str]) -> str:
    """DVC's md5 of a folder, from the md5 of each file in it by its path there."""
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    content = json.dumps(listing, sort_keys=True).encode()
    return hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir"


def _ignored(file: Path) -> bool:
    return any(PurePath(part).match(pattern) for part in file.parts for pattern in _IGNORED)


def git_state() -> dict[str, Any]:
    """The commit, and whether sources, parameters or the lock file differ from it, new files among them."""
    commit = _git("rev-parse", "HEAD").strip()
    status = _git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *_TRACKED)
    changed = [entry[3:] for entry in status.split("\0") if entry]
    return {"commit": commit, "dirty": bool(changed), "changed": changed}


def environment() -> dict[str, Any]:
    """The machine and the software."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "variables": {name: value for name, value in os.environ.items() if name.startswith(OF_BITS)},
        "speed_variables": {name: value for name, value in os.environ.items() if name.startswith(OF_SPEED)},
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
        found: dict[str, str] = {}
        for line in info.read_text().splitlines():
            if not line.strip():
                break  # the next core is the same
            name, _, value = line.partition(":")
            found[name.strip()] = value.strip()
        if "model name" in found:
            numbers = ", ".join(
                f"{name} {found[name]}" for name in ("cpu family", "model", "stepping") if name in found
            )
            return f"{found['model name']} ({numbers})"
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
