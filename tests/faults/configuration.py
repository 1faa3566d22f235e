"""Malformed params.yaml of every kind: one line that names the file and, where there is one, the key."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from stages.config import loading as module
from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.core.errors import StageError
from tests.faults.outcome import Outcome, check
from tests.shipped import shipped

_FULL = 1000
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "all"),
    *("none", "word", "../x", "a\0b", "a\nb", "x" * 10_000, [], {}, [[]], [None], {"a": 1}, {1: 2}, {"": ""}),
)
TEXTS = (
    *("", "\n", "# nothing", "3", "word", "[]", "{}", "a: b: c", "\ta: 1", "a: [1", "'", '"', "a: *nothing", "&a [*a]"),
    *("a: 1\na: 2", "%YAML 9.9\n---\na: 1", "--- 1\n--- 2", "!!python/object/apply:os.mkdir ['/tmp/h_faults_evil']"),
    *("a: !!binary x", "? [a]\n: 1", "[" * 3000, "a: " + "[" * 3000 + "]" * 3000, "a: " + "9" * 10_000, "\0", "\ufeff"),
    '{"\\ud800": 1}',  # a lone surrogate, which YAML refuses
    *("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> b", "a: 1\r\nb: 2\r", "a: 0x", "a: 1e999", "a: .nan", "a: 1:30:00"),
    "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in pairwise("abcdefg")),
)


def run(draw: Random, folder: Path, amount: float) -> Iterator[Outcome]:
    """Values, keys and structure in place of others; then texts."""
    values = Outcome("configuration", "a value or key of params.yaml is another")
    good = shipped()
    places = list(_places(good, ()))
    original = module.read_yaml
    try:
        for _ in range(max(10, round(_FULL * amount))):
            place, bad = draw.choice(places), draw.choice(VALUES)
            data = json.loads(json.dumps(good))
            how = _change(data, place, bad, draw)
            module.read_yaml = partial(_given, data)
            with values.trial(f"{how} {'.'.join(map(str, place))}"):
                _refused_in_a_line(place)
    finally:
        module.read_yaml = original
    yield values
    texts = Outcome("configuration", "the text of params.yaml is no such YAML")
    whole = json.dumps(good)
    file = folder / "params.yaml"
    torn = [whole[: draw.randrange(len(whole))] for _ in range(max(3, round(40 * amount)))]
    others = [whole.encode("utf-16"), whole.encode("utf-32"), b"\xff\xfe\xfa", bytes(range(256)), b"\x80" * 100]
    for content in [*(text.encode("utf-8", "surrogatepass") for text in (*TEXTS, *torn)), *others]:
        file.write_bytes(content)
        with texts.trial(repr(content[:40])):
            try:
                load_params(file)
            except StageError as error:
                check(str(file) in error.message or "params.yaml" in error.message, f"not named: {error.message[:100]}")
                check("\n" not in error.message, "more than a line")
            else:
                raise AssertionError("accepted")
    check(not Path("/tmp/h_faults_evil").exists(), "YAML has run code")
    check(callable(read_yaml), "the reader is back")
    yield texts


def _given(data: Any, _: Path | str) -> Any:
    return data


def _refused_in_a_line(place: tuple[Any, ...]) -> None:
    """Accepted, as a change of a number may be, or refused in one line that names its section."""
    try:
        load_params()
    except StageError as error:
        check("\n" not in error.message, "more than a line")
        check(error.message.startswith("params.yaml"), f"not of params.yaml: {error.message[:100]}")
        check(len(error.message) < 3000, "longer than anyone reads")


def _change(data: Any, place: tuple[Any, ...], bad: Any, draw: Random) -> str:
    """Put a bad value at a place, or take the place away, or add a key there, or rename it; returns what was done."""
    parent = data
    for key in place[:-1]:
        parent = parent[key]
    how = draw.choice(("set", "set", "set", "removed", "added", "renamed"))
    if how == "removed":
        del parent[place[-1]]
    elif how == "added" and isinstance(parent, dict):
        parent[bad if isinstance(bad, str | int | float | bool) or bad is None else "unknown"] = 1
    elif how == "renamed" and isinstance(parent, dict):
        parent[str(bad)[:50]] = parent.pop(place[-1])
    else:
        how, parent[place[-1]] = "set", bad
    return how


def _places(part: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield from _places(value, (*place, key))


JOBS = {"params": run}
