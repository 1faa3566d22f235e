"""What a run was made of, taken when it started: spec, code, data, commit, machine.

DVC hashes dependencies after a command has ended (treeverse/dvc issue 11058), so a file edited meanwhile is recorded
wrongly there. So a stage takes a `Provenance` as it starts, and asserts as it ends that nothing of it has changed.
"""

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Annotated, Literal

import psutil
from pydantic import Field

from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.files import file_hash
from stages.core.git import git
from stages.records.fingerprint import Fingerprint, Kind, fingerprint, loaded_outside
from stages.records.record import Count, Md5, NonEmptyStr, Section
from stages.records.spec import Spec

_IGNORED = ("__pycache__", "*.pyc", ".mypy_cache", ".venv", ".*.json", ".*.npy")  # as in .dvcignore
_TRACKED = ("stages", "dvc.yaml", "requirements.lock")  # and a run's spec: what a commit says of a number
_IGNORED_SOURCES = ["stages/*.py"]  # at any depth: what `source_hashes` has
OF_BITS = (  # variables that choose instructions, algorithms or number formats
    *("MKL_", "ONEDNN_", "DNNL_", "ATEN_", "TORCH_", "PYTORCH_", "OPENBLAS_", "KMP_", "LD_PRELOAD"),
    *("CUBLAS_", "CUDA_", "CUDNN_", "NVIDIA_"),
)
OF_SPEED = ("OMP_", "GOMP_", "MALLOC_", "GLIBC_")
_PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn", "pydantic", "dvc", "mlflow")
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
_COARSE = 2.0  # seconds by which a file's date may be behind the clock
_LONGEST_DIFFERENCE = 1 << 19  # characters of uncommitted changes that a record holds


class Dependency(Section):
    """A file, or a folder with each file in it, by DVC's md5."""

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    files: dict[str, Md5] | None = None

    def has(self, *names: str) -> bool:
        """Whether it is a folder that holds these files."""
        return self.files is not None and self.files.keys() >= set(names)


class SpecReference(Section):
    """The spec that a run was asked for: its file, and the md5 of that."""

    path: NonEmptyStr
    md5: Md5


class GitState(Section):
    """The commit, the files that differed from it, and their difference as a patch (None: there was none)."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    dirty: bool
    changed: list[str]
    difference: str | None


class Environment(Section):
    """The machine and the software; a package that was not installed is None."""

    python: NonEmptyStr
    platform: NonEmptyStr
    processor: NonEmptyStr
    cores: Count
    variables: dict[str, str]
    speed_variables: dict[str, str]
    memory_gib: float
    packages: Annotated[dict[str, str | None], Field(min_length=1)]


class Provenance(Section):
    """What a stage started from. `sources` has the md5 of every file under stages/, `inputs` the data by path."""

    spec: SpecReference
    code: Fingerprint
    sources: Annotated[dict[str, Md5], Field(min_length=1)]
    inputs: Annotated[dict[str, Dependency], Field(min_length=1)]
    git: GitState
    environment: Environment
    run_by: Literal["dvc", "hand"]

    def input(self, *names: str) -> tuple[str, Dependency]:
        """Path and hashes of the one input that is such a file, or a folder that holds such files. KeyError without."""
        found = [
            (path, dependency)
            for path, dependency in self.inputs.items()
            if dependency.has(*names) or (path.split("/")[-1],) == names
        ]
        if len(found) != 1:
            raise KeyError(" and ".join(names))
        return found[0]


def snapshot_inputs(kind: Kind, stage: str, spec: Spec, spec_path: Path, inputs: Sequence[Path]) -> Provenance:
    """Everything that a training (testing) starts from, as it is now. Raises StageError where that is not to be had."""
    return Provenance(
        spec=SpecReference(path=spec_path.as_posix(), md5=file_hash(spec_path)),
        code=fingerprint(kind, spec.settings.cell.family),
        sources=source_hashes(),
        inputs={path.as_posix(): hash_dependency(path) for path in inputs},
        git=git_state(spec_path),
        environment=environment(),
        run_by="dvc" if run_by_dvc(stage) else "hand",
    )


def assert_unchanged(taken: Provenance, kind: Kind, stage: str, spec: Spec, started: float) -> None:
    """Raise StageError when what was `taken` at the start is no longer so: DVC would record what is there now.

    Code and spec are compared by what decides this number: neither an edited comment nor, for a training, edited code
    of testing is a change. An input with a date later than `started` (seconds since the epoch) is compared by its
    bytes: a date alone is no change.
    """
    changed = []
    if not _asks_for(Path(taken.spec.path), kind, spec):
        changed.append(taken.spec.path)
    now = fingerprint(kind, spec.settings.cell.family)
    if now.sha256 != taken.code.sha256:
        modules = now.modules.keys() | taken.code.modules.keys()
        changed += sorted(path for path in modules if now.modules.get(path) != taken.code.modules.get(path))
    for path, found in taken.inputs.items():
        if not Path(path).exists() or (
            _touched_since(Path(path), started) and hash_dependency(Path(path)).md5 != found.md5
        ):
            changed.append(path)
    if changed:
        raise StageError(
            f"{', '.join(changed)} changed while {stage} ran, so DVC must not record it; run dvc repro again"
        )


def _asks_for(path: Path, kind: Kind, spec: Spec) -> bool:
    """Whether the file of a spec still asks for the same training (testing)."""
    try:
        now = Spec.read(path, "stage resolve")
    except StageError:
        return False
    return now.cell == spec.cell and now.parameters(kind) == spec.parameters(kind)


def _touched_since(path: Path, started: float) -> bool:
    """Whether a file, or anything in a folder, was written, moved in or removed since, as far as dates tell."""
    entries = [path, *(path.rglob("*") if path.is_dir() else ())]
    return any(_last_date(entry) >= started - _COARSE for entry in entries)


def _last_date(path: Path) -> float:
    """When a file, or the link to it, was last written or moved; infinity where there is none."""
    try:
        return max(date for found in (path.lstat(), path.stat()) for date in (found.st_mtime, found.st_ctime))
    except FileNotFoundError:
        return math.inf


def assert_modules(kind: Kind, family: str, allowed: Sequence[str]) -> None:
    """Raise StageError when this command has loaded a module of ours that its fingerprint does not know.

    Only of a command of its own (`python -m stages.train`): another process may have loaded whatever it likes.
    """
    command = getattr(sys.modules["__main__"], "__spec__", None)
    if command is None or not command.name.startswith("stages."):
        return
    if outside := loaded_outside(kind, family, allowed):
        raise StageError(
            f"{', '.join(outside)} took part and is not in the fingerprint of {kind}: import it where the code that "
            "uses it stands (stages/records/fingerprint.py says how modules are found)"
        )


def source_hashes() -> dict[str, str]:
    """md5 of every Python file under stages/, by its path."""
    return {path.as_posix(): file_hash(path) for path in sorted(Path("stages").rglob("*.py"))}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def run_by_dvc(stage: str) -> bool:
    """Whether DVC runs this process as that stage, rather than a person by hand."""
    return os.environ.get("DVC_STAGE") == stage


def hash_dependency(path: Path, hash_of: Callable[[Path], str] = file_hash) -> Dependency:
    """md5 of a file, or DVC's md5 of a folder with the md5 of each file in it, which `hash_of` gives."""
    if path.is_file():
        return Dependency(md5=hash_of(path))
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
    return Dependency(md5=folder_md5(files), files=files)


