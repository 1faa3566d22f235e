"""A time in which unpickling is an error: by pickle's readers, by what a library made of them, and by PyTorch's own.

A library's reader that does without pickle is not noticed, but PyTorch's, where that was loaded before.
"""

import io
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

_OF_TORCH = "torch._weights_only_unpickler"  # the reader of `torch.load`, written anew in Python
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
    """Refuse these readers; what a library took of them earlier cannot call anything. Proves first that it bites."""
    pickled = pickle.dumps(_refuse)
    loads = pickle.loads  # as a library has it that imported it before
    if not _hooked:  # one hook a process: none can be removed
        sys.addaudithook(_hook)
        _hooked.append(True)
    _refuses[0] = True
    try:
        with ExitStack() as patched:
            patched.enter_context(patch.multiple(pickle, load=_refuse, loads=_refuse, Unpickler=_Unpickler))
            readers: list[Callable[[bytes], Any]] = [loads, pickle.loads]
            if of_torch := sys.modules.get(_OF_TORCH):
                load = of_torch.load  # as `torch.load` calls it
                patched.enter_context(patch.object(of_torch.Unpickler, "load", _refuse))
                readers.append(lambda content: load(io.BytesIO(content)))
            for reader in readers:
                try:
                    reader(pickled)
                except UnpicklingError:
                    continue
                raise AssertionError("unpickling is not refused")
            yield
    finally:
        _refuses[0] = False
