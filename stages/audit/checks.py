"""Walks the lineage of one number, artifact by artifact, and says what does not hold.

    raw data -> arrays -> training -> weights -> evaluation -> predictions -> the result -> (pages.py) the tables

Each hash is held against three witnesses that were written at different times (witnesses.py): what the run took when it
started (the run record in the result), what DVC hashed when the command had ended (dvc.lock), and the bytes on the disk
now; sources and spec also against the commit that the record names (origin.py). What only git and DVC's remote have is
reported as missing, not guessed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from stages.audit.findings import Finding, broken, differences, invalid, judged, missing, note
from stages.audit.history import History, md5_of
from stages.audit.numbers import Number
from stages.audit.origin import StageStart, check_form, check_start
from stages.audit.pipeline import Stage
from stages.audit.recount import against_true_labels, classes_of, follow, npy_sha256, recount
from stages.audit.results import LooseResult
from stages.audit.witnesses import HOW, check_artifact, check_artifacts
from stages.audit.workspace import Workspace
from stages.config.params import resolve_count
from stages.config.reading import PARAMS_FILE
from stages.core.errors import StageError
from stages.core.regular import is_there, read_regular
from stages.records.canonical import CANONICAL
from stages.records.dvc_lock import LOCK_FILE
from stages.records.evaluation import logits_path
from stages.records.lineage import Artifact, Witness, lineage
from stages.records.provenance import folder_md5
from stages.records.test_split import TEST_SPLIT

_SOURCES = "stages/"
_ROUNDED = 0.002  # seconds
_CLOCKS = timedelta(minutes=5)  # by which those of two machines may differ


def check_number(number: Number, workspace: Workspace) -> list[Finding]:
    """Everything wrong with a number, from raw data to result file."""
    path, evaluate = workspace.result(number), workspace.stages.evaluate(number.key, number.seed)
    result, findings = workspace.read(number)
    if result is None:
        return [*findings, *(judged(path, check_out(path, evaluate, workspace)) if is_there(path) else ())]
    dataset = number.key.dataset
    if dataset not in workspace.data_findings:
        workspace.data_findings[dataset] = list(judged(f"the data of {dataset}", _data(dataset, workspace)))
    found = [*findings, *workspace.data_findings[dataset]]
    for check in (
        _identity(path, result, number, workspace),
        _training(path, result, number, workspace),
        _canonical(path, result),
        _evaluation(path, result, number, workspace),
        _artifacts(path, result, number, workspace),
        _spec_file(path, result, number, workspace),
        _predictions(path, result, number, workspace),
        _times(path, result, workspace.history),
    ):
        found += judged(path, check)
    return found


def inputs(number: Number, workspace: Workspace) -> list[Path]:
    """The files and folders that `check_number` hashes, so that they can be hashed several at a time."""
    train, evaluate = (
        workspace.stages.train(number.key, number.seed),
        workspace.stages.evaluate(number.key, number.seed),
    )
    of_data = workspace.stages.preprocess(number.key.dataset)
    return [Path(path) for stage in (of_data, train, evaluate) for path in (*stage.deps, *stage.outs)]


def check_entry(stage: Stage, workspace: Workspace, but: Path | None = None) -> Iterator[Finding]:
    """Differences between a stage's entry in dvc.lock and dvc.yaml, params.yaml and the files now.

    `but` is an input or output to skip.
    """
    yield from _entry_today(stage, workspace)
    entry = workspace.lock.entry(stage.name)
    for kind, paths in (("deps", entry.deps), ("outs", entry.outs)) if entry else ():
        for path, md5 in paths.items():
            if path != str(but) and not (kind == "deps" and _is_source(path)):
                yield from check_artifact(_locked(stage, kind, path, md5), workspace.disk)


def check_out(out: Path, stage: Stage, workspace: Workspace) -> Iterator[Finding]:
    """One output of a stage against its entry in dvc.lock."""
    md5 = workspace.lock.md5(stage.name, "outs", out.as_posix())
    if md5:
        yield from check_artifact(_locked(stage, "outs", out.as_posix(), md5), workspace.disk)


def _locked(stage: Stage, kind: str, path: str, md5: str) -> Artifact:
    """A stage's input or output, of which dvc.lock alone has the hash."""
    return Artifact("table", path, path, "md5", (Witness(LOCK_FILE.as_posix(), f"{stage.name}.{kind}.{path}", md5),))


