"""Hashes of what lies on the disk now, from its bytes.

DVC's own answer comes from a state database and from times of change, and its cache shares bytes with the files by hard
links, so that a file written to in place may still be up to date there.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import StageError
from stages.core.regular import is_there, outside, refusal
from stages.records.provenance import Dependency, hash_dependency

_CHUNK = 1 << 20  # bytes read at a time


class Hashes(NamedTuple):
    """Of a file: the md5 that DVC has, the sha256 that run records have, both hexadecimal."""

    md5: str
    sha256: str


class Disk:
    """Hashes each file once; only regular files that lie in the repository, at a path that `is_named` allows."""

    def __init__(self, is_named: Callable[[str], bool] | None = None) -> None:
        self._files: dict[Path, Hashes] = {}
        self._is_named = is_named
        self.refusal = cache(self._refusal)

    def _refusal(self, path: Path) -> str | None:
        """Why `path` is not to be read; None where it may be, or nothing is there.

        A folder is refused for the first thing in it that is.
        """
        if self._is_named and not self._is_named(path.as_posix()):
            return "a path that dvc.yaml does not name"
        if not is_there(path):
            return None
        found = refusal(path)
        if found == "a folder":
            wrong = ((file, _of_inner(file)) for file in sorted(path.rglob("*")))
            return outside(path) or next((f"{reason} ({file})" for file, reason in wrong if reason), None)
        return found

    def file(self, path: Path) -> Hashes | None:
        """The hashes of a file; None when there is none, or it is refused. Raises StageError when it cannot be read."""
        if path not in self._files:
            if self.refusal(path) or not path.is_file():
                return None
            self._files[path] = _hashes(path)
        return self._files[path]

    def tree(self, path: Path) -> Dependency | None:
        """A file's or folder's hashes as DVC takes them, see `provenance.hash_dependency`; None as of `file`."""
        if self.refusal(path) or not path.exists():
            return None
        return hash_dependency(path, lambda file: self._known(file).md5)

    def prefetch(self, paths: Iterable[Path]) -> None:
        """Hash files and the files of folders, several at a time: hashing leaves the interpreter to the others."""
        files = {
            file
            for path in set(paths)
            if self.refusal(path) is None
            for file in (path.rglob("*") if path.is_dir() else [path])
            if file.is_file() and file not in self._files
        }
        with ThreadPoolExecutor() as pool:
            self._files |= dict(zip(files, pool.map(_hashes, files), strict=True))

    def _known(self, file: Path) -> Hashes:
        found = self.file(file)
        if found is None:
            raise StageError(f"{file} went away while it was looked at; start again")
        return found


def _of_inner(path: Path) -> str | None:
    """Why something in a folder is not to be read; of a link to a folder no hash would tell what is there."""
    found = refusal(path)
    if found == "a folder":
        return "a link to a folder" if path.is_symlink() else None
    return found


def _hashes(path: Path) -> Hashes:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                md5.update(chunk)
                sha256.update(chunk)
    except OSError as error:
        raise StageError(f"{path} cannot be read ({error})") from error
    return Hashes(md5.hexdigest(), sha256.hexdigest())
