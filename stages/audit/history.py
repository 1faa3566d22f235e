"""What git has of a commit: the md5 of its files, to hold recorded sources against."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from stages.config.params import PARAMS_FILE
from stages.records.provenance import folder_md5


class History:
    """Reads objects, not the working tree; everything once."""

    def __init__(self) -> None:
        self.files = cache(self._files)
        self.params = cache(self._params)

    def tree(self, commit: str, path: str) -> dict[str, Any] | None:
        """A file's or folder's hashes in a commit, as `provenance.hash_dependency` has them; None when it has none."""
        known = self.files(commit) or {}
        if path in known:
            return {"md5": known[path]}
        files = {name.removeprefix(f"{path}/"): md5 for name, md5 in known.items() if name.startswith(f"{path}/")}
        return {"md5": folder_md5(files), "files": files} if files else None

    def differing(self, commit: str, files: Mapping[str, str]) -> list[str] | None:
        """Which of these files under stages/, with their md5, a commit has otherwise or not at all; None without it."""
        known = self.files(commit)
        return None if known is None else [path for path, md5 in files.items() if known.get(path) != md5]

    def committed(self, path: str) -> bytes | None:
        """A file's content in the commit that is checked out; None without one, or without git."""
        return _git("cat-file", "blob", f"HEAD:./{path}")

    def _files(self, commit: str) -> dict[str, str] | None:
        """The md5 of every file under stages/ of a commit; None when git, or its history here, does not have it."""
        listing = _git("ls-tree", "-r", "-z", f"{commit}^{{commit}}", "stages/")
        if listing is None:
            return None
        entries = [entry.split("\t") for entry in listing.decode().split("\0") if entry]
        names = [name for _, name in entries]
        blobs = _blobs([about.split()[2] for about, _ in entries])
        return None if blobs is None else {name: _md5(blob) for name, blob in zip(names, blobs, strict=True)}

    def _params(self, commit: str) -> Any:
        """params.yaml of a commit; None when it has none."""
        content = _git("cat-file", "blob", f"{commit}:./{PARAMS_FILE}")
        return None if content is None else YAML(typ="safe").load(content)


def by_file(path: str, tree: Mapping[str, Any] | None) -> dict[str, str]:
    """The md5 of a file, or of each file of a folder, by its whole path; `tree` is as `hash_dependency` has it."""
    if tree is None:
        return {}
    files = tree.get("files")
    return {path: tree["md5"]} if files is None else {f"{path}/{name}": md5 for name, md5 in files.items()}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _blobs(ids: Sequence[str]) -> list[bytes] | None:
    """The contents of blobs, by one process; None when one is not here, as in a partial clone without its remote."""
    output = _git("cat-file", "--batch", stdin="".join(f"{one}\n" for one in ids).encode())
    if output is None:
        return None
    contents, place = [], 0
    for _ in ids:
        end = output.index(b"\n", place)
        head = output[place:end].split()
        if head[-1] == b"missing":
            return None
        size = int(head[2])
        contents.append(output[end + 1 : end + 1 + size])
        place = end + size + 2
    return contents


def _git(*arguments: str, stdin: bytes | None = None) -> bytes | None:
    """What git prints; None when it refuses, or is not installed: then there is no history here."""
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=True)  # noqa: S603, S607
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout
