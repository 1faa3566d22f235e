"""SIGKILL at random moments, then the same command again: the bytes are those of an unbroken run.

A chain of kills whose end has other bytes is one loss: which of its kills did it is not known.
"""

import shutil
import time
from collections.abc import Iterator
from functools import partial
from random import Random

from stages.launch.merge_lock import entries
from tests.faults.outcome import Outcome, check
from tests.faults.project import CELL, RESULT, RUN, Project

TIMES = {"train": 40, "evaluate": 20, "aggregate": 20, "dvc": 12, "launch": 8}
PAGES = [f"reports/quick/{name}" for name in ("tables", "figures", "studies", "views", "ledger.csv", "index.html")]
KEPT = {
    "train": [f"{RUN}/weights.safetensors", f"{RUN}/history.json"],
    "evaluate": [RESULT.replace(".json", ".npy"), "data/predictions/quick/mnist/resnet18-s0"],
    "aggregate": PAGES,
}
KEPT |= {"dvc": KEPT["train"], "launch": [*KEPT["train"], *KEPT["evaluate"]]}
_TRIES = 4  # starts for one kill: some end before it comes
_BETWEEN = 5  # kills before the command is let run to its end, and its bytes are compared


def _kill(what: str, draw: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """Chains of kills for one command."""
    outcome = Outcome("kills", f"SIGKILL to {what}")
    shutil.rmtree(project.folder / ".dvc/cache/runs", ignore_errors=True)  # else nothing would run again
    expected = project.content(*KEPT[what])
    check(expected, f"{what} left nothing to compare")
    unbroken = _seconds(project, what)
    left = max(1, round(TIMES[what] * amount))
    while left:
        with outcome.trial(f"chain at {left}"):
            chain = min(left, _BETWEEN)
            left -= chain
            killed = 0
            for _ in range(_TRIES * chain):
                if killed < chain:
                    _prepare(project, what)
                    killed += project.kill_after(_command(project, what), draw.uniform(0, unbroken))
            outcome.tried += killed - 1  # a command that had ended before was not killed, and does not count
            check(killed, "no kill came in time")
            project.until_done(_command(project, what))
            _is_whole(project, what, expected)
    yield outcome


def _seconds(project: Project, what: str) -> float:
    """How long the command runs that nothing kills."""
    command = _command(project, what)
    project.finish([*command[:3], "--help"])  # a module's first command is not forked
    _prepare(project, what)
    start = time.monotonic()
    project.until_done(command)
    return time.monotonic() - start


def _prepare(project: Project, what: str) -> None:
    """Before a launch: where the cell is done, delete its results, so that there is work to kill."""
    if what == "launch" and f"evaluate-{CELL}" in entries((project.folder / "dvc.lock").read_text(encoding="utf-8")):
        project.forget()


def _command(project: Project, what: str) -> list[str]:
    if what == "dvc":
        return ["dvc", "--wait-for-lock", "repro", "-f", "-s", f"train-{CELL}"]
    if what == "launch":
        return ["python", "-m", "stages.launch", "--jobs", "2", "--weights"]
    return project.command({"aggregate": "aggregate-tables@quick"}.get(what, f"{what}-{CELL}"))


def _is_whole(project: Project, what: str, expected: dict[str, bytes]) -> None:
    found = project.content(*KEPT[what])
    differing = [name for name in expected if found.get(name) != expected[name]]
    check(not differing, f"other bytes: {', '.join(differing[:3])}")
    check(
        found.keys() == expected.keys(), f"something is left: {', '.join(sorted(found.keys() - expected.keys())[:3])}"
    )
    left = [path.name for path in (project.folder / RUN).parent.iterdir()]
    check(left == ["s0"], f"beside the run: {', '.join(left)}")
    lock = entries((project.folder / "dvc.lock").read_text(encoding="utf-8"))
    check({f"train-{CELL}", f"evaluate-{CELL}", "aggregate-tables@quick"} <= lock.keys(), "dvc.lock has lost an entry")


JOBS = {what: partial(_kill, what) for what in TIMES}
