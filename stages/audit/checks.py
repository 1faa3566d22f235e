"""Walks the chain of one number, link by link, and says what does not hold.

    raw data -> arrays -> training -> weights -> evaluation -> predictions -> the result -> (pages.py) the tables

Each link is held against three witnesses that were written at different times: what the run took when it started (the
run record in the result), what DVC hashed when the command had ended (dvc.lock), and the bytes on the disk now; the
sources also against the commit that the record names. What only git and DVC's remote have is missed, not guessed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stages.audit.disk import Disk
from stages.audit.findings import Finding, broken, differences, missing, note
from stages.audit.history import History, by_file
from stages.audit.lock import LOCK_FILE, Entry, Lock
from stages.audit.numbers import Number
from stages.audit.pipeline import Stage, Stages
from stages.audit.recount import follow, recount
from stages.audit.told import Dep, Taken, Told, read_told
from stages.config.params import PARAMS_FILE, Params, counted, load_params, read_yaml
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import json_hash
from stages.records.provenance import folder_md5

_SOURCES = "stages/"
_HOW = "dvc repro, or dvc pull if a remote has it"


@dataclass(frozen=True)
class Here:
    """All that is looked at: the working directory, read once."""

    budget: str
    params: Params = field(default_factory=load_params)
    settings: Any = field(default_factory=lambda: read_yaml(PARAMS_FILE))  # as DVC reads it
    lock: Lock = field(default_factory=lambda: Lock(required=False))
    disk: Disk = field(default_factory=Disk)
    history: History = field(default_factory=History)
    data_links: dict[str, list[Finding]] = field(default_factory=dict)  # of a data set, which its numbers share

    @cached_property
    def stages(self) -> Stages:
        """The budget's stages, as dvc.yaml has them."""
        return Stages(self.budget)

    def result(self, number: Number) -> Path:
        """The file of a number's result."""
        return self.stages.result(number.key, number.seed)


def check_number(number: Number, here: Here) -> list[Finding]:
    """All that does not speak for a number, up to its result."""
    path, evaluate = here.result(number), here.stages.evaluate(number.key, number.seed)
    if not path.is_file():
        return [missing(path, f"dvc repro {evaluate.name}")]
    read = read_told(path, evaluate.name)
    if isinstance(read, Finding):
        return [read, *check_out(path, evaluate, here)]
    whole, told = read
    dataset = number.key.dataset
    if dataset not in here.data_links:
        here.data_links[dataset] = list(_data(dataset, here))
    return [
        *here.data_links[dataset],
        *_identity(path, told, number, here),
        *_training(path, told, number, here),
        *_description(path, whole, told, number, here),
        *_run_folder(path, whole, told, number, here),
        *_evaluation(path, told, number, here),
        *_predictions(path, whole, told, number, here),
        *check_out(path, evaluate, here),
    ]


def inputs(number: Number, here: Here) -> list[Path]:
    """The files and folders that `check_number` hashes, so that they can be hashed several at a time."""
    train, evaluate = (
        here.stages.train(number.key, number.seed),
        here.stages.evaluate(number.key, number.seed),
    )
    of_data = here.stages.preprocess(number.key.dataset)
    return [Path(path) for stage in (of_data, train, evaluate) for path in (*stage.deps, *stage.outs)]


def check_entry(stage: Stage, here: Here, but: Path | None = None) -> Iterator[Finding]:
    """What of a stage's entry in dvc.lock is not what dvc.yaml, params.yaml and the files say now.

    The output `but` is not looked at.
    """
    yield from _form(stage, here)
    entry, where = here.lock.entry(stage.name), f"{LOCK_FILE}, {stage.name}"
    if entry is not None:
        yield from _today(entry.params, here, where)
        outs = {path: md5 for path, md5 in entry.outs.items() if path != str(but)}
        yield from _on_disk({path: Dep(md5=md5) for path, md5 in {**entry.deps, **outs}.items()}, here, where)


def check_out(out: Path, stage: Stage, here: Here) -> Iterator[Finding]:
    """One output of a stage against its entry in dvc.lock."""
    entry = here.lock.entry(stage.name)
    if entry and out.as_posix() in entry.outs:
        dep = Dep(md5=entry.outs[out.as_posix()])
        yield from _on_disk({out.as_posix(): dep}, here, f"{LOCK_FILE}, {stage.name}")


