"""DVC's side of a launch: what is stale, who holds which path, what is recorded. The one module that imports dvc.

A launch runs commands itself and lets DVC record what they made, as `dvc commit --force` does. That blesses whatever
lies in the outputs, so nothing is recorded without evidence: the run record (of train) or result (of evaluate) must
name, as taken when the command started, the settings, code and data that DVC finds now, and the outputs must still be
those that the command left.
"""

import logging
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.rwlock import rwlock
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.loader import StageLoader

from stages.core.errors import StageError
from stages.core.filenames import RECORD
from stages.core.files import atomic_path, write_bytes
from stages.launch.recorded import Locked, dependencies, evaluated_with, locked_of, trained_with
from stages.launch.work import Command, Done, RemoteOutputs
from stages.records.dvc_lock import LOCK_FILE, Lock
from stages.records.evaluation import Evaluation
from stages.records.run import TrainingRun


@contextmanager
def _dvc_errors() -> Iterator[None]:
    """Turn DVC's errors into ours, of one line."""
    try:
        yield
    except (DvcException, OSError) as error:
        raise StageError(f"dvc: {' '.join(str(error).split())}") from None


class Pipeline:
    """The stages of the DVC repository in the working directory. Whatever DVC refuses is a StageError."""

    def __init__(self) -> None:
        logging.getLogger("dvc").setLevel(logging.WARNING)
        with _dvc_errors():
            self.repo = Repo(_wait_for_lock=True)  # another command holds it for moments: not while its stages run
        self._load()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the repository, as every DVC command does but while a stage of its runs."""
        with _dvc_errors(), lock_repo(self.repo):
            yield

    def _load(self) -> None:
        """Read dvc.yaml and dvc.lock; what was saved into a stage and not recorded is forgotten."""
        with self._held():
            self._stages = {stage.addressing: stage for stage in self.repo.index.stages}
        self._made_by = {out.def_path: stage for stage in self._stages.values() for out in stage.outs}

    def command(self, name: str) -> Command:
        """A stage's command and outputs."""
        stage = self._stages[name]
        return Command(name, stage.cmd, tuple(out.def_path for out in stage.outs))

    def stale(self, names: Iterable[str]) -> set[str]:
        """Those of the stages whose command, parameters, dependencies or outputs differ from dvc.lock."""
        with self._held():
            return {name for name in names if self._stages[name].status()}

    def changed(self, name: str) -> list[str]:
        """What of a stage differs from dvc.lock, but for files that are not here; parameters are not looked at.

        Where an input is not here, dvc.lock must have it as the stage has it that makes it.
        """
        stage = self._stages[name]
        found = ["its command"] if stage.changed_stage() else []
        with self._held():
            for dep in stage.deps:
                if isinstance(dep, ParamsDependency):
                    continue
                if dep.exists:
                    found += dep.status()
                elif dep.def_path in self._made_by:
                    [made] = [out for out in self._made_by[dep.def_path].outs if out.def_path == dep.def_path]
                    found += [dep.def_path] if made.hash_info != dep.hash_info else []
            found += [out.def_path for out in stage.outs if out.exists and out.workspace_status()]
        return found

    def parameters_changed(self, name: str) -> bool:
        """Whether a stage's parameters differ from dvc.lock."""
        with self._held():
            deps = self._stages[name].deps
            return any(dep.status() for dep in deps if isinstance(dep, ParamsDependency))

    def locked(self, name: str) -> Locked:
        """What dvc.lock has of a stage."""
        params: dict[str, Any] = {}
        deps: dict[str, str] = {}
        for dep in self._stages[name].deps:
            if isinstance(dep, ParamsDependency):
                params |= dep.hash_info.value or {}
            elif dep.hash_info:
                deps[dep.def_path] = dep.hash_info.value
        outs = {out.def_path: out.hash_info.value for out in self._stages[name].outs if out.hash_info}
        return Locked(params, deps, outs)

    @contextmanager
    def recording(self, name: str) -> Iterator[None]:
        """Record a stage that runs inside, unless it fails or something that it depends on changes meanwhile."""
        stage = self._stages[name]
        with self._held():
            stage.save_deps()
            before = self.locked(name)
        yield
        with self._held():
            stage.save(run_cache=False)
            after = self.locked(name)
            if (before.params, before.deps) == (after.params, after.deps):
                stage.commit()
                self._write([stage])
        self._load()

    def restore(self, names: Iterable[str]) -> set[str]:
        """Check out those stages whose outputs for today's inputs lie in DVC's run-cache, as `dvc repro` would."""
        restored = []
        with self._held():
            for name in names:
                stage = self._stages[name]
                try:
                    stage.save_deps()
                    self.repo.stage_cache.restore(stage, dry=True)  # raises where there is nothing
                    stage.remove_outs(ignore_remove=False, force=False)
                    self.repo.stage_cache.restore(stage)
                    stage.save(run_cache=False)
                    stage.commit()
                except (RunCacheNotFoundError, DvcException):
                    continue
                restored.append(stage)
            self._write(restored)
        self._load()
        return {stage.addressing for stage in restored}

    @contextmanager
    def busy(self, names: Iterable[str]) -> Iterator[None]:
        """Hold the paths of these stages meanwhile: a `dvc repro` that needs one says who has it, and runs nothing."""
        stages = [self._stages[name] for name in names]
        write = {out.fs_path for stage in stages for out in stage.outs}
        read = {dep.fs_path for stage in stages for dep in stage.deps if not isinstance(dep, ParamsDependency)}
        hardlink = self.repo.config["core"].get("hardlink_lock", False)
        command = " ".join(sys.argv)  # as stage.commit() has it, which may then take the same paths
        with ExitStack() as held:
            with _dvc_errors():
                paths = sorted(read - write), sorted(write)
                held.enter_context(rwlock(self.repo.tmp_dir, self.repo.fs, command, *paths, hardlink))
            yield

    def record(self, done: Sequence[Done]) -> dict[str, str]:
        """Record what ran in dvc.lock, in DVC's cache and run-cache; returns why a stage was refused, by its name."""
        refused, recorded = {}, []
        with self._held():
            for one in done:
                try:
                    stage = self._stages[one.stage]
                    stage.save(run_cache=False)
                    changed = _differences(stage, one)
                    if not changed:
                        stage.commit()
                        self.repo.stage_cache.save(stage)
                except (DvcException, StageError, OSError) as error:
                    refused[one.stage] = f"not recorded: {' '.join(str(error).split())}"
                    continue
                if changed:
                    refused[one.stage] = f"not recorded, since this changed while it ran: {', '.join(changed)}"
                else:
                    recorded.append(stage)
            self._write(recorded)
        if refused:
            self._load()
        return refused

    def receive(self, outputs: RemoteOutputs) -> None:
        """Put there what a worker that shares no files has made: its outputs, from DVC's remote, and small files.

        Nothing is recorded by that: dvc.lock is as before, and `record` then finds what to record.
        """
        with self._held():
            for entry in outputs.entries.values():
                made = self.repo.stage_cache._create_stage(entry)
                for objects in made.get_used_objs().values():
                    self.repo.cloud.pull(objects)
                for out in made.outs:
                    if out.def_path not in outputs.files:
                        out.checkout(force=True)
        for path, content in outputs.files.items():
            write_bytes(path, content)

    def remote_outputs(self, names: Sequence[str]) -> RemoteOutputs:
        """The other end: push what these stages made, and give what is not pushed."""
        with self._held():
            self.push(names)
            files = {
                out.def_path: Path(out.fs_path).read_bytes()
                for name in names
                for out in self._stages[name].outs
                if not out.use_cache
            }
        return RemoteOutputs(self.entries(names), files)

    def entries(self, names: Sequence[str]) -> dict[str, Any]:
        """The entries of dvc.lock of these stages."""
        with self._held():
            recorded = Lock(required=False).written
        return {name: recorded[name] for name in names if name in recorded}

    def supply(self, entries: dict[str, Any]) -> None:
        """Check out the outputs of stages that ran elsewhere, from DVC's remote, and record them as they were there."""
        with self._held():
            recorded = self.entries(list(entries))
            stages = [self._stages[name] for name, entry in entries.items() if recorded.get(name) != entry]
            for stage in stages:
                StageLoader.fill_from_lock(stage, entries[stage.addressing])
            self._write(stages)
            self.repo._reset()
            self.repo.pull(targets=list(entries))

    def push(self, names: Sequence[str]) -> None:
        """Push the outputs of these stages to DVC's remote."""
        with self._held():
            self.repo.push(targets=list(names))

    def has_remote(self) -> bool:
        """Whether DVC has a default remote."""
        return bool(self.repo.config["core"].get("remote"))

    def remote(self) -> tuple[Any, str]:
        """DVC's default remote: its file system and its root there."""
        with _dvc_errors():
            remote = self.repo.cloud.get_remote()
        return remote.fs, remote.path

    def _write(self, stages: list[PipelineStage]) -> None:
        """Write the entries of stages into dvc.lock, whole or not at all: DVC writes it in place."""
        if not stages:
            return
        with atomic_path(LOCK_FILE) as temporary:
            if LOCK_FILE.is_file():
                shutil.copyfile(LOCK_FILE, temporary)
            else:
                temporary.unlink()
            Lockfile(self.repo, str(temporary)).dump_stages(stages)


