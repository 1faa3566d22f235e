"""How many trainings were started, and how many of them stand in the tables: a seed that was dropped is named."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stages.records.attempts import Attempt, Attempts, judging
from stages.records.evaluation import Evaluation
from stages.report.evidence import Evidence
from stages.report.formats import listed
from stages.report.markdown import code, escape

_SHORT = 12  # digits of a commit


class Started(NamedTuple):
    """The trainings since attempts are kept: those whose result stands in the tables, and the others.

    Of the results that no attempt is known of, `older` are from before, and `unknown` are not.
    """

    standing: list[Attempt]
    others: list[Attempt]
    older: list[Evaluation]
    unknown: list[Evaluation]


def started(attempts: Attempts, results: Sequence[Evaluation], cell: str | None = None) -> Started:
    """Which trainings, of a cell or of all, have their result among these, by the binding of their run."""
    bindings = {result.run.binding for result in results}
    standing: list[Attempt] = []
    others: list[Attempt] = []
    for one in attempts.trainings:
        if cell in (None, one.start.cell):
            (standing if one.is_among(bindings) else others).append(one)
    known = {one.end.run for one in standing if one.end}
    older: list[Evaluation] = []
    unknown: list[Evaluation] = []
    for result in results:
        if result.run.binding not in known:
            is_older = attempts.begin is None or result.run.times.started <= attempts.begin.time
            (older if is_older else unknown).append(result)
    return Started(standing, others, older, unknown)


def attempts_sentence(evidence: Evidence) -> str:
    """What the overview says of the trainings that were started; empty where attempts are not kept."""
    attempts = evidence.attempts
    if attempts is None or attempts.begin is None:
        return ""
    return " ".join([*_counts(evidence, attempts), *_judging(evidence, attempts)])


def _counts(evidence: Evidence, attempts: Attempts) -> Iterator[str]:
    results = [result for cell in evidence.cells.values() for result in cell.results]
    found, begin = started(attempts, results), attempts.begin
    since = f"Every training that is started is written down since {begin.time[:10] if begin else ''}"
    total = len(attempts.trainings)
    repeated = sum(bool(one.resumes) for one in attempts.trainings)
    more = f" ({repeated} more than once, after a kill or a failure)" if repeated else ""
    standing = f"{len(found.standing)} of the trainings are in these tables"
    counts = f"{total} started{more}; {standing}" if total else "none was started"
    count = len(found.older)
    older = f"; {count} result{'s' if count != 1 else ''} here are older" if count else ""
    yield f"{since}: {counts}{older}."
    if found.others:
        there = {(result.cell, result.seed) for result in results}
        named = [_named(one, (one.start.cell, one.start.seed) in there) for one in found.others]
        yield f"**Started, and not in these tables**: {'; '.join(named)}."
    if found.unknown:
        names = listed([f"{code(result.cell)} seed {result.seed}" for result in found.unknown])
        yield f"**In these tables, and nowhere written down as started**: {names}."
    if removed := attempts.removed:
        yield f"**{len(removed)} of its lines were removed.**"


def _named(attempt: Attempt, has_other: bool) -> str:
    """A training, and whether another one of the same cell and seed stands in the tables."""
    start, last = attempt.start, ", the last" if attempt.resumes else ","
    said = f"{escape(attempt.outcome_and_starts)}{last} {attempt.starts[-1].time[:16]}"
    other = "; these tables have another training of this seed" if has_other else ""
    return f"{code(str(start.cell))} seed {start.seed} ({said}{other})"


def _judging(evidence: Evidence, attempts: Attempts) -> Iterator[str]:
    """Whether the settings that judge are still those of the beginning."""
    today, begin = judging(evidence.params), attempts.begin
    if begin is None or begin.judging == today:
        yield "The settings that judge results (`verdicts`, `claims`) are those of then."
        return
    last = [entry for entry in attempts.entries if entry.judging != today][-1]
    yield f"**The settings that judge results (`verdicts`, `claims`) changed after commit {last.commit[:_SHORT]}.**"