def _entry_today(stage: Stage, workspace: Workspace) -> Iterator[Finding]:
    """A stage's entry in dvc.lock against dvc.yaml, params.yaml and the sources of today."""
    yield from check_form(stage, workspace)
    entry = workspace.lock.entry(stage.name)
    if entry is not None:
        parameters = entry.params.get(PARAMS_FILE.as_posix(), {})
        yield from _parameters_today(parameters, workspace, f"{LOCK_FILE}, {stage.name}")
        yield from _sources_today({path: md5 for path, md5 in entry.deps.items() if _is_source(path)}, stage, workspace)


def check_specs(workspace: Workspace) -> Iterator[Finding]:
    """The entry of the specs in dvc.lock. Specs resolved without DVC after an edit are noted, if they are today's."""
    stage = workspace.stages.resolve()
    folder = stage.option("out")
    yield from check_entry(stage, workspace, but=folder)
    found = workspace.disk.tree(folder)
    today = folder_md5({f"{spec.cell}.json": spec.md5() for spec in workspace.specs.values()})
    recorded = workspace.lock.md5(stage.name, "outs", folder.as_posix())
    if workspace.edited(stage) and found is not None and found.md5 == today != recorded:
        yield note(f"{folder} holds today's specs, which dvc.lock does not have yet ({workspace.repro} {stage.name})")
    else:
        yield from check_out(folder, stage, workspace)


def _is_source(path: str) -> bool:
    return path.startswith(_SOURCES) or path == PARAMS_FILE.as_posix()


def _sources_today(recorded: dict[str, str], stage: Stage, workspace: Workspace) -> Iterator[Finding]:
    """Sources that a stage depends on as files. An edit since is only noted: the outputs are checked by their hashes.

    A recorded hash that no commit has may be false.
    """
    for path, md5 in recorded.items():
        found = workspace.disk.tree(Path(path))
        now = found.md5 if found else "nothing"
        if now == md5:
            continue
        where = f"{LOCK_FILE}, {stage.name}"
        if workspace.history.commit_with(path, md5):
            yield note(f"{path} has changed since {stage.name} ran ({workspace.repro} runs it again)")
        else:
            yield broken(path, now, f"{md5} ({where}), which no commit here has", outdated=True)


def _data(dataset: str, workspace: Workspace) -> Iterator[Finding]:
    """The stages that made raw data and arrays, as dvc.lock has them. Of the sample sheets, see pages.py."""
    yield from _entry_today(workspace.stages.download(dataset), workspace)
    yield from _entry_today(workspace.stages.preprocess(dataset), workspace)