class LockFile:
    """dvc.lock alone, for a budget that params.yaml does not choose: DVC does not know its stages.

    What else lies in the working directory is not looked at.
    """

    def __init__(self) -> None:
        self._lock = Lock(required=False)

    def locked(self, name: str) -> Locked:
        """What dvc.lock has of a stage."""
        return locked_of(self._lock.entry(name))

    def changed(self, _: str) -> list[str]:
        """Nothing is known to have changed."""
        return []

    def parameters_changed(self, _: str) -> bool:
        """No parameters are known to have changed."""
        return False

    def stale(self, _: Iterable[str]) -> set[str]:
        """No stage is known to be stale."""
        return set()


def _differences(stage: PipelineStage, done: Done) -> list[str]:
    """What of DVC's hashes of a stage, taken just now, is not what the stage took at its start and left at its end."""
    evidence = _snapshot(done)
    changed = []
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            found = dep.hash_info.value
            changed += [name for name, value in found.items() if evidence.params.get(name) != value]
        elif evidence.deps.get(dep.def_path) != dep.hash_info.value:
            changed.append(dep.def_path)
    changed += [out.def_path for out in stage.outs if done.outputs.get(out.def_path) != out.hash_info.value]
    return changed


def _snapshot(done: Done) -> Locked:
    """What a training or an evaluation started from, by the record among its outputs. Raises StageError without one."""
    for path in map(Path, done.outputs):
        if path.suffix == ".json":
            result = Evaluation.read(path, done.stage)
            return Locked(evaluated_with(result), dependencies(result.provenance), {})
        if (path / RECORD).is_file():
            run = TrainingRun.read(path / RECORD, done.stage)
            return Locked(trained_with(run), dependencies(run.provenance), {})
    raise StageError(f"{done.stage} left no record of what it ran with")
