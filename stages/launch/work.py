"""The task of a worker: runs the commands of one cell and seed as `dvc repro` would, and returns what came of it.

Each command is a process of its own, so that what runs is what lies in the files, and dies with its worker.
"""

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from stages.core.errors import StageError
from stages.records.provenance import hash_dependency
from stages.train.progress import PROGRESS

FOLDER = Path(".cache/launch")  # of the logs, and of what a launch needs meanwhile
_POLL = 0.2  # seconds between two looks at a running command
# Dask sets these for its workers; how many threads a training has is its budget's matter.
_OF_DASK = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")
_GRACE = 5.0  # seconds that a command has to end by itself once it was asked to
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, from Linux's prctl.h

Report = Callable[[dict[str, Any]], None]
Poll = Callable[[], None]


class Command(NamedTuple):
    """A stage as DVC has it: its name, its command, and its outputs relative to the repository."""

    stage: str
    command: str
    outputs: tuple[str, ...]


class Unit(NamedTuple):
    """What runs as one piece: train, unless that is up to date, and then evaluate, of one cell and seed.

    `inputs` are the stages whose outputs it starts from.
    """

    name: str
    commands: tuple[Command, ...]
    inputs: tuple[str, ...] = ()


class Done(NamedTuple):
    """A command that ended well, and the md5 of each of its outputs, as DVC writes it, right after that."""

    stage: str
    outputs: dict[str, str]


class RemoteOutputs(NamedTuple):
    """What a worker that shares no files sends: entries of dvc.lock, and the bytes of outputs that DVC does not keep.

    All other outputs are in DVC's remote.
    """

    entries: dict[str, Any]
    files: dict[str, bytes]


class Result(NamedTuple):
    """What became of a unit: the commands that ended well, and why the next one did not.

    `attempts` is the file of started trainings of a worker that shares no files.
    """

    unit: str
    done: tuple[Done, ...]
    failure: str | None
    outputs: RemoteOutputs | None = None
    attempts: bytes = b""

    def refused(self, why: dict[str, str]) -> "Result":
        """The same, failed if one of its commands is among those that were not recorded."""
        found = [f"{one.stage}: {why[one.stage]}" for one in self.done if one.stage in why]
        return self._replace(failure="; ".join([*found, *filter(None, [self.failure])]) or None)


class Running:
    """The commands that run on a worker; once it is stopped, none starts any more."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = Lock()

    def start(self, *arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        """Start a process. Raises StageError once all have been stopped."""
        with self._lock:
            if self._stopped:
                raise StageError("stopped")
            process = subprocess.Popen(*arguments, **options)  # noqa: S603 - a stage's command, from dvc.yaml
            self._processes.add(process)
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """Forget a process, which is killed if it has not ended."""
        if process.poll() is None:
            process.kill()
            process.wait()
        with self._lock:
            self._processes.discard(process)

    def stop(self) -> None:
        """End all: asked first, as Ctrl-C would, so that their MLflow runs say so."""
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _GRACE
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def perform(
    unit: Unit, variables: dict[str, str], report: Report, running: Running, poll: Poll = lambda: None
) -> Result:
    """Run a unit's commands in the working directory, one after the other.

    `report` takes what is to be seen meanwhile; `poll` is called several times a second.
    """
    done: list[Done] = []
    for command in unit.commands:
        try:
            failure = _run(unit.name, command, variables, report, running, poll)
            if not failure:
                hashes = {path: hash_dependency(Path(path)).md5 for path in command.outputs}
                done.append(Done(command.stage, hashes))
                continue
        except (OSError, StageError) as error:
            failure = f"{command.stage}: {error}"
        return Result(unit.name, tuple(done), failure)
    return Result(unit.name, tuple(done), None)


def _run(
    unit: str, command: Command, variables: dict[str, str], report: Report, running: Running, poll: Poll
) -> str | None:
    """Run one command; returns why it failed, if it did."""
    seen = {"unit": unit, "stage": command.stage}
    report(seen)
    for output in command.outputs:
        _remove(Path(output))
    log, progress = (FOLDER / f"{command.stage}.{ending}" for ending in ("log", "progress"))
    log.parent.mkdir(parents=True, exist_ok=True)
    progress.unlink(missing_ok=True)
    program, *arguments = shlex.split(command.command)
    kept = {name: value for name, value in os.environ.items() if name not in _OF_DASK}
    environment = {**kept, **variables, "DVC_STAGE": command.stage, PROGRESS: str(progress.absolute())}
    program = sys.executable if program == "python" else program
    with log.open("wb") as file:
        process = running.start(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C reaches the launch, which then stops what runs
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        _hand_on_niceness(process.pid)
        try:
            read = 0
            while process.poll() is None:
                time.sleep(_POLL)
                read = _follow(progress, read, seen, report)
                poll()
        finally:
            running.end(process)
            progress.unlink(missing_ok=True)
    if process.returncode == 0:
        return None
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit status {process.returncode}"
    return f"{command.stage}: {how}: {last_line(log)} ({log})"


def _follow(progress: Path, read: int, seen: dict[str, Any], report: Report) -> int:
    """Report the lines that were added since the first `read` of them; returns how many there are."""
    lines = progress.read_text(encoding="utf-8").split("\n")[:-1] if progress.is_file() else []  # whole ones
    for line in lines[read:]:
        report({**seen, **json.loads(line)})
    return len(lines)


def _remove(output: Path) -> None:
    """Take an old output away, as DVC does before a stage runs: it may share its bytes with DVC's cache."""
    if output.is_dir() and not output.is_symlink():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def _hand_on_niceness(pid: int) -> None:
    """Make a process as nice as this one: Linux's autogroup weighs each session by a nice value of its own."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness > 0:
        with suppress(OSError):  # another kernel, or one without autogroup
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")


def _die_with_parent() -> None:
    """In the child, before it becomes the command: be killed when the worker is, even by SIGKILL. Linux only."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which embedded workers ignore
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
