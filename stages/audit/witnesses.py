"""Every artifact's hash, as each of its witnesses has it, and as the bytes have it that lie there now."""

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from stages.audit.disk import Disk
from stages.audit.findings import Finding, broken, missing
from stages.records.dvc_lock import Lock
from stages.records.lineage import Artifact, Lineage, Witness
from stages.records.provenance import Dependency, folder_md5

HOW = "dvc repro, or dvc pull if a remote has it"
_ELSEWHERE = ("settings", "spec")  # held key by key, and against the specs of other times: origin.py, checks.py
Known = Container[tuple[str | None, str]]  # path and algorithm of artifacts that are checked by themselves


def check_artifacts(artifacts: Lineage, disk: Disk, lock: Lock) -> Iterator[Finding]:
    """What does not agree of the artifacts behind a number; of the tables see pages.py."""
    known = {(artifact.path, artifact.algorithm) for artifact in artifacts}
    for artifact in artifacts:
        if artifact.step != "table" and artifact.name not in _ELSEWHERE:
            yield from _between_witnesses(artifact, lock)
            yield from on_disk(artifact, disk, known)


def on_disk(artifact: Artifact, disk: Disk, known: Known = ()) -> Iterator[Finding]:
    """An artifact's bytes against what each file that witnesses it says."""
    if artifact.path is None:
        return
    path = Path(artifact.path)
    if refused := disk.refusal(path):
        yield broken(path, refused, "regular files of this repository, which dvc.yaml names")
        return
    tree, hashes = disk.tree(path), disk.file(path)
    if tree is None:
        in_absent_folder = (path.parent.as_posix(), "md5") in known and not path.parent.exists()
        if not in_absent_folder and artifact.name != "logits":  # of these recount.py says it
            yield missing(path, HOW)
        return
    for number, witness in enumerate(_one_of_each_file(artifact.witnesses)):
        if artifact.algorithm == "sha256":
            if hashes is None or hashes.sha256 != witness.hash:
                found = f"sha256 {hashes.sha256}" if hashes else "a folder"
                yield broken(path, found, f"{witness.hash} ({place(witness)})")
        elif tree.md5 != witness.hash:
            yield from _which(artifact, witness, tree, known, by_file=number == 0)
    for name, witness in artifact.sha256.items():
        found_in = disk.file(path / name)
        if found_in and found_in.sha256 != witness.hash and (f"{path}/{name}", "sha256") not in known:
            yield broken(path / name, f"sha256 {found_in.sha256}", f"{witness.hash} ({place(witness)})")


def place(witness: Witness) -> str:
    """Where a finding says that a hash stands."""
    return f"{witness.file}, {witness.key}"


def _between_witnesses(artifact: Artifact, lock: Lock) -> Iterator[Finding]:
    """Witnesses that contradict the first, or are silent; of a stage that dvc.lock does not have, its form says so."""
    first = next((witness for witness in artifact.witnesses if witness.hash), None)
    if first is None:
        return
    for witness in (*artifact.disagreeing, *artifact.silent):
        in_lock = witness.file == lock.path.as_posix()
        if not in_lock or any(witness.key.startswith(f"{stage}.") for stage in lock.stages):
            yield broken(place(witness), witness.hash or "no hash", f"{first.hash} ({place(first)})")


def _one_of_each_file(witnesses: Iterable[Witness]) -> list[Witness]:
    """The first witness of each file that has a hash."""
    found: dict[str, Witness] = {}
    for witness in witnesses:
        if witness.hash:
            found.setdefault(witness.file, witness)
    return list(found.values())


def _which(artifact: Artifact, witness: Witness, tree: Dependency, known: Known, by_file: bool) -> Iterator[Finding]:
    """The files in which a folder differs, where they were recorded one by one; else the folder."""
    theirs, ours = artifact.files, tree.files
    if not by_file or not theirs or ours is None or folder_md5(theirs) != witness.hash:
        yield broken(artifact.path, tree.md5, f"{witness.hash} ({place(witness)})")
        return
    for name in sorted(theirs.keys() | ours.keys()):
        file = f"{artifact.path}/{name}"
        if ours.get(name) == theirs.get(name) or (file, "md5") in known:
            continue
        if name not in ours:
            yield missing(file, HOW)
        else:
            yield broken(file, ours[name], f"{theirs.get(name, 'no such file')} ({place(witness)})")
