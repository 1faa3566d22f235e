"""One data set from the first source that has it: fetched and checked beside the output folder, moved in whole."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import StageError
from stages.core.progress import say
from stages.download.checks import check_file, holds
from stages.download.sources import Source
from stages.records.canonical import FileSpec


class NoSourceError(StageError):
    """No source delivered the canonical bytes. `failures` are the sources tried, in order, each with its reason."""

    def __init__(self, dataset: str, failures: Sequence[tuple[str, str]], wanted: str) -> None:
        tried = "\n".join(f"  {source}: {reason}" for source, reason in failures)
        super().__init__(
            f"{dataset}: no source worked, nothing was written. Tried:\n{tried}\n"
            f"What you can do: put {wanted} into a folder, and run again with --folder FOLDER "
            f"or with DATASETS_FOLDER=FOLDER in the environment."
        )


class ForeignFolderError(StageError):
    """The output folder holds what the pipeline did not put there, and would be lost."""

    def __init__(self, out: Path, foreign: Sequence[str]) -> None:
        super().__init__(
            f"{out} holds other things ({', '.join(foreign[:5])}) and is left as it is; name another --out, or empty it"
        )


def obtain(dataset: str, files: Sequence[FileSpec], sources: Sequence[Source], out: Path, wanted: str) -> Source | None:
    """Make `out` a folder of `files`, from the first of `sources` that has them all; return that source.

    None if `out` holds them already. After any error `out` is as it was, and nothing else is left beside it; what a
    killed process left is removed first, so nobody else may be at it. `wanted` says what a user could provide.
    NoSourceError if no source has them, ForeignFolderError if `out` holds other things too.
    """
    out = out.absolute()
    if holds(out, files):
        return None
    _refuse_foreign(out, files)
    failures: list[tuple[str, str]] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for torn in out.parent.glob(f".{out.name}.*.partial"):
            shutil.rmtree(torn)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".partial") as folder:
            for number, source in enumerate(sources):
                try:
                    staged = _collect(source, files, Path(folder) / str(number))
                except StageError as error:
                    failures.append((f"{source.name} ({source.detail})", error.message))
                    if source is not sources[-1]:
                        say(": ".join(failures[-1]))
                    continue
                _publish(staged, out, files)
                return source
    except OSError as error:
        # No source is to blame for a disk that is full or must not be written, and none can cure it.
        where = error.filename2 or error.filename or out
        failures.append(("this machine", f"{error.strerror or error} ({where}); cure that, or name another --out"))
    raise NoSourceError(dataset, failures, wanted)


def _collect(source: Source, files: Sequence[FileSpec], folder: Path) -> Path:
    """Fetch into a folder within `folder` (made here), check, return it. StageError if this source does not do."""
    into, scratch = folder / "files", folder / "scratch"
    for path in (folder, into, scratch):
        path.mkdir()
    source.fetch(files, into, scratch)
    for spec in files:
        check_file(into / spec.name, spec)
    return into


def _publish(staged: Path, out: Path, files: Sequence[FileSpec]) -> None:
    """Move the folder `staged` to `out`; what `out` held goes beside `staged`."""
    for path in staged.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _refuse_foreign(out, files)  # again: a download takes minutes
    if out.exists():
        out.rename(staged.with_name("replaced"))
    staged.replace(out)


def _refuse_foreign(out: Path, files: Sequence[FileSpec]) -> None:
    """Raise ForeignFolderError if `out` is something, and not a folder of `files` (whole or broken) alone."""
    if out.exists() and not out.is_dir():
        raise ForeignFolderError(out, ["it is a file"])
    held = {path.name for path in out.iterdir()} if out.exists() else set()
    if foreign := sorted(held - {spec.name for spec in files}):
        raise ForeignFolderError(out, foreign)
