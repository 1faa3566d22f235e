"""The uncommitted changes that a record keeps, file by file: a patch to its commit, new files whole among them."""

import re
from typing import Any

from stages.records.provenance import Provenance

_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_NEW, _REMOVED, _EDITED = "new", "removed", "edited"


def changes(made: Provenance) -> list[dict[str, Any]]:
    """Each file that was not as committed: what happened to it, lines added and removed, its md5 where it is a source.

    The lines are None for a file that the patch does not name.
    """
    patches = {path: patch for patch in _patches(made.git.difference) for path in [_path(patch, made.git.changed)]}
    return [_change(path, patches.get(path), made.sources.get(path)) for path in made.git.changed]


def _patches(difference: str | None) -> list[str]:
    return _FILE.split(difference)[1:] if difference else []


def _path(patch: str, changed: list[str]) -> str | None:
    """The `changed` file that a patch belongs to; None where git quotes its name."""
    head = patch.partition("\n")[0]
    return next((path for path in changed if head.endswith(f" b/{path}")), None)


def _change(path: str, patch: str | None, md5: str | None) -> dict[str, Any]:
    if patch is None:
        return {"path": path, "what": _EDITED, "added": None, "removed": None, "md5": md5}
    head, _, body = patch.partition("\n@@")
    what = _NEW if "\nnew file mode" in head else _REMOVED if "\ndeleted file mode" in head else _EDITED
    lines = body.splitlines()[1:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return {"path": path, "what": what, "added": added, "removed": removed, "md5": md5}
