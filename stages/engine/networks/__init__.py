"""The families of networks, a module or a package each, imported when a cell asks for one: a new one is a new family.

It has a class `Settings` (a subclass of `stages.config.settings.NetworkSettings`) with its typed settings,
`SMALLEST_INPUT` and `build`. It imports torch inside `build` alone, since params.yaml is read without it. A small
network is built there (`lenet.py`); a larger one by a module beside the settings, in a package (`vgg/`).
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
