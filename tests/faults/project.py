"""The shrunk project of tests/pipeline, run once, and copies of it to throw faults at."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from stages.core.files import write_text
from stages.launch.merge_lock import entries, text_of
from tests.faults.outcome import check
from tests.pipeline.conftest import Repository, copy_project, environment, make
from tests.shipped import ROOT

PROJECT = "FAULTS_PROJECT"  # in the environment: one that is there already
LONGEST = 600  # seconds that a command may take on a busy machine
CELL = "mnist@quick-resnet18-0"
RUN, RESULT = "data/runs/quick/mnist/resnet18/s0", "reports/quick/cells/mnist/resnet18-s0.json"


class Project(Repository):
    """A copy of the project, with its commands."""

    def command(self, stage: str) -> list[str]:
        """The command of a stage, as dvc.lock has it."""
        entry = entries((self.folder / "dvc.lock").read_text(encoding="utf-8"))[stage]
        return shlex.split(YAML(typ="safe").load(entry)[stage]["cmd"])

    def finish(self, command: list[str], **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end; one that ends in a traceback is a loss."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(**variables),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST,
            check=False,
        )
        check("Traceback" not in done.stderr, f"a traceback: {done.stderr[-300:]}")
        return done

    def kill_after(self, command: list[str], seconds: float) -> bool:
        """Start a command, and end it by SIGKILL after so long; whether it was still running."""
        with subprocess.Popen(
            command, cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                process.wait(seconds)
                return False
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                return True

    def until_done(self, command: list[str]) -> None:
        """Run a command until what a killed one left running has ended: it is refused meanwhile."""
        until = time.monotonic() + LONGEST
        while (done := self.finish(command)).returncode:
            waits = "another process" in done.stderr or "is busy" in done.stderr or "lock" in done.stderr
            check(waits and time.monotonic() < until, f"status {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
            time.sleep(0.3)

    def forget(self) -> None:
        """Delete the cell's run, result and entries in dvc.lock, by which DVC would restore the outputs untrained."""
        lock = self.folder / "dvc.lock"
        kept = entries(lock.read_text(encoding="utf-8"))
        for stage in ("train", "evaluate"):
            kept.pop(f"{stage}-{CELL}", None)
        write_text(lock, text_of(kept))
        for folder in (".dvc/cache/runs", RUN):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        (self.folder / RESULT).unlink(missing_ok=True)

    def content(self, *names: str) -> dict[str, bytes]:
        """The bytes of files, and of all files in folders, by their paths."""
        found: dict[str, bytes] = {}
        for place in map(self.folder.joinpath, names):
            files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
            found |= {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}
        return found


def finished(folder: Path) -> Project:
    """The project after its run, which takes a minute or two."""
    if given := os.environ.get(PROJECT):
        folder = Path(given)
    else:
        folder.mkdir()
        make(folder)
    for source in sorted((ROOT / "stages").rglob("*.py")):
        there = folder / source.relative_to(ROOT)
        check(there.is_file() and there.read_bytes() == source.read_bytes(), f"{there} is not of this checkout")
    return Project(folder)


def copied(project: Project, folder: Path) -> Project:
    """A copy of the finished project."""
    copy_project(project, folder)
    return Project(folder)


def from_nothing(command: list[str]) -> list[str]:
    """A command of Python, not forked from a process that has imported its libraries."""
    return [sys.executable, *command[1:]]
