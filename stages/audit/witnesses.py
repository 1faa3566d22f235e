"""Compares the hashes that the witnesses have of an artifact with each other and with the bytes on disk.

The hash that most witnesses have is taken as true, the bytes on disk counting as one; findings name the others.
"""

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from stages.audit.disk import Disk
from stages.audit.findings import Finding, broken, missing
from stages.records.dvc_lock import Lock
from stages.records.lineage import Artifact, Lineage, StepName, Witness, majority
from stages.records.provenance import Dependency, folder_md5
from stages.report.levels import Level

HOW = "dvc repro, or dvc pull if a remote has it"
_NEEDED_BY: dict[StepName, Level] = {  # what of a step is not here is needed for
    "raw data": "derived",
    "arrays": "derived",
    "weights": "predicted",
    "predictions": "predicted",
}
_ELSEWHERE = ("settings", "spec")  # held key by key, and against the specs of other times: origin.py, checks.py
Known = Container[tuple[str | None, str]]  # path and algorithm of artifacts that are checked by themselves


def check_artifacts(artifacts: Lineage, disk: Disk, lock: Lock) -> Iterator[Finding]:
    """What does not agree of the artifacts behind a number; of the tables see pages.py."""
    known = {(artifact.path, artifact.algorithm) for artifact in artifacts}
    for artifact in artifacts:
        if artifact.step != "table" and artifact.name not in _ELSEWHERE:
            yield from check_artifact(artifact, disk, known, lock)


def check_artifact(artifact: Artifact, disk: Disk, known: Known = (), lock: Lock | None = None) -> Iterator[Finding]:
    """An artifact's witnesses and its bytes, where they are here, against what most of them say.

    Where no hash has more than half of them, the first is held against the others, and each finding says that.
    """
    witnesses = [witness for witness in artifact.witnesses if witness.hash]
    found = _found(artifact, disk)
    said = [str(witness.hash) for witness in witnesses] + ([found] if found else [])
    most = majority(said)
    right = [witness for witness in witnesses if witness.hash == (most or witnesses[0].hash)]
    undecided = "" if most else "; no majority tells which"
    if right:
        yield from _against(right[0], artifact, undecided, lock)
    elif found and witnesses:  # the bytes, with those that agree among the witnesses of another artifact
        yield from (broken(place(witness), witness.hash, f"{found} ({artifact.path})") for witness in witnesses)
    yield from _on_disk(artifact, disk, right, known, undecided)


def _found(artifact: Artifact, disk: Disk) -> str | None:
    """The hash of the bytes that are here; None without, and of what is not read."""
    if artifact.path is None or artifact.made_elsewhere:
        return None
    if artifact.algorithm == "sha256":
        hashes = disk.file(Path(artifact.path))
        return hashes.sha256 if hashes else None
    tree = disk.tree(Path(artifact.path))
    return tree.md5 if tree else None


def _against(right: Witness, artifact: Artifact, undecided: str, lock: Lock | None) -> Iterator[Finding]:
    """Witnesses with another hash or none. A stage that dvc.lock does not have is reported by `check_form`."""
    for witness in artifact.witnesses:
        in_lock = lock is not None and witness.file == lock.path.as_posix()
        if witness.hash != right.hash and (
            lock is None or not in_lock or any(witness.key.startswith(f"{stage}.") for stage in lock.stages)
        ):
            yield broken(place(witness), witness.hash or "no hash", f"{right.hash} ({place(right)}){undecided}")


def _on_disk(
    artifact: Artifact, disk: Disk, right: list[Witness], known: Known, undecided: str = ""
) -> Iterator[Finding]:
    """An artifact's bytes against what each file that is `right` says of them."""
    if artifact.path is None or artifact.made_elsewhere:
        return
    path = Path(artifact.path)
    if refused := disk.refusal(path):
        yield broken(path, refused, "regular files of this repository, which dvc.yaml names")
        return
    tree, hashes = disk.tree(path), disk.file(path)
    if tree is None:
        in_absent_folder = (path.parent.as_posix(), "md5") in known and not path.parent.exists()
        if not in_absent_folder and artifact.name != "logits":  # of these recount.py says it
            yield missing(path, HOW, _NEEDED_BY.get(artifact.step, "consistent"))
        return
    for number, witness in enumerate(_one_of_each_file(right)):
        if artifact.algorithm == "sha256":
            if hashes is None or hashes.sha256 != witness.hash:
                found = f"sha256 {hashes.sha256}" if hashes else "a folder"
                yield broken(path, found, f"{witness.hash} ({place(witness)}){undecided}")
        elif tree.md5 != witness.hash:
            yield from _which(artifact, witness, tree, known, number == 0, undecided)
    for name, witness in artifact.sha256.items():
        found_in = disk.file(path / name)
        if found_in and found_in.sha256 != witness.hash and (f"{path}/{name}", "sha256") not in known:
            yield broken(path / name, f"sha256 {found_in.sha256}", f"{witness.hash} ({place(witness)})")


def place(witness: Witness) -> str:
    """Where a finding says that a hash stands."""
    return f"{witness.file}, {witness.key}"


def _one_of_each_file(witnesses: Iterable[Witness]) -> list[Witness]:
    """The first witness of each file that has a hash."""
    found: dict[str, Witness] = {}
    for witness in witnesses:
        if witness.hash:
            found.setdefault(witness.file, witness)
    return list(found.values())


def _which(
    artifact: Artifact, witness: Witness, tree: Dependency, known: Known, by_file: bool, undecided: str
) -> Iterator[Finding]:
    """The files in which a folder differs, where they were recorded one by one; else the folder."""
    theirs, ours = artifact.files, tree.files
    if not by_file or not theirs or ours is None or folder_md5(theirs) != witness.hash:
        yield broken(artifact.path, tree.md5, f"{witness.hash} ({place(witness)}){undecided}")
        return
    for name in sorted(theirs.keys() | ours.keys()):
        file = f"{artifact.path}/{name}"
        if ours.get(name) == theirs.get(name) or (file, "md5") in known:
            continue
        if name not in ours:
            yield missing(file, HOW, _NEEDED_BY.get(artifact.step, "consistent"))
        else:
            yield broken(file, ours[name], f"{theirs.get(name, 'no such file')} ({place(witness)})")
