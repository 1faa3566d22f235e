"""Unpacking of what came from outside: nothing leaves its folder, and nothing grows past what it should hold."""

import gzip
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO

from stages.fetch.errors import SourceError

_CHUNK = 1 << 20  # bytes copied at a time
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


def extract_tar(archive: Path, into: Path, wanted: Collection[str], limit: int) -> None:
    """Write the members of a .tar.gz whose base names are `wanted` into the folder `into`, flat.

    The archive is refused whole (SourceError) if any member, wanted or not, leaves its folder or is neither a file
    nor a folder, if the members claim more than `limit` bytes in all, or if a wanted one is missing or there twice.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            found = _extract(tar, archive.name, into, wanted, limit)
    except _BROKEN as error:
        raise SourceError(f"{archive.name} cannot be unpacked: {error}") from error
    if missing := sorted(set(wanted) - found):
        raise SourceError(f"{archive.name} does not hold {', '.join(missing)}")


def _extract(tar: tarfile.TarFile, label: str, into: Path, wanted: Collection[str], limit: int) -> set[str]:
    """Extract member by member, in one pass; give the names extracted."""
    found: set[str] = set()
    total = 0
    for member in tar:
        _check_member(member, label)
        total += member.size
        if total > limit:
            raise SourceError(f"{label} holds more than {limit} bytes")
        name = PurePosixPath(member.name).name
        if name not in wanted or not member.isfile():
            continue
        if name in found:
            raise SourceError(f"{label} holds {name} twice")
        found.add(name)
        with tar.extractfile(member) or _unreadable(label, name) as content:
            _copy(content, into / name, member.size, label)
    return found


def _check_member(member: tarfile.TarInfo, label: str) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(f"{label} is refused: its member {member.name!r} leaves its folder")
    if not (member.isfile() or member.isdir()):
        raise SourceError(f"{label} is refused: its member {member.name!r} is a link or a device")


def _unreadable(label: str, name: str) -> IO[bytes]:
    raise SourceError(f"{label}: {name} has no content")


def gunzip(archive: Path, target: Path, limit: int) -> None:
    """Decompress a .gz file to `target`. SourceError if it is broken, or if it holds more than `limit` bytes."""
    try:
        with gzip.open(archive) as content:
            _copy(content, target, limit, archive.name)
    except _BROKEN as error:
        raise SourceError(f"{archive.name} cannot be unpacked: {error}") from error


def _copy(content: IO[bytes] | gzip.GzipFile, target: Path, limit: int, label: str) -> None:
    """Copy at most `limit` bytes; SourceError if there are more."""
    written = 0
    with target.open("wb") as file:
        while chunk := content.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise SourceError(f"{label} holds more than {limit} bytes for {target.name}")
            file.write(chunk)
