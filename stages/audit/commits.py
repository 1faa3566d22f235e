"""Whether a commit is in this clone, and holds the sources that a run recorded."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence

from stages.report.origins import Dependency


def source_files(code: Mapping[str, Dependency]) -> dict[str, str]:
    """The md5 of each source file by its path, from the recorded files and folders."""
    files: dict[str, str] = {}
    for path, found in code.items():
        files |= (
            {path: found.md5} if found.files is None else {f"{path}/{name}": md5 for name, md5 in found.files.items()}
        )
    return files


def held(commit: str, files: Mapping[str, str]) -> list[str] | None:
    """The files that a commit has otherwise or not at all; None when the commit is not in this clone, or git is not."""
    contents = _contents(commit, list(files))
    if contents is None:
        return None
    return [
        path
        for (path, md5), content in zip(files.items(), contents, strict=True)
        if content is None or hashlib.md5(content, usedforsecurity=False).hexdigest() != md5
    ]


def _contents(commit: str, paths: Sequence[str]) -> list[bytes | None] | None:
    """The contents of files in a commit, by one process; None for a file that it does not have."""
    asked = [f"{commit}^{{commit}}", *(f"{commit}:./{path}" for path in paths)]
    try:
        done = subprocess.run(
            ["git", "cat-file", "--batch"],  # noqa: S607
            input="".join(f"{name}\n" for name in asked).encode(),
            capture_output=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    contents: list[bytes | None] = []
    place = 0
    for _ in asked:
        end = done.stdout.index(b"\n", place)
        head, start = done.stdout[place:end], end + 1
        if head.endswith(b" missing"):
            contents.append(None)
            place = start
        else:
            size = int(head.rsplit(b" ", 1)[1])
            contents.append(done.stdout[start : start + size])
            place = start + size + 1
    return None if contents[0] is None else contents[1:]
