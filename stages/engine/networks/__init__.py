"""The families of networks, a package each, imported when a cell asks for one: a new package is a new family.

A family's package has a class `Settings` (a subclass of `stages.config.settings.NetworkSettings`) with its typed
settings, `SMALLEST_INPUT` and `build`. The package imports torch inside `build` alone, since params.yaml is read
without it; what builds the network stands in a module beside it.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def families() -> tuple[str, ...]:
    """The names of all families, in the order of the alphabet."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def family_module(family: str) -> ModuleType:
    """The package of a family. ModuleNotFoundError when there is none."""
    return import_module(f"{__name__}.{family}")
