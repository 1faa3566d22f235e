"""Augmented copies of another processor: the one array whose bytes depend on the machine that made it.

A transformed image is a sum of floats, which processors round differently: a few of 45000 copies come out with other
bytes (docs/reproducibility.md). All other arrays of a data set are the same bytes everywhere. So a result may name
other copies than those that dvc.lock has of `preprocess`. Where its training reads no copies (`augment` other than
append), it was made from the same arrays; where it does, from copies by the same settings, rounded otherwise.
"""

from pathlib import Path

from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION
from stages.core.regular import is_inside, is_regular
from stages.records.data import DatasetDescription
from stages.records.evaluation import Evaluation
from stages.records.provenance import folder_md5, hash_dependency
from stages.records.run import TrainingRun

COPIES = "augmented_images"
_MADE_BY = "dvc repro preprocess"
KnownArrays = dict[tuple[str, str], DatasetDescription | None]  # by folder of arrays, and its md5


def reads_copies(run: TrainingRun) -> bool:
    """Whether a training reads the augmented copies (`stages.engine.splits`)."""
    return run.config.cell.augment == "append"


def has_other_copies(
    run: TrainingRun, folder: str | None, md5: str | None, cells: Path, known: KnownArrays | None = None
) -> bool:
    """Whether a run's arrays of `folder` are those with DVC's `md5` but for the augmented copies.

    `cells` has the results of the data set, of which one may prove what the arrays with that md5 are. `known` keeps
    what was found out.
    """
    found = run.provenance.inputs.get(folder or "")
    if folder is None or md5 is None or found is None or found.md5 == md5:
        return False
    known = {} if known is None else known
    if (folder, md5) not in known:
        known[folder, md5] = find_description(folder, md5, cells)
    theirs = known[folder, md5]
    return theirs is not None and same_but_copies(run.data, theirs)


def same_but_copies(one: DatasetDescription, other: DatasetDescription) -> bool:
    """Whether two descriptions differ in the hash of the augmented copies, and in nothing else."""
    return one.content() != other.content() and _without_copies(one) == _without_copies(other)


def find_description(folder: str, md5: str, cells: Path) -> DatasetDescription | None:
    """The description of the training arrays with DVC's `md5` of `folder`; None where nothing here proves it.

    Either a result below `cells` was trained on them, or they lie in `folder`. Both prove it by hashes: the folder's
    md5 is over those of its files, `dataset.json` among them.
    """
    for path in sorted(cells.glob("*.json")):
        found = _of_result(path, folder, md5)
        if found is not None:
            return found
    return _on_disk(Path(folder), md5)


def other_copies_sentence(run: TrainingRun, stage: str | None) -> str:
    """What a reader is told of a run with other copies than dvc.lock has of `stage`."""
    read = "the training read its own" if reads_copies(run) else "the training does not read them"
    those = f"augmented copies of {run.data.dataset} are not those of {stage} in dvc.lock"
    return f"{those}: another processor rounded them; {read}"


def _without_copies(data: DatasetDescription) -> dict[str, object]:
    content = data.content()
    return {**content, "sha256": {name: sha256 for name, sha256 in data.sha256.items() if name != COPIES}}


def _of_result(path: Path, folder: str, md5: str) -> DatasetDescription | None:
    """The description in a result of a training on these arrays; None for any other file, whatever it holds."""
    if not (is_regular(path) and is_inside(path)):
        return None
    try:
        run = Evaluation.read(path, "evaluate").run
    except StageError:
        return None
    found = run.provenance.inputs.get(folder)
    if found is None or found.md5 != md5 or not found.files or folder_md5(found.files) != md5:
        return None
    return run.data if run.data.md5() == found.files.get(DESCRIPTION) else None


def _on_disk(folder: Path, md5: str) -> DatasetDescription | None:
    path = folder / DESCRIPTION
    if not (is_regular(path) and is_inside(path)):
        return None
    try:
        data = DatasetDescription.read(path, _MADE_BY)
        return data if hash_dependency(folder).md5 == md5 else None
    except StageError:
        return None
