"""Throws kinds of faults, several kinds at once: each in a process and a folder of its own."""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random

from stages.core.progress import say
from tests.faults.outcome import Outcome
from tests.faults.project import PROJECT, finished

WITH_PROJECT = ("kills", "storage", "tracking", "together")
KINDS = ("downloads", "configuration", "files", *WITH_PROJECT)
Run = Callable[[Random, Path, float], Iterator[Outcome]]


def throw(kinds: list[str], seed: int, amount: float, at_once: int = 1) -> list[Outcome]:
    """The outcomes of some kinds of faults, in the order of `kinds`; as many kinds at once as said."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder,
        ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) as pool,
    ):
        thrown = {kind: pool.submit(_throw, kind, folder, seed, amount) for kind in kinds if kind not in WITH_PROJECT}
        if needing := [kind for kind in WITH_PROJECT if kind in kinds]:
            project = str(finished(Path(folder)).folder)
            thrown |= {kind: pool.submit(_throw, kind, folder, seed, amount, project) for kind in needing}
        return [outcome for kind in kinds for outcome in thrown[kind].result()]


def _throw(kind: str, folder: str, seed: int, amount: float, project: str = "") -> list[Outcome]:
    """The outcomes of one kind, thrown at copies of a project that has run."""
    if project:
        os.environ[PROJECT] = project
    run: Run = import_module(f"tests.faults.{kind}").run
    place = Path(folder, kind)
    place.mkdir()
    found = []
    for outcome in run(Random(f"{seed} {kind}"), place, amount):  # noqa: S311 - no secret
        say(f"{kind}: {outcome.fault}: {outcome.survived} of {outcome.tried} survived")
        for why in outcome.lost:  # now, too: a run that is broken off has said it
            say(f"  lost: {why}")
        found.append(outcome)
    return found
