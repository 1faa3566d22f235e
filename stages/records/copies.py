"""Augmented copies of another processor: the one array whose bytes depend on the machine that made it.

A transformed image is a sum of floats, which processors round differently: a few of 45000 copies come out with other
bytes (docs/reproducibility.md). All other arrays of a data set are the same bytes everywhere. So a result may name
other copies than those that dvc.lock has of `preprocess`. Where its training reads no copies (`augment` other than
append), it was made from the same arrays; where it does, from copies by the same settings, rounded otherwise.
"""

from pathlib import Path

from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION
from stages.core.files import parse_json
from stages.core.regular import is_inside, is_regular, read_regular
from stages.records.data import DatasetDescription
from stages.records.provenance import folder_md5, hash_dependency
from stages.records.run import TrainingRun

COPIES = "augmented_images"
_MADE_BY = "dvc repro preprocess"


def reads_copies(run: TrainingRun) -> bool:
    """Whether a training reads the augmented copies (`stages.engine.splits`)."""
    return run.config.cell.augment == "append"


def same_but_copies(one: DatasetDescription, other: DatasetDescription) -> bool:
    """Whether two descriptions differ in the hash of the augmented copies, and in nothing else."""
    return one != other and _without_copies(one) == _without_copies(other)


Described = dict[tuple[str, str], DatasetDescription | None]  # by folder of arrays, and its md5


def has_other_copies(
    run: TrainingRun, folder: str | None, md5: str | None, cells: Path, known: Described | None = None
) -> bool:
    """Whether a run's arrays of `folder` are those with DVC's `md5` but for the augmented copies.

    `cells` has the results of the data set, of which one may prove what the arrays with that md5 are; `known` keeps
    what was proved.
    """
    found = run.provenance.inputs.get(folder or "")
    if folder is None or md5 is None or found is None or found.md5 == md5:
        return False
    known = {} if known is None else known
    if (folder, md5) not in known:
        known[folder, md5] = described(folder, md5, cells)
    described_there = known[folder, md5]
    return described_there is not None and same_but_copies(run.data, described_there)


def described(folder: str, md5: str, cells: Path) -> DatasetDescription | None:
    """The description of the training arrays with DVC's `md5` of `folder`; None where nothing here proves it.

    Either a result below `cells` was trained on them, or they lie in `folder`. Both prove it by hashes: the folder's
    md5 is over those of its files, `dataset.json` among them.
    """
    for path in sorted(cells.glob("*.json")):
        found = _of_result(path, folder, md5)
        if found is not None:
            return found
    return _on_disk(Path(folder), md5)


def other_copies_sentence(run: TrainingRun, those: str) -> str:
    """What a reader is told of a run with other copies than `those`."""
    made = f"the arrays of {run.data.dataset} are those that {those}, but for augmented copies of another processor"
    return f"{made}, {'with which it was trained' if reads_copies(run) else 'which the training does not read'}"


def _without_copies(data: DatasetDescription) -> dict[str, object]:
    content = data.content()
    return {**content, "sha256": {name: sha256 for name, sha256 in data.sha256.items() if name != COPIES}}


def _of_result(path: Path, folder: str, md5: str) -> DatasetDescription | None:
    """The description in a result of a training on these arrays; None for any other file, whatever it holds."""
    try:
        run = parse_json(read_regular(path, "evaluate"), path, "evaluate")["run"]
        inputs = run["provenance"]["inputs"][folder]
        if inputs["md5"] != md5 or folder_md5(inputs["files"]) != md5:
            return None
        data = DatasetDescription.model_validate(run["data"])
    except (StageError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return data if data.md5() == inputs["files"].get(DESCRIPTION) else None


def _on_disk(folder: Path, md5: str) -> DatasetDescription | None:
    path = folder / DESCRIPTION
    if not (is_regular(path) and is_inside(path)):
        return None
    try:
        data = DatasetDescription.read(path, _MADE_BY)
        return data if hash_dependency(folder).md5 == md5 else None
    except StageError:
        return None
