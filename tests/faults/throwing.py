"""Throws faults of some kinds, several jobs at once: each in a process, a folder and with draws of its own."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from stages.core.progress import duration, say
from tests.faults.outcome import Outcome
from tests.faults.project import Project, copied, finished
from tests.forks import forks_in

WITH_PROJECT = ("kills", "storage", "tracking", "together")
KINDS = ("downloads", "configuration", "files", *WITH_PROJECT)
# These come first, lest one core ends with one of them while the others have nothing left.
LONGEST_FIRST = (
    ("kills", "launch"),
    ("kills", "train"),
    ("kills", "dvc"),
    ("tracking", "failing"),
    ("together", "pairs"),
)
Job = tuple[str, str]  # a kind, and a name in its module's JOBS
Run = Callable[[Random, Any, float], Iterator[Outcome]]  # what is thrown at a folder, or at a copy of the project


def throw(kinds: list[str], seed: int, amount: float, at_once: int = 1) -> list[Outcome]:
    """The outcomes of some kinds of faults, in the order of `kinds`; as many jobs at once as said."""
    with (
        patch.dict(os.environ),
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as made,
        ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) as pool,
        ExitStack() as held,
    ):
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of commands are started
        folder = Path(made)
        jobs = [(kind, name) for kind in kinds for name in jobs_of(kind)]
        thrown = _started(pool, [job for job in jobs if job[0] not in WITH_PROJECT], folder, seed, amount, None)
        if needing := [job for job in jobs if job[0] in WITH_PROJECT]:
            held.enter_context(forks_in(folder / "forks", "stages", "mirrors"))
            project = finished(folder / "project")
            thrown |= _started(pool, needing, folder, seed, amount, project)
        return [outcome for job in jobs for outcome in thrown[job].result()]


def jobs_of(kind: str) -> dict[str, Run]:
    """The jobs of a kind, by their names; the table has them in this order."""
    found: dict[str, Run] = import_module(f"tests.faults.{kind}").JOBS
    return found


def _started(
    pool: ProcessPoolExecutor, jobs: list[Job], folder: Path, seed: int, amount: float, project: Project | None
) -> dict[Job, "Future[list[Outcome]]"]:
    """Give jobs to the pool, the longest first."""
    longest = sorted(jobs, key=lambda job: LONGEST_FIRST.index(job) if job in LONGEST_FIRST else len(LONGEST_FIRST))
    return {job: pool.submit(_throw, job, folder, seed, amount, project) for job in longest}


def _throw(job: Job, folder: Path, seed: int, amount: float, project: Project | None) -> list[Outcome]:
    """The outcomes of one job, thrown at a folder, or at a copy of a project that has run by commands that fork."""
    kind, name = job
    draw = Random(f"{seed} {kind} {name}")  # noqa: S311 - no secret
    place = folder / f"{kind} {name}"
    if not project:
        place.mkdir()
        return _collect(kind, jobs_of(kind)[name](draw, place, amount))
    with forks_in(folder / "forks", "stages", "mirrors"):
        return _collect(kind, jobs_of(kind)[name](draw, copied(project, place), amount))


def _collect(kind: str, outcomes: Iterator[Outcome]) -> list[Outcome]:
    """The outcomes, each told as it comes: a run that is broken off has said it."""
    found = []
    start = time.monotonic()
    for outcome in outcomes:
        took = duration(time.monotonic() - start)
        say(f"{kind}: {outcome.fault}: {outcome.survived} of {outcome.tried} survived, {took}")
        for why in outcome.lost:
            say(f"  lost: {why}")
        found.append(outcome)
        start = time.monotonic()
    return found
