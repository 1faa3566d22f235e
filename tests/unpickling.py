"""A time in which whatever is unpickled, by whichever library, is an error."""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

_FIND_CLASS = "pickle.find_class"  # what Python reports when a pickle names something to call, by any reader
_refuses = [False]
_hooked: list[bool] = []


class UnpicklingError(AssertionError):
    """Something was unpickled."""


def _refuse(*_: Any, **__: Any) -> Any:
    raise UnpicklingError


class _Unpickler:
    __init__ = load = find_class = _refuse


def _hook(event: str, _: tuple[Any, ...]) -> None:
    if _refuses[0] and event == _FIND_CLASS:
        raise UnpicklingError


@contextmanager
def no_unpickling() -> Iterator[None]:
    """Refuse pickle's readers; what a library took of them earlier cannot call anything. Proves first that it bites."""
    pickled = pickle.dumps(_refuse)
    loads = pickle.loads  # as a library has it that imported it before
    if not _hooked:  # one hook a process: none can be removed
        sys.addaudithook(_hook)
        _hooked.append(True)
    _refuses[0] = True
    try:
        with patch.multiple(pickle, load=_refuse, loads=_refuse, Unpickler=_Unpickler):
            for reader in (loads, pickle.loads):
                try:
                    reader(pickled)
                except UnpicklingError:
                    continue
                raise AssertionError("unpickling is not refused")
            yield
    finally:
        _refuses[0] = False
