"""One file over HTTP: bounded in size and in patience, resumed where the line broke.

Our own on requests, since pooch 1.9.0 (its `HTTPDownloader` and `stream_download` read, and run against a local server)
lacks what this file is for:
- Every attempt asks for byte 0, into a new temporary file: 170 MB never arrive over a line that breaks after 60.
- It writes whatever comes until the answer ends, and compares hashes then: an endless answer fills the disk.
- A silent name look-up is bounded by nothing, since the time limit of requests starts with the connection.
- Its retries do not tell a 404 from a break: with three of them, the next source has its turn after four refusals.
A downloader of our own within pooch would be this file again. Of pooch it would use the comparison of one hash, which
npm's tarball and the files themselves need here too.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.util import Retry

from stages.core.errors import StageError
from stages.core.progress import say, track

_MB = 1_000_000  # bytes read at a time, and shown as one step
_STEP = 1 << 18  # bytes that a transfer must bring beyond all before it, or it counts as failed
_TRANSIENT = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    `connect` holds for one address and a name may have many, so `answer` bounds it all: the look-up, the connection
    with its retries, and the first line of the answer. `read` is the longest silence within a transfer, which breaks
    off too when `slow` seconds bring less than `least` bytes: a line that drips would take years.
    """

    connect: float = 4.0
    answer: float = 9.0
    read: float = 30.0
    slow: float = 60.0
    least: int = 100_000
    failures: int = 3  # transfers in a row that bring nothing new
    backoff: float = 0.5  # doubled at every failure


def fetch_url(url: str, target: Path, limit: int, patience: Patience) -> None:
    """Write what `url` answers to `target`: at most `limit` bytes, as they are stored there (no decoding).

    A transfer that breaks off is resumed as long as each brings something new. StageError if there is no answer, an
    HTTP error, more than `limit` bytes, or too many transfers in a row that bring nothing.
    """
    target.touch()
    failures = most = 0
    while True:
        try:
            return _transfer(url, target, limit, patience)
        except (HTTPError, requests.RequestException) as error:
            size = target.stat().st_size
            failures = 0 if size >= most + _STEP else failures + 1
            most = max(most, size)
            reason = f"the transfer broke off at {size / _MB:.1f} MB ({_reason(error)})"
            if isinstance(error, requests.RequestException) and size == 0:
                raise StageError(_reason(error)) from error  # no connection at all: the next source has its turn
            if failures == patience.failures:
                raise StageError(reason) from error
        say(f"{target.name}: {reason}; trying again")
        time.sleep(patience.backoff * 2**failures)


def answers(url: str, patience: Patience) -> str:
    """Why `url` cannot be had now; empty where it can. Nothing is read but the headers of the answer."""
    try:
        with _session(patience) as session, _answer(session, url, {}, patience) as response:
            return "" if response.ok else f"HTTP {response.status_code} {response.reason}"
    except (HTTPError, requests.RequestException) as error:
        return _reason(error)


def _transfer(url: str, target: Path, limit: int, patience: Patience) -> None:
    """One request for what `target` lacks. urllib3 raises an HTTPError if the body is shorter than was announced."""
    size = target.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
    with _session(patience) as session, _answer(session, url, headers, patience) as response:
        if not response.ok:
            raise StageError(f"HTTP {response.status_code} {response.reason}")
        if response.status_code != requests.codes.partial_content:
            size = 0  # the host sends it all again
        announced = size + (response.raw.length_remaining or 0)  # the part before alone, if nothing was
        if announced > limit:
            raise StageError(f"{announced} bytes; expected at most {limit}")
        steps = -(-((announced if announced > size else limit) - size) // _MB)
        with target.open("ab") as file:
            file.truncate(size)
            for chunk in track(_chunks(response, patience), steps, f"{target.name}, MB"):
                size += len(chunk)
                if size > limit:
                    raise StageError(f"more than the {limit} bytes expected")
                file.write(chunk)


def _chunks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """The body as it is sent, about _MB at a time. Raises ReadTimeout where the line drips."""
    chunk, window, begun = b"", 0, time.monotonic()
    try:
        while part := response.raw.read1(_MB, decode_content=False):
            chunk, window = chunk + part, window + len(part)
            while len(chunk) >= _MB:
                yield chunk[:_MB]
                chunk = chunk[_MB:]
            if (now := time.monotonic()) - begun > patience.slow:
                if window < patience.least:
                    raise requests.ReadTimeout(f"less than {patience.least} bytes in {patience.slow:g} s")
                window, begun = 0, now
    except ProtocolError:  # the line is broken, and what has come is kept
        yield chunk
        raise
    yield chunk


def _session(patience: Patience) -> requests.Session:
    retry = Retry(
        total=3,
        connect=1,
        backoff_factor=patience.backoff,
        status_forcelist=_TRANSIENT,
        respect_retry_after_header=False,  # it may ask for minutes, and another source may have the data now
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _answer(session: requests.Session, url: str, headers: dict[str, str], patience: Patience) -> requests.Response:
    """The headers of the answer, in a thread: a name look-up knows no time limit of its own."""
    answer: Future[requests.Response] = Future()

    def ask() -> None:
        try:
            timeout = (patience.connect, patience.read)
            answer.set_result(session.get(url, headers=headers, stream=True, timeout=timeout))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=patience.answer)
    except TimeoutError:
        raise requests.ConnectTimeout(f"no answer in {patience.answer:g} s") from None


def _reason(error: Exception) -> str:
    """The end of what requests and urllib3 wrap several times over."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause).rpartition(": ")[2]
