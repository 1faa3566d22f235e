"""What pydantic refuses, in our words. This is the one place that reads pydantic's errors.

Whoever validates a file builds its own error of them: a `ParamError` for what a user writes, a `CorruptFileError` for
what a stage has written.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from stages.core.errors import did_you_mean, dotted

KeyPath = tuple[str | int, ...]


class Refusal(NamedTuple):
    """A key that is refused: where it is, its value (None if `missing`) and what is allowed there.

    `conflict` says what does not fit together, where that is more than one key; `path` is then that of their section.
    """

    path: KeyPath
    value: Any
    allowed: str
    missing: bool = False
    conflict: str = ""

    @property
    def key(self) -> str:
        """The path as one reads it; empty where it is the whole content."""
        return dotted(self.path)

    @property
    def top(self) -> str:
        """The first key of the path; empty where it is the whole content."""
        return str(self.path[0]) if self.path else ""


def refused_keys(error: ValidationError, content: Any) -> list[Refusal]:
    """The keys that pydantic refuses in `content`, which is what was validated; the first found is first.

    A union has a finding for each of its members: they are one refusal.
    """
    findings: dict[KeyPath, list[Any]] = {}
    for location, finding in _findings(error):
        findings.setdefault(_path(location, finding, content), []).append(finding)
    return [_refusal(path, found) for path, found in findings.items()]


def _findings(error: ValidationError, outer: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """pydantic's findings with their locations, also those of a validator that reads a part of the content."""
    for finding in error.errors(include_url=False):
        location = (*outer, *finding["loc"])
        inner = finding.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _findings(inner, location)
        else:
            yield location, finding


def _path(location: KeyPath, finding: Any, content: Any) -> KeyPath:
    """Where in the content a finding is: a location also names members of unions, which are no keys of it."""
    parts: list[str | int] = []
    for part in location:
        if part in content if isinstance(content, dict) else isinstance(content, list) and isinstance(part, int):
            parts.append(part)
            content = content[part]
    if finding["type"] == "missing":
        parts.append(location[-1])
    elif finding["type"] == "unknown_key":
        parts.append(finding["ctx"]["key"])
    return tuple(parts)


def _refusal(path: KeyPath, findings: list[Any]) -> Refusal:
    first = findings[0]
    if first["type"] == "missing":
        return Refusal(path, None, "", missing=True)
    if first["type"] == "value_error":
        return Refusal(path, first["input"], "parts that fit together", conflict=str(first["ctx"]["error"]))
    value = first["input"]
    if first["type"] == "unknown_key":
        value = value[first["ctx"]["key"]]
    return Refusal(path, value, " or ".join(dict.fromkeys(map(_allowed, findings))))


def _allowed(finding: Any) -> str:
    if finding["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "a mapping of keys to values"
    if finding["type"] == "extra_forbidden":
        return "no such key"
    if finding["type"] == "unknown_key":
        known, key = finding["ctx"]["known"].split(", "), str(finding["ctx"]["key"])
        return str(finding["msg"]) + did_you_mean(key, known, most=1)
    if finding["type"] == "too_short" and finding["ctx"]["min_length"] == 1:
        return "at least one entry"
    return finding["msg"].removeprefix("Input should be ")
