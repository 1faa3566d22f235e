"""One writer per folder. A killed DVC leaves its stage running, and the next `dvc repro` would start a second one."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stages.core.errors import StageError

LOCKS = Path(".cache/locks")


@contextmanager
def exclusive(out: Path, held: str = "{} is being written by another process") -> Iterator[None]:
    """Hold the lock of an output folder, or raise StageError at once, in the words of `held`, when another has it."""
    lock = _lock(out, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(f"{held.format(out)}; wait for it, or end it, and start again") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def waiting(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a file that several processes add to, for which it is waited. Raises StageError when in vain."""
    try:
        with _lock(path, seconds):
            yield
    except Timeout:
        raise StageError(f"{path} has been written by another process for {seconds:g} s") from None


def _lock(path: Path, timeout: float) -> FileLock:
    """The lock of a path, not yet held."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return FileLock(LOCKS / f"{name}.lock", timeout=timeout)
