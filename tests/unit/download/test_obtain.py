"""Sources that deliver, sources that fail in every way we know, and an output folder that is whole or as it was.

The hosts are a server on this machine, npm is a script put first in PATH, the data set is two small files.
"""

import base64
import contextlib
import errno
import gzip
import hashlib
import io
import os
import resource
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from stages.core import progress
from stages.core.errors import StageError
from stages.download import catalogue
from stages.download.checks import holds
from stages.download.obtain import ForeignFolderError, NoSourceError, obtain
from stages.download.sources import Archive, FolderSource, HostSource, NpmSource, Source
from stages.download.web import Patience
from stages.records.canonical import CANONICAL, FileSpec

CONTENT = {"images": bytes(range(256)) * 8000, "labels": b"0123456789"}  # the first is 2 MB, more than one chunk
PATIENCE = Patience(connect=1, answer=2, read=1, backoff=0.01)
Serve = Callable[[BaseHTTPRequestHandler], None]


def spec(name: str, content: bytes) -> FileSpec:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return FileSpec(name, len(content), md5, hashlib.sha256(content).hexdigest())


FILES = [spec(name, content) for name, content in CONTENT.items()]


def tarball(content: dict[str, bytes], prefix: str = "package/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same bytes whenever it is made


class Server:
    """A web server whose answers are scripted: for each path a list of answers, of which the last stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Serve]] = {}
        self.asked: list[str] = []
        self.ranges: list[str | None] = []
        self.stop = threading.Event()
        methods = {"do_GET": lambda request: self._get(request), "log_message": lambda *_: None}
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (BaseHTTPRequestHandler,), methods))
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,))

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        self.ranges.append(request.headers["Range"])
        answers = self.answers[request.path]
        (answers.pop(0) if len(answers) > 1 else answers[0])(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    server.thread.start()
    yield server
    server.stop.set()
    server.httpd.shutdown()
    server.httpd.server_close()
    server.thread.join()


def answer(body: bytes, status: int = 200, announced: int | None = None) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if announced is None else announced))
        request.end_headers()
        request.wfile.write(body)

    return serve


def hosts(server: Server, name: str, published: bytes, *answers: Serve) -> HostSource:
    """A source for an archive that should be `published`, from a server that answers as told (by default with it)."""
    server.answers[f"/{name}"] = list(answers or [answer(published)])
    digest = hashlib.sha256(published).hexdigest()
    return HostSource([Archive(f"{server.url}/{name}", len(published), "sha256", digest)], PATIENCE)


def npm_script(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put an `npm` that is this shell script in front of everything else in PATH."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def npm(published: bytes) -> NpmSource:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(published).digest()).decode()
    return NpmSource("tiny@1.0.0", integrity, list(CONTENT), megabytes=0)


class Canned:
    """A source that writes `content`, and then calls `after`."""

    name, detail = "canned", "here"

    def __init__(self, content: dict[str, bytes], after: Callable[[], object] = lambda: None) -> None:
        self.content, self.after = content, after

    def fetch(self, files: Sequence[FileSpec], into: Path, scratch: Path) -> None:
        for name, content in self.content.items():
            (into / name).write_bytes(content)
        self.after()


def get(sources: Sequence[Source], out: Path) -> Source | None:
    return obtain("tiny", FILES, sources, out, "images, labels")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "tiny"


def assert_whole(out: Path) -> None:
    assert {path.name: path.read_bytes() for path in out.iterdir()} == CONTENT
    assert list(out.parent.iterdir()) == [out]


def assert_fails(sources: Sequence[Source], out: Path, *reasons: str) -> None:
    """Obtaining fails with one error that gives all reasons and the way out, and leaves nothing."""
    with pytest.raises(NoSourceError) as caught:
        get(sources, out)
    for reason in (*reasons, "--folder", "DATASETS_FOLDER", "images, labels"):
        assert reason in caught.value.message
    assert not out.exists()
    assert not out.parent.exists() or not list(out.parent.iterdir())


# Hosts


def test_tar_from_a_host(server: Server, out: Path) -> None:
    source = hosts(server, "tiny.tar.gz", tarball({**CONTENT, "readme": b"read me"}, "top/"))
    assert get([source], out) is source
    assert_whole(out)
    assert oct(out.stat().st_mode)[-3:] == "755"


def test_one_gz_for_each_file_from_a_host(server: Server, out: Path) -> None:
    single = [hosts(server, f"{name}.gz", gzip.compress(content)) for name, content in CONTENT.items()]
    source = HostSource([archive for part in single for archive in part.archives], PATIENCE)
    assert get([source], out) is source
    assert_whole(out)


def test_unavailable_at_first(server: Server, out: Path) -> None:
    body = tarball(CONTENT)
    source = hosts(server, "tiny.tar.gz", body, answer(b"busy", 503), answer(b"busy", 503), answer(body))
    get([source], out)
    assert_whole(out)
    assert len(server.asked) == 3


def breaking(body: bytes, most: int, resumes: bool = True) -> Serve:
    """Announce all that is asked for, send at most `most` bytes of it, and close."""

    def serve(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"] if resumes else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(body) - start))
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.end_headers()
        request.wfile.write(body[start : start + most])

    return serve


NOISE = {"noise": np.random.default_rng(0).bytes(2_000_000), "labels": CONTENT["labels"]}  # does not compress


def noise(server: Server, out: Path, *answers: Callable[[bytes], Serve]) -> bytes:
    """Get 2 MB that do not compress from a server that answers so; what it had to send."""
    body = tarball(NOISE)
    source = hosts(server, "noise.tar.gz", body, *(make(body) for make in answers))
    obtain("noise", [spec(name, content) for name, content in NOISE.items()], [source], out, "noise")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == NOISE
    return body


def test_broken_off_and_resumed(server: Server, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(server, out, lambda body: breaking(body, 300_000))
    assert server.ranges == [None, *(f"bytes={start}-" for start in range(300_000, 2_000_000, 300_000))]
    assert len(server.ranges) > PATIENCE.failures
    assert "noise.tar.gz: the transfer broke off at 0.3 MB" in capsys.readouterr().err


def test_broken_off_at_a_host_that_does_not_resume(server: Server, out: Path) -> None:
    noise(server, out, lambda body: breaking(body, 900_000, resumes=False), answer)
    assert server.ranges == [None, "bytes=900000-"]


def test_broken_off_and_away_for_a_moment(server: Server, out: Path) -> None:
    def hang_up(_: bytes) -> Serve:
        return lambda request: request.connection.shutdown(socket.SHUT_RDWR)

    noise(server, out, lambda body: breaking(body, 900_000), hang_up, hang_up, lambda body: breaking(body, len(body)))
    assert server.ranges == [None, *["bytes=900000-"] * 3]


def test_silent_in_the_middle(server: Server, out: Path) -> None:
    def falls_silent(body: bytes) -> Serve:
        def serve(request: BaseHTTPRequestHandler) -> None:
            breaking(body, 1_200_000)(request)
            request.wfile.flush()
            server.stop.wait(20)

        return serve

    begun = time.monotonic()
    noise(server, out, falls_silent, lambda body: breaking(body, len(body)))
    assert server.ranges == [None, "bytes=1000000-"]
    assert time.monotonic() - begun < 10


def test_resumed_with_other_bytes(server: Server, out: Path) -> None:
    body = tarball(CONTENT)
    other = bytes(len(body))
    source = hosts(server, "tiny.tar.gz", body, breaking(body, 500), breaking(other, len(other)))
    assert_fails([source], out, "expected sha256")


@pytest.mark.parametrize("resumes", [True, False])
def test_broken_off_each_time(server: Server, out: Path, resumes: bool) -> None:
    body = tarball(CONTENT)
    source = hosts(server, "tiny.tar.gz", body, breaking(body, 500, resumes))
    assert_fails([source], out, f"hosts ({server.url}): tiny.tar.gz: the transfer broke off")
    assert len(server.asked) == PATIENCE.failures


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (answer(b"no such file", 404), "HTTP 404"),
        (answer(b"busy", 503), "HTTP 503"),
        (answer(b"\n<!DOCTYPE html><title>Please log in</title>"), "a web page"),
        (answer(tarball(CONTENT)[:100]), "expected sha256"),
        (answer(tarball(CONTENT | {"labels": b"other"})), "expected sha256"),
        (answer(bytes(10_000_000)), "10000000 bytes; expected at most"),
    ],
)
def test_host_that_answers_with_another_thing(server: Server, out: Path, served: Serve, reason: str) -> None:
    assert_fails([hosts(server, "tiny.tar.gz", tarball(CONTENT), served)], out, f"hosts ({server.url})", reason)


def test_endless_answer_is_cut_off(server: Server, out: Path) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        with contextlib.suppress(OSError):  # the client hangs up
            while True:
                request.wfile.write(bytes(10_000))

    assert_fails([hosts(server, "tiny.tar.gz", tarball(CONTENT), endless)], out, "more than the", "bytes expected")


def test_archive_with_the_right_hash_and_other_files(server: Server, out: Path) -> None:
    source = hosts(server, "tiny.tar.gz", tarball(CONTENT | {"labels": b"9876543210"}))
    assert_fails([source], out, "labels: sha256", "expected sha256")


def test_host_that_never_answers_costs_little(server: Server, out: Path) -> None:
    def silent(_: BaseHTTPRequestHandler) -> None:
        server.stop.wait(20)

    source = hosts(server, "tiny.tar.gz", b"", silent)
    begun = time.monotonic()
    quick = HostSource(source.archives, Patience(connect=1, answer=0.3, read=5))
    assert_fails([quick], out, "no answer in 0.3 s")
    assert time.monotonic() - begun < 5


def test_name_that_does_not_exist_and_port_that_is_closed(out: Path) -> None:
    begun = time.monotonic()
    nowhere = HostSource([Archive("http://nowhere.invalid/tiny.tar.gz", 10, "sha256", "0")])
    closed = HostSource([Archive("http://127.0.0.1:9/tiny.tar.gz", 10, "sha256", "0")])
    assert_fails([nowhere, closed], out, "nowhere.invalid): tiny.tar.gz: ", "Connection refused")
    assert time.monotonic() - begun < 20


def test_progress(
    server: Server, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LOG_EVERY", 0)
    noise(server, out, answer)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(",")[0] for line in lines] == ["noise.tar.gz, MB: 1/3", "noise.tar.gz, MB: 2/3"]


# npm


def test_npm_is_asked_after_the_hosts(
    server: Server, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.tgz").write_bytes(tarball(CONTENT))
    npm_script(tmp_path / "bin", monkeypatch, f'echo "$@" > {tmp_path}/args; cp {tmp_path}/tiny.tgz tiny-1.0.0.tgz')
    first, second = hosts(server, "tiny.tar.gz", b"", answer(b"", 404)), npm(tarball(CONTENT))
    assert get([first, second], out) is second
    assert_whole(out)
    assert "HTTP 404" in capsys.readouterr().err
    args = (tmp_path / "args").read_text()
    assert args.startswith("pack --ignore-scripts")
    assert args.endswith(" tiny@1.0.0\n")
    assert "registry" not in args


def test_npm_missing(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_fails([npm(b"")], out, "npm (tiny@1.0.0): npm is not installed")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'npm warn x' >&2; echo 'npm error code E404' >&2; exit 1", "status 1: code E404"),
        ("echo 'npm ERR! code ETARGET' >&2; exit 3", "status 3: code ETARGET"),
        ("echo 'something odd' >&2; exit 1", "something odd"),
        ("exit 1", "it says nothing"),
        ("exit 0", "left 0 tarballs"),
        ("echo '<html>log in</html>' > tiny-1.0.0.tgz", "a web page"),
        ("head -c 99 $TINY > tiny-1.0.0.tgz", "expected sha512"),
        ("read answer; echo $answer >&2; exit 1", "it says nothing"),
    ],
)
def test_npm_failing(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    (tmp_path / "tiny.tgz").write_bytes(tarball(CONTENT))
    monkeypatch.setenv("TINY", str(tmp_path / "tiny.tgz"))
    npm_script(tmp_path / "bin", monkeypatch, script)
    assert_fails([npm(tarball(CONTENT))], out, "npm (tiny@1.0.0): ", reason)


# A folder of the user's


def folder_source(folder: Path) -> FolderSource:
    return FolderSource(folder, "tiny", [*(f"{name}.gz" for name in CONTENT), "tiny.tar.gz"], ["inner/raw"])


@pytest.mark.parametrize("place", ["", "tiny", "inner/raw", "tiny/inner/raw"])
@pytest.mark.parametrize(
    "held",
    [
        CONTENT,
        {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()},
        {"tiny.tar.gz": tarball(CONTENT)},
        {"images": CONTENT["images"], "labels.gz": gzip.compress(CONTENT["labels"])},
        {"labels": CONTENT["labels"], "tiny.tar.gz": tarball(CONTENT)},
    ],
    ids=["files", "gz", "tar", "file and gz", "file and tar"],
)
def test_folder(tmp_path: Path, out: Path, place: str, held: dict[str, bytes]) -> None:
    folder = tmp_path / "mine" / place
    folder.mkdir(parents=True)
    for name, content in held.items():
        (folder / name).write_bytes(content)
    get([folder_source(tmp_path / "mine")], out)
    assert_whole(out)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == held


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({}, "holds neither images, labels nor images.gz, labels.gz, tiny.tar.gz"),
        ({"images": CONTENT["images"]}, "holds neither labels nor"),
        (CONTENT | {"images": CONTENT["images"][:-1]}, "images: 2047999 bytes; expected 2048000 bytes"),
        (CONTENT | {"images": b"<html></html>"}, "images: a web page (13 bytes)"),
        ({"tiny.tar.gz": b"<html></html>"}, "tiny.tar.gz cannot be unpacked"),
        ({"tiny.tar.gz": tarball({"images": CONTENT["images"]})}, "holds neither labels nor"),
        ({"tiny.tar.gz": tarball({**CONTENT, "labels": b"9876543210"})}, "labels: sha256"),
    ],
)
def test_folder_that_will_not_do(tmp_path: Path, out: Path, held: dict[str, bytes], reason: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in held.items():
        (folder / name).write_bytes(content)
    assert_fails([folder_source(folder)], out, f"folder ({folder})", reason)


def test_folder_that_is_none(tmp_path: Path, out: Path) -> None:
    assert_fails([folder_source(tmp_path / "nowhere")], out, "is not a folder")


# The output folder


def test_what_is_there_already_is_left_alone(out: Path) -> None:
    get([Canned(CONTENT)], out)
    before = out.stat().st_ino
    assert get([], out) is None
    assert out.stat().st_ino == before


def test_broken_files_are_replaced_when_there_are_better_ones(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "images").write_bytes(b"broken")
    with pytest.raises(NoSourceError):
        get([Canned({})], out)
    assert [path.name for path in out.parent.rglob("*")] == ["tiny", "images"]
    get([Canned(CONTENT)], out)
    assert_whole(out)


def test_a_folder_of_other_things_is_never_replaced(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ForeignFolderError, match=r"thesis\.tex"):
        get([Canned(CONTENT)], out)
    assert [path.name for path in out.parent.rglob("*")] == ["tiny", "thesis.tex"]


def test_other_things_that_come_meanwhile_are_kept(out: Path) -> None:
    def meanwhile() -> None:
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")

    with pytest.raises(ForeignFolderError):
        get([Canned(CONTENT, meanwhile)], out)
    assert [path.name for path in out.parent.rglob("*")] == ["tiny", "thesis.tex"]


def test_an_output_that_is_a_file_is_refused(out: Path) -> None:
    out.parent.mkdir()
    out.write_text("a file")
    with pytest.raises(ForeignFolderError, match="it is a file"):
        get([Canned(CONTENT)], out)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_interruption_leaves_nothing(out: Path, error: type[BaseException]) -> None:
    def interrupt() -> None:
        raise error

    with pytest.raises(error):
        get([Canned(CONTENT, interrupt)], out)
    assert list(out.parent.iterdir()) == []


def test_no_space(out: Path) -> None:
    """A limit on the size of files stands for the full disk: both are an OSError from the system, in mid-write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        unasked = Canned({}, lambda: pytest.fail("no second download onto a full disk"))
        assert_fails([Canned(CONTENT), unasked], out, "this machine: ", os.strerror(errno.EFBIG))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NoSourceError, match="this machine"):
        get([Canned(CONTENT)], tmp_path / "file" / "tiny")


