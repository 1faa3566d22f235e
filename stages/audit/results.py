"""Reads a result whose parts may contradict each other, and reports which do.

`Evaluation.read` refuses such a file, and a reader of it needs no more. Whoever asks what is wrong with it does: the
predictions may be false, or the weights, or the binding alone.
"""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from stages.audit.findings import Finding, broken
from stages.audit.history import md5_of
from stages.core.errors import CorruptFileError
from stages.core.files import parse_json
from stages.core.regular import read_regular
from stages.records.evaluation import Evaluation, File
from stages.records.run import BOUND, TrainingRun

_RESULT_PARTS = "run, code, testing, numerics, test data, logits, labels and predictions"


class LooseRun(TrainingRun):
    """A run record whose parts need not belong together."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        return self


class LooseResult(Evaluation):
    """A result whose parts need not belong together."""

    run: LooseRun

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        return self


def read_loosely(path: Path, stage: str) -> tuple[LooseResult | None, list[Finding]]:
    """The result in a file that is there (None: it is none), and in what it is none as `stage` writes it."""
    try:
        found = read_regular(path, stage)
        result = LooseResult.parse(parse_json(found, path, stage), path, stage)
        content = result.text().encode()
    except CorruptFileError as error:
        return None, [broken(path, error.found, error.expected)]
    findings = []
    if content != found:
        findings.append(broken(path, "other bytes than its own content gives", f"the bytes that {stage} writes"))
    for where, record, parts in (
        (f"{path}, run.binding", result.run, BOUND),
        (f"{path}, binding", result, _RESULT_PARTS),
    ):
        if record.binding != record.expected_binding():
            expected = f"{record.expected_binding()}, the one hash over {parts}: one of these was changed afterwards"
            findings.append(broken(where, record.binding, expected))
    if (checksum := result.run.checksum) not in (None, result.run.expected_checksum()):
        expected = f"{result.run.expected_checksum()}, that of all other fields of run: one was changed afterwards"
        findings.append(broken(f"{path}, run.checksum", checksum, expected))
    return result.model_copy(update={"file": File(path=path.as_posix(), md5=md5_of(found))}), findings
