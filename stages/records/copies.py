"""Augmented copies with other bytes: the one array that depends on the machine that made it.

A transformed image is a sum of floats, which processors round differently: a few of 45000 copies come out with other
bytes (docs/reproducibility.md). All other arrays of a data set are the same bytes everywhere. So a result may name
other copies than those that dvc.lock has of `preprocess`. Where its training reads no copies (`augment` other than
append), it was made from the same arrays. Where it does, nothing here proves the copies. At least the code must be the
same: what is recorded with the result, or with another result that read the same copies, must be that of dvc.lock.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION
from stages.core.regular import is_inside, refusal
from stages.records.data import TRAIN_ARRAYS, DatasetDescription
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation
from stages.records.provenance import folder_md5, hash_dependency
from stages.records.run import TrainingRun

COPIES = "augmented_images"
FILES = (*(f"{array}.npy" for array in TRAIN_ARRAYS), DESCRIPTION)  # of the folder of training arrays
_DEPENDENT = {f"{COPIES}.npy", DESCRIPTION}  # the files whose bytes change with the copies
_MAKERS = ("stages/preprocess", "stages/engine/augmentation.py")


class Arrays(NamedTuple):
    """The training arrays of a data set: what `dataset.json` says, and the md5 of each file in their folder."""

    data: DatasetDescription
    files: Mapping[str, str]


class PreprocessEntry(NamedTuple):
    """What dvc.lock has of `preprocess`: md5 of its inputs and of its outputs, by path."""

    deps: Mapping[str, str]
    outs: Mapping[str, str]


class OtherCopies(NamedTuple):
    """Arrays that differ from those of dvc.lock in the augmented copies alone, and the result that has their code.

    `witness` is another result that read the same copies, by the code of dvc.lock. It is None where none is needed:
    the training reads no copies, or its own sources are those of dvc.lock.
    """

    dataset: str
    are_read: bool
    witness: Path | None

    def sentence(self, stage: str | None) -> str:
        """What a reader is told; `stage` is that of `preprocess` in dvc.lock."""
        those = f"augmented copies of {self.dataset} have other bytes than those of {stage} in dvc.lock"
        if not self.are_read:
            return f"{those}; the training does not read them"
        same = f"; {self.witness}, trained on the same copies, records the code of dvc.lock" if self.witness else ""
        return f"{those}; the training read its own, which nothing here proves{same}"


class KnownArrays:
    """What was found out about folders of arrays, so that the results of a data set are read once for each."""

    def __init__(self) -> None:
        self.arrays = cache(find_arrays)
        self.results = cache(lambda folder, md5, cells: tuple(_trained_on(folder, md5, cells)))


def preprocess_entry(lock: Lock, stage: str | None) -> PreprocessEntry:
    """What dvc.lock has of a stage `preprocess`; nothing where it has no such entry."""
    entry = lock.entry(stage) if stage else None
    return PreprocessEntry(entry.deps, entry.outs) if entry else PreprocessEntry({}, {})


def reads_copies(run: TrainingRun) -> bool:
    """Whether a training reads the augmented copies (`stages.engine.splits`)."""
    return run.config.cell.augment == "append"


def other_copies(
    run: TrainingRun,
    folder: str | None,
    entry: PreprocessEntry,
    cells: Path,
    lock: Lock,
    known: KnownArrays | None = None,
) -> OtherCopies | None:
    """How a run's arrays of `folder` differ from those in dvc.lock, if in the augmented copies alone; else None.

    `cells` has the results of the data set, of which one may prove what dvc.lock's arrays are, and another one, which
    dvc.lock must have, may record their code. `known` keeps what was found out.
    """
    found, md5 = run.provenance.inputs.get(folder or ""), entry.outs.get(folder or "")
    if folder is None or md5 is None or found is None or found.md5 == md5:
        return None
    if not found.files or folder_md5(found.files) != found.md5:
        return None
    known = known or KnownArrays()
    theirs = known.arrays(folder, md5, cells)
    if theirs is None or not same_but_copies(Arrays(run.data, found.files), theirs):
        return None
    if not reads_copies(run) or _is_same_code(run, entry.deps):
        return OtherCopies(run.data.dataset, reads_copies(run), witness=None)
    for path, other, _ in known.results(folder, found.md5, cells):
        if reads_copies(other) and _is_same_code(other, entry.deps) and _is_recorded(path, lock):
            return OtherCopies(run.data.dataset, are_read=True, witness=path)
    return None


def same_but_copies(one: Arrays, other: Arrays) -> bool:
    """Whether two folders of arrays differ in the copies and their hash in `dataset.json`, and in nothing else."""
    differing = {name for name in one.files.keys() | other.files.keys() if one.files.get(name) != other.files.get(name)}
    return (
        differing == _DEPENDENT
        and one.files.keys() == other.files.keys() == {*FILES}
        and one.data.sha256.get(COPIES) != other.data.sha256.get(COPIES)
        and _without_copies(one.data) == _without_copies(other.data)
    )


def find_arrays(folder: str, md5: str, cells: Path) -> Arrays | None:
    """The training arrays with DVC's `md5` of `folder`; None where nothing here proves what they are.

    Either a result below `cells` was trained on them, or they lie in `folder`. The md5 is over those of the files,
    `dataset.json` among them, which has the sha256 of each array.
    """
    arrays = next((arrays for _, _, arrays in _trained_on(folder, md5, cells)), None)
    return arrays or _on_disk(Path(folder), md5)


def _is_recorded(path: Path, lock: Lock) -> bool:
    """Whether a file is an output that dvc.lock has, with these bytes: no other file may speak for a result."""
    return lock.recorded(path.as_posix()) == hash_dependency(path).md5


def _is_same_code(run: TrainingRun, deps: Mapping[str, str]) -> bool:
    """Whether the sources beside a run are those by which dvc.lock's copies were made."""
    sources = run.provenance.sources
    for path in _MAKERS:
        inner = {name.removeprefix(f"{path}/"): md5 for name, md5 in sources.items() if name.startswith(f"{path}/")}
        if deps.get(path, "nothing") != (folder_md5(inner) if inner else sources.get(path)):
            return False
    return True


