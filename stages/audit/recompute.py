"""Recomputes specs and fingerprints from the sources and params.yaml of the commit that a record names.

Where the working tree was not clean, the record holds the difference, and it is applied first.
"""

import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stages.audit.history import History
from stages.config.loading import load_params
from stages.config.params import Params
from stages.config.reading import PARAMS_FILE
from stages.core.errors import StageError
from stages.records.fingerprint import Fingerprint, Kind, fingerprint
from stages.records.provenance import GitState
from stages.records.spec import Spec, resolve_specs

_SOURCES = "stages/"
# What turns params.yaml and sources into specs: only where that is the commit's can specs be held byte for byte.
_MAKERS = ("stages/config/", "stages/records/", "stages/engine/networks/", "stages/core/files.py")


class Impossible(NamedTuple):
    """Why something cannot be recomputed."""

    reason: str


class Sources(NamedTuple):
    """The files under stages/ as they were: those of a commit, but for the `changed` (None: it was removed)."""

    commit: str
    changed: tuple[tuple[str, bytes | None], ...]


class Recomputation:
    """Recomputes each thing once for all records of the same sources."""

    def __init__(self, budget: str, history: History) -> None:
        self.budget, self.history = budget, history
        self.params = cache(self._params)
        self._resolve = cache(self._specs)
        self._fingerprint = cache(self._fingerprint_of)
        self._same_makers = cache(self._has_same_makers)

    def file(self, git: GitState, path: str) -> bytes | Impossible | None:
        """A file as it was when a stage started; None where there was none."""
        if path not in git.changed:
            return self.history.content(git.commit, path)
        changed = self.changed(git)
        return changed if isinstance(changed, Impossible) else changed.get(path)

    def changed(self, git: GitState) -> dict[str, bytes] | Impossible:
        """The files that were not as committed, as they were."""
        if not git.changed:
            return {}
        found = self.history.patched(git.commit, tuple(git.changed), git.difference) if git.difference else None
        return Impossible("the recorded difference does not apply to the commit") if found is None else found

    def fingerprint(self, git: GitState, kind: Kind, family: str) -> Fingerprint | Impossible:
        """The fingerprint of the sources that a stage started from."""
        sources = self._sources(git)
        return sources if isinstance(sources, Impossible) else self._fingerprint(sources, kind, family)

    def spec(self, git: GitState, cell: str) -> Spec | Impossible:
        """The spec that params.yaml of the commit and the sources give a cell."""
        sources = self._sources(git)
        specs = sources if isinstance(sources, Impossible) else self._resolve(sources)
        if isinstance(specs, Impossible):
            return specs
        return specs.get(cell) or Impossible(f"{PARAMS_FILE} of the commit has no cell {cell}")

    def same_makers(self, git: GitState) -> bool:
        """Whether what makes specs and fingerprints was then what it is now."""
        sources = self._sources(git)
        return not isinstance(sources, Impossible) and self._same_makers(sources)

    def _sources(self, git: GitState) -> Sources | Impossible:
        if self.history.files(git.commit) is None:
            return Impossible("the commit is not here")
        names = sorted(path for path in git.changed if path.startswith(_SOURCES))
        if not names:
            return Sources(git.commit, ())
        changed = self.changed(git)
        if isinstance(changed, Impossible):
            return changed
        return Sources(git.commit, tuple((path, changed.get(path)) for path in names))

    def _files(self, sources: Sources) -> dict[str, bytes]:
        files = {**(self.history.blobs(sources.commit) or {}), **dict(sources.changed)}
        return {path: content for path, content in files.items() if content is not None}

    def _fingerprint_of(self, sources: Sources, kind: Kind, family: str) -> Fingerprint | Impossible:
        files = self._files(sources)
        try:
            return fingerprint(kind, family, lambda path: _text(files.get(path)))
        except StageError as error:
            return Impossible(error.message)

    def _specs(self, sources: Sources) -> dict[str, Spec] | Impossible:
        params = self.params(sources.commit)
        if isinstance(params, Impossible):
            return params
        files = self._files(sources)
        try:
            found = resolve_specs(params, self.budget, lambda path: _text(files.get(path)))
        except StageError as error:
            return Impossible(error.message)
        return {spec.cell: spec for spec in found}

    def _params(self, commit: str) -> Params | Impossible:
        content = self.history.content(commit, PARAMS_FILE.as_posix())
        if content is None:
            return Impossible(f"the commit has no {PARAMS_FILE}")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / PARAMS_FILE.name
            file.write_bytes(content)
            try:
                return load_params(file)
            except StageError as error:
                return Impossible(f"{PARAMS_FILE} of the commit is not read today: {error.message}")

    def _has_same_makers(self, sources: Sources) -> bool:
        now = {path.as_posix(): path.read_bytes() for path in Path("stages").rglob("*.py")}
        return _makers(now) == _makers(self._files(sources))


def _makers(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path.endswith(".py") and path.startswith(_MAKERS)}


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")
