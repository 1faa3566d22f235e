"""One tarball from the package registry that npm is set up with."""

import base64
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stages.fetch.canonical import check_digest
from stages.fetch.errors import SourceError

# npm's own settings wait 10 and 60 s between tries, even after a name look-up that failed in milliseconds.
_OPTIONS = ("--ignore-scripts", "--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=4000")
_ERROR_MARKS = ("npm error", "npm ERR!")
_DETAIL = 4  # lines of npm's message that are shown: its code and the first that is a sentence are among them


@dataclass(frozen=True)
class Package:
    """A version of an npm package, with the integrity of its tarball as npm writes it ("sha512-" and base64)."""

    name: str
    version: str
    integrity: str

    @property
    def spec(self) -> str:
        """What npm calls it: name@version."""
        return f"{self.name}@{self.version}"


def pack(package: Package, folder: Path) -> Path:
    """Have npm put the package's tarball into the (empty) `folder`; give its path once its integrity is checked.

    No script of the package runs, and npm has no terminal to ask on. SourceError if npm is not installed, if it
    fails, or if it leaves no tarball; CorruptFileError if the tarball is another.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed")
    done = subprocess.run(  # noqa: S603
        [npm, "pack", package.spec, *_OPTIONS],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise SourceError(f"npm pack failed with status {done.returncode}: {_detail(done.stderr)}")
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise SourceError(f"npm pack left {len(tarballs)} tarballs; expected 1")
    algorithm, _, encoded = package.integrity.partition("-")
    check_digest(tarballs[0], algorithm, base64.b64decode(encoded).hex())
    return tarballs[0]


def _detail(stderr: str) -> str:
    """What npm says went wrong: its first error lines without their mark, or else its last line."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix(mark).strip() for line in lines for mark in _ERROR_MARKS if line.startswith(mark)]
    return "; ".join(errors[:_DETAIL] or lines[-1:]) or "it says nothing"