def _without_copies(data: DatasetDescription) -> dict[str, object]:
    content = data.content()
    return {**content, "sha256": {name: sha256 for name, sha256 in data.sha256.items() if name != COPIES}}


def _trained_on(folder: str, md5: str, cells: Path) -> Iterator[tuple[Path, TrainingRun, Arrays]]:
    """The results below `cells` that were trained on the arrays of `md5`, each with its run and them.

    A record that contradicts itself on them is left out. The order is that of the results' names.
    """
    for path in sorted(cells.glob("*.json")):
        run = _of_result(path)
        found = run.provenance.inputs.get(folder) if run else None
        files = found.files if found and found.md5 == md5 else None
        if run and files and folder_md5(files) == md5 and (arrays := _proved(Arrays(run.data, files))):
            yield path, run, arrays


def _of_result(path: Path) -> TrainingRun | None:
    """The run of a result; None for any other file, whatever it holds."""
    if refusal(path) or not is_inside(path):
        return None
    try:
        run = Evaluation.read(path, "evaluate").run
    except StageError:
        return None
    own = (f"{path.parent.name}/{path.stem}", path.parent.name)
    return run if (f"{run.cell}-s{run.seed}", run.data.dataset) == own else None


def _on_disk(folder: Path, md5: str) -> Arrays | None:
    """The arrays that lie there, regular files of this repository alone; None where they are not those of `md5`."""
    paths = [folder / name for name in FILES]
    if any(refusal(path) or not is_inside(path) for path in paths):
        return None
    try:
        data = DatasetDescription.read(folder / DESCRIPTION, "dvc repro preprocess")
        files = {path.name: hash_dependency(path).md5 for path in paths}
    except (OSError, StageError):
        return None
    return _proved(Arrays(data, files)) if folder_md5(files) == md5 else None


def _proved(arrays: Arrays) -> Arrays | None:
    return arrays if arrays.files.get(DESCRIPTION) == arrays.data.md5() else None
