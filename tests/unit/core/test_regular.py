"""A file that somebody else wrote is read only where it is a regular one, of a bounded size, in the repository."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.errors import CorruptFileError, MissingFileError, printable
from stages.core.files import read_json
from stages.core.regular import is_there, outside, read_regular, refusal


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


MADE: list[tuple[Callable[[Path], object], str]] = [
    (os.mkfifo, "a FIFO"),
    (_socket, "a socket"),
    (Path.mkdir, "a folder"),
    (_sparse, "a file of 1099511627776 bytes, more than the 8589934592 that are read"),
    (lambda path: path.symlink_to("/dev/zero"), "a device"),
    (lambda path: path.symlink_to("/etc/passwd"), "a link that leads out of the repository"),
    (lambda path: path.symlink_to("none"), "a link that leads nowhere"),
    (lambda path: path.symlink_to(path.name), "a path that cannot be looked up (Too many levels of symbolic links)"),
]


@pytest.mark.parametrize(("make", "said"), MADE, ids=[said for _, said in MADE])
def test_what_is_no_regular_file_is_named_and_not_read(
    make: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("a.json")
    make(path)
    assert is_there(path)
    assert refusal(path) == said
    with pytest.raises(CorruptFileError, match="expected a regular file in the repository"):
        read_json(path, "stage x")


@pytest.mark.parametrize("name", ["x\0y", "x" * 9000, "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert refusal(name)
    assert not is_there(name)


def test_an_absent_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_regular(tmp_path / "none", "stage x")


def test_links_within_the_repository_to_dvcs_cache_and_of_big_folders_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "disk"
    cached = elsewhere / "files" / "md5" / "ab" / ("c" * 30)
    for folder in (project / "data", cached.parent, elsewhere / "runs"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(project)
    for file in (cached, elsewhere / "runs" / "run.json", project / "own", elsewhere / "secret"):
        file.write_text("x")
    Path("link").symlink_to("own")
    Path("cached").symlink_to(cached)
    Path("data/runs").symlink_to(elsewhere / "runs")
    Path("secret").symlink_to(elsewhere / "secret")
    assert [outside(path) for path in ("own", "link", "cached", "data/runs/run.json", elsewhere / "secret")] == [
        None
    ] * 5
    assert outside("secret") == outside("data/../secret") == "a link that leads out of the repository"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x\nnumbers: 35 proved", r"x\nnumbers: 35 proved"),
        ("\x1b[2J\r", r"\x1b[2J\r"),
        ("\u202e\u2066 \u2028 \x85", r"\u202e\u2066 \u2028 \x85"),
        ("\ud800", r"\ud800"),
        ("− 5 %, Größe", "− 5 %, Größe"),
    ],
)
def test_what_is_printed_stays_on_its_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "key 'a' stands twice"),
        ('{"a": %s}' % ("1" * 5000), "an integer of 5000 digits"),
        ('{"a": 9223372036854775808}', "an integer of 19 digits"),
        ('{"a": NaN}', "NaN is not finite"),
        ('{"a": -Infinity}', "-Infinity is not finite"),
        ('{"a": 1e999}', "1e999 is not finite"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
        ('"\\ud800"', "surrogates not allowed"),
        ('\ufeff"x"', "BOM"),
    ],
)
def test_json_that_is_read_in_two_ways_or_in_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CorruptFileError, match="not JSON") as error:
        read_json(path, "stage x")
    assert said in error.value.message
