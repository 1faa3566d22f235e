"""The trained run that is tested: read only if it is the one that was asked for."""

from pathlib import Path

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.filenames import RECORD
from stages.core.files import file_hash
from stages.records.data import DatasetDescription
from stages.records.run import TrainingRun
from stages.records.spec import Spec


def checked_run(folder: Path, spec: Spec, seed: int) -> TrainingRun:
    """The run record, once it is of the spec's cell, settings and code, and the files are those it names.

    Raises CorruptFileError or MissingFileError.
    """
    path = folder / RECORD
    run = TrainingRun.read(path, f"dvc repro, stage train of {spec.cell}")
    rerun = f"dvc repro -f {run.stage}"
    if (run.cell, run.budget, run.seed) != (spec.cell, spec.budget, seed):
        found = f"the run of {run.cell}, budget {run.budget}, seed {run.seed}"
        raise CorruptFileError(path, found, f"{spec.cell}, budget {spec.budget}, seed {seed}")
    if not run.config.are_of(spec.settings.seeded(seed)):
        raise CorruptFileError(path, "a training with other settings", f"those of the spec ({rerun})")
    if run.provenance.code.sha256 != spec.code.train:
        raise CorruptFileError(path, "a training by other code", f"the code of the spec ({rerun})")
    for name, expected in run.sha256.model_dump(by_alias=True).items():
        if not (folder / name).is_file():
            raise MissingFileError(folder / name, run.stage)
        found = file_hash(folder / name, "sha256")
        if found != expected:
            raise CorruptFileError(folder / name, f"sha256 {found}", f"{expected}, as run.json says")
    return run


def check_trained_on(data: DatasetDescription, run: TrainingRun, path: Path) -> None:
    """Raise CorruptFileError, naming `path` and the first key, unless the run was trained on the same arrays."""
    here, then = data.content(), run.data.content()
    for name in sorted(here.keys() | then.keys()):
        if here.get(name) != then.get(name):
            rerun = f"dvc repro -f {run.stage}"
            raise CorruptFileError(path, f"{name} {here.get(name)}", f"{then.get(name)}, as its run has it ({rerun})")
