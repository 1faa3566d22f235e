"""Hashes of what lies on the disk now, from its bytes.

DVC's own answer comes from a state database and from times of change, and its cache shares bytes with the files by hard
links, so that a file written to in place may still be up to date there.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import StageError
from stages.records.provenance import Dependency, hash_dependency

_CHUNK = 1 << 20  # bytes read at a time


class Hashes(NamedTuple):
    """Of a file: the md5 that DVC has, the sha256 that run records have, both hexadecimal."""

    md5: str
    sha256: str


class Disk:
    """Hashes each file once."""

    def __init__(self) -> None:
        self._files: dict[Path, Hashes] = {}

    def file(self, path: Path) -> Hashes | None:
        """The hashes of a file; None when there is none. Raises StageError when it cannot be read."""
        if path not in self._files:
            if not path.is_file():
                return None
            self._files[path] = _hashes(path)
        return self._files[path]

    def tree(self, path: Path) -> Dependency | None:
        """A file's or folder's hashes as DVC takes them, see `provenance.hash_dependency`; None when it is not here."""
        return hash_dependency(path, lambda file: self._known(file).md5) if path.exists() else None

    def prefetch(self, paths: Iterable[Path]) -> None:
        """Hash files and the files of folders, several at a time: hashing leaves the interpreter to the others."""
        files = {
            file
            for path in set(paths)
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