def _identity(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """That the result is this number's."""
    train, evaluate = (
        workspace.stages.train(number.key, number.seed),
        workspace.stages.evaluate(number.key, number.seed),
    )
    cell, budget, seed, dataset = str(number.key), workspace.budget, number.seed, number.key.dataset
    found = {"stage": result.stage, "classes": result.classes}
    expected = {"stage": evaluate.name, "classes": workspace.params.datasets.of(dataset).classes}
    yield from differences(str(path), found, expected, "of this number")
    run = {name: getattr(result.run, name) for name in ("cell", "budget", "seed", "stage")}
    run |= {"config.dataset": result.run.config.dataset, "config.seed": result.run.config.seed}
    of_run = {"cell": cell, "budget": budget, "seed": seed, "stage": train.name}
    of_run |= {"config.dataset": dataset, "config.seed": seed}
    yield from differences(f"{path}, run", run, of_run, "of this number")
    yield from differences(
        f"{path}, run.data", {"dataset": result.run.data.dataset}, {"dataset": dataset}, "of this number"
    )
    if cell not in workspace.specs:
        yield broken(f"{PARAMS_FILE}, cells", f"no {cell}", "the cell of this number", outdated=True)


def _training(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """The run record against its spec, dvc.lock and the commit."""
    run, stage = result.run, workspace.stages.train(number.key, number.seed)
    settings = run.config.model_dump(mode="json", exclude={"seed"})
    family, where = run.config.cell.family, f"{path}, run"
    start = StageStart(where, "train", stage, run.cell, family, run.provenance, "config", settings)
    yield from check_start(start, workspace)
    if run.provenance.run_by == "hand":
        yield note(f"{stage.name} was run by hand, and committed to DVC afterwards")


def _canonical(path: Path, result: LooseResult) -> Iterator[Finding]:
    """That raw data and test arrays have the canonical hashes, which are in the code."""
    where, data = f"{path}, run.data", result.run.data
    try:
        data.check_canonical(where)
    except StageError as error:
        yield broken(where, error.message.removeprefix(f"{where}: "), "arrays of the canonical bytes")
    md5 = {spec.name: spec.md5 for spec in CANONICAL.get(data.dataset, ())}
    for name in sorted(md5.keys() | data.made_from.raw_md5.keys()):
        found = data.made_from.raw_md5.get(name, "nothing")
        if found != md5.get(name):
            yield broken(f"{where}.made_from.raw_md5, {name}", found, f"{md5.get(name)}, the canonical bytes")
    known = TEST_SPLIT.get(data.dataset)
    for name, sha256 in known._asdict().items() if known else ():
        found = data.sha256.get(f"test_{name}", "nothing")
        if found != sha256:
            yield broken(f"{where}.sha256, test_{name}", found, f"{sha256}, the test {name} of the canonical bytes")


def _artifacts(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """Every hash that is recorded of what is behind the result, and of the result itself."""
    lacking: list[str] = []
    places = workspace.stages.places(number.key, number.seed)
    copies = workspace.other_copies(number, result.run)
    artifacts = lineage(result, workspace.lock, places, lacking, has_other_copies=copies is not None)
    if copies:
        yield note(copies.sentence(places.preprocess))
    yield from (invalid(path, what) for what in dict.fromkeys(lacking))
    yield from check_artifacts(artifacts, workspace.disk, workspace.lock)
    known = {artifact.path for artifact in artifacts}
    for key, inputs in (("run.provenance", result.run.provenance.inputs), ("provenance", result.provenance.inputs)):
        for other in sorted(inputs.keys() - known):  # those that dvc.yaml does not name
            found = inputs[other]
            said = [Witness(str(path), f"{key}.inputs.{other}", found.md5)]
            if found.files is not None:
                said.append(Witness(str(path), f"{key}.inputs.{other}.files", folder_md5(found.files)))
            yield from check_artifact(Artifact("arrays", other, other, "md5", tuple(said)), workspace.disk)


def _evaluation(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """What the evaluation says it started from, against its spec, dvc.lock and the commit."""
    stage, run = workspace.stages.evaluate(number.key, number.seed), result.run
    family, testing = run.config.cell.family, result.testing.model_dump(mode="json")
    start = StageStart(str(path), "evaluate", stage, run.cell, family, result.provenance, "testing", testing)
    yield from check_start(start, workspace)


def _spec_file(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """The spec as it lies there: the one of the training, of the evaluation, or of today."""
    stage, today = workspace.stages.train(number.key, number.seed), workspace.specs.get(str(number.key))
    file = stage.option("spec")
    if not is_there(file):
        yield missing(file, f"git checkout, or dvc repro {workspace.stages.resolve().name}")
        return
    of_run, found = result.run.provenance.spec.md5, md5_of(read_regular(file, workspace.stages.resolve().name))
    if found not in (of_run, result.provenance.spec.md5, today.md5() if today else None):
        how = f"that of {PARAMS_FILE} and sources now (dvc repro {workspace.stages.resolve().name})"
        yield broken(file, found, f"{of_run} ({path}, run.provenance.spec), or {how}")


def _predictions(path: Path, result: LooseResult, number: Number, workspace: Workspace) -> Iterator[Finding]:
    """The stored predictions, and every number from them once more."""
    stage, dataset = workspace.stages.evaluate(number.key, number.seed), number.key.dataset
    folder, logits = stage.option("predictions-out"), logits_path(path)
    if stage.option("logits-out") != logits:
        yield broken(f"{stage.name}, logits-out", stage.option("logits-out"), f"{logits}, beside the result")
    labels = npy_sha256(classes_of(result.labels))
    if labels != result.sha256.labels:
        yield broken(f"{path}, labels", f"sha256 {labels} as an array", f"{result.sha256.labels} (sha256, labels.npy)")
    total = workspace.params.datasets.of(dataset).test_images
    count = resolve_count(result.testing.images, total)
    yield from against_true_labels(path, result, count)
    yield from recount(path, result, count)
    yield from follow(path, result, folder, stage.option("test"), total, HOW)


def _times(path: Path, result: LooseResult, history: History) -> Iterator[Finding]:
    """That commit, training, epochs and test follow in this order, last as recorded, and do not lie in the future."""
    run = result.run
    ends = [epoch.ended for epoch in run.times.epochs[run.resumed_after :]]
    said = [run.times.started, *ends, run.times.ended, result.times.started, result.times.ended]
    try:
        times = [datetime.fromisoformat(time) for time in said]
    except ValueError as error:
        yield broken(f"{path}, times", str(error), "times in ISO 8601")
        return
    if naive := [text for text, moment in zip(said, times, strict=True) if moment.tzinfo is None]:
        yield invalid(f"{path}, times", f"{naive[0]} has no time zone")
        return
    spans = (
        (f"{path}, run.times", run.times, times[-3] - times[0]),
        (f"{path}, times", result.times, times[-1] - times[-2]),
    )
    for where, span, took in spans:
        if abs(took.total_seconds() - span.seconds) > _ROUNDED:
            expected = f"{took.total_seconds():.3f}, from {span.started} to {span.ended}"
            yield broken(f"{where}.seconds", span.seconds, expected)
    for (before, then), (after, later) in pairwise(zip(said, times, strict=True)):
        if later + _CLOCKS < then:
            expected = "the training's start, the ends of its epochs, its end and its test one after the other"
            yield broken(f"{path}, times", f"{before}, then {after}", expected)
    newest = max(datetime.now(UTC), history.made("HEAD") or times[0])
    if max(times) > newest + _CLOCKS:
        yield invalid(f"{path}, times", f"{max(zip(times, said, strict=True))[1]} lies in the future")
    for key, record, moment in (("run.", run, times[0]), ("", result, times[-2])):
        of_git = record.provenance.git
        commit = history.made(of_git.commit)
        if commit and moment + _CLOCKS < commit:
            of = f"commit {of_git.commit[:12]}, by whose sources it says it ran, is of {commit.isoformat()}"
            yield invalid(f"{path}, {key}times.started", f"{record.times.started}, but {of}")


def _parameters_today(recorded: dict[str, Any], workspace: Workspace, said_by: str) -> Iterator[Finding]:
    """The recorded parameters against params.yaml now."""
    for name, value in recorded.items():
        now = _look_up(workspace.settings, name)
        if now != value:
            yield from differences(f"{PARAMS_FILE}, {name}", now, value, said_by, outdated=True)


def _look_up(tree: Any, name: str) -> Any:
    """A parameter by its dotted name; None where there is none."""
    for part in name.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
