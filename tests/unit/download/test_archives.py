"""What is taken of an archive: the wanted files, flat, whatever else it holds; nothing of one that is broken."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.download import sources
from stages.download.sources import unpack

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"content", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(content)
    return member, content


def write_tar(path: Path, entries: Sequence[Entry]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in entries:
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "inner" / "into"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ["a.tar.gz", "a-1.0.0.tgz"])
def test_wanted_members_alone_are_written_flat(tmp_path: Path, into: Path, name: str) -> None:
    folder = entry("top", b"", tarfile.DIRTYPE)
    archive = write_tar(tmp_path / name, [folder, entry("top/data"), entry("top/readme"), entry("labels", b"")])
    unpack(archive, into, {"data", "labels", "missing"})
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {"data": b"content", "labels": b""}


@pytest.mark.parametrize(
    "evil",
    [
        entry("../escaped"),
        entry("../labels"),
        entry("/tmp/escaped"),
        entry("labels", b"", tarfile.SYMTYPE, "/etc/passwd"),
        entry("labels", b"", tarfile.LNKTYPE, "../escaped"),
        entry("labels", b"", tarfile.CHRTYPE),
        entry("labels", b"", tarfile.FIFOTYPE),
    ],
)
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, into: Path, evil: Entry) -> None:
    unpack(write_tar(tmp_path / "a.tar.gz", [entry("data"), evil]), into, {"data", "labels"})
    archive = tmp_path / "a.tar.gz"
    written = {path for path in tmp_path.rglob("*") if not path.is_dir() and path != archive}
    assert into / "data" in written
    assert written <= {into / "data", into / "labels"}
    assert not any(path.is_symlink() for path in written)


@pytest.mark.parametrize(
    "content", [b"<html>no</html>", b"", gzip.compress(b"no tar" * 500)], ids=["html", "empty", "no tar"]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, into: Path, content: bytes) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(StageError, match=r"a\.tar\.gz"):
        unpack(archive, into, {"data"})


def test_truncated_tar_is_refused(tmp_path: Path, into: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", [entry("data", bytes(range(256)) * 200)])
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(StageError, match=r"a\.tar\.gz"):
        unpack(archive, into, {"data"})


def test_the_gz_of_one_file(tmp_path: Path, into: Path) -> None:
    archive = tmp_path / "data.gz"
    archive.write_bytes(gzip.compress(b"0123456789"))
    unpack(archive, into, {"labels"})
    assert list(into.iterdir()) == []
    unpack(archive, into, {"data", "labels"})
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {"data": b"0123456789"}


@pytest.mark.parametrize("content", [b"<html>no</html>", gzip.compress(bytes(range(256)))[:-12]], ids=["html", "cut"])
def test_broken_gz_is_refused(tmp_path: Path, into: Path, content: bytes) -> None:
    archive = tmp_path / "data.gz"
    archive.write_bytes(content)
    with pytest.raises(StageError, match=r"data\.gz cannot be unpacked"):
        unpack(archive, into, {"data"})


def test_a_file_that_grows_without_end_is_cut(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_LONGEST", 1000)
    (tmp_path / "data.gz").write_bytes(gzip.compress(bytes(100_000)))
    write_tar(tmp_path / "a.tar.gz", [entry("labels", bytes(100_000))])
    for archive in ("data.gz", "a.tar.gz"):
        unpack(tmp_path / archive, into, {"data", "labels"})
    assert {path.name: path.stat().st_size for path in into.iterdir()} == {"data": 1000, "labels": 1000}
