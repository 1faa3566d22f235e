"""What comes in archives from outside: unpacked when it is plain, refused whole when it is not."""

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from stages.fetch.archives import extract_tar, gunzip
from stages.fetch.errors import SourceError

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


def test_wanted_members_alone_are_written_flat(tmp_path: Path, into: Path) -> None:
    folder = entry("top", b"", tarfile.DIRTYPE)
    archive = write_tar(tmp_path / "a.tar.gz", [folder, entry("top/data"), entry("top/readme"), entry("labels", b"")])
    extract_tar(archive, into, {"data", "labels"}, 1000)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {"data": b"content", "labels": b""}


@pytest.mark.parametrize(
    ("evil", "why"),
    [
        (entry("../escaped"), "leaves its folder"),
        (entry("top/../../data"), "leaves its folder"),
        (entry("/tmp/escaped"), "leaves its folder"),
        (entry("data", b"", tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
        (entry("data", b"", tarfile.LNKTYPE, "../escaped"), "link or a device"),
        (entry("data", b"", tarfile.CHRTYPE), "link or a device"),
        (entry("data", b"", tarfile.FIFOTYPE), "link or a device"),
        (entry("other/data"), "twice"),
        (entry("padding", bytes(2000)), "more than 1000 bytes"),
    ],
)
def test_one_bad_member_refuses_the_archive(tmp_path: Path, into: Path, evil: Entry, why: str) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", [entry("data"), evil])
    with pytest.raises(SourceError, match=why):
        extract_tar(archive, into, {"data"}, 1000)
    assert {path.name for path in tmp_path.rglob("*")} <= {"a.tar.gz", "inner", "into", "data"}


def test_missing_member_is_named(tmp_path: Path, into: Path) -> None:
    with pytest.raises(SourceError, match=r"does not hold labels"):
        extract_tar(write_tar(tmp_path / "a.tar.gz", [entry("data")]), into, {"data", "labels"}, 1000)


@pytest.mark.parametrize("content", [b"<html>no</html>", b"", gzip.compress(b"no tar" * 500)])
def test_what_is_no_tar_is_refused(tmp_path: Path, into: Path, content: bytes) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.tar\.gz"):
        extract_tar(archive, into, {"data"}, 1000)


def test_truncated_tar_is_refused(tmp_path: Path, into: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", [entry("data", bytes(range(256)) * 200)])
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"a\.tar\.gz"):
        extract_tar(archive, into, {"data"}, 100_000)


def test_gunzip(tmp_path: Path) -> None:
    archive = tmp_path / "data.gz"
    archive.write_bytes(gzip.compress(b"0123456789"))
    gunzip(archive, tmp_path / "data", 10)
    assert (tmp_path / "data").read_bytes() == b"0123456789"
    with pytest.raises(SourceError, match="more than 9 bytes"):
        gunzip(archive, tmp_path / "data", 9)


@pytest.mark.parametrize("content", [b"<html>no</html>", gzip.compress(bytes(range(256)))[:-12]])
def test_broken_gz_is_refused(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "data.gz"
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"data\.gz cannot be unpacked"):
        gunzip(archive, tmp_path / "data", 1000)
