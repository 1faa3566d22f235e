"""Checks that no attempt of a budget was removed, by their hash chain and by every version of the file in git."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stages.audit.findings import Finding, broken, missing, note
from stages.audit.recompute import Impossible
from stages.audit.workspace import Workspace
from stages.core.errors import CorruptFileError, few
from stages.core.regular import LARGEST_TEXT, is_there
from stages.records.attempts import Attempt, Attempts, Entry, attempts_path, judging
from stages.records.evaluation import Evaluation, results_folder
from stages.report.started import started

_SHORT = 12
_NAMED = 4  # commits that a note names
_LOOKED_AT = 2**26  # bytes of the file's versions in git


def check_attempts(workspace: Workspace, results: list[Evaluation]) -> Iterator[Finding]:
    """What was removed from the attempts, which results have none, and whether what judges them has changed since."""
    tables = workspace.stages.tables()
    path = tables.option("attempts")
    for option, usual in (("attempts", attempts_path(workspace.budget)), ("cells", results_folder(workspace.budget))):
        if (named := tables.option(option)) != usual:
            where = f"dvc.yaml, aggregate-tables, --{option}"
            yield broken(where, named, f"{usual}: git's history is that of this place")
    if not is_there(path):
        yield missing(path, "git checkout; where there is none, the next training begins it")
        return
    attempts = workspace.attempts
    for sha256 in attempts.removed:
        yield broken(path, f"no entry {sha256[:_SHORT]}", "the entry that a later one names: it was removed")
    yield from _in_git(path, attempts, workspace)
    for one in workspace.dropped:
        yield note(_without_result(one, path, results))
    for result in started(attempts, results).unknown:
        what = f"{path}, the training of {result.cell}, seed {result.seed}, run.binding {result.run.binding[:_SHORT]}"
        yield missing(what, "commit the lines that it has added where it was trained")
    yield from _judged_otherwise(workspace, results)


def _judged_otherwise(workspace: Workspace, results: list[Evaluation]) -> Iterator[Finding]:
    """The commits at which another params.yaml judged: where attempts began to be kept, and those of trainings.

    Both are looked at, as results may be older than the attempts.
    """
    today, begin = judging(workspace.params), workspace.attempts.begin
    commits = [begin.commit] if begin and begin.judging != today else []
    trained = Counter(result.run.provenance.git.commit for result in results)
    for commit in trained:
        then = workspace.recomputation.params(commit)
        if not isinstance(then, Impossible) and judging(then) != today and commit not in commits:
            commits.append(commit)
    if not commits:
        return
    count = sum(trained[commit] for commit in commits)
    since = f" (attempts are kept since {begin.commit[:_SHORT]})" if begin and begin.commit == commits[0] else ""
    names = few([commit[:_SHORT] for commit in commits], _NAMED)
    of = f"those of commit{'s' if len(commits) > 1 else ''} {names}{since}"
    trainings = f", by which {count} of the results were trained" if count else ""
    yield note(f"verdicts and claims of params.yaml, which judge results, are not {of}{trainings}")


def _without_result(one: Attempt, path: Path, results: list[Evaluation]) -> str:
    """What is said of a training that came to an end and whose result is not here."""
    start = one.start
    run = f", run.binding {one.end.run[:_SHORT]}" if one.end and one.end.run else ""
    what = f"{path}: the training of {start.cell}, seed {start.seed}, {one.outcome}, begun {start.time[:16]}{run}"
    is_other = (start.cell, start.seed) in {(result.cell, result.seed) for result in results}
    return f"{what}, has no result here" + ("; another one's result stands in its place" if is_other else "")


def _in_git(path: Path, attempts: Attempts, workspace: Workspace) -> Iterator[Finding]:
    """Entries of a committed version that the file lacks: a chain can be cut at its end, or hashed anew.

    Hashed anew, all later entries have other hashes; only those whose content is gone are named.
    """
    known, hashes = {_content(entry) for entry in attempts.entries}, {entry.sha256 for entry in attempts.entries}
    said: set[str] = set()
    chained: list[str] = []
    name, looked_at = path.as_posix(), 0
    for commit, _, text in workspace.history.every_version(name, [name], LARGEST_TEXT):
        looked_at += len(text or b"")
        if looked_at > _LOOKED_AT:
            yield note(f"{path}: git has more versions of it than were looked at, which are the newest")
            break
        if text is None:
            continue  # not in this clone, as `check_earlier` notes of results
        try:
            then = Attempts.parse(text, f"{path} of commit {commit[:_SHORT]}")
        except CorruptFileError:
            continue  # what is wrong with it now is said where it is read
        by_hash = {entry.sha256: entry for entry in then.entries}
        for entry in then.entries:
            if (content := _content(entry)) in known:
                chained += [commit] if entry.sha256 not in hashes else []
            elif content not in said:
                said.add(content)
                of = by_hash.get(entry.attempt or "", entry)
                what = f"no {entry.kind} of {of.cell or path}" + (f", seed {of.seed}" if of.cell else "")
                yield broken(path, what, f"the one of {entry.time}, as commit {commit[:_SHORT]} has it")
    if chained and not said:
        yield broken(path, "lines of other hashes", f"those that commit {chained[0][:_SHORT]} has of the same content")


def _content(entry: Entry) -> str:
    """All of an entry but the hashes, which depend on the entries before it."""
    return entry.model_dump_json(exclude={"after", "attempt", "sha256"})
