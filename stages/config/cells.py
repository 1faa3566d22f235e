"""From what `params.yaml` writes of a cell to its settings.

A cell is written as a mapping that names a network and an optimizer and sets what differs:

    vgg16-lr1e-2:      {network: vgg16, optimizer: rmsprop, lr: 0.01}
    vgg16-lr1e-2-sgd:  {base: vgg16-lr1e-2, optimizer: sgd}                 an alternative: all of its base's, but this

Its settings are those of the network, of the optimizer, of `inputs` for its data set and family, and its own; the later
win. An alternative may also name `epochs` (it then trains for no more than these) and `precision`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from stages.config.reading import one_line
from stages.config.settings import Cell
from stages.core.errors import ParamError, StageError

NETWORK, OPTIMIZER, BASE, EPOCHS, PRECISION, DEFAULT = "network", "optimizer", "base", "epochs", "precision", "default"
# Settings that mean something together only: a study that changes several of one group changes one thing.
GROUPS = (
    {"optimizer", "lr", "momentum", "weight_decay", "alpha", "beta1", "beta2", "eps"},
    {"batch_norm", "batch_norm_eps", "init"},
    {"stem", "input_size"},
)


class CellKey(NamedTuple):
    """Where a cell stands: its section (`cells` or `alternatives`), data set and name."""

    section: str
    dataset: str
    name: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"


@dataclass(frozen=True)
class ResolvedCell:
    """A cell with all its settings; `epochs` and `precision` are those it names itself, if it does."""

    key: CellKey
    cell: Cell
    base: str | None
    epochs: int | None
    precision: str | None


class Layer(NamedTuple):
    """Settings that stand in one section of params.yaml, at `place`."""

    place: str
    settings: Mapping[str, Any]


def resolve_cell(key: CellKey, raw: Mapping[str, Any], dataset: Mapping[str, Mapping[str, Any]]) -> ResolvedCell:
    """The settings of a cell. `raw` is all of params.yaml, `dataset` its cells and alternatives of that data set.

    Raises ParamError or StageError, naming the place in params.yaml that is wrong.
    """
    own = _layers(key, dataset)
    named = {name: value for layer in own for name, value in layer.settings.items()}
    where = f"{key.section}.{key.dataset}.{key.name}"
    layers = [
        _reference(raw["networks"], "networks", NETWORK, named, where),
        _reference(raw["optimizers"], "optimizers", OPTIMIZER, named, where),
    ]
    inputs, family = raw["inputs"][key.dataset], layers[0].settings.get("family")
    layers += [Layer(f"inputs.{key.dataset}.{name}", inputs.get(name, {})) for name in (DEFAULT, str(family))]
    layers += [Layer(layer.place, _without_references(layer.settings)) for layer in own]
    settings = {name: value for layer in layers for name, value in layer.settings.items()}
    try:
        cell = Cell.of(settings)
    except ValidationError as error:
        raise _placed(error, settings, layers) from None
    return ResolvedCell(key, cell, named.get(BASE), *_of_an_alternative(key, named, where))


def changed_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names of the settings in which two cells differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def is_one_change(changed: Iterable[str]) -> bool:
    """Whether changed settings are one thing: a single one, or several of one group."""
    names = set(changed)
    return len(names) == 1 or any(names and names <= group for group in GROUPS)


def _layers(key: CellKey, dataset: Mapping[str, Mapping[str, Any]]) -> list[Layer]:
    """What a cell and its bases say, the last base first. Raises ParamError for no such base, or a circle of them."""
    layers: list[Layer] = []
    section, name, seen = key.section, key.name, list[str]()
    while True:
        settings = dataset[section][name]
        place = f"{section}.{key.dataset}.{name}"
        if not isinstance(settings, dict):
            raise ParamError(f"params.yaml: {place}", settings, "a mapping of keys to values")
        layers.insert(0, Layer(place, settings))
        seen.append(name)
        base = settings.get(BASE)
        if base is None:
            return layers
        sections = [other for other in ("cells", "alternatives") if base in dataset[other]]
        if section == "cells" or not sections or base in seen:
            others = [other for part in dataset.values() for other in part if other not in seen]
            allowed = "no base for a table's cell" if section == "cells" else "one of " + ", ".join(others)
            raise ParamError(f"params.yaml: {place}.{BASE}", base, allowed)
        section, name = sections[0], base


def _reference(entries: Mapping[str, Any], section: str, key: str, named: Mapping[str, Any], where: str) -> Layer:
    name = named.get(key)
    if name is None:
        raise StageError(f"params.yaml: {where}.{key} is missing; allowed: one of {', '.join(entries)}")
    if name not in entries:
        raise ParamError(f"params.yaml: {where}.{key}", name, "one of " + ", ".join(entries))
    return Layer(f"{section}.{name}", entries[name])


def _without_references(settings: Mapping[str, Any]) -> dict[str, Any]:
    references = (NETWORK, OPTIMIZER, BASE, EPOCHS, PRECISION)
    return {name: value for name, value in settings.items() if name not in references}


def _of_an_alternative(key: CellKey, named: Mapping[str, Any], where: str) -> tuple[int | None, str | None]:
    epochs, precision = named.get(EPOCHS), named.get(PRECISION)
    for name, value in ((EPOCHS, epochs), (PRECISION, precision)):
        if value is not None and key.section == "cells":
            raise ParamError(f"params.yaml: {where}.{name}", value, "no such key in a table's cell; its budget says it")
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1):
        raise ParamError(f"params.yaml: {where}.{EPOCHS}", epochs, "a whole number from 1 up")
    if precision not in (None, "auto", "bfloat16", "float32"):
        raise ParamError(f"params.yaml: {where}.{PRECISION}", precision, "'auto', 'bfloat16' or 'float32'")
    return epochs, precision


def _placed(error: ValidationError, settings: Mapping[str, Any], layers: list[Layer]) -> StageError:
    """pydantic's first finding at the place in params.yaml that the setting comes from."""
    first = error.errors(include_url=False)[0]
    key = first["ctx"]["key"] if first["type"] == "unknown_key" else str(first["loc"][0]) if first["loc"] else ""
    holding = [layer.place for layer in layers if key in layer.settings]
    place = holding[-1] if holding else layers[-1].place
    return one_line(error, settings, f"params.yaml: {place}.")
