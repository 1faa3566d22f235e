"""A worker that shares no files with the launch: data and results go through DVC's remote, checkpoints too.

It works in a clone of its own, at the commit of the launch. A checkpoint is copied to the remote after each epoch, so
that a worker that takes the place of a lost one finds it; the copy is removed when the unit is done. So is the file of
started trainings, which goes back to the launch with the result, whatever came of it.
"""

import time
from pathlib import Path
from typing import Any

from stages.config.loading import load_params
from stages.core.errors import StageError
from stages.core.filenames import CHECKPOINT
from stages.core.progress import say
from stages.launch import work
from stages.launch.pipeline import Pipeline
from stages.launch.work import Report, Result, Running, Unit
from stages.records.attempts import attempts_path, merge

FOLDER = "checkpoints"  # in the remote, beside DVC's files
_RETRY = 60.0  # seconds until a copy that failed is tried again


def perform(
    unit: Unit, supplies: dict[str, Any], variables: dict[str, str], report: Report, running: Running
) -> Result:
    """Fetch what a unit needs, run it, and push what it made. `supplies` are the entries of dvc.lock of its inputs."""
    pipeline = Pipeline()
    pipeline.supply(supplies)
    checkpoint = CheckpointCopy(pipeline.remote(), _checkpoint(unit))
    attempts = AttemptsCopy(checkpoint, attempts_path(load_params().budget))
    checkpoint.fetch()
    attempts.fetch()

    def store() -> None:
        attempts.store()
        checkpoint.store()

    result = work.perform(unit, variables, report, running, store)._replace(attempts=attempts.content())
    refused = pipeline.record(result.done)
    result = result.refused(refused)
    names = [one.stage for one in result.done if one.stage not in refused]
    try:
        outputs = pipeline.remote_outputs(names) if names else None
    except StageError as error:
        return result._replace(done=(), failure=f"{unit.name}: {error.message}")
    if not result.failure:
        checkpoint.remove()
        attempts.remove()
    return result._replace(outputs=outputs)


class Copy:
    """A file's copy at a `place` of a remote's file system; none where `path` is None."""

    _retry_at = 0.0  # seconds of the monotonic clock, after a failure

    def __init__(self, fs: Any, path: Path | None, place: str) -> None:
        self.fs, self.path, self.place = fs, path, place
        self._stored = self._stamp()

    def store(self) -> None:
        """Copy the file if it has changed; whole, or not at all."""
        stamp = self._stamp()
        if stamp in (None, self._stored) or self.path is None or time.monotonic() < self._retry_at:
            return
        try:
            self.fs.makedirs(self.fs.parent(self.place), exist_ok=True)
            self.fs.put_file(str(self.path), f"{self.place}.new")
            self.fs.move(f"{self.place}.new", self.place)
            self._stored = stamp
        except FileNotFoundError:
            pass  # the run is done and the file gone
        except Exception as error:  # whatever a remote raises: it is tried again, and the training goes on
            self._retry_at = time.monotonic() + _RETRY
            say(f"warning: {self.path} is not copied to DVC's remote: {error}")

    def remove(self) -> None:
        """Take the copy away."""
        if self.path and self.fs.exists(self.place):
            self.fs.remove(self.place)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat() if self.path else None
        except FileNotFoundError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None


class CheckpointCopy(Copy):
    """The copy of a checkpoint; `remote` is its file system and its root."""

    def __init__(self, remote: tuple[Any, str], path: Path | None) -> None:
        fs, root = remote
        super().__init__(fs, path, fs.join(root, FOLDER, *path.parts) if path else "")

    def fetch(self) -> None:
        """Take the copy, if there is one and no file here."""
        if self.path and not self.path.exists() and self.fs.exists(self.place):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fetched = self.path.with_name(f".{self.path.name}.fetched")
            self.fs.get_file(self.place, str(fetched))
            fetched.replace(self.path)
        self._stored = self._stamp()


class AttemptsCopy(Copy):
    """The copy of this clone's file of started trainings, one for each unit, beside that of its checkpoint."""

    def __init__(self, checkpoint: CheckpointCopy, path: Path) -> None:
        super().__init__(checkpoint.fs, path if checkpoint.path else None, f"{checkpoint.place}.attempts")

    def fetch(self) -> None:
        """Add the lines of a worker that was lost: the training then goes on as the same attempt."""
        try:
            if self.path and self.fs.exists(self.place):
                merge(self.path, self.fs.cat_file(self.place), self.place)
        except (StageError, OSError) as error:
            say(f"warning: {self.path} has no attempts of the remote: {getattr(error, 'message', error)}")
        self._stored = self._stamp()

    def content(self) -> bytes:
        """The whole file: a line names others by their hash, of other units too. Empty where nothing was trained."""
        return self.path.read_bytes() if self.path and self.path.is_file() else b""


def _checkpoint(unit: Unit) -> Path | None:
    """Where the unit's training keeps its checkpoint; None when only its evaluation runs."""
    for command in unit.commands:
        if command.stage.startswith("train"):
            out = Path(command.outputs[0])
            return out.with_name(out.name + CHECKPOINT)
    return None
