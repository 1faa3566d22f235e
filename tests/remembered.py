"""Fingerprints that are taken once in a process: parsing all sources anew would be most of what an audit's test costs.

A fingerprint is remembered with every source that it was made of, and given again where each of them reads the same.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from stages.audit import recompute
from stages.records import spec
from stages.records.fingerprint import Fingerprint, Kind, Read, _on_disk, fingerprint


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
