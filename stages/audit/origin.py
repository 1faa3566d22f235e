"""Checks what a stage recorded at its start (spec, code, commit) against dvc.lock, git and today's specs.

A run is outdated when today's spec has other settings or other code for it, as DVC sees it; a comment that was changed
since is only noted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stages.audit.findings import Finding, broken, differences, missing, note
from stages.audit.history import md5_of
from stages.audit.pipeline import Stage
from stages.audit.recompute import Impossible
from stages.audit.workspace import Workspace
from stages.config.reading import PARAMS_FILE
from stages.core.errors import StageError
from stages.core.files import parse_json
from stages.core.regular import is_regular, read_regular
from stages.records.dvc_lock import LOCK_FILE
from stages.records.fingerprint import SCHEME, Fingerprint, Kind
from stages.records.provenance import Provenance
from stages.records.spec import Spec


class StageStart(NamedTuple):
    """A training or an evaluation as it started.

    `where` is the place of the record in a result's file (its path, or `<path>, run`); `settings`, at `key` there, are
    those that the spec gave: `settings` of a training, `testing` of an evaluation.
    """

    where: str
    kind: Kind
    stage: Stage
    cell: str
    family: str
    provenance: Provenance
    key: str
    settings: dict[str, Any]

    @property
    def spec(self) -> str:
        """The path of the spec, as dvc.yaml names it."""
        return self.stage.option("spec").as_posix()

    @property
    def section(self) -> str:
        """The section of the spec that has the settings."""
        return "settings" if self.kind == "train" else "testing"

    def of(self, spec: Spec) -> dict[str, Any]:
        """What a spec has there."""
        return getattr(spec, self.section).model_dump(mode="json")


def check_start(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """Everything that contradicts what a stage recorded at its start."""
    yield from _form_of_record(start)
    yield from check_form(start.stage, workspace)
    spec = _spec_then(start, workspace)
    yield from _settings_alike(start, workspace)
    yield from _spec(start, spec, workspace)
    yield from _sources(start, workspace)
    yield from _code(start, workspace)
    yield from _today(start, workspace)


def check_form(stage: Stage, workspace: Workspace) -> Iterator[Finding]:
    """That dvc.lock has the stage, with the command, dependencies, parameters and outputs that dvc.yaml gives it."""
    entry, where = workspace.lock.entry(stage.name), f"{LOCK_FILE}, {stage.name}"
    if entry is None:
        yield broken(where, "no entry", "the hashes of a run (dvc repro)")
        return
    if " ".join(entry.cmd.split()) != " ".join(stage.cmd.split()):
        yield broken(f"{where}, cmd", entry.cmd, f"{stage.cmd}, as dvc.yaml says")
    params = (
        [f"{file}: {name}" for file, names in of.items() for name in names] for of in (entry.params, stage.params)
    )
    for kind, listed, wanted in (
        ("deps", entry.deps, stage.deps),
        ("params", *params),
        ("outs", entry.outs, stage.outs),
    ):
        if set(listed) != set(wanted):
            yield broken(f"{where}, {kind}", sorted(listed), f"{sorted(wanted)}, as dvc.yaml says")


def _form_of_record(start: StageStart) -> Iterator[Finding]:
    """The record names what dvc.yaml gives the stage."""
    where, taken, stage = f"{start.where}.provenance", start.provenance, start.stage
    if set(taken.inputs) != set(stage.deps):
        yield broken(f"{where}.inputs", sorted(taken.inputs), f"{sorted(stage.deps)}, as dvc.yaml says")
    if taken.spec.path != start.spec:
        yield broken(f"{where}.spec.path", taken.spec.path, f"{start.spec}, as dvc.yaml says")


def _settings_alike(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """DVC hashes when a command has ended, the run when it starts: what is edited meanwhile shows as a difference."""
    entry = workspace.lock.entry(start.stage.name)
    locked = entry.params.get(start.spec, {}) if entry else {}
    if start.section in locked:  # else said already
        where = f"{LOCK_FILE}, {start.stage.name}, params, {start.section}"
        said_by = f"as {start.where} has it of its start"
        yield from differences(where, locked[start.section], start.settings, said_by)


def _spec_then(start: StageStart, workspace: Workspace) -> Spec | None:
    """The spec that the stage was given, from git or from the disk; None where neither has it."""
    reference = start.provenance.spec
    disk = Path(start.spec)
    candidates = [
        workspace.recomputation.file(start.provenance.git, reference.path),
        read_regular(disk, start.stage.name) if is_regular(disk) else None,
    ]
    today = workspace.specs.get(start.cell)
    candidates.append(today.text().encode() if today else None)
    for content in candidates:
        if isinstance(content, bytes) and md5_of(content) == reference.md5:
            return _parsed(content, reference.path)
    return None


def _parsed(content: bytes, path: str) -> Spec | None:
    try:
        return Spec.parse(parse_json(content, path, "dvc repro resolve"), path, "dvc repro resolve")
    except StageError:
        return None


def _spec(start: StageStart, spec: Spec | None, workspace: Workspace) -> Iterator[Finding]:
    """The spec that the record names: in the commit, in itself, and made once more."""
    reference, git = start.provenance.spec, start.provenance.git
    where, commit = f"{start.where}.provenance.spec", f"commit {git.commit[:12]}"
    if workspace.history.files(git.commit) is not None:
        then = workspace.recomputation.file(git, reference.path)
        if isinstance(then, Impossible):
            yield note(f"{reference.path} was not committed when it was used, and {then.reason}")
        elif then is None or md5_of(then) != reference.md5:
            found = "no such file" if then is None else md5_of(then)
            with_changes = " with the recorded difference" if reference.path in git.changed else ""
            yield broken(f"{where}.md5", reference.md5, f"{found} ({commit}{with_changes})")
        yield from _recomputed_spec(start, workspace)
    if spec is None:
        yield missing(f"{reference.path} with md5 {reference.md5}", "git fetch, or dvc repro")
        return
    said_by = f"{reference.path} as it was given"
    yield from differences(f"{start.where}.{start.key}", start.settings, start.of(spec), said_by)
    code = spec.fingerprint(start.kind)
    if code.sha256 != start.provenance.code.sha256:
        place = f"{start.where}.provenance.code.sha256"
        yield broken(place, start.provenance.code.sha256, f"{code.sha256} ({said_by})")


def _recomputed_spec(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """The spec that params.yaml and the sources of the commit give."""
    reference, git = start.provenance.spec, start.provenance.git
    commit = f"commit {git.commit[:12]}"
    found = workspace.recomputation.spec(git, start.cell)
    if isinstance(found, Impossible):
        yield note(f"{reference.path}: not made again from {commit}, since {found.reason}")
        return
    if found.md5() == reference.md5:
        return
    committed = reference.path not in git.changed
    if committed and workspace.recomputation.same_makers(git):
        expected = f"{found.md5()}, made again from {PARAMS_FILE} and sources of {commit}"
        yield broken(f"{start.where}.provenance.spec.md5", reference.md5, expected)
        said_by = f"{PARAMS_FILE} of {commit}"
        yield from differences(f"{start.where}.{start.key}", start.settings, start.of(found), said_by)
    elif committed:
        yield note(f"{reference.path}: today's code makes another one of {PARAMS_FILE} of {commit}")
    else:
        yield note(f"{reference.path} does not follow from {commit}: {PARAMS_FILE} was not committed when it was used")


def _sources(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """The md5 of every source against the commit, and against the recorded difference to it."""
    taken, git = start.provenance, start.provenance.git
    known = workspace.history.files(git.commit)
    if known is None:
        how = "its sources are in no history here (git fetch, with --unshallow or a remote)"
        yield missing(f"commit {git.commit}", how)
        return
    if not workspace.history.is_in_past(git.commit):
        yield broken(f"{start.where}.provenance.git.commit", git.commit, "a commit that HEAD follows from")
    commit, changed = f"commit {git.commit[:12]}", workspace.recomputation.changed(git)
    then = {path: md5 for path, md5 in known.items() if path.endswith(".py")}
    for path in sorted(then.keys() | taken.sources.keys()):
        recorded, where = taken.sources.get(path), f"{start.where}.provenance.sources, {path}"
        if path not in git.changed:
            if then.get(path) != recorded:
                expected = f"{then.get(path, 'no such file')} ({commit})"
                yield broken(where, recorded or "no such file", expected)
        elif not isinstance(changed, Impossible):
            md5 = md5_of(changed[path]) if path in changed else None
            if md5 != recorded:
                expected = f"{md5 or 'no such file'} ({commit} with the recorded difference)"
                yield broken(where, recorded or "no such file", expected)
        elif _md5_now(path, workspace) == recorded:
            yield note(f"{start.where}: {path} was not committed when it ran; the working tree has it as it was")
        else:
            how = f"it was not committed, and {changed.reason}; dvc repro trains again"
            yield missing(f"{path} as it was when {start.where} started", how)
    uncommitted = [path for path in git.changed if path != taken.spec.path]
    if uncommitted and not isinstance(changed, Impossible):
        files = ", ".join(uncommitted)
        yield note(f"{start.where}: {files} not committed when it ran; the record holds the difference to {commit}")


def _code(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """The fingerprint of the commit's sources, with the recorded difference."""
    recorded, git = start.provenance.code, start.provenance.git
    if workspace.history.files(git.commit) is None:
        return  # said already
    where, commit = f"{start.where}.provenance.code", f"commit {git.commit[:12]}"
    if recorded.scheme != SCHEME:
        yield note(f"{where}: of scheme {recorded.scheme}; today's is {SCHEME}, so that it is not computed again")
        return
    found = workspace.recomputation.fingerprint(git, start.kind, start.family)
    if isinstance(found, Impossible):
        yield missing(f"the sources behind {where}", f"{found.reason}; dvc repro trains again")
        return
    if found == recorded:
        return
    said_by, common = f"computed from the sources of {commit}", found.modules.keys() & recorded.modules.keys()
    wrong = [path for path in sorted(common) if found.modules[path] != recorded.modules[path]]
    for path in wrong:
        yield broken(f"{where}.modules, {path}", recorded.modules[path], f"{found.modules[path]} ({said_by})")
    others = sorted(found.modules.keys() ^ recorded.modules.keys())
    if others and workspace.recomputation.same_makers(git):
        for path in others:
            expected = f"{found.modules.get(path, 'no such module')} ({said_by})"
            yield broken(f"{where}.modules, {path}", recorded.modules.get(path, "no such module"), expected)
    elif others:
        yield note(f"{where}: today's rule takes other modules into it: {', '.join(others)}")
    elif not wrong:
        yield broken(f"{where}.sha256", recorded.sha256, f"{found.sha256} ({said_by})")