def test_leftovers_of_the_dead_are_swept(out: Path) -> None:
    dead, other = out.parent / ".tiny.dead.partial", out.parent / ".tiny.notes"
    for folder in (dead, other):
        folder.mkdir(parents=True)
        (folder / "images").write_bytes(b"half")
    get([Canned(CONTENT)], out)
    assert sorted(out.parent.iterdir()) == [other, out]


# The catalogue


@pytest.mark.parametrize("dataset", CANONICAL)
def test_every_canonical_file_is_to_be_had_everywhere(dataset: str) -> None:
    files = CANONICAL[dataset]
    archives = [archive.name for archive in catalogue.ARCHIVES[dataset]]
    assert archives in ([f"{part.name}.gz" for part in files], ["cifar-10-binary.tar.gz"])
    sources = catalogue.sources_for(dataset, catalogue.SOURCE_NAMES, None)
    assert [source.name for source in sources] == ["hosts", "npm"]
    assert [source.name for source in catalogue.sources_for(dataset, ["npm"], Path("mine"))] == ["folder"]
    algorithm, _, encoded = catalogue.PACKAGES[dataset].integrity.partition("-")
    assert algorithm == "sha512"
    assert len(base64.b64decode(encoded)) == 64
    for part in files:
        assert (len(part.md5), len(part.sha256)) == (32, 64)


def test_errors_are_of_the_one_kind_that_is_shown_without_a_traceback() -> None:
    assert issubclass(NoSourceError, StageError)
    assert issubclass(ForeignFolderError, StageError)
    assert not holds(Path(sys.executable), FILES)


def test_certificates_that_are_not_there_are_the_hosts_fault_and_the_next_source_has_its_turn(
    server: Server, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests would call it an OSError, as of a disk that is full."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nope.pem")
    next_source = Canned(CONTENT)
    assert get([hosts(server, "tiny.tar.gz", b"x"), next_source], out) is next_source
    assert "hosts" in (said := capsys.readouterr().err)
    assert "REQUESTS_CA_BUNDLE=/nope.pem does not exist" in said
    assert server.asked == []
