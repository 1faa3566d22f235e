"""One file over HTTP: bounded in size and in patience, retried where a second try can help."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NameResolutionError, NewConnectionError
from urllib3.util import Retry

from stages.fetch.errors import SourceError
from stages.fetch.progress import note, progress

_CHUNK = 1 << 18  # bytes read at a time
_TRANSIENT = (429, 500, 502, 503, 504)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    `connect` holds for one address and a name may have many, so `answer` bounds it all: the look-up, the connection
    with its retries, and the first line of the answer. `read` is the longest silence within a transfer.
    """

    connect: float = 4.0
    answer: float = 9.0
    read: float = 30.0
    transfers: int = 3
    backoff: float = 0.5  # doubled at every try


class _BrokenTransferError(SourceError):
    """The answer began well and broke off; a new try may get the rest."""


def fetch_url(url: str, target: Path, limit: int, patience: Patience | None = None) -> None:
    """Write what `url` answers to `target`: at most `limit` bytes, as they are stored there (no decoding).

    SourceError if there is no answer, an HTTP error, more than `limit` bytes, or a transfer that breaks each time.
    """
    patience = patience or Patience()
    for number in range(1, patience.transfers + 1):
        try:
            return _transfer(url, target, limit, patience)
        except _BrokenTransferError as error:
            if number == patience.transfers:
                raise
            note(f"{target.name}: {error.message}; trying again")
            time.sleep(patience.backoff * 2**number)
    raise ValueError(f"patience for {patience.transfers} transfers")


def _transfer(url: str, target: Path, limit: int, patience: Patience) -> None:
    with _session(patience) as session, _answer(session, url, patience) as response:
        if not response.ok:
            raise SourceError(f"HTTP {response.status_code} {response.reason}")
        size = response.raw.length_remaining or 0  # what was announced, 0 if nothing was
        if size > limit:
            raise SourceError(f"{size} bytes; expected at most {limit}")
        try:
            _save(response, target, limit, size or limit)
        except HTTPError as error:
            raise _BrokenTransferError(f"the transfer broke off ({error})") from error


def _save(response: requests.Response, target: Path, limit: int, size: int) -> None:
    """Write the body; urllib3 raises an HTTPError if it is shorter than the Content-Length that was announced."""
    written = 0
    with target.open("wb") as file, progress(target.name, size) as advance:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            written += len(chunk)
            if written > limit:
                raise SourceError(f"more than the {limit} bytes expected")
            file.write(chunk)
            advance(len(chunk))


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
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _answer(session: requests.Session, url: str, patience: Patience) -> requests.Response:
    """Ask for `url` and wait for the headers of the answer, not longer than `patience` allows."""

    def ask() -> requests.Response:
        return session.get(url, stream=True, timeout=(patience.connect, patience.read))

    try:
        return _within(patience.answer, ask)
    except TimeoutError:
        raise SourceError(f"no answer in {patience.answer:g} s") from None
    except requests.RequestException as error:
        raise SourceError(_reason(error, patience)) from error


def _within(seconds: float, call: Callable[[], _Result]) -> _Result:
    """Give what `call` gives or raises, or raise TimeoutError. Name look-ups know no time limit of their own."""
    future: Future[_Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future.result(timeout=seconds)


def _reason(error: requests.RequestException, patience: Patience) -> str:
    """Say in a few words what requests and urllib3 wrap several times over."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, MaxRetryError) and cause.reason:
        cause = cause.reason
    if isinstance(cause, NameResolutionError):
        return "the name look-up failed"
    if isinstance(cause, NewConnectionError):  # a kind of ConnectTimeoutError to urllib3, but it took no time
        return str(cause).rpartition(": ")[2]
    if isinstance(cause, ConnectTimeoutError):
        return f"no connection in {patience.connect:g} s"
    return str(cause)