def _today(start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    """Differences between the record and today's spec, in settings and code; comments do not count."""
    today = workspace.specs.get(start.cell)
    if today is None:
        return  # said of its identity
    where, said_by = f"today's spec of {start.cell}", f"as {start.where} was run"
    place = f"{where}, {start.section}"
    yield from differences(place, start.of(today), start.settings, said_by, outdated=True)
    yield from _code_today(today.fingerprint(start.kind), start, workspace)


def _code_today(now: Fingerprint, start: StageStart, workspace: Workspace) -> Iterator[Finding]:
    then = start.provenance.code
    if now.scheme != then.scheme:
        found = f"fingerprints of scheme {now.scheme}"
        yield broken(f"today's spec of {start.cell}, code", found, f"of scheme {then.scheme}", outdated=True)
        return
    for path in sorted(now.modules.keys() | then.modules.keys()):
        ours, theirs = now.modules.get(path), then.modules.get(path)
        if ours != theirs:
            expected = f"{theirs or 'no such module'} (as {start.where} was run)"
            yield broken(path, ours or "no such module", expected, outdated=True)
        elif _md5_now(path, workspace) != start.provenance.sources.get(path):
            yield note(f"{path} has changed since numbers were made with it, in nothing that makes a number (comments)")


def _md5_now(path: str, workspace: Workspace) -> str | None:
    found = workspace.disk.file(Path(path))
    return found.md5 if found else None
