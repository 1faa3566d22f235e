"""The one base error of the pipeline.

Every refusal that a user can cause or cure is a `StageError`: click prints its message as one `Error: ...` line on
standard error and exits with status 1, without a traceback. A traceback therefore always means a bug in here.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import click

_LONGEST_KEY = 100  # characters of a key that a message shows


class StageError(click.ClickException):
    """A refusal with a message for the user. Subclasses build the message from the data they are given."""


def printable(text: object) -> str:
    """A text on one line, with nothing that moves a cursor or turns the reading direction.

    Line breaks, control and format characters and lone surrogates are written as in a Python literal: what comes from
    a file must not look like a line of ours.
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in words
    )


def shown(value: object, longest: int = 200) -> str:
    """A value's `repr` for a message, cut when it is long. Works for values too large or deep to print."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints; a deep nesting
        return f"({type(value).__name__} too large to print)"
    return text if len(text) <= longest else text[: longest - 3] + "..."


def dotted(parts: Iterable[object]) -> str:
    """A place in nested sections: its keys with dots between, on one line whatever characters they hold."""
    words = (word if len(word) <= _LONGEST_KEY else f"{word[:_LONGEST_KEY]}..." for word in map(str, parts))
    return ".".join(word if word.isprintable() else ascii(word) for word in words)


def few(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first items, and how many more there are: `a, b, and 3 more`."""
    more = [f"and {len(items) - most} more"] if len(items) > most else []
    return separator.join([*items[:most], *more])


def did_you_mean(word: str, names: Iterable[str], most: int = 3) -> str:
    """` (did you mean a or b?)` with the names closest to a word; empty if none is close."""
    by_name = {name.casefold(): name for name in names}
    return meant([by_name[name] for name in get_close_matches(word.casefold(), list(by_name), n=most)])


def meant(names: Sequence[str]) -> str:
    """` (did you mean a or b?)`; empty without names."""
    return f" (did you mean {' or '.join(names)}?)" if names else ""


class ParamError(StageError):
    """A value in `params.yaml`, in `data/paper` or on the command line that is not allowed."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(printable(f"{key}: {shown(value)} is not allowed; allowed: {allowed}"))


class CorruptFileError(StageError):
    """A file that exists and is not what it should be."""

    def __init__(self, path: object, found: object, expected: str) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(printable(f"{path}: {found}; expected {expected}"))


class ContradictionError(CorruptFileError):
    """A file in which two places contradict each other: neither is known to be the false one."""

    def __init__(self, path: object, one: str, other: str) -> None:
        self.path, self.found, self.expected = path, one, other
        super(CorruptFileError, self).__init__(printable(f"{path}: {one}, {other}"))


class MissingFileError(StageError):
    """A file that a stage needs and that an earlier stage makes."""

    def __init__(self, path: object, made_by: str) -> None:
        super().__init__(printable(f"{path} is missing; it is made by: {made_by}"))
