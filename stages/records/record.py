"""The base of every record: a frozen, typed JSON file, whole or refused.

A stage writes a record with `write`, everybody else reads it with `read`. This is the one place where the JSON of a
record is parsed and refused.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.errors import CorruptFileError, shown
from stages.core.files import json_text, parse_json, write_text
from stages.core.regular import read_regular
from stages.core.validation import refused_keys

Word = Annotated[str, Field(pattern=r"^\S+$")]  # no space, no line break
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
        found = read_regular(path, made_by)
        content = parse_json(found, path, made_by)
        record = cls.parse(content, path, made_by)
        if cls.text_of(content).encode() != found:
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
            raise invalid(error, content, path, made_by) from None

    def content(self) -> dict[str, Any]:
        """The record as plain JSON data: what was written into it, without fields that a later version has added."""
        content = self.model_dump(mode="json", exclude_unset=True)
        return {"schema": version, **content} if (version := getattr(self, "version", None)) else content

    @classmethod
    def text_of(cls, content: dict[str, Any]) -> str:
        """The one text of a content: other bytes are refused when they are read."""
        return json_text(content)

    def text(self) -> str:
        """The text of the record's file: reading a file and taking its text gives its bytes again."""
        return self.text_of(self.content())

    def md5(self) -> str:
        """md5 of the record's file, as `dvc.lock` has it."""
        return hashlib.md5(self.text().encode(), usedforsecurity=False).hexdigest()

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


def invalid(error: ValidationError, content: Any, path: Path | str, made_by: str) -> CorruptFileError:
    """The error for the file at `path`, whose content pydantic refuses: its first wrong key."""
    first = refused_keys(error, content)[0]
    if first.missing:
        return CorruptFileError(path, f"no {first.key}", f"the record that {made_by} writes today")
    found = first.conflict or shown(first.value, 60)
    return CorruptFileError(path, f"{first.key or 'the file'}: {found}", first.allowed)