def folder_md5(files: Mapping[str, str]) -> str:
    """DVC's md5 of a folder, from the md5 of each file in it by its path there."""
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    content = json.dumps(listing, sort_keys=True).encode()
    return hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir"


def _ignored(file: Path) -> bool:
    return any(map(_ignored_name, file.parts))


@cache  # many files, few distinct names
def _ignored_name(name: str) -> bool:
    return any(PurePath(name).match(pattern) for pattern in _IGNORED)


def git_state(*specs: Path) -> GitState:
    """The commit, and how sources, dvc.yaml, the lock file and these specs differ from it, new files among them.

    A module that git ignores runs like any other, so it counts as a new file.
    params.yaml has no part in it: a spec holds all of it that decides a number, and its switches decide none.
    """
    tracked = [*_TRACKED, *(path.as_posix() for path in specs)]
    commit = _git("rev-parse", "HEAD").strip()
    status = _git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *tracked)
    entries = [(entry[:2], entry[3:]) for entry in status.split("\0") if entry]
    changed = sorted({path for _, path in entries})  # one that is removed in the index and there anew stands twice
    new = [path for code, path in entries if code == "??"]
    ignored = _git("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *_IGNORED_SOURCES)
    new += [path for path in ignored.split("\0") if path]
    changed = sorted({*changed, *new})
    difference = "".join(_difference(tracked, new)) if changed else None
    return GitState(commit=commit, dirty=bool(changed), changed=changed, difference=_short(difference))


def _difference(tracked: Iterable[str], new_files: Iterable[str]) -> Iterable[str]:
    """The patch from the commit to the working tree, new files included, whatever the user's git configuration."""
    yield _git(*_DIFF, "HEAD", "--", *tracked)
    for path in new_files:
        yield _git(*_DIFF, "--no-index", "--", os.devnull, path, accepted=(0, 1))


def _short(difference: str | None) -> str | None:
    """The difference. Raises StageError for one that is too long to be kept with each result."""
    if difference is not None and len(difference) > _LONGEST_DIFFERENCE:
        found = f"{len(difference)} characters of uncommitted changes"
        raise StageError(f"{found} in {', '.join(_TRACKED)}; allowed: {_LONGEST_DIFFERENCE}, so commit them first")
    return difference


def environment() -> Environment:
    """The machine and the software."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        variables=_variables(OF_BITS),
        speed_variables=_variables(OF_SPEED),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        packages={name: _version(name) for name in _PACKAGES},
    )


def _variables(prefixes: tuple[str, ...]) -> dict[str, str]:
    """The environment variables with these prefixes; bytes that are no UTF-8 are escaped, as JSON needs it."""
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith(prefixes)}
    return {name: value.encode(errors="backslashreplace").decode() for name, value in found.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # DVC and MLflow need not be there
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found: dict[str, str] = {}
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
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


def _git(*arguments: str, accepted: Sequence[int] = (0,)) -> str:
    try:
        done = git(*arguments)
    except FileNotFoundError:
        raise StageError("git is not installed; a run is recorded with the commit it came from") from None
    if done.returncode not in accepted:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise StageError(f"git {' '.join(arguments)} failed: {said}; run inside the clone")
    return done.stdout.decode(errors="replace")
