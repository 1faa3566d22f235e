"""The outcomes of a check: passed, broken, incomplete (not here), agrees, or a note."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from stages.core.errors import ContradictionError, CorruptFileError, StageError, printable
from stages.report.levels import LEVELS, Level

Status = Literal["holds", "agrees", "incomplete", "broken"]  # each outweighs those before it
HOLDS: Status = "holds"
AGREES: Status = "agrees"
INCOMPLETE: Status = "incomplete"
_LONGEST = 320  # characters of a value or a sentence: two hashes with their places
BROKEN: Status = "broken"


class Finding(NamedTuple):
    """One outcome of a check.

    `where` is the file, and the key in it. Of what is broken, `found` is what stands there and `held_against` what
    another place says, with its name; which of the two is false is not known (`held_against` is empty where `found`
    says all of it). `outdated` says that what was recorded holds together, and that the file in the working tree has
    become another since; `of_page` that `found` is what a page prints and `held_against` what its results give. Of what
    is incomplete, `how` says how to get it, and `level` is the first level that needs it. A note with a `level` says
    that the check of that level is passed.
    """

    kind: Literal["agrees", "incomplete", "broken", "note"]
    where: str
    found: str = ""
    held_against: str = ""
    how: str = ""
    outdated: bool = False
    of_page: bool = False
    level: Level | None = None

    def __str__(self) -> str:
        if self.kind == BROKEN:
            since = " (changed since; dvc repro runs again)" if self.outdated else ""
            if self.of_page:
                return f"{self.where}: the page has {self.found}; its results give {self.held_against}{since}"
            if not self.held_against:
                return f"{self.where}: {self.found}{since}"
            return f"{self.where}: found {self.found}; held against {self.held_against}{since}"
        return f"{self.where} is not here: {self.how}" if self.kind == INCOMPLETE else self.where


def broken(where: object, found: object, held_against: object, outdated: bool = False) -> Finding:
    """Two things that must be the same differ: what stands at `where`, and what another place or rule says."""
    return Finding("broken", printable(where), _short(found), _short(held_against), outdated=outdated)


def invalid(where: object, what: object) -> Finding:
    """Something is wrong that one sentence says, `what`: no single other place contradicts it."""
    return Finding("broken", printable(where), _short(what))


def page_differs(where: object, found: object, given: object) -> Finding:
    """A page prints something else than its results give."""
    return broken(where, found, given)._replace(of_page=True)


def missing(where: object, how: str, level: Level = "consistent") -> Finding:
    """Something that `level` needs is not on this clone; `how` says how to get it."""
    return Finding("incomplete", printable(where), how=printable(how), level=level)


def agrees(text: str) -> Finding:
    """Two values that may differ in their bits are within the tolerance; this raises no level."""
    return Finding("agrees", printable(text))


def note(text: str) -> Finding:
    """Nothing wrong, but worth knowing."""
    return Finding("note", _short(text))


def judged(where: object, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a check; an exception that ends it is one more, at `where` if it names no file.

    A hostile file may raise anything. That is a finding about its number, and must not stop the checks of the others.
    """
    try:
        yield from findings
    except ContradictionError as error:
        yield invalid(error.path, f"{error.found}, {error.expected}")
    except CorruptFileError as error:
        yield broken(error.path, error.found, error.expected)
    except StageError as error:
        yield invalid(where, error.message)
    except Exception as error:
        yield invalid(where, f"it cannot be judged: {type(error).__name__} ({error})")


def passed(level: Level, text: str) -> Finding:
    """The check of a level is passed; `text` says what came out."""
    return Finding("note", text, level=level)


def levels(findings: Iterable[Finding]) -> list[Level]:
    """The levels whose checks are passed.

    A missing file blocks only the levels that need it. Any broken finding leaves no level.
    """
    found = [*findings]
    kinds = {finding.kind for finding in found}
    if BROKEN in kinds:
        return []
    lacking = {finding.level for finding in found if finding.kind == INCOMPLETE}
    shown = {finding.level for finding in found if finding.kind == "note"}
    plain = [level for level in LEVELS[:2] if level not in lacking]
    return [*plain, *(level for level in LEVELS[2:] if level in shown)]


def status(findings: Iterable[Finding], asked: Collection[Level] = LEVELS[:2]) -> Status:
    """The status of a number with these findings, of which the levels `asked` are asked."""
    found = [*findings]
    kinds = {finding.kind for finding in found}
    if BROKEN in kinds:
        return BROKEN
    if {*asked} <= {*levels(found)}:
        return HOLDS
    lacking = any(finding.kind == INCOMPLETE and finding.level in asked for finding in found)
    return AGREES if AGREES in kinds and not lacking else INCOMPLETE


def differences(
    where: str, found: Any, other: Any, said_by: str, outdated: bool = False, exact: bool = True
) -> list[Finding]:
    """A finding for each key of two JSON values that differ; not `exact` allows floats a last place, see `same`."""
    return [
        broken(f"{where}{key}", ours, f"{theirs} ({said_by})", outdated)
        for key, ours, theirs in _differing(found, other, exact)
    ]


def page_differences(where: str, found: Any, given: Any) -> list[Finding]:
    """A finding for each key in which what a page prints differs from what its results give."""
    return [page_differs(f"{where}{key}", ours, theirs) for key, ours, theirs in _differing(found, given)]


def _differing(found: Any, other: Any, exact: bool = True) -> Iterator[tuple[str, str, str]]:
    """Each key of two JSON values that differ, with both values as text."""
    ours, theirs = _leaves(found), _leaves(other)
    absent = object()
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        if not same(ours.get(name, absent), theirs.get(name, absent), exact):
            yield _key(name), _shown(ours, name), _shown(theirs, name)


def same(one: Any, other: Any, exact: bool = True) -> bool:
    """Whether two leaves of JSON are the same.

    Not `exact`, floats may differ by 1e-9: sums in another order do, in another version of scikit-learn, and fractions
    of whole images differ by a thousand times more.
    """
    if not exact and isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9
    return type(one) is type(other) and bool(one == other)


def _leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Values by their dotted names; lists, and mappings that hold nothing, are values."""
    if not (isinstance(tree, dict) and tree):
        return {prefix or ".": tree}
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    return leaves


def _key(name: str) -> str:
    return "" if name == "." else f", {name}"


def _shown(leaves: dict[str, Any], name: str) -> str:
    return repr(leaves[name]) if name in leaves else "nothing"


def _short(value: object) -> str:
    text = printable(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 60]} ... {text[-50:]}"
