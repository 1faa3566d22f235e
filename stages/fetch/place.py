"""The output folder: built beside its place, moved in whole, and nothing left over.

Two downloads at once cannot mix, since each builds in a folder of its own. Each holds a lock on that folder, so that
one left by a killed process (no lock any more) is known for what it is and removed by the next.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stages.fetch.canonical import holds
from stages.fetch.errors import ForeignFolderError
from stages.records.canonical import FileSpec


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out`; it is gone when the block ends, however it ends. OSError if it cannot be."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked(out.parent):
        _sweep(out)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".partial"))
        handle = os.open(folder, os.O_RDONLY)
        _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(handle)


def publish(staged: Path, out: Path, files: Sequence[FileSpec]) -> None:
    """Move the folder `staged` to `out`. It must lie in the folder that `staging` gave, which takes what `out` held.

    ForeignFolderError if `out` holds other things than `files`.
    """
    for path in (*staged.iterdir(), staged):
        _sync(path)
    with _locked(out.parent):
        if holds(out, files):
            return
        refuse_foreign(out, files)
        if out.exists():
            out.rename(staged.parent / "replaced")
        staged.replace(out)


def refuse_foreign(out: Path, files: Sequence[FileSpec]) -> None:
    """Raise ForeignFolderError if `out` is something, and not a folder of `files` (whole or broken) alone."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ForeignFolderError(out, ["it is a file"])
    if foreign := sorted({path.name for path in out.iterdir()} - {spec.name for spec in files}):
        raise ForeignFolderError(out, foreign)


def _sweep(out: Path) -> None:
    """Remove what killed downloads to `out` left."""
    for folder in out.parent.glob(f".{out.name}.*.partial"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            if _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder)
        finally:
            os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, operation: int) -> bool:
    """Lock, and tell whether it went. Where the file system knows no locks it never does, and nothing is swept."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, operation)
        return True
    return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
