"""The tables of a budget, from the results that are there: while a launch runs, and when it ends."""

import shlex
import subprocess
import sys
import time

from stages.core.errors import StageError
from stages.core.progress import say
from stages.launch.pipeline import Pipeline
from stages.launch.work import FOLDER, last_line
from stages.records.evaluation import results_folder

_SHARE = 0.05  # of the time that a launch spends on tables meanwhile, at most
_LONGEST = 600.0  # seconds between two tables, whatever they take


def tables_stage(budget: str) -> str:
    """The stage that makes the tables of a budget."""
    return f"aggregate-tables@{budget}"


def has_results(budget: str) -> bool:
    """Whether there is any result to make tables from."""
    return any(results_folder(budget).glob("*/*.json"))


class Tables:
    """Makes the tables again as results come, and records them. A failure is a warning, since more results follow.

    `dvc repro` cannot do it meanwhile: the launch holds the paths of the stages that it runs.
    """

    def __init__(self, pipeline: Pipeline, budget: str) -> None:
        self.pipeline, self.command = pipeline, pipeline.command(tables_stage(budget))
        self.took, self.made = 0.0, -_LONGEST

    def due(self) -> bool:
        """Whether it is time: at once after quick tables, and at the latest after ten minutes."""
        return time.monotonic() - self.made >= min(_LONGEST, self.took / _SHARE)

    def refresh(self) -> None:
        """Make the tables, if it is time."""
        if not self.due():
            return
        start = time.monotonic()
        try:
            with self.pipeline.recording(self.command.stage):
                self._run()
        except StageError as error:
            say(f"warning: tables not made: {error}")
        self.made = time.monotonic()
        self.took = self.made - start

    def _run(self) -> None:
        program, *arguments = shlex.split(self.command.command)
        log = FOLDER / f"{self.command.stage}.log"
        with log.open("wb") as file:
            done = subprocess.run(  # noqa: S603 - a stage's command, from dvc.yaml
                [sys.executable if program == "python" else program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                check=False,
            )
        if done.returncode:
            raise StageError(f"{last_line(log)} ({log})")
