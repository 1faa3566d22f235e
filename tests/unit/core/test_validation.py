"""What pydantic refuses, as keys of the content: members of unions and parts that a validator reads are no keys."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from stages.core.validation import Refusal, refused_keys


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    images: int | Literal["all"] = 1
    part: Part = Part(number=1)
    parts: list[Part | str] = []
    read: Any = None

    @field_validator("read")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return Part.model_validate(value)

    @model_validator(mode="after")
    def _check(self) -> "Whole":
        if self.images == 3 and self.part.number == 4:
            raise ValueError("3 and 4 differ")
        return self


def refused(content: Any) -> list[Refusal]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(content)
    return refused_keys(caught.value, content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"images": "some"}, ("images", "some", "a valid integer or 'all'")),
        ({"part": 5}, ("part", 5, "a mapping of keys to values")),
        ({"part": {"number": "1"}}, ("part.number", "1", "a valid integer")),
        ({"part": {"number": 1, "more": 2}}, ("part.more", 2, "no such key")),
        ({"parts": ["a", {"number": None}]}, ("parts.1.number", None, "a valid integer")),
        ({"read": {"number": 0.5}}, ("read.number", 0.5, "a valid integer")),
        ([], ("", [], "a mapping of keys to values")),
    ],
)
def test_a_wrong_value(content: Any, expected: tuple[str, Any, str]) -> None:
    first = refused(content)[0]
    assert (first.key, first.value, first.allowed) == expected
    assert (first.missing, first.conflict) == (False, "")
    assert first.top == first.key.partition(".")[0]


def test_a_missing_key() -> None:
    first = refused({"part": {}})[0]
    assert (first.key, first.value, first.missing) == ("part.number", None, True)


def test_parts_that_do_not_fit_together() -> None:
    [only] = refused({"images": 3, "part": {"number": 4}})
    assert (only.key, only.conflict, only.allowed) == ("", "3 and 4 differ", "parts that fit together")


def test_every_key_is_named_once() -> None:
    assert [each.key for each in refused({"images": "some", "part": {"number": "1", "more": 2}})] == [
        "images",
        "part.number",
        "part.more",
    ]
