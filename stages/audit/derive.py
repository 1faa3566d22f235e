"""Makes a data set's arrays once more from its raw files, whose bytes must be the canonical ones; compares bytes.

The arrays go to a temporary folder, by the command that dvc.yaml has for them and by the code of this program. Compared
is `dataset.json`, which has the sha256 of every array, with the description in each number's record.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stages.audit.findings import Finding, broken, differences, missing, passed
from stages.audit.numbers import Number
from stages.audit.workspace import Workspace
from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION
from stages.core.progress import say
from stages.records.canonical import CANONICAL
from stages.records.copies import COPIES, reads_copies
from stages.records.data import DatasetDescription

_OUTPUTS = ("train-out", "test-out", "samples-out")
_AUGMENTED = f", sha256.{COPIES}"


def derive(number: Number, workspace: Workspace) -> Iterator[Finding]:
    """Differences between a number's recorded arrays and those made again from the canonical raw data.

    The arrays are made once for each data set; raises StageError when that fails. Transformed images are sums of
    floats, which another processor may round otherwise: if they alone differ, they cannot be judged here.
    """
    result, _ = workspace.read(number)
    if result is None:
        return  # said already
    dataset = number.key.dataset
    if dataset not in workspace.derived:
        wrong = list(_raw(dataset, workspace))
        workspace.derived[dataset] = wrong or _made(dataset, workspace)
    made = workspace.derived[dataset]
    if isinstance(made, list):
        yield from made
        return
    where = f"{workspace.result(number)}, run.data"
    said_by = "made again from the canonical raw data"
    recorded, now = result.run.data, made
    outdated = (recorded.made_from.settings, recorded.images) != (now.made_from.settings, now.images)
    wrong = differences(where, recorded.content(), now.content(), said_by, outdated)
    only_copies = {finding.where for finding in wrong} == {f"{where}{_AUGMENTED}"}
    if only_copies and reads_copies(result.run):
        how = "copies depend on the processor that makes them, which no record names"
        yield missing(f"{where}{_AUGMENTED}, as recorded", f"{wrong[0].held_against}; {how}", "derived")
        return
    if only_copies:
        yield passed("derived", f"{dataset}: all arrays that the training reads, made again, are the recorded ones")
        return
    yield from wrong
    if not wrong:
        yield passed("derived", f"{dataset}: the arrays made again from the canonical raw data are the recorded ones")


def _raw(dataset: str, workspace: Workspace) -> Iterator[Finding]:
    """The raw files that are not here, or are not the canonical bytes."""
    stage = workspace.stages.download(dataset)
    for spec in CANONICAL[dataset]:
        path = stage.option("out") / spec.name
        found = workspace.disk.file(path)
        if found is None:
            yield missing(path, f"dvc repro {stage.name}", "derived")
        elif found.sha256 != spec.sha256:
            yield broken(path, f"sha256 {found.sha256}", f"{spec.sha256}, the canonical bytes")


def _made(dataset: str, workspace: Workspace) -> DatasetDescription:
    """The description of the arrays that `preprocess` makes now."""
    stage = workspace.stages.preprocess(dataset)
    say(f"makes the arrays of {dataset} again")
    words = shlex.split(stage.cmd)
    if words[:3] != ["python", "-m", "stages.preprocess"]:
        raise StageError(f"dvc.yaml, {stage.name}: another command than python -m stages.preprocess: {stage.cmd}")
    for name in _OUTPUTS:
        stage.option(name)  # refuses a command without it
    with tempfile.TemporaryDirectory() as scratch:
        for name in _OUTPUTS:
            words[words.index(f"--{name}") + 1] = f"{scratch}/{name}"
        program = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-P", *words[1:]]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(program)}, check=False)  # noqa: S603
        if done.returncode:
            raise StageError(f"{stage.cmd} ended with exit status {done.returncode}; its output is above")
        return DatasetDescription.read(Path(scratch, "train-out", DESCRIPTION), stage.name)
