"""Fingerprints, hashes, results and YAML that are taken once in a process: most of what tests of audits would cost.

A fingerprint is remembered with every source that it was made of, and given again where each of them reads the same.
The hashes of a file are remembered by its inode, size and time of modification, which copies by hard links share. A
result is remembered by the bytes of its file, and the value of a YAML text by the text; those that are refused are not.
"""

import marshal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages.audit import disk, recompute
from stages.config import reading
from stages.core.files import file_hash
from stages.records import dvc_lock, spec
from stages.records.evaluation import Evaluation
from stages.records.fingerprint import Fingerprint, Kind, Read, _on_disk, fingerprint
from stages.records.record import Record


class _Taken(NamedTuple):
    sources: dict[str, str | None]  # every text that was asked for, by its path; None where there was none
    found: Fingerprint


_KNOWN: dict[tuple[Kind, str], list[_Taken]] = defaultdict(list)


@contextmanager
def remembered_fingerprints() -> Iterator[None]:
    """Specs and audits take their fingerprints from here meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (spec, recompute):
            patch.setattr(module, "fingerprint", _remembered)
        yield


def _remembered(kind: Kind, family: str, read: Read | None = None) -> Fingerprint:
    text, sources = read or _on_disk, dict[str, str | None]()

    def recorded(path: str) -> str | None:
        if path not in sources:
            sources[path] = text(path)
        return sources[path]

    for taken in _KNOWN[kind, family]:
        if all(recorded(path) == content for path, content in taken.sources.items()):
            return taken.found
    sources.clear()
    found = fingerprint(kind, family, recorded)
    _KNOWN[kind, family].append(_Taken(sources, found))
    return found


_HASHES: dict[tuple[int, int, int], disk.Hashes] = {}


@contextmanager
def remembered_hashes() -> Iterator[None]:
    """Audits take their files' hashes from here meanwhile."""
    hashes = disk._hashes

    def remembered(path: Path) -> disk.Hashes:
        found = path.stat()
        key = (found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in _HASHES:
            _HASHES[key] = hashes(path)
        return _HASHES[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "_hashes", remembered)
        yield


_RESULTS: dict[str, Evaluation] = {}
_LARGEST = 1 << 24  # bytes of a result; what is larger is refused


@contextmanager
def remembered_results() -> Iterator[None]:
    """Results are read from here meanwhile, by whoever has taken `Evaluation.read` as its default before too."""
    read = vars(Record)["read"].__func__

    def remembered(cls: type[Record], path: Path | str, made_by: str) -> Record:
        if cls is not Evaluation or not Path(path).is_file() or Path(path).stat().st_size > _LARGEST:
            return read(cls, path, made_by)
        content = file_hash(path, "sha256")
        if content not in _RESULTS:
            _RESULTS[content] = read(cls, path, made_by)
        return _RESULTS[content].model_copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "read", classmethod(remembered))
        yield


_TREES: dict[str, bytes] = {}


@contextmanager
def remembered_yaml() -> Iterator[None]:
    """YAML is parsed here meanwhile; each caller gets a value of its own."""
    load = reading.load_yaml

    def remembered(text: str) -> Any:
        if text not in _TREES:
            found = load(text)
            try:
                _TREES[text] = marshal.dumps(found)
            except ValueError:  # a date, which marshal does not have
                return found
        return marshal.loads(_TREES[text])  # noqa: S302 - our own

    with pytest.MonkeyPatch.context() as patch:
        for module in (reading, dvc_lock):
            patch.setattr(module, "load_yaml", remembered)
        yield
