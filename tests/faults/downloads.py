"""Downloads from hosts that are hostile or broken: nothing wrong is accepted, nothing lands outside of the folder."""

import gzip
import hashlib
import io
import os
import resource
import tarfile
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from unittest.mock import patch

from stages.download.obtain import NoSourceError, obtain
from stages.download.sources import Archive, HostSource
from stages.download.web import Patience
from tests.faults.outcome import Outcome, check
from tests.unit.download.test_obtain import CONTENT as GOOD
from tests.unit.download.test_obtain import FILES, Serve, Server, answer, tarball

PATIENCE = Patience(connect=0.5, answer=1.0, read=0.5, slow=0.5, backoff=0.01)
_LONGEST = 30.0  # seconds that one download may take with this patience
_MOST = 200 << 20  # bytes of memory that one may take: three times the largest file that is taken from an archive
NAME = "tiny.tar.gz"


def run(draw: Random, folder: Path, amount: float) -> Iterator[Outcome]:
    """Every kind once, or as often as `amount` says; the order is drawn."""
    outcome = Outcome("downloads", "a hostile or broken host, 31 kinds")
    kinds = [*_answers(draw).items(), *_archives().items()] * max(1, round(amount))
    draw.shuffle(kinds)
    server = Server()
    server.httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on it
    server.thread.start()
    try:
        for number, (kind, (served, published, accepted)) in enumerate(kinds):
            with outcome.trial(kind), patch.dict(os.environ, NO_PROXY="127.0.0.1"):
                _download(server, folder / f"download-{number}", served, published, accepted)
    finally:
        server.stop.set()
        server.httpd.shutdown()
        server.httpd.server_close()
    yield outcome


Kind = tuple[Serve, bytes, bool]  # what the host answers, what it should, and whether that is to be accepted


def _download(server: Server, folder: Path, served: Serve, published: bytes, accepted: bool) -> None:
    (folder / "raw").mkdir(parents=True)
    (folder / "secret").write_text("outside", encoding="utf-8")
    server.answers[f"/{NAME}"] = [served]
    source = HostSource([Archive(f"{server.url}/{NAME}", len(published), "sha256", _sha256(published))], PATIENCE)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    out = folder / "raw" / "tiny"
    try:
        obtain("tiny", FILES, [source], out, "images, labels")
    except NoSourceError:
        check(not out.exists(), "refused, and left something")
        check(not accepted, "refused a whole download")
    else:
        check(accepted, "accepted")
        check({path.name: path.read_bytes() for path in out.iterdir()} == GOOD, "accepted other bytes")
    check({path.name for path in folder.iterdir()} == {"raw", "secret"}, "something lies outside of the folder")
    check([path.name for path in (folder / "raw").iterdir()] == ["tiny"] * out.exists(), "something is left beside it")
    check((folder / "secret").read_text(encoding="utf-8") == "outside", "a file outside is changed")
    check(time.monotonic() - start < _LONGEST, "it took too long")
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    check(taken < _MOST, f"{taken >> 20} MiB of memory")


