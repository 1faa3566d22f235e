"""How far a transfer is: a bar on a terminal, a plain line every tenth where the output goes to a file or a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from tqdm import tqdm

Advance = Callable[[int], object]
_STEP = 10  # percent between two plain lines


def note(message: str) -> None:
    """Say `message` on standard error, where it cannot mix with a command's result."""
    click.echo(message, err=True)


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Give a function that takes the number of bytes done since its last call; `total` is the number expected."""
    if sys.stderr.isatty():
        with tqdm(desc=label, total=total, unit="B", unit_scale=True) as bar:
            yield bar.update
    else:
        yield _plain(label, total)


def _plain(label: str, total: int) -> Advance:
    done = shown = 0

    def advance(count: int) -> None:
        nonlocal done, shown
        done += count
        percent = 100 * done // max(total, 1)
        if percent >= shown + _STEP:
            shown = percent - percent % _STEP
            note(f"{label}: {shown} % of {total / 1e6:.1f} MB")

    return advance
