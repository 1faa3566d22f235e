"""Progress of a stage, on standard error: a bar on a terminal, plain lines in a log."""

import atexit
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
_LOG_EVERY = 10.0  # seconds between two lines of one loop in a log


def on_terminal() -> bool:
    """Whether standard error is a terminal. It may be closed, which Python shows as None."""
    return bool(sys.stderr and not sys.stderr.closed and sys.stderr.isatty())


def say(line: str) -> None:
    """Print one line to standard error, without breaking a progress bar.

    A line that cannot be written is lost, and the stage goes on: a terminal that was closed, a log on a full disk.
    """
    if sys.stderr is None:
        return
    with suppress(OSError, ValueError):  # ValueError of a file that was closed
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()


def _drop_unwritten() -> None:
    """Give up what standard error still holds and cannot take: Python would end with status 120 for it."""
    try:
        if sys.stderr:
            sys.stderr.flush()
    except (OSError, ValueError):
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        os.close(silent)


atexit.register(_drop_unwritten)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `48 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the `items`, and show how many of `total` are done and how long the rest takes."""
    if on_terminal():
        yield from tqdm(items, total=total, desc=what, file=sys.stderr, leave=False)
        return
    start = said = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said >= _LOG_EVERY and done < total:
            said = now
            say(f"{what}: {done}/{total}, {duration((now - start) / done * (total - done))} left")
