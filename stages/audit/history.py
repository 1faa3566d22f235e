"""What git has of a commit: sources, params.yaml and specs, to hold records against."""

import hashlib
import os
import tempfile
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import few
from stages.core.git import git
from stages.records.provenance import folder_md5

_SOURCES = "stages/"
_ARCHIVED = ("stages", "dvc.yaml", "params.yaml", "requirements.lock")
_NEWEST = 200  # commits of a path that are looked through
_NAMED = 3  # changed files that a verifier's line names
_AT_ONCE = 2**25  # bytes of contents that are read together; one content may have more
_RAW_LOG = (
    "log",
    "--full-history",
    "-m",  # what a merge itself brought
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--diff-filter=AM",
    "--relative",
    "--format=%H",
)


class History:
    """Reads objects, not the working tree; everything once."""

    def __init__(self) -> None:
        self._md5s: dict[str, str] = {}  # by blob
        self.blobs = cache(self._blobs)
        self.files = cache(self._files)
        self.content = cache(self._content)
        self.patched = cache(self._patched)
        self.commit_with = cache(self._commit_with)
        self.made = cache(self._made_at)
        self._ancestors = cache(lambda: frozenset((_git("rev-list", "HEAD") or b"").decode().split()))

    def differing(self, commit: str, files: Mapping[str, str]) -> list[str] | None:
        """Which of these files under stages/, with their md5, a commit has otherwise or not at all; None without it."""
        known = self.files(commit)
        return None if known is None else [path for path, md5 in files.items() if known.get(path) != md5]

    def names(self, commit: str, folder: str) -> list[str] | None:
        """The paths of a commit's files below a folder; None when git does not have the commit here."""
        found = _listing(commit, f"{folder}/")
        return None if found is None else sorted(found)

    def resolved(self, name: str) -> str | None:
        """The hash of a commit by any of its names (`HEAD~3`, a tag); None when there is none of that name."""
        found = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return found.decode().strip() if found else None

    def every_version(
        self, folder: str, paths: Container[str], largest: int
    ) -> Iterator[tuple[str, str, bytes | None]]:
        """Commit, path and content of every committed version of those files of a folder, the newest first.

        A content comes once for each path. It is None where this clone does not have it. Contents of more than
        `largest` bytes are left out.
        """
        found = _git(*_RAW_LOG, "--", folder) or b""
        commit, blobs = "", dict[tuple[str, str], str]()
        for line in found.decode(errors="replace").splitlines():
            about, _, path = line.partition("\t")
            if not path:
                commit = line or commit
            elif path in paths:
                blobs.setdefault((path, about.split()[3]), commit)
        sizes = _sizes(list(dict.fromkeys(blob for _, blob in blobs)))
        for keys in _batches([key for key in blobs if sizes.get(key[1], 0) <= largest], sizes):
            ids = [blob for _, blob in keys]
            for key, content in zip(keys, _contents(ids) or map(_one_content, ids), strict=True):
                yield blobs[key], key[0], content

    def head(self) -> str:
        """The commit that is checked out; empty without one."""
        return (_git("rev-parse", "HEAD") or b"").decode().strip()

    def is_in_past(self, commit: str) -> bool:
        """Whether HEAD is a commit or follows from it; true where the history here is not whole, or there is none."""
        ancestors = self._ancestors()
        return commit in ancestors or not ancestors or self.is_shallow()

    def archive(self, commit: str) -> bytes | None:
        """The sources of a commit, and what it plans, as a tar file; None when git does not have the commit."""
        return _git("archive", "--format=tar", commit, *_ARCHIVED)

    def last_commit(self, path: str) -> tuple[str, str] | None:
        """The last commit that changed a file, and its date; None when none did."""
        found = _git("log", "-1", "--format=%H %cI", "--", path)
        commit, _, date = (found or b"").decode().strip().partition(" ")
        return (commit, date) if commit else None

    def _made_at(self, commit: str) -> datetime | None:
        """When a commit was made, by its committer's clock; None when it is not here."""
        found = _git("show", "-s", "--format=%ct", f"{commit}^{{commit}}")
        return datetime.fromtimestamp(int(found), UTC) if found else None

    def is_shallow(self) -> bool:
        """Whether this clone has only the newest part of the history (git clone --depth)."""
        return (_git("rev-parse", "--is-shallow-repository") or b"").strip() == b"true"

    def _files(self, commit: str) -> dict[str, str] | None:
        """The md5 of every file under stages/ of a commit; None when git, or its history here, does not have it."""
        blobs = self.blobs(commit)
        return None if blobs is None else {path: md5_of(blob) for path, blob in blobs.items()}

    def _blobs(self, commit: str) -> dict[str, bytes] | None:
        """Every file under stages/ of a commit; None when git, or its history here, does not have it."""
        entries = _listing(commit, _SOURCES)
        contents = None if entries is None else _contents(list(entries.values()))
        return None if entries is None or contents is None else dict(zip(entries, contents, strict=True))

    def _content(self, commit: str, path: str) -> bytes | None:
        """A file of a commit; None when it has none, or without git."""
        return _git("cat-file", "blob", f"{commit}:./{path}")

    def _commit_with(self, path: str, md5: str) -> str | None:
        """A commit, of the newest that changed a file or folder under stages/, in which it has this md5."""
        for commit in (_git("log", f"-{_NEWEST}", "--full-history", "--format=%H", "--", path) or b"").decode().split():
            found = self._tree_md5(commit, path)
            if found == md5:
                return commit
        return None

    def _tree_md5(self, commit: str, path: str) -> str | None:
        """DVC's md5 of a file or folder in a commit; each blob is hashed once over all commits."""
        entries = _listing(commit, path) or {}
        unknown = [blob for blob in entries.values() if blob not in self._md5s]
        contents = _contents(unknown) if unknown else []
        if not entries or contents is None:
            return None
        self._md5s |= {blob: md5_of(content) for blob, content in zip(unknown, contents, strict=True)}
        if list(entries) == [path]:
            return self._md5s[entries[path]]
        return folder_md5({name.removeprefix(f"{path}/"): self._md5s[blob] for name, blob in entries.items()})

    def _patched(self, commit: str, changed: tuple[str, ...], difference: str) -> dict[str, bytes] | None:
        """The `changed` files as they were with a recorded difference to a commit; None when that does not apply."""
        if not all(map(_is_plain, changed)):
            return None
        with tempfile.TemporaryDirectory() as folder:
            for path in changed:
                content = self.content(commit, path)
                if content is not None:
                    file = Path(folder) / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
            patch = difference.encode()
            if _git("apply", "--whitespace=nowarn", "-", stdin=patch, folder=folder) is None:
                return None
            files = {path: Path(folder) / path for path in changed}
            return {path: file.read_bytes() for path, file in files.items() if file.is_file() and _is_own(file, folder)}


