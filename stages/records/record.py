"""The base of every record: a frozen, typed JSON file, whole or refused.

A stage writes a record with `write`, everybody else reads it with `read`. This is the one place where the JSON of a
record is parsed and where pydantic's errors become a message.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.errors import CorruptFileError, dotted, shown
from stages.core.files import json_hash, json_text, read_json, write_text

NonEmptyStr = Annotated[str, Field(min_length=1)]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$")]  # ISO 8601 with its zone
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]

_UNBOUND = "0" * 64  # in place of a binding, until it is computed


class Section(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


class Record(Section):
    """A JSON file that one stage writes."""

    @classmethod
    def read(cls, path: Path | str, made_by: str) -> Self:
        """Read the record that `made_by` (a stage or command) writes.

        Raises MissingFileError, or CorruptFileError for a file that is not, byte for byte, what its content is written
        as: a key that stands twice would be read as either.
        """
        content = read_json(path, made_by)
        record = cls.parse(content, path, made_by)
        if json_text(content).encode() != Path(path).read_bytes():
            raise CorruptFileError(path, "other bytes than its own content gives", f"the bytes that {made_by} writes")
        return record

    @classmethod
    def parse(cls, content: Any, path: Path | str, made_by: str) -> Self:
        """A record from the content of the file at `path`. Raises CorruptFileError, naming the first wrong key."""
        if not isinstance(content, dict):
            raise CorruptFileError(path, f"a {type(content).__name__}", f"the record that {made_by} writes")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            key, found, allowed = first_finding(error, content)
            if found is None:
                raise CorruptFileError(path, f"no {key}", f"the record that {made_by} writes today") from None
            raise CorruptFileError(path, f"{key}: {found}", allowed) from None

    def content(self) -> dict[str, Any]:
        """The record as plain JSON data: what was written into it, without fields that a later version has added."""
        content = self.model_dump(mode="json", exclude_unset=True)
        return {"schema": version, **content} if (version := getattr(self, "version", None)) else content

    def text(self) -> str:
        """The text of the record's file: reading a file and taking its text gives its bytes again."""
        return json_text(self.content())

    def md5(self) -> str:
        """md5 of the record's file, as `dvc.lock` has it."""
        return json_hash(self.content())

    def write(self, path: Path | str) -> None:
        """Write the record, whole or not at all."""
        write_text(path, self.text())


class BoundRecord(Record):
    """A record with a `binding`: one hash over what must not be exchanged in it."""

    @classmethod
    def bound(cls, **fields: Any) -> Self:
        """A record whose `binding` is computed from its other fields."""
        whole = {"schema": 2, **fields}
        unbound = cls.model_validate({**whole, "binding": _UNBOUND}, context={"unbound": True})
        return cls.model_validate({**whole, "binding": unbound.expected_binding()})

    def expected_binding(self) -> str:
        """The binding of the other fields."""
        raise NotImplementedError


def first_finding(error: ValidationError, content: Any = None) -> tuple[str, str | None, str]:
    """The first key that pydantic refuses, its value, cut to 60 characters (None: it is missing), and what is allowed.

    `content` is what was validated: pydantic names members of unions as if they were keys. Of a record whose parts do
    not fit together, the value is what does not fit.
    """
    first, place = error.errors(include_url=False)[0], list[str | int]()
    while isinstance(inner := first.get("ctx", {}).get("error"), ValidationError):  # of a validator that reads a part
        place += first["loc"]
        first = inner.errors(include_url=False)[0]
    place += first["loc"]
    value, allowed = first["input"], first["msg"].removeprefix("Input should be ")
    if first["type"] == "unknown_key":
        place.append(first["ctx"]["key"])
        value = value[first["ctx"]["key"]]
    if first["type"] == "missing":
        return dotted(place), None, allowed
    key = dotted(place if content is None else _keys_of(content, place)) or "the file"
    if first["type"] == "value_error":
        return key, allowed.removeprefix("Value error, "), "parts that fit together"
    if first["type"] == "extra_forbidden":
        allowed = "no such key"
    return key, shown(value, 60), allowed


def _keys_of(content: Any, place: list[str | int]) -> list[str | int]:
    """The parts of a place that are keys of the content, or indices in it."""
    keys = []
    for part in place:
        if part in content if isinstance(content, dict) else isinstance(content, list) and isinstance(part, int):
            keys.append(part)
            content = content[part]
    return keys
