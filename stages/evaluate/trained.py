"""The trained run that is tested: read only if it is the one that was asked for."""

from pathlib import Path
from typing import Any

from stages.config.settings import Run
from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.filenames import RECORD
from stages.core.files import file_hash, read_json


def checked_record(folder: Path, cell: str, budget: str, run: Run) -> dict[str, Any]:
    """The run record, once it is this cell's with today's settings, and the weights are those it names.

    Raises CorruptFileError or MissingFileError.
    """
    path = folder / RECORD
    record = read_json(path, f"dvc repro, stage train of {cell}")
    if (record["cell"], record["budget"], record["seed"]) != (cell, budget, run.seed):
        found = f"the run of {record['cell']}, budget {record['budget']}, seed {record['seed']}"
        raise CorruptFileError(path, found, f"{cell}, budget {budget}, seed {run.seed}")
    if record["config"] != run.model_dump():
        expected = f"those of params.yaml (dvc repro -f {record['stage']})"
        raise CorruptFileError(path, "a training with other settings", expected)
    for name, expected in record["sha256"].items():
        if not (folder / name).is_file():
            raise MissingFileError(folder / name, record["stage"])
        found = file_hash(folder / name, "sha256")
        if found != expected:
            raise CorruptFileError(folder / name, f"sha256 {found}", f"{expected}, as run.json says")
    return record