class Verifier(NamedTuple):
    """The program that looks: its commit (None: it is in no repository), and what of it differs from that."""

    commit: str | None
    changed: list[str]

    def __str__(self) -> str:
        if self.commit is None:
            return "verified by a program that is in no repository"
        state = f"with uncommitted changes in {few(self.changed, _NAMED)}" if self.changed else "without changes"
        return f"verified by commit {self.commit} {state}"


def verifier() -> Verifier:
    """The commit of this program, which need not be that of the files it looks at (`python -P`, PYTHONPATH)."""
    root = Path(__file__).resolve().parents[2]
    commit = _git("-C", str(root), "rev-parse", "HEAD")
    status = _git("-C", str(root), "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "stages")
    changed = [entry[3:] for entry in (status or b"").decode(errors="replace").split("\0") if entry]
    return Verifier(commit.decode().strip() if commit else None, changed)


def md5_of(content: bytes) -> str:
    """md5 as DVC and the records have it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _is_plain(path: str) -> bool:
    """Whether a path that a record names stays below the folder that it is put into."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def _is_own(file: Path, folder: str) -> bool:
    """Whether a file lies in the folder: a difference can make links too."""
    return file.resolve().is_relative_to(Path(folder).resolve())


def _listing(commit: str, path: str) -> dict[str, str] | None:
    """The blobs of a commit's files below a path; None when git, or its history here, does not have the commit."""
    listing = _git("ls-tree", "-r", "-z", f"{commit}^{{commit}}", path)
    if listing is None:
        return None
    entries = [entry.split("\t", 1) for entry in listing.decode(errors="replace").split("\0") if entry]
    return {name: about.split()[2] for about, name in entries}


def _sizes(ids: Sequence[str]) -> dict[str, int]:
    """The sizes in bytes of the blobs that are here."""
    output = _git("cat-file", "--batch-check", stdin="".join(f"{one}\n" for one in ids).encode()) or b""
    lines = (line.split() for line in output.decode().splitlines())
    return {line[0]: int(line[2]) for line in lines if line[1] == "blob"}


def _batches(keys: Sequence[tuple[str, str]], sizes: Mapping[str, int]) -> Iterator[list[tuple[str, str]]]:
    """Paths and blobs in order, in batches of at most `_AT_ONCE` bytes of content, or of one that is larger."""
    batch, total = list[tuple[str, str]](), 0
    for key in keys:
        size = sizes.get(key[1], 0)
        if batch and total + size > _AT_ONCE:
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
    if batch:
        yield batch


def _one_content(blob: str) -> bytes | None:
    """The content of a blob; None when it is not here."""
    found = _contents([blob])
    return found[0] if found else None


def _contents(ids: Sequence[str]) -> list[bytes] | None:
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


def _git(*arguments: str, stdin: bytes | None = None, folder: str | None = None) -> bytes | None:
    """The output of git; None when it fails or is not installed.

    In a `folder` git works on plain files, even inside a repository. Replaced objects (`git replace`), grafts, and
    variables that name another repository are ignored.
    """
    variables = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
    if folder:
        variables["GIT_CEILING_DIRECTORIES"] = str(Path(folder).parent)
    try:
        done = git(*arguments, stdin=stdin, folder=folder, variables=variables)
    except (OSError, ValueError):  # a path that no command can be given, too
        return None
    return done.stdout if done.returncode == 0 else None