def _form(stage: Stage, here: Here) -> Iterator[Finding]:
    """That dvc.lock has the stage, with the command, the dependencies and the outputs that dvc.yaml gives it."""
    entry, where = here.lock.entry(stage.name), f"{LOCK_FILE}, {stage.name}"
    if entry is None:
        yield broken(where, "no entry", "the hashes of a run (dvc repro)")
        return
    if entry.cmd != stage.cmd:
        yield broken(f"{where}, cmd", entry.cmd, f"{stage.cmd}, as dvc.yaml says")
    for kind, listed, wanted in (
        ("deps", entry.deps, stage.deps),
        ("params", entry.params, stage.params),
        ("outs", entry.outs, stage.outs),
    ):
        if set(listed) != set(wanted):
            yield broken(f"{where}, {kind}", sorted(listed), f"{sorted(wanted)}, as dvc.yaml says")


def _data(dataset: str, here: Here) -> Iterator[Finding]:
    """Raw data and arrays: dvc.lock against the files. Of the sample sheets, see pages.py."""
    download = here.stages.download(dataset)
    preprocess = here.stages.preprocess(dataset)
    yield from check_entry(download, here)
    yield from check_entry(preprocess, here, but=preprocess.option("samples-out"))
    made, used = here.lock.entry(download.name), here.lock.entry(preprocess.name)
    if made and used:
        for path, md5 in made.outs.items():
            if used.deps.get(path) != md5:
                where = f"{LOCK_FILE}, {preprocess.name}, deps, {path}"
                yield broken(where, used.deps.get(path), f"{md5}, as {download.name} has it")


