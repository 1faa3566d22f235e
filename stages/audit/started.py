"""Whether the attempts of a budget are all there: by their own chain, and by every version of the file in git."""

from collections.abc import Iterator
from pathlib import Path

from stages.audit.findings import Finding, broken, missing, note
from stages.audit.workspace import Workspace
from stages.core.errors import CorruptFileError
from stages.core.regular import is_there
from stages.records.attempts import Attempts, judging
from stages.records.evaluation import Evaluation
from stages.report.started import started

_SHORT = 12


def check_attempts(workspace: Workspace, results: list[Evaluation]) -> Iterator[Finding]:
    """What was removed from the attempts, which results have none, and whether what judges them has changed since."""
    path = workspace.stages.tables().option("attempts")
    if not is_there(path):
        yield missing(path, "git checkout; where there is none, the next training begins it")
        return
    attempts = workspace.attempts
    for sha256 in attempts.removed:
        yield broken(path, f"no entry {sha256[:_SHORT]}", "the entry that a later one names: it was removed")
    yield from _in_git(path, attempts, workspace)
    for result in started(attempts, results).unknown:
        what = f"{path}, the training of {result.cell}, seed {result.seed}, run.binding {result.run.binding[:_SHORT]}"
        yield missing(what, "commit the lines that it has added where it was trained")
    if attempts.begin and attempts.begin.judging != judging(workspace.params):
        since = f"those of commit {attempts.begin.commit[:_SHORT]}, when attempts began to be kept"
        yield note(f"verdicts and claims of params.yaml, which judge results, are not {since}")


def _in_git(path: Path, attempts: Attempts, workspace: Workspace) -> Iterator[Finding]:
    """Entries that the file had in a commit: the end of a chain can be cut off and nothing in it tells."""
    known = {entry.sha256 for entry in attempts.entries}
    said: set[str] = set()
    for commit, content in workspace.history.versions(path.as_posix()).items():
        try:
            then = Attempts.parse(content, f"{path} of commit {commit[:_SHORT]}")
        except CorruptFileError:
            continue  # what is wrong with it now is said where it is read
        for entry in then.entries:
            if entry.sha256 not in known | said:
                said.add(entry.sha256)
                what = f"no {entry.kind} of {entry.cell or path}" + (f", seed {entry.seed}" if entry.cell else "")
                yield broken(path, what, f"the one of {entry.time}, as commit {commit[:_SHORT]} has it")
