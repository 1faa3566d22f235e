"""Runs git on the repository of the working folder, whatever repository git's variables name."""

from __future__ import annotations  # `stages.core.checkout` runs in an older Python, to say that it is too old

import os
import subprocess


def git(
    *arguments: str, stdin: bytes | None = None, folder: str | None = None, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end, in `folder` and with some `variables` set; bytes in and out, as a patch has its line ends.

    Git's other variables are not handed on: in a hook of git they name the hook's repository. Git speaks English, whose
    words some callers look for. Raises OSError where git is not installed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        input=stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env={**kept, "LC_ALL": "C", **(variables or {})},
    )