def _identity(path: Path, told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """That the result is this number's."""
    train, evaluate = (
        here.stages.train(number.key, number.seed),
        here.stages.evaluate(number.key, number.seed),
    )
    cell, budget, seed = str(number.key), here.budget, number.seed
    found = told.model_dump(include={"cell", "dataset", "budget", "seed", "stages", "classes"})
    run = told.run.model_dump(include={"cell", "budget", "seed", "stage"})
    expected = {
        **{"cell": cell, "dataset": number.key.dataset, "budget": budget, "seed": seed},
        "stages": {"train": train.name, "evaluate": evaluate.name},
        "classes": here.params.datasets.of(number.key.dataset).classes,
    }
    yield from differences(str(path), found, expected, "of this number")
    of_run = {"cell": cell, "budget": budget, "seed": seed, "stage": train.name}
    yield from differences(f"{path}, run", run, of_run, "of this number")


def _training(path: Path, told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """The run record against dvc.lock, the files and the commit."""
    stage = here.stages.train(number.key, number.seed)
    yield from _taken(f"{path}, run", told.run, stage, here)
    if all(_look_up(here.settings, name) == value for name, value in told.run.params.items()):
        resolved = here.params.run(str(number.key), here.budget, number.seed).model_dump()
        yield from differences(f"{path}, run.config", told.run.config, resolved, "what its parameters come to")
    if told.run.run_by == "hand":
        yield note(f"{stage.name} was run by hand, and committed to DVC afterwards")


def _description(path: Path, whole: dict[str, Any], told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """The data set's description in the run record: its own hash, and the hash of the raw data that it names."""
    data = here.stages.train(number.key, number.seed).option("data").as_posix()
    listed = (told.run.deps[data].files or {}) if data in told.run.deps else {}
    expected, found = listed.get(DESCRIPTION), json_hash(whole["run"]["data"])
    if found != expected:
        yield broken(f"{path}, run.data", f"md5 {found}", f"{expected} (run.deps, {data}, {DESCRIPTION})")
    download = here.stages.download(number.key.dataset)
    entry = here.lock.entry(download.name)
    files, where = told.run.data.made_from.raw_md5, f"{path}, run.data.made_from.raw_md5"
    raw = Dep(md5=folder_md5(files), files=files)
    for out, md5 in (entry.outs if entry else {}).items():
        if raw.md5 != md5:
            yield broken(where, raw.md5, f"{md5} ({LOCK_FILE}, {download.name}, {out})")
        yield from _on_disk({out: raw}, here, where)


def _run_folder(path: Path, whole: dict[str, Any], told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """Weights, history and run record: that the evaluation read those that the training made."""
    stage = here.stages.train(number.key, number.seed)
    out = stage.option("out").as_posix()
    read = told.evaluated.deps.get(out)
    entry = here.lock.entry(stage.name)
    if read is None or read.files is None:
        yield broken(f"{path}, evaluated.deps, {out}", "nothing", "the files of the tested run")
        return
    if entry and entry.outs.get(out) != read.md5:
        where = f"{LOCK_FILE}, {stage.name}, outs, {out}"
        yield broken(where, entry.outs.get(out), f"{read.md5}, as {path} has it of the tested run")
    for name, part in ((RECORD, whole["run"]), (HISTORY, whole["history"])):
        md5 = json_hash(part)
        if md5 != read.files.get(name):
            key = "run" if name == RECORD else "history"
            yield broken(f"{path}, {key}", f"md5 {md5}", f"{read.files.get(name)} (evaluated.deps, {out}, {name})")
    for name in (WEIGHTS, HISTORY):
        file = Path(out) / name
        found = here.disk.file(file)
        if found and found.sha256 != told.run.sha256.get(name):
            expected = f"{told.run.sha256.get(name)} ({path}, run.sha256)"
            yield broken(file, f"sha256 {found.sha256}", expected)


def _evaluation(path: Path, told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """What the evaluation took, against dvc.lock, the files, the commit, and the training's own hashes."""
    stage = here.stages.evaluate(number.key, number.seed)
    yield from _taken(f"{path}, evaluated", told.evaluated, stage, here)
    description = stage.option("description")
    made = told.run.deps.get(description.parent.as_posix())
    read = told.evaluated.deps.get(description.as_posix())
    if read and (made is None or (made.files or {}).get(description.name) != read.md5):
        where = f"{path}, evaluated.deps, {description}"
        yield broken(where, read.md5, "the one that the training read (run.deps)")
    preprocess = here.stages.preprocess(number.key.dataset)
    entry = here.lock.entry(preprocess.name)
    for out, dep in ((out, {**told.run.deps, **told.evaluated.deps}.get(out)) for out in preprocess.outs):
        if entry and dep and entry.outs.get(out) != dep.md5:
            where = f"{LOCK_FILE}, {preprocess.name}, outs, {out}"
            yield broken(where, entry.outs.get(out), f"{dep.md5}, as {path} has it")


def _predictions(path: Path, whole: dict[str, Any], told: Told, number: Number, here: Here) -> Iterator[Finding]:
    """The stored predictions, and every number from them once more."""
    stage, dataset = here.stages.evaluate(number.key, number.seed), number.key.dataset
    folder = stage.option("predictions-out")
    for name, expected in told.sha256.items():
        found = here.disk.file(folder / name)
        if found and found.sha256 != expected:
            yield broken(folder / name, f"sha256 {found.sha256}", f"{expected} ({path}, sha256)")
    images = here.params.chosen_budget(here.budget).test_images.of(dataset)
    total = here.params.datasets.of(dataset).test_images
    count = counted(images, total)
    yield from recount(path, whole, told, count)
    yield from follow(path, whole, told, folder, stage.option("test"), total, _HOW)
    yield from check_out(folder, stage, here)


def _taken(where: str, taken: Taken, stage: Stage, here: Here) -> Iterator[Finding]:
    """What a stage says it took when it started: as dvc.yaml asks, as DVC hashed it, as it is now, as committed."""
    for kind, listed, wanted in (("deps", taken.deps, stage.deps), ("params", taken.params, stage.params)):
        if set(listed) != set(wanted):
            yield broken(f"{where}.{kind}", sorted(listed), f"{sorted(wanted)}, as dvc.yaml says")
    for path, dep in taken.deps.items():
        if dep.files is not None and folder_md5(dep.files) != dep.md5:
            yield broken(f"{where}.deps, {path}", dep.md5, f"{folder_md5(dep.files)}, the hash of its own files")
    yield from _form(stage, here)
    entry = here.lock.entry(stage.name)
    if entry is not None:
        yield from _recorded_alike(where, taken, entry, stage)
    yield from _today(taken.params, here, where)
    yield from _on_disk(taken.deps, here, where)
    yield from _committed(where, taken, here)


def _recorded_alike(where: str, taken: Taken, entry: Entry, stage: Stage) -> Iterator[Finding]:
    """DVC hashes when a command has ended, the run when it starts: a source edited meanwhile shows as a difference."""
    locked, said_by = f"{LOCK_FILE}, {stage.name}", f"as {where} took it when the run started"
    for path, dep in taken.deps.items():
        if entry.deps.get(path) != dep.md5:
            yield broken(f"{locked}, deps, {path}", entry.deps.get(path), f"{dep.md5}, {said_by}")
    yield from differences(f"{locked}, params", entry.params, taken.params, said_by)


def _today(recorded: Mapping[str, Any], here: Here, said_by: str) -> Iterator[Finding]:
    """The recorded parameters against params.yaml now."""
    for name, value in recorded.items():
        now = _look_up(here.settings, name)
        if now != value:
            yield from differences(f"{PARAMS_FILE}, {name}", now, value, said_by, outdated=True)


def _on_disk(recorded: Mapping[str, Dep], here: Here, said_by: str) -> Iterator[Finding]:
    """Recorded hashes against the bytes that lie there now."""
    for path, dep in recorded.items():
        found = here.disk.tree(Path(path))
        if found is None:
            yield missing(path, _HOW)
        elif found["md5"] != dep.md5:
            yield from _which(path, dep, found, said_by)


def _which(path: str, dep: Dep, found: dict[str, Any], said_by: str) -> Iterator[Finding]:
    """The files in which a folder differs, where they were recorded one by one; else the folder."""
    outdated = path.startswith(_SOURCES)
    theirs, ours = dep.files, found.get("files")
    if theirs is None or ours is None or folder_md5(theirs) != dep.md5:
        yield broken(path, found["md5"], f"{dep.md5} ({said_by})", outdated)
        return
    for name in sorted(theirs.keys() | ours.keys()):
        if ours.get(name) == theirs.get(name):
            continue
        if name not in ours and not outdated:
            yield missing(f"{path}/{name}", _HOW)
        else:
            expected = f"{theirs.get(name, 'no such file')} ({said_by})"
            yield broken(f"{path}/{name}", ours.get(name, "no such file"), expected, outdated)


def _committed(where: str, taken: Taken, here: Here) -> Iterator[Finding]:
    """The recorded sources and parameters against the commit that the record names."""
    commit = taken.git.commit
    if here.history.files(commit) is None:
        yield missing(
            f"commit {commit}", "its sources are in no history here (git fetch, with --unshallow or a remote)"
        )
        return
    for path, dep in taken.deps.items():
        if path.startswith(_SOURCES):
            yield from _sources_committed(where, path, dep, taken, here)
    if str(PARAMS_FILE) in taken.git.changed:
        yield note(f"{where}: {PARAMS_FILE} was not committed when it ran; the record has the parameters")
        return
    settings = here.history.params(commit)
    for name, value in taken.params.items():
        then = _look_up(settings, name)
        if then != value:
            said_by = f"{PARAMS_FILE} of commit {commit[:12]}"
            yield from differences(f"{where}.params, {name}", value, then, said_by)


def _sources_committed(where: str, path: str, dep: Dep, taken: Taken, here: Here) -> Iterator[Finding]:
    """File by file; of one that was not committed as it ran, only the working tree can have the bytes."""
    commit, here_now = taken.git.commit, by_file(path, here.disk.tree(Path(path)))
    then, recorded = by_file(path, here.history.tree(commit, path)), by_file(path, dep.model_dump())
    for file in sorted(then.keys() | recorded.keys()):
        if then.get(file) == recorded.get(file):
            continue
        if file not in taken.git.changed:
            said_by = f"{then.get(file, 'no such file')} (commit {commit[:12]})"
            yield broken(f"{where}.deps, {file}", recorded.get(file, "no such file"), said_by)
        elif here_now.get(file) == recorded.get(file):
            yield note(f"{where}: {file} was not committed when it ran; the working tree has it as it was")
        else:
            yield missing(f"{file} as it was when {where} started", "it was not committed; dvc repro trains again")


def _look_up(tree: Any, name: str) -> Any:
    """A parameter by its dotted name; None where there is none."""
    for part in name.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
