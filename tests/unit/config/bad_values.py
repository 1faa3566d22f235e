"""Values that a type refuses, made from the type itself, so that a new setting is covered on the day it is added."""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.unit.config.conftest import Place

UNKNOWN = "no_such_key"


def bad_values(annotation: Any, metadata: tuple[Any, ...], value: Any) -> Iterator[tuple[Place, Any]]:
    """Places at and below `value`, each with something that its type refuses there."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = (*metadata, *more)
    constraints = [c for m in metadata for c in (m.metadata if isinstance(m, FieldInfo) else [m])]
    if get_origin(annotation) in (types.UnionType, typing.Union):
        yield from _union_values(get_args(annotation), value)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from model_values(annotation, value)
    elif get_origin(annotation) is list:
        yield from _at_top(None, "word", 3, {}, *_wrong_lengths(constraints, value))
        (item,) = get_args(annotation)
        for i, entry in enumerate(value):
            yield from (((i, *place), bad) for place, bad in bad_values(item, (), entry))
    elif get_origin(annotation) is dict:
        yield from _at_top(None, "word", 3, [])
        for key, entry in value.items():
            yield from (((key, *place), bad) for place, bad in bad_values(get_args(annotation)[1], (), entry))
    elif annotation is not Any:
        yield from _at_top(*_scalars(annotation, constraints))


def model_values(model: type[BaseModel], value: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Bad values of a section and of each of its fields; a section without a field, and with one too many."""
    unknown_number: dict[Any, Any] = {**value, 7: 1}
    yield from _at_top(None, "word", 3, [], {**value, UNKNOWN: 1}, unknown_number)
    for name, field in model.model_fields.items():
        if field.is_required():
            yield (), {key: entry for key, entry in value.items() if key != name}
        yield from field_values(model, name, value.get(name))


def field_values(model: type[BaseModel], name: str, value: Any) -> Iterator[tuple[Place, Any]]:
    """Bad values of one field of a model, at its place in the section."""
    field = model.model_fields[name]
    for place, bad in bad_values(field.annotation, tuple(field.metadata), value):
        yield (name, *place), bad


def _at_top(*values: Any) -> list[tuple[Place, Any]]:
    return [((), value) for value in values]


def _union_values(members: tuple[Any, ...], value: Any) -> Iterator[tuple[Place, Any]]:
    """A union takes literals or null beside its first member."""
    taken = [entry for member in members[1:] for entry in get_args(member) or (None,)]
    for place, bad in bad_values(members[0], (), value):
        if bad not in taken:
            yield place, bad


def _wrong_lengths(constraints: list[Any], value: list[Any]) -> Iterator[list[Any]]:
    for constraint in constraints:
        if isinstance(constraint, annotated_types.MinLen):
            yield value[: constraint.min_length - 1]
        if isinstance(constraint, annotated_types.MaxLen):
            yield (value or [1]) * (constraint.max_length + 1)


def _scalars(annotation: Any, constraints: list[Any]) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from ("no such word", 10**6, None, [], 2.5, {})
        return
    yield from {
        int: ("word", 1.5, None, True, [], {}),
        float: ("word", None, True, [], {}, float("nan"), float("inf"), float("-inf")),
        str: (7, None, True, [], {}),
    }[annotation]
    for constraint in constraints:
        match constraint:
            case annotated_types.Ge(ge=bound):
                yield bound - 1  # type: ignore[operator]
            case annotated_types.Le(le=bound):
                yield from (bound + 1, 10**5000)  # type: ignore[operator]
            case annotated_types.Gt(gt=bound) | annotated_types.Lt(lt=bound):
                yield bound
            case _ if getattr(constraint, "pattern", None):
                yield "Not A Name"