def _answers(draw: Random) -> dict[str, Kind]:
    """What a host may do with a whole archive."""
    good = tarball(GOOD)
    cut = draw.randrange(1, len(good))
    flipped = bytearray(good)
    flipped[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
    bomb = gzip.compress(bytes(64 << 20))
    return {
        "as it should": (answer(good), good, True),
        "cut": (answer(good[:cut], announced=len(good)), good, False),
        "shorter": (answer(good[:cut]), good, False),
        "longer": (answer(good + b"x"), good, False),
        "empty": (answer(b""), good, False),
        "one bit is another": (answer(bytes(flipped)), good, False),
        "other content": (answer(draw.randbytes(len(good))), good, False),
        "a web page": (answer(b"<!doctype html><title>Log in</title>"), good, False),
        "endless": (_endless, good, False),
        "endless in chunks": (_chunked, good, False),
        "announces a terabyte": (answer(good, announced=1 << 40), good, False),
        "a length that is none": (_header("Content-Length", "many", good), good, False),
        "a negative length": (_header("Content-Length", "-1", good), good, False),
        "silent at once": (_silent, good, False),
        "silent in the middle": (_stalled(good), good, False),
        "drips": (_drips(good), good, False),
        "404": (answer(b"no", 404), good, False),
        "500": (answer(b"no", 500), good, False),
        "redirects in a circle": (_redirect(f"/{NAME}"), good, False),
        "redirects to a file": (_redirect("file:///etc/passwd"), good, False),
        "no HTTP": (_noise(draw), good, False),
        "compressed again, a bomb": (_encoded(bomb), good, False),
        "breaks, and goes on": (_resumes(good, len(good) // 2 + 1), good, True),
        "breaks, and goes on with other bytes": (_resumes_otherwise(good, len(good) // 2), good, False),
    }


def _archives() -> dict[str, Kind]:
    """Archives with the right hash, as a user's or a changed catalogue may have them: what lies in them counts."""
    found = {}
    for name, member in {
        "absolute paths": tarfile.TarInfo("/tmp/h_faults/images"),
        "paths with ..": tarfile.TarInfo("../../secret"),
        "a symbolic link": _member("images", tarfile.SYMTYPE, "../../../secret"),
        "a hard link": _member("images", tarfile.LNKTYPE, "../../../secret"),
        "a device": _member("images", tarfile.CHRTYPE),
    }.items():
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.addfile(member, io.BytesIO())
        found[f"a tar with {name}"] = (answer(buffer.getvalue()), buffer.getvalue(), False)
    bomb = tarball({"images": bytes(300 << 20), "labels": GOOD["labels"]})
    found["a tar that is a bomb"] = (answer(bomb), bomb, False)
    torn = tarball(GOOD)[:-2000]
    found["a tar that is torn"] = (answer(torn), torn, False)
    return found


def _member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _send(request: BaseHTTPRequestHandler, *headers: tuple[str, str], status: int = 200) -> None:
    request.send_response(status)
    for header in headers:
        request.send_header(*header)
    request.end_headers()


def _endless(request: BaseHTTPRequestHandler) -> None:
    _send(request)
    while True:
        request.wfile.write(bytes(1 << 16))


def _chunked(request: BaseHTTPRequestHandler) -> None:
    request.protocol_version = "HTTP/1.1"
    _send(request, ("Transfer-Encoding", "chunked"))
    while True:
        request.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def _silent(request: BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)


def _stalled(body: bytes) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        _send(request, ("Content-Length", str(len(body))))
        request.wfile.write(body[: len(body) // 2])
        time.sleep(1.0)

    return serve


def _drips(body: bytes) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        _send(request, ("Content-Length", str(len(body))))
        for position in range(40):
            request.wfile.write(body[position : position + 1])
            request.wfile.flush()
            time.sleep(0.1)

    return serve


def _header(name: str, value: str, body: bytes) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        _send(request, (name, value))
        request.wfile.write(body[:-1])

    return serve


def _redirect(target: str) -> Serve:
    return lambda request: _send(request, ("Location", target), status=302)


def _noise(draw: Random) -> Serve:
    content = draw.randbytes(2000)

    def serve(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(content)

    return serve


def _encoded(body: bytes) -> Serve:
    def serve(request: BaseHTTPRequestHandler) -> None:
        _send(request, ("Content-Encoding", "gzip"), ("Content-Length", str(len(body))))
        request.wfile.write(body)

    return serve


def _resumes(body: bytes, most: int, alter: Callable[[bytes], bytes] = bytes) -> Serve:
    """Each answer ends after `most` bytes, and the next one goes on there."""

    def serve(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        rest = body[start:] if not start else alter(body[start:])
        headers = [("Content-Length", str(len(rest)))]
        if asked:
            headers.append(("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}"))
        _send(request, *headers, status=206 if asked else 200)
        request.wfile.write(rest[:most])

    return serve


def _resumes_otherwise(body: bytes, most: int) -> Serve:
    return _resumes(body, most, lambda rest: bytes(len(rest)))


JOBS = {"hosts": run}
