"""Two at once in one checkout: two `dvc repro`, and a launch beside a sync."""

import subprocess
from collections.abc import Iterator
from random import Random

from stages.launch.merge_lock import entries
from tests.faults.outcome import Outcome, check
from tests.faults.project import LONGEST, RESULT, RUN, Project
from tests.pipeline.conftest import environment

REPRO = ["dvc", "repro", "evaluate-mnist@quick-resnet18-0"]
LAUNCH = ["python", "-m", "stages.launch", "--jobs", "2", "--weights"]
SYNC = ["python", "-m", "stages.track", "sync"]
PAIRS = {"two dvc repro": (REPRO, REPRO), "a launch and a sync": (LAUNCH, SYNC), "two launches": (LAUNCH, LAUNCH)}


def _pairs(_: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """Each pair, and then the first of it alone: it finds nothing to do, or does what was refused."""
    outcome = Outcome("together", "two commands at once in one checkout")
    expected = project.content(f"{RUN}/weights.safetensors", RESULT.replace(".json", ".npy"))
    for what, pair in list(PAIRS.items())[: max(1, round(len(PAIRS) * amount))]:
        with outcome.trial(what):
            project.forget()
            _both(project, pair)
            project.until_done(pair[0])
            check(project.content(*expected) == expected, "other bytes")
            check(entries((project.folder / "dvc.lock").read_text(encoding="utf-8")), "dvc.lock is empty")
    yield outcome


def _both(project: Project, pair: tuple[list[str], list[str]]) -> None:
    """Run two commands beside each other; each ends well, or says in a line that the other one is there."""
    running = [
        subprocess.Popen(
            command, cwd=project.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in pair
    ]
    for process in running:
        said = process.communicate(timeout=LONGEST)[0]
        check("Traceback" not in said, f"a traceback: {said[-300:]}")
        refused = any(words in said for words in ("another process", "another launch", "lock", "busy", "left out"))
        check(process.returncode == 0 or refused, f"status {process.returncode}: {said[-300:]}")


JOBS = {"pairs": _pairs}
