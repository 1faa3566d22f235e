"""Files against the sizes and hashes that they must have. Whatever the source, these decide what is put out."""

from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import CorruptFileError, StageError
from stages.core.files import file_hash
from stages.records.canonical import FileSpec

_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")


def check_digest(path: Path, algorithm: str, expected: str) -> None:
    """Raise CorruptFileError unless the file's hexadecimal `algorithm` hash is `expected`."""
    found = file_hash(path, algorithm)
    if found != expected:
        raise CorruptFileError(path.name, _described(path, f"{algorithm} {found}"), f"{algorithm} {expected}")


def check_file(path: Path, spec: FileSpec) -> None:
    """Raise CorruptFileError unless `path` holds the canonical bytes of `spec`."""
    if not path.is_file():
        raise CorruptFileError(spec.name, "it is missing", f"{spec.size} bytes")
    size = path.stat().st_size
    if size != spec.size:
        raise CorruptFileError(spec.name, _described(path, f"{size} bytes"), f"{spec.size} bytes")
    check_digest(path, "sha256", spec.sha256)


def holds(folder: Path, files: Sequence[FileSpec]) -> bool:
    """Tell whether `folder` holds the canonical bytes of all `files`."""
    try:
        for spec in files:
            check_file(folder / spec.name, spec)
    except (StageError, OSError):
        return False
    return True


def _described(path: Path, found: str) -> str:
    """`found`, and that it is a web page if it is one: what captive portals and error pages leave in a file's place."""
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    return f"a web page ({found})" if head.startswith(_WEB_PAGE) else found
